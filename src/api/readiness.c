#include "api/readiness.h"

#include "api/api_private.h"
#include "base/log.h"

static int check(struct rc_registry *registry, struct rc_registry_job *job)
{
    return rc_registry_check(registry, &job->error);
}

static void on_done(struct rc_registry_job *job)
{
    struct rc_readiness *readiness = rc_container_of(job, struct rc_readiness, job);
    if (job->err != RC_OK && readiness->err == RC_OK)
        rc_log_error("api", "not ready: the registry takes no changes: %s", job->error.text);
    if (job->err == RC_OK && readiness->err != RC_OK)
        rc_log_info("api", "the registry takes changes again");
    readiness->err = job->err;
    readiness->is_under_way = false;
    readiness->api->questions--;
    if (!readiness->api->is_stopping)
        rc_timer_start(readiness->api->loop, &readiness->timer, RC_READINESS_EACH_MS);
}

static void ask(struct rc_timer *timer)
{
    struct rc_readiness *readiness = rc_container_of(timer, struct rc_readiness, timer);
    struct rc_api *api = readiness->api;
    readiness->job = (struct rc_registry_job){.run = check, .on_done = on_done, .reply_to = api->loop};
    readiness->asked_ms = rc_loop_now_ms(api->loop);
    if (rc_registry_post(api->options.registry, &readiness->job) == RC_OK) {
        readiness->is_under_way = true;
        api->questions++;
    } else { /* as many jobs as may wait */
        rc_timer_start(api->loop, &readiness->timer, RC_READINESS_EACH_MS);
    }
}

void rc_readiness_start(struct rc_readiness *readiness, struct rc_api *api)
{
    *readiness = (struct rc_readiness){.timer.on_due = ask, .api = api};
    if (api->options.registry != NULL)
        rc_timer_start(api->loop, &readiness->timer, 0);
}

void rc_readiness_stop(struct rc_readiness *readiness)
{
    rc_timer_stop(&readiness->timer);
}

const char *rc_readiness_problem(const struct rc_readiness *readiness)
{
    uint64_t now_ms = readiness->is_under_way ? rc_loop_now_ms(readiness->api->loop) : 0;
    if (readiness->is_under_way && now_ms - readiness->asked_ms > RC_READINESS_LATE_MS)
        return "the registry does not answer\n";
    return readiness->err != RC_OK ? "the registry takes no changes (broken, locked, read-only or full?)\n"
                                   : NULL;
}

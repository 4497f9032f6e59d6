/* Calls whose work waits for files: done on the RocketMQ endpoint's worker. */
#include "api/actions.h"
#include "base/alloc.h"
#include "rocketmq/inspect.h"

enum { JOBS_MAX = 256 /* at once */ };

struct job {
    struct rc_endpoint_job job;
    struct rc_store_work work;
    rc_store_fn *fn;
    int err;
};

static void run(struct rc_endpoint_job *endpoint_job, struct rc_store *store, struct rc_owners *owners)
{
    struct job *job = rc_container_of(endpoint_job, struct job, job);
    const struct rc_api_call *call = job->work.call;
    job->work.store = store;
    job->work.tenancy = (struct rc_tenancy){owners, call->catalog, store, call->instance->id, false};
    job->err = job->fn(&job->work);
}

static void on_done(struct rc_endpoint_job *endpoint_job)
{
    struct job *job = rc_container_of(endpoint_job, struct job, job);
    struct rc_api_call *call = job->work.call;
    call->api->questions--;
    call->api->looks--;
    if (job->err == 0 && job->work.then != NULL)
        job->work.then(call, job->work.then_arg);
    else if (job->err == 0)
        rc_api_call_finish(call);
    else
        rc_api_call_fail_err(call, job->err, job->work.error.text);
    free(job);
}

void rc_api_call_store(struct rc_api_call *call, rc_store_fn *work)
{
    if (call->api->looks >= JOBS_MAX) {
        rc_api_call_fail(call, RC_API_OVERLOADED, "%s", "Too many calls of this kind are under way.");
        return;
    }
    struct job *job = rc_new(struct job);
    job->job = (struct rc_endpoint_job){.run = run, .on_done = on_done, .reply_to = call->api->loop};
    job->work.call = call;
    job->fn = work;
    call->api->questions++;
    call->api->looks++;
    rc_endpoint_do(call->api->options.endpoint, &job->job);
}

#include "api/registry_work.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

struct job {
    struct rc_registry_job job;
    struct rc_api_call *call;
    rc_registry_work_fn *fn;
};

static int run(struct rc_registry *registry, struct rc_registry_job *registry_job)
{
    struct job *job = rc_container_of(registry_job, struct job, job);
    const struct rc_instance *instance = job->call->instance;
    struct rc_registry_work work = {.registry = registry,
                                    .call = job->call,
                                    .instance = instance != NULL ? instance->id : rc_slice("", 0),
                                    .error = &registry_job->error};
    return job->fn(&work);
}

static void on_done(struct rc_registry_job *registry_job)
{
    struct job *job = rc_container_of(registry_job, struct job, job);
    struct rc_api_call *call = job->call;
    call->api->questions--;
    if (registry_job->err >= 0)
        rc_api_call_finish(call);
    else
        rc_api_call_fail_err(call, registry_job->err, registry_job->error.text);
    free(job);
}

void rc_api_call_work(struct rc_api_call *call, rc_registry_work_fn *fn)
{
    struct job *job = rc_new(struct job);
    job->job = (struct rc_registry_job){.run = run, .on_done = on_done, .reply_to = call->api->loop};
    job->call = call;
    job->fn = fn;
    call->api->questions++;
    if (call->api->options.registry != NULL &&
        rc_registry_post(call->api->options.registry, &job->job) == RC_OK)
        return;
    call->api->questions--;
    free(job);
    rc_api_call_fail(call, RC_API_THROTTLED, "%s", "Too many changes are under way.");
}

struct rc_slice rc_work_param(const struct rc_registry_work *work, const char *name)
{
    const char *value = rc_params_get(&work->call->params, name);
    return rc_slice_str(value != NULL ? value : "");
}

int rc_work_refuse(struct rc_registry_work *work, const char *sentence)
{
    return rc_error_set(work->error, RC_ERR_INVALID, "%s", sentence);
}

/* *ret keeps what is there when the parameter is not. */
static bool read_number(const struct rc_registry_work *work, const char *name, uint32_t min, uint32_t max,
                        uint32_t *ret)
{
    const char *text = rc_params_get(&work->call->params, name);
    char *end;
    if (text == NULL || text[0] == '\0')
        return true;
    long long value = strtoll(text, &end, 10);
    *ret = (uint32_t)value;
    return *end == '\0' && value >= min && value <= max;
}

int rc_work_read_page(struct rc_registry_work *work, const char *size_name, struct rc_work_page *ret)
{
    enum { SIZE_DEFAULT = 100, SIZE_MAX_OF_PAGE = 100, ROWS_MAX = 100000000 };
    struct rc_work_page page = {
        .page.after = rc_slice("", 0), .page.limit = SIZE_DEFAULT, .number = 1, .list = json_array()};
    *ret = page;
    if (!read_number(work, size_name, 1, SIZE_MAX_OF_PAGE, &ret->page.limit))
        return rc_error_set(work->error, RC_ERR_INVALID, "%s is 1 to %d.", size_name, SIZE_MAX_OF_PAGE);
    if (!read_number(work, "PageNo", 1, ROWS_MAX, &ret->number))
        return rc_work_refuse(work, "PageNo counts from 1.");
    ret->page.skip = (ret->number - 1) * ret->page.limit;
    if (!read_number(work, "NextToken", 0, ROWS_MAX, &ret->page.skip))
        return rc_work_refuse(work, "NextToken is not one that was given.");
    return RC_OK;
}

json_t *rc_work_next_token(const struct rc_work_page *page, uint64_t total)
{
    char token[24] = "";
    uint64_t told = page->page.skip + json_array_size(page->list);
    if (told < total)
        snprintf(token, sizeof(token), "%llu", (unsigned long long)told);
    return json_string(token);
}

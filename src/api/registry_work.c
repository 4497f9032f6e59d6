#include "api/registry_work.h"

#include "base/alloc.h"
#include "base/hex.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

struct job {
    struct rc_registry_job job;
    struct rc_api_call *call;
    rc_registry_work_fn *fn;
    bool is_read;
};

static int run(struct rc_registry *registry, struct rc_registry_job *registry_job)
{
    struct job *job = rc_container_of(registry_job, struct job, job);
    const struct rc_instance *instance = job->call->instance;
    struct rc_registry_work work = {.registry = registry,
                                    .call = job->call,
                                    .instance = instance != NULL ? instance->id : rc_slice("", 0),
                                    .error = &registry_job->error};
    int err = job->fn(&work);
    if (err >= 0 && job->is_read)
        rc_api_call_write(job->call); /* a long one would hold up the API's thread */
    return err;
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

static void start(struct rc_api_call *call, rc_registry_work_fn *fn, bool is_read)
{
    struct rc_registry *registry = call->api->options.registry;
    struct job *job = rc_new(struct job);
    job->job = (struct rc_registry_job){.run = run, .on_done = on_done, .reply_to = call->api->loop};
    job->call = call;
    job->fn = fn;
    job->is_read = is_read;
    call->api->questions++;
    if (registry != NULL &&
        (is_read ? rc_registry_post_read : rc_registry_post)(registry, &job->job) == RC_OK)
        return;
    call->api->questions--;
    free(job);
    rc_api_call_fail(call, RC_API_OVERLOADED, "Too many %s are under way.", is_read ? "lists" : "changes");
}

void rc_api_call_work(struct rc_api_call *call, rc_registry_work_fn *fn)
{
    start(call, fn, false);
}

void rc_api_call_read(struct rc_api_call *call, rc_registry_work_fn *fn)
{
    start(call, fn, true);
}

struct rc_slice rc_work_param(const struct rc_registry_work *work, const char *name)
{
    return rc_params_text(&work->call->params, name);
}

int rc_work_refuse(struct rc_registry_work *work, const char *sentence)
{
    return rc_error_set(work->error, RC_ERR_INVALID, "%s", sentence);
}

int rc_work_take_one_of(struct rc_registry_work *work, const char *name, const char *no, const char *yes,
                        bool *field)
{
    const char *text = rc_params_get(&work->call->params, name);
    if (text == NULL || text[0] == '\0')
        return RC_OK;
    *field = strcasecmp(text, yes) == 0;
    if (*field || strcasecmp(text, no) == 0)
        return RC_OK;
    return rc_error_set(work->error, RC_ERR_INVALID, "%s is %s or %s.", name, yes, no);
}

/* *ret keeps what is there when the parameter is not. */
static bool read_number(const struct rc_registry_work *work, const char *name, uint32_t min, uint32_t max,
                        uint32_t *ret)
{
    const char *text = rc_params_get(&work->call->params, name);
    char *end;
    if (text == NULL || text[0] == '\0')
        return true;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *ret = (uint32_t)value;
    return errno == 0 && *end == '\0' && value >= min && value <= max;
}

/* Its key, in hexadecimal digits. */
static int read_token(struct rc_registry_work *work, struct rc_work_page *ret)
{
    struct rc_slice token = rc_work_param(work, "NextToken");
    if (token.len == 0)
        return RC_OK;
    ret->after_len = token.len / 2;
    if (token.len % 2 != 0 || ret->after_len > sizeof(ret->after) ||
        !rc_hex_decode(ret->after, ret->after_len, token))
        return rc_work_refuse(work, "NextToken is not one that was given.");
    ret->page.after = rc_slice(ret->after, ret->after_len);
    ret->page.skip = 0;
    return RC_OK;
}

bool rc_work_page_takes(struct rc_work_page *page)
{
    page->has_more = json_array_size(page->list) == page->size;
    return !page->has_more;
}

void rc_work_note_last(struct rc_work_page *page, struct rc_slice first, struct rc_slice second,
                       struct rc_slice third)
{
    struct rc_buf key = {.data = page->last, .cap = sizeof(page->last), .max = sizeof(page->last)};
    struct rc_slice parts[] = {first, second, third};
    for (size_t i = 0; i < 3 && parts[i].ptr != NULL; i++) {
        if (i > 0)
            rc_buf_put_u8(&key, RC_REGISTRY_KEY_SEPARATOR);
        rc_buf_put_slice(&key, parts[i]);
    }
    page->last_len = rc_buf_len(&key);
}

int rc_work_read_page(struct rc_registry_work *work, const char *size_name, struct rc_work_page *ret)
{
    enum { SIZE_DEFAULT = 100, SIZE_MAX_OF_PAGE = 100, ROWS_MAX = 100000000 };
    *ret = (struct rc_work_page){
        .page.after = rc_slice("", 0), .size = SIZE_DEFAULT, .number = 1, .list = json_array()};
    if (!read_number(work, size_name, 1, SIZE_MAX_OF_PAGE, &ret->size))
        return rc_error_set(work->error, RC_ERR_INVALID, "%s is 1 to %d.", size_name, SIZE_MAX_OF_PAGE);
    if (!read_number(work, "PageNo", 1, ROWS_MAX, &ret->number))
        return rc_work_refuse(work, "PageNo counts from 1.");
    ret->page.skip = (uint64_t)(ret->number - 1) * ret->size;
    ret->page.limit = ret->size + 1;
    return read_token(work, ret);
}

json_t *rc_work_next_token(const struct rc_work_page *page)
{
    char token[2 * RC_WORK_KEY_MAX];
    if (!page->has_more)
        return json_string("");
    rc_hex_lower(token, page->last, page->last_len);
    return json_stringn(token, 2 * page->last_len);
}

#include "rocketmq/inspect.h"

#include "base/alloc.h"
#include "base/json_write.h"
#include "rocketmq/endpoint_private.h"
#include "rocketmq/worker.h"

/* ---- by key ---- */

static void deliver_found(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_key_search *search = rc_container_of(mail, struct rc_key_search, mail);
    search->on_done(search);
}

static void deliver_search(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_key_search *search = rc_container_of(mail, struct rc_key_search, mail);
    struct rc_key_index *index = rc_worker_index(search->endpoint->worker);
    if (index != NULL)
        rc_key_index_find(index, &search->what, search->visit, search->owner);
    search->mail.deliver = deliver_found;
    rc_loop_post(search->reply_to, &search->mail);
}

void rc_endpoint_search(struct rc_endpoint *endpoint, struct rc_key_search *search)
{
    search->endpoint = endpoint;
    search->mail.deliver = deliver_search;
    rc_loop_post(rc_worker_loop(endpoint->worker), &search->mail);
}

/* ---- jobs ---- */

static void deliver_done(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_endpoint_job *job = rc_container_of(mail, struct rc_endpoint_job, mail);
    job->on_done(job);
}

static void deliver_job(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_endpoint_job *job = rc_container_of(mail, struct rc_endpoint_job, mail);
    job->run(job, job->endpoint->options.store, job->endpoint->options.owners);
    job->mail.deliver = deliver_done;
    rc_loop_post(job->reply_to, &job->mail);
}

void rc_endpoint_do(struct rc_endpoint *endpoint, struct rc_endpoint_job *job)
{
    job->endpoint = endpoint;
    job->mail.deliver = deliver_job;
    rc_loop_post(rc_worker_loop(endpoint->worker), &job->mail);
}

/* ---- groups ---- */

static void deliver_seen(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_group_look *look = rc_container_of(mail, struct rc_group_look, mail);
    look->on_done(look);
}

static void deliver_look(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_group_look *look = rc_container_of(mail, struct rc_group_look, mail);
    struct rc_json json;
    rc_buf_init(&look->json, RC_GROUP_LOOK_BYTES_MAX + 4096);
    rc_json_init(&json, &look->json);
    rc_consumer_groups_describe(look->endpoint, look->group, &json, RC_GROUP_LOOK_BYTES_MAX);
    look->mail.deliver = deliver_seen;
    rc_loop_post(look->reply_to, &look->mail);
}

void rc_endpoint_look(struct rc_endpoint *endpoint, struct rc_group_look *look)
{
    look->endpoint = endpoint;
    look->mail.deliver = deliver_look;
    rc_loop_post(endpoint->loop, &look->mail);
}

/* ---- offsets ---- */

struct reset {
    struct rc_mail mail;
    struct rc_endpoint *endpoint;
    uint64_t *offsets;
    uint32_t count;
    size_t group_len, topic_len;
    uint8_t names[]; /* group, topic */
};

static void deliver_reset(struct rc_mail *mail, struct rc_loop *loop)
{
    struct reset *reset = rc_container_of(mail, struct reset, mail);
    rc_consumer_groups_reset(reset->endpoint, rc_slice(reset->names, reset->group_len),
                             rc_slice(reset->names + reset->group_len, reset->topic_len), reset->offsets,
                             reset->count);
    free(reset->offsets);
    free(reset);
}

void rc_endpoint_reset(struct rc_endpoint *endpoint, struct rc_slice group, struct rc_slice topic,
                       const uint64_t *offsets, uint32_t count)
{
    struct reset *reset = rc_calloc(1, sizeof(*reset) + group.len + topic.len);
    reset->mail.deliver = deliver_reset;
    reset->endpoint = endpoint;
    reset->offsets = rc_calloc(count, sizeof(*offsets));
    reset->count = count;
    reset->group_len = group.len;
    reset->topic_len = topic.len;
    memcpy(reset->offsets, offsets, count * sizeof(*offsets));
    memcpy(reset->names, group.ptr, group.len);
    memcpy(reset->names + group.len, topic.ptr, topic.len);
    rc_loop_post(endpoint->loop, &reset->mail);
}

/*
 * Dead letters are sent again: each stands in the retry topic of its group once more, as if it had never
 * failed, so that this group gets it and no other. As many are on their way to the log as it takes; the next
 * go when one is written.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "rocketmq/endpoint_private.h"
#include "rocketmq/inspect.h"
#include "rocketmq/lookup.h"

enum { GIVE_UP_MS = 5000 /* the log has taken nothing */ };

struct resend {
    struct rc_list node; /* of endpoint->resends */
    struct rc_endpoint *endpoint;
    struct rc_resend *asked; /* NULL: it was answered */
    struct rc_queue *queue;
    struct rc_timer timer;
    uint32_t at, under_way;
    int err; /* nothing more is staged for it */
};

static void free_resend(struct resend *resend)
{
    rc_timer_stop(&resend->timer);
    rc_list_remove(&resend->node);
    free(resend);
}

static void deliver_answer(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_resend *asked = rc_container_of(mail, struct rc_resend, mail);
    asked->on_done(asked);
}

static void answer(struct resend *resend, int err)
{
    struct rc_resend *asked = resend->asked;
    resend->asked = NULL;
    asked->err = err;
    asked->mail.deliver = deliver_answer;
    rc_loop_post(asked->reply_to, &asked->mail);
}

static void go_on(struct resend *resend);

static void on_written(void *owner, const struct rc_append *append)
{
    struct resend *resend = owner;
    resend->under_way--;
    RC_COUNTER(resend->endpoint, dead_letters_resent);
    if (resend->asked != NULL) {
        resend->asked->sent++;
        go_on(resend);
    } else if (resend->under_way == 0) {
        free_resend(resend);
    }
}

/* RC_ERR_NOT_FOUND: retention has passed it. */
static int stage(struct resend *resend, uint64_t physical)
{
    struct rc_message message;
    struct rc_slice record;
    struct rc_segment *segment;
    struct rc_endpoint *endpoint = resend->endpoint;
    if (rc_lookup(endpoint->options.store, physical, &message, &record, &segment) != RC_OK)
        return RC_ERR_NOT_FOUND;
    message.reconsume_times = 0;
    message.store_host = endpoint->options.store_host;
    int err = rc_log_stage(endpoint->sender, resend->queue, &message, 0, on_written, resend);
    rc_segment_release(segment);
    resend->under_way += err == RC_OK;
    return err;
}

/* Until all are staged, or the log takes no more for now. */
static void go_on(struct resend *resend)
{
    rc_timer_start(resend->endpoint->loop, &resend->timer, GIVE_UP_MS);
    while (resend->err == RC_OK && resend->at < resend->asked->count) {
        int err = stage(resend, resend->asked->physical[resend->at]);
        if (err == RC_ERR_FULL && resend->under_way > 0)
            return;
        resend->at++;
        resend->err = err == RC_ERR_NOT_FOUND ? RC_OK : err;
    }
    if (resend->under_way > 0)
        return;
    answer(resend, resend->err);
    free_resend(resend);
}

static void on_late(struct rc_timer *timer)
{
    struct resend *resend = rc_container_of(timer, struct resend, timer);
    answer(resend, RC_ERR_TIMEOUT);
    if (resend->under_way == 0)
        free_resend(resend);
}

static void deliver_resend(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_resend *asked = rc_container_of(mail, struct rc_resend, mail);
    struct rc_endpoint *endpoint = asked->endpoint;
    struct rc_topic *topic = rc_endpoint_make_retry_topic(endpoint, asked->group);
    struct resend *resend = rc_new(struct resend);
    resend->endpoint = endpoint;
    resend->asked = asked;
    resend->timer.on_due = on_late;
    rc_list_push_back(&endpoint->resends, &resend->node);
    if (topic == NULL || rc_log_writer_is_blocked(endpoint->options.writer)) {
        answer(resend, RC_ERR_FULL);
        free_resend(resend);
        return;
    }
    resend->queue = rc_topic_queue(topic, 0);
    go_on(resend);
}

void rc_endpoint_resend(struct rc_endpoint *endpoint, struct rc_resend *resend)
{
    resend->endpoint = endpoint;
    resend->sent = 0;
    resend->mail.deliver = deliver_resend;
    rc_loop_post(endpoint->loop, &resend->mail);
}

void rc_resend_free(struct rc_endpoint *endpoint)
{
    while (!rc_list_is_empty(&endpoint->resends)) {
        struct resend *resend = rc_container_of(endpoint->resends.next, struct resend, node);
        rc_list_remove(&resend->node);
        free(resend);
    }
}

#include "rules/target_check.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "rules/rules_private.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOK_MS = 50, SYSFLAG_SUBSCRIPTION = 4, RES_INVALID_PARAMETER = 29 /* what 5.x calls it */ };

struct check {
    struct rc_loop *loop;
    struct rc_cluster *cluster;
    struct rc_layout layout;
    char topic[RC_MESSAGE_TOPIC_MAX + 1];
    char group[RC_CATALOG_GROUP_NAME_MAX + 1]; /* empty: it is to be sent to */
    uint32_t asked;                            /* name servers, then brokers */
    const struct rc_target_question *question;
    struct rc_timer look; /* whether it has to end early */
    uint64_t end_ms;
    bool is_at_brokers;
    struct rc_error *error;
    int err;
};

static void finish(struct check *check, int err)
{
    check->err = err;
    rc_loop_stop(check->loop);
}

static void refuse(struct check *check, const char *where, const struct rc_remoting *answer)
{
    char words[200];
    rc_log_quote_words(words, sizeof(words), answer->remark);
    bool is_permission = answer->code == RC_RES_NO_PERMISSION || strstr(words, "AclException") != NULL;
    finish(check,
           rc_error_set(check->error, is_permission ? RC_ERR_DENIED : RC_ERR_PROTOCOL, "%s%s: code %d, %s",
                        is_permission ? "no permission: " : "", where, answer->code, words));
}

/* ---- each broker ---- */

static void ask_broker(struct check *check);

static struct rc_link *link_of(struct check *check)
{
    return rc_cluster_link(check->cluster, check->layout.brokers[check->asked].address)->link;
}

/* What the broker is called in words. */
static void place(const struct check *check, char out[512])
{
    const struct rc_layout_broker *broker = &check->layout.brokers[check->asked];
    snprintf(out, 512, "broker %s at %s", broker->name, broker->address);
}

/* False when the check has ended, as there was no answer. */
static bool has_answer(struct check *check, const struct rc_remoting *answer, const char *error)
{
    char where[512];
    place(check, where);
    if (answer == NULL)
        finish(check, rc_error_set(check->error, RC_ERR_TIMEOUT, "no broker: %s: %s", where, error));
    return answer != NULL;
}

static void go_on(struct check *check, const struct rc_remoting *answer, bool is_good)
{
    char where[512];
    place(check, where);
    if (!is_good)
        refuse(check, where, answer);
    else if (++check->asked == check->layout.count)
        finish(check, RC_OK);
    else
        ask_broker(check);
}

/* Refused as the queue is none: the keys were looked at before. */
static void on_send(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct check *check = arg;
    char words[200];
    if (!has_answer(check, answer, error))
        return;
    rc_log_quote_words(words, sizeof(words), answer->remark);
    bool is_refusal = answer->code == RC_RES_SYSTEM_ERROR || answer->code == RES_INVALID_PARAMETER;
    go_on(check, answer, is_refusal && strstr(words, "illegal") != NULL);
}

static void try_send(struct check *check)
{
    struct rc_remoting request;
    rc_remoting_request(&request, RC_REQ_SEND, 0);
    rc_remoting_add(&request, "producerGroup", rc_slice_str("ROLLCALL_RULES"));
    rc_remoting_add(&request, "topic", rc_slice_str(check->topic));
    /* Not that of which topics are made: the route may be older than the topic's end at this broker. */
    rc_remoting_add(&request, "defaultTopic", rc_slice_str(check->topic));
    rc_remoting_add_number(&request, "defaultTopicQueueNums", 4);
    rc_remoting_add_number(&request, "queueId", INT32_MAX);
    rc_remoting_add_number(&request, "sysFlag", 0);
    rc_remoting_add_number(&request, "bornTimestamp", rc_clock_wall_ms());
    rc_remoting_add_number(&request, "flag", 0);
    rc_remoting_add_number(&request, "reconsumeTimes", 0);
    rc_remoting_add_bool(&request, "unitMode", false);
    rc_remoting_add_bool(&request, "batch", false);
    request.body = rc_slice_str("rollcall rule test");
    rc_link_call(link_of(check), &request, RC_FEED_SEND_MS, on_send, check);
}

static void on_pull(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct check *check = arg;
    if (!has_answer(check, answer, error))
        return;
    if (answer->code == RC_RES_GROUP_NOT_EXIST) {
        finish(check, rc_error_set(check->error, RC_ERR_NOT_FOUND,
                                   "no group: %s does not know '%s', and makes none by itself",
                                   check->layout.brokers[check->asked].name, check->group));
        return;
    }
    go_on(check, answer,
          answer->code == RC_RES_SUCCESS || answer->code == RC_RES_PULL_NOT_FOUND ||
              answer->code == RC_RES_PULL_RETRY_IMMEDIATELY || answer->code == RC_RES_PULL_OFFSET_MOVED);
}

static void try_pull(struct check *check)
{
    struct rc_remoting request;
    rc_remoting_request(&request, RC_REQ_PULL, 0);
    rc_remoting_add(&request, "consumerGroup", rc_slice_str(check->group));
    rc_remoting_add(&request, "topic", rc_slice_str(check->topic));
    rc_remoting_add_number(&request, "queueId", 0);
    rc_remoting_add_number(&request, "queueOffset", 0);
    rc_remoting_add_number(&request, "maxMsgNums", 1);
    rc_remoting_add_number(&request, "sysFlag", SYSFLAG_SUBSCRIPTION);
    rc_remoting_add_number(&request, "commitOffset", 0);
    rc_remoting_add_number(&request, "suspendTimeoutMillis", 0);
    rc_remoting_add(&request, "subscription", rc_slice_str("*"));
    rc_remoting_add_number(&request, "subVersion", 0);
    rc_remoting_add(&request, "expressionType", rc_slice_str("TAG"));
    rc_link_call(link_of(check), &request, RC_FEED_SEND_MS, on_pull, check);
}

static void ask_broker(struct check *check)
{
    if (check->group[0] != '\0')
        try_pull(check);
    else
        try_send(check);
}

/* ---- one name server after the other ---- */

static void ask_nameserver(struct check *check);

static void take_route(struct check *check, const struct rc_remoting *answer)
{
    if (answer->code == RC_RES_TOPIC_NOT_EXIST) {
        finish(check, rc_error_set(check->error, RC_ERR_NOT_FOUND,
                                   "no topic: the cluster has no route for '%s'", check->topic));
        return;
    }
    if (answer->code != RC_RES_SUCCESS) {
        refuse(check, "the name server", answer);
        return;
    }
    bool reads = check->group[0] != '\0';
    if (reads)
        rc_layout_take_readable(&check->layout, answer->body);
    else
        rc_layout_take_route(&check->layout, answer->body, true);
    check->asked = 0;
    check->is_at_brokers = check->layout.count > 0;
    if (check->layout.count == 0)
        finish(check, rc_error_set(check->error, RC_ERR_NOT_FOUND,
                                   "no broker: none has a queue of '%s' that can be %s", check->topic,
                                   reads ? "read" : "written"));
    else
        ask_broker(check);
}

static void on_route(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct check *check = arg;
    if (answer != NULL) {
        take_route(check, answer);
        return;
    }
    rc_error_set(check->error, RC_ERR_TIMEOUT, "no route: name server %s: %s",
                 rc_link_address(rc_cluster_nameserver(check->cluster)), error);
    rc_cluster_next_nameserver(check->cluster);
    if (++check->asked == check->cluster->nameservers_count)
        finish(check, RC_ERR_TIMEOUT);
    else
        ask_nameserver(check);
}

static void ask_nameserver(struct check *check)
{
    struct rc_remoting request;
    rc_remoting_request(&request, RC_REQ_ROUTE, 0);
    rc_remoting_add(&request, "topic", rc_slice_str(check->topic));
    rc_remoting_add(&request, "acceptStandardJsonOnly", rc_slice_str("true"));
    rc_link_call(rc_cluster_nameserver(check->cluster), &request, RC_FEED_SEND_MS, on_route, check);
}

/* ---- ends that it does not come to by itself ---- */

static void end_late(struct check *check)
{
    char where[512];
    uint32_t seconds = check->question->limit_ms / 1000;
    if (check->is_at_brokers)
        place(check, where);
    else
        snprintf(where, sizeof(where), "name server %s",
                 rc_link_address(rc_cluster_nameserver(check->cluster)));
    finish(check, rc_error_set(check->error, RC_ERR_TIMEOUT, "%s: %s: not answered within %u s",
                               check->is_at_brokers ? "no broker" : "no route", where, seconds));
}

static void on_look(struct rc_timer *timer)
{
    struct check *check = rc_container_of(timer, struct check, look);
    const struct rc_target_question *question = check->question;
    if (question->is_cancelled != NULL && atomic_load(question->is_cancelled))
        finish(check, rc_error_set(check->error, RC_ERR_CLOSED, "the server is being stopped"));
    else if (question->limit_ms > 0 && rc_clock_mono_ms() >= check->end_ms)
        end_late(check);
    else
        rc_timer_start(check->loop, timer, LOOK_MS);
}

static void run(struct check *check)
{
    check->look.on_due = on_look;
    check->end_ms = rc_clock_mono_ms() + check->question->limit_ms;
    rc_timer_start(check->loop, &check->look, LOOK_MS);
    ask_nameserver(check);
    rc_loop_run(check->loop);
    rc_timer_stop(&check->look);
}

int rc_target_check(const struct rc_target_question *question, struct rc_target_found *ret,
                    struct rc_error *error)
{
    struct check *check = rc_new(struct check);
    check->error = error;
    check->question = question;
    rc_target_put_name(check->topic, sizeof(check->topic), question->target, question->topic);
    if (question->group.len > 0)
        rc_target_put_name(check->group, sizeof(check->group), question->target, question->group);
    int err = rc_loop_create("rc-check", &check->loop);
    if (err != RC_OK) {
        free(check);
        return rc_error_set(error, err, "no event loop: %s", rc_err_text(err));
    }
    check->cluster = rc_cluster_create(check->loop, question->target, error);
    if (check->cluster != NULL) {
        run(check);
        err = check->err;
        *ret = (struct rc_target_found){check->layout.count, check->layout.queues};
        rc_cluster_destroy(check->cluster);
    } else {
        err = RC_ERR_INVALID;
    }
    rc_loop_destroy(check->loop);
    free(check);
    return err;
}

#include "rules/target_check.h"

#include "base/alloc.h"
#include "base/log.h"
#include "rules/rules_private.h"

#include <stdio.h>
#include <stdlib.h>

struct check {
    struct rc_loop *loop;
    struct rc_cluster *cluster;
    struct rc_layout layout;
    char topic[RC_MESSAGE_TOPIC_MAX + 1];
    uint32_t asked; /* name servers, then brokers */
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
    size_t len = 0;
    while (len < answer->remark.len && answer->remark.ptr[len] != '\n')
        len++;
    rc_log_quote(words, sizeof(words), rc_slice(answer->remark.ptr, len));
    bool is_permission = answer->code == RC_RES_NO_PERMISSION || strstr(words, "AclException") != NULL;
    finish(check,
           rc_error_set(check->error, is_permission ? RC_ERR_DENIED : RC_ERR_PROTOCOL, "%s%s: code %d, %s",
                        is_permission ? "no permission: " : "", where, answer->code, words));
}

/* ---- each broker ---- */

static void ask_broker(struct check *check);

static void on_broker(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct check *check = arg;
    const struct rc_layout_broker *broker = &check->layout.brokers[check->asked];
    char where[512];
    snprintf(where, sizeof(where), "broker %s at %s", broker->name, broker->address);
    if (answer == NULL)
        finish(check, rc_error_set(check->error, RC_ERR_TIMEOUT, "no broker: %s: %s", where, error));
    else if (answer->code != RC_RES_SUCCESS)
        refuse(check, where, answer);
    else if (++check->asked == check->layout.count)
        finish(check, RC_OK);
    else
        ask_broker(check);
}

static void ask_broker(struct check *check)
{
    struct rc_remoting request;
    rc_remoting_request(&request, RC_REQ_MAX_OFFSET, 0);
    rc_remoting_add(&request, "topic", rc_slice_str(check->topic));
    rc_remoting_add_number(&request, "queueId", 0);
    rc_link_call(rc_cluster_link(check->cluster, check->layout.brokers[check->asked].address), &request,
                 RC_FEED_SEND_MS, on_broker, check);
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
    rc_layout_take_route(&check->layout, answer->body, true);
    check->asked = 0;
    if (check->layout.count == 0)
        finish(check, rc_error_set(check->error, RC_ERR_NOT_FOUND,
                                   "no broker: none has a queue of '%s' that can be written", check->topic));
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

int rc_target_check(const struct rc_target *target, struct rc_slice topic, struct rc_target_found *ret,
                    struct rc_error *error)
{
    struct check *check = rc_new(struct check);
    check->error = error;
    snprintf(check->topic, sizeof(check->topic), "%.*s%s%.*s", RC_SLICE_FMT(target->name_space),
             target->name_space.len > 0 ? "%" : "", RC_SLICE_FMT(topic));
    int err = rc_loop_create("rc-check", &check->loop);
    if (err != RC_OK) {
        free(check);
        return rc_error_set(error, err, "no event loop: %s", rc_err_text(err));
    }
    check->cluster = rc_cluster_create(check->loop, target, error);
    if (check->cluster != NULL) {
        ask_nameserver(check);
        rc_loop_run(check->loop);
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

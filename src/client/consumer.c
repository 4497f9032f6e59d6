/*
 * Design notes
 * - Everything happens on the consumer's loop, callbacks included, so there is no lock; the public start and
 * stop talk to it by mail.
 * - Each assigned queue is a small machine: ask where to start, pull, consume, pull again. What it waits for
 * is an answer of a link or its timer; a queue that was taken away is freed when that comes ("dropped").
 * - The committed offset of a queue is that of the first message not yet done with. A message that could
 * neither be consumed nor sent back is tried again here, so none is skipped.
 */
#include "rollcall/consumer.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "client/consumer_private.h"
#include "client/reset_body.h"
#include "store/message.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    HEARTBEAT_MS = 30000,
    REBALANCE_MS = 20000,
    REBALANCE_SOON_MS = 1000, /* while route or group are not found yet */
    RETRIES_SOON_MS = 3000,   /* while only the topic for retries is not */
    COMMIT_MS = 5000,
    ANSWER_MS = 5000,
    STOP_MS = 3000,
};

/* ---- telling errors ---- */

void rc_consumer_tell(struct rc_consumer *consumer, const char *what, const char *why)
{
    char text[512];
    uint64_t now = rc_clock_mono_ms();
    if (consumer->options.on_error == NULL ||
        (consumer->told_ms != UINT64_MAX && now - consumer->told_ms < 1000))
        return;
    consumer->told_ms = now;
    snprintf(text, sizeof(text), "%s: %s", what, why);
    consumer->options.on_error(text, consumer->options.arg);
}

/* Its own words, up to the end of the line: Java adds a trace of its stack. */
void rc_consumer_tell_refusal(struct rc_consumer *consumer, const char *what,
                              const struct rc_remoting *answer)
{
    char words[320], why[360];
    rc_log_quote_words(words, sizeof(words), answer->remark);
    snprintf(why, sizeof(why), "code %d, %s", answer->code, words[0] != '\0' ? words : "without a reason");
    rc_consumer_tell(consumer, what, why);
}

/* ---- name servers and brokers ---- */

static struct rc_link *namesrv_link(struct rc_consumer *consumer)
{
    return consumer->namesrvs[consumer->namesrv_at % consumer->namesrvs_count];
}

static struct rc_consumer_broker *find_broker(struct rc_consumer *consumer, const char *name)
{
    for (uint32_t i = 0; i < consumer->brokers_count; i++)
        if (strcmp(consumer->brokers[i].name, name) == 0)
            return &consumer->brokers[i];
    return NULL;
}

void rc_consumer_put_broker(struct rc_consumer *consumer, const char *name, const char *address)
{
    struct rc_consumer_broker *broker = find_broker(consumer, name);
    if (broker == NULL) {
        if (consumer->brokers_count == RC_CONSUMER_BROKERS_MAX)
            return;
        broker = &consumer->brokers[consumer->brokers_count++];
        broker->name = rc_strdup(name);
        broker->link = rc_link_create(&consumer->link_options, address);
        return;
    }
    if (strcmp(rc_link_address(broker->link), address) == 0)
        return;
    /* It moved. What was under way there is lost with the old link, so its queues start over. */
    rc_consumer_drop_queues(consumer, broker->link);
    rc_link_destroy(broker->link);
    broker->link = rc_link_create(&consumer->link_options, address);
}

/* ---- heartbeat ---- */

static void on_beat(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_consumer *consumer = arg;
    if (consumer->is_stopping)
        return;
    if (answer == NULL)
        rc_consumer_tell(consumer, "a broker's heartbeat", error);
    else if (answer->code != RC_RES_SUCCESS)
        rc_consumer_tell_refusal(consumer, "a broker refuses the heartbeat", answer);
}

/* To all brokers; `on_asked` takes the answer of the one that is asked for members. */
static void beat(struct rc_consumer *consumer, rc_link_reply_fn on_asked)
{
    struct rc_buf body;
    struct rc_remoting request;
    uint32_t asked = consumer->brokers_count ? consumer->broker_at % consumer->brokers_count : 0;
    rc_buf_init(&body, 64 * 1024);
    rc_consumer_put_heartbeat(consumer, &body);
    for (uint32_t i = 0; i < consumer->brokers_count; i++) {
        rc_remoting_request(&request, RC_REQ_HEARTBEAT, 0);
        request.body = rc_buf_slice(&body);
        rc_link_call(consumer->brokers[i].link, &request, ANSWER_MS, i == asked ? on_asked : on_beat,
                     consumer);
    }
    rc_buf_free(&body);
}

static void on_heartbeat_due(struct rc_timer *timer)
{
    struct rc_consumer *consumer = rc_container_of(timer, struct rc_consumer, heartbeat);
    beat(consumer, on_beat);
    rc_timer_start(consumer->loop, timer, HEARTBEAT_MS);
}

/* ---- rebalance: routes, members, my share ---- */

static void rebalance_later(struct rc_consumer *consumer, uint64_t ms)
{
    rc_timer_start(consumer->loop, &consumer->rebalance, ms);
}

static void lose(struct rc_consumer *consumer)
{
    atomic_store(&consumer->is_lost, true);
    atomic_fetch_add(&consumer->retries, 1);
}

static void on_members(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_consumer *consumer = arg;
    if (consumer->is_stopping)
        return;
    if (answer == NULL || answer->code != RC_RES_SUCCESS) {
        /* Every broker knows the group, so another one may be asked; what is read goes on meanwhile. */
        if (answer == NULL)
            rc_consumer_tell(consumer, "the group's members", error);
        else
            rc_consumer_tell_refusal(consumer, "the group's members", answer);
        consumer->broker_at++;
        lose(consumer);
        rebalance_later(consumer, REBALANCE_SOON_MS);
        return;
    }
    rc_consumer_assign(consumer, answer->body);
    atomic_store(&consumer->is_lost, false);
    if (consumer->is_group_changed)
        rebalance_later(consumer, 0);
    else
        rebalance_later(consumer, consumer->routes_count[1] ? REBALANCE_MS : RETRIES_SOON_MS);
}

static void ask_route(struct rc_consumer *consumer, const char *topic, rc_link_reply_fn on_reply)
{
    struct rc_remoting request;
    rc_remoting_request(&request, RC_REQ_ROUTE, 0);
    rc_remoting_add(&request, "topic", rc_slice_str(topic));
    rc_remoting_add(&request, "acceptStandardJsonOnly", rc_slice_str("true"));
    rc_link_call(namesrv_link(consumer), &request, ANSWER_MS, on_reply, consumer);
}

static void on_retry_route(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_consumer *consumer = arg;
    struct rc_remoting request;
    if (consumer->is_stopping)
        return;
    if (answer != NULL && answer->code == RC_RES_SUCCESS)
        rc_consumer_take_route(consumer, 1, answer->body);
    rc_remoting_request(&request, RC_REQ_CONSUMER_LIST, 0);
    rc_remoting_add(&request, "consumerGroup", rc_slice_str(consumer->options.group));
    rc_link_call(consumer->brokers[consumer->broker_at % consumer->brokers_count].link, &request, ANSWER_MS,
                 on_members, consumer);
}

/*
 * Only now the rest: a broker handles requests side by side, and must know of this member before it lists the
 * group's, and of the group before there is a topic for its retries.
 */
static void on_beat_first(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_consumer *consumer = arg;
    on_beat(arg, answer, error);
    if (!consumer->is_stopping)
        ask_route(consumer, consumer->topics[1], on_retry_route);
}

static void on_route(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_consumer *consumer = arg;
    if (consumer->is_stopping)
        return;
    if (answer == NULL || answer->code != RC_RES_SUCCESS) {
        if (answer == NULL)
            rc_consumer_tell(consumer, "the name server", error);
        else
            rc_consumer_tell_refusal(consumer, "no route to the topic", answer);
        consumer->namesrv_at++;
        lose(consumer);
        rebalance_later(consumer, REBALANCE_SOON_MS);
        return;
    }
    rc_consumer_take_route(consumer, 0, answer->body);
    if (!consumer->options.broadcasting && consumer->brokers_count > 0) {
        beat(consumer, on_beat_first);
        return;
    }
    rc_consumer_assign(consumer, rc_slice(NULL, 0));
    atomic_store(&consumer->is_lost, false);
    rebalance_later(consumer, consumer->brokers_count ? REBALANCE_MS : REBALANCE_SOON_MS);
}

static void on_rebalance_due(struct rc_timer *timer)
{
    struct rc_consumer *consumer = rc_container_of(timer, struct rc_consumer, rebalance);
    consumer->is_group_changed = false;
    ask_route(consumer, consumer->topics[0], on_route);
}

/* ---- what brokers ask for ---- */

static void reset_queue(const struct rc_reset_item *item, void *arg)
{
    struct rc_consumer *consumer = arg;
    for (int topic = 0; topic < RC_CONSUMER_TOPICS; topic++)
        if (strcmp(item->topic, consumer->topics[topic]) == 0)
            rc_consumer_reset_queue(consumer, topic, item->broker, item->queue_id, item->offset);
}

/* The offsets are committed at once: until then the broker has only who asked for it to believe. */
static void reset_offsets(struct rc_consumer *consumer, const struct rc_remoting *request)
{
    if (!rc_slice_eq_str(rc_remoting_get(request, "group"), consumer->options.group))
        return;
    rc_reset_body_read(request->body, reset_queue, consumer);
    rc_consumer_commit_all(consumer);
}

/* A broker says that the group has changed. What is being asked just now may be from before that. */
static void note_change(struct rc_consumer *consumer)
{
    consumer->is_group_changed = true;
    if (rc_timer_is_running(&consumer->rebalance))
        rebalance_later(consumer, 0);
}

static void on_broker_request(void *arg, const struct rc_remoting *request)
{
    struct rc_consumer *consumer = arg;
    if (consumer->is_stopping)
        return;
    if (request->code == RC_REQ_CONSUMERS_CHANGED)
        note_change(consumer);
    else if (request->code == RC_REQ_RESET_OFFSET)
        reset_offsets(consumer, request);
}

/* ---- commit ---- */

static void on_commit_due(struct rc_timer *timer)
{
    struct rc_consumer *consumer = rc_container_of(timer, struct rc_consumer, commit);
    rc_consumer_commit_all(consumer);
    rc_timer_start(consumer->loop, timer, COMMIT_MS);
}

/* ---- start and stop ---- */

static char *copy_or_null(const char *text)
{
    return text ? rc_strdup(text) : NULL;
}

static void copy_options(struct rc_consumer *consumer, const struct rc_consumer_options *options)
{
    consumer->options = *options;
    consumer->options.namesrv = rc_strdup(options->namesrv);
    consumer->options.group = rc_strdup(options->group);
    consumer->options.topic = rc_strdup(options->topic);
    consumer->options.tags = rc_strdup(options->tags ? options->tags : "*");
    consumer->options.access_key = copy_or_null(options->access_key);
    consumer->options.secret_key = copy_or_null(options->secret_key);
    consumer->options.offset_file = options->broadcasting ? copy_or_null(options->offset_file) : NULL;
}

static void make_names(struct rc_consumer *consumer)
{
    static atomic_uint number;
    char text[512];
    consumer->topics[0] = rc_strdup(consumer->options.topic);
    snprintf(text, sizeof(text), "%%RETRY%%%s", consumer->options.group);
    consumer->topics[1] = rc_strdup(text);
    snprintf(text, sizeof(text), "127.0.0.1@%d#%llu#%u", (int)getpid(),
             (unsigned long long)rc_clock_mono_ns(), atomic_fetch_add(&number, 1));
    consumer->client_id = rc_strdup(text);
    consumer->sub_version = rc_clock_wall_ms();
    consumer->told_ms = UINT64_MAX; /* never */
}

static void make_namesrvs(struct rc_consumer *consumer)
{
    char *list = rc_strdup(consumer->options.namesrv), *rest = list, *one;
    while ((one = strsep(&rest, ";")) != NULL && consumer->namesrvs_count < RC_CONSUMER_NAMESRVS_MAX)
        if (*one != '\0')
            consumer->namesrvs[consumer->namesrvs_count++] = rc_link_create(&consumer->link_options, one);
    free(list);
}

static void free_consumer(struct rc_consumer *consumer)
{
    rc_consumer_free_queues(consumer);
    for (uint32_t i = 0; i < consumer->namesrvs_count; i++)
        rc_link_destroy(consumer->namesrvs[i]);
    for (uint32_t i = 0; i < consumer->brokers_count; i++) {
        rc_link_destroy(consumer->brokers[i].link);
        free(consumer->brokers[i].name);
    }
    rc_loop_destroy(consumer->loop);
    for (int i = 0; i < RC_CONSUMER_TOPICS; i++) {
        free(consumer->topics[i]);
        free(consumer->routes[i]);
    }
    free(consumer->client_id);
    free((char *)(uintptr_t)consumer->options.namesrv);
    free((char *)(uintptr_t)consumer->options.group);
    free((char *)(uintptr_t)consumer->options.topic);
    free((char *)(uintptr_t)consumer->options.tags);
    free((char *)(uintptr_t)consumer->options.access_key);
    free((char *)(uintptr_t)consumer->options.secret_key);
    free((char *)(uintptr_t)consumer->options.offset_file);
    free(consumer->tls_name);
    rc_tls_unref(consumer->link_options.tls);
    rc_consumer_free_offsets(consumer);
    free(consumer);
}

static const char *refusal(const struct rc_consumer_options *options)
{
    if (options->namesrv == NULL || options->namesrv[0] == '\0')
        return "no name server was given: host:port";
    if (options->group == NULL || options->group[0] == '\0' || strlen(options->group) > 255)
        return "no consumer group was given";
    if (options->topic == NULL || options->topic[0] == '\0' || strlen(options->topic) > RC_MESSAGE_TOPIC_MAX)
        return "no topic was given";
    if (options->on_message == NULL)
        return "no callback was given";
    return (options->access_key == NULL) != (options->secret_key == NULL) ? "half a key pair was given"
                                                                          : NULL;
}

int rc_consumer_start(const struct rc_consumer_options *options, struct rc_consumer **ret, char *error,
                      size_t error_size)
{
    return rc_consumer_start_tls(options, NULL, NULL, ret, error, error_size);
}

int rc_consumer_start_tls(const struct rc_consumer_options *options, struct rc_tls *tls, const char *tls_name,
                          struct rc_consumer **ret, char *error, size_t error_size)
{
    const char *why = refusal(options);
    if (why != NULL) {
        snprintf(error, error_size, "%s", why);
        return RC_ERR_INVALID;
    }
    struct rc_consumer *consumer = rc_new(struct rc_consumer);
    int err = rc_loop_create("rc-consumer", &consumer->loop);
    if (err != RC_OK) {
        snprintf(error, error_size, "no event loop: %s", rc_err_text(err));
        free(consumer);
        return err;
    }
    copy_options(consumer, options);
    make_names(consumer);
    rc_list_init(&consumer->queues);
    rc_list_init(&consumer->dropped);
    consumer->tls_name = copy_or_null(tls_name);
    consumer->link_options = (struct rc_link_options){.loop = consumer->loop,
                                                      .tls = tls != NULL ? rc_tls_ref(tls) : NULL,
                                                      .tls_name = consumer->tls_name,
                                                      .access_key = consumer->options.access_key,
                                                      .secret_key = consumer->options.secret_key,
                                                      .on_request = on_broker_request,
                                                      .arg = consumer};
    make_namesrvs(consumer);
    consumer->heartbeat.on_due = on_heartbeat_due;
    consumer->rebalance.on_due = on_rebalance_due;
    consumer->commit.on_due = on_commit_due;
    rc_timer_start(consumer->loop, &consumer->rebalance, 0);
    rc_timer_start(consumer->loop, &consumer->heartbeat, HEARTBEAT_MS);
    rc_timer_start(consumer->loop, &consumer->commit, COMMIT_MS);
    err = rc_consumer_load_offsets(consumer);
    if (err != RC_OK)
        snprintf(error, error_size, "the offset file %s cannot be used: %s", consumer->options.offset_file,
                 rc_err_text(err));
    else if ((err = rc_loop_start_thread(consumer->loop)) != RC_OK)
        snprintf(error, error_size, "no thread: %s", rc_err_text(err));
    if (err != RC_OK) {
        free_consumer(consumer);
        return err;
    }
    *ret = consumer;
    return RC_OK;
}

static void on_last_answer(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_consumer *consumer = arg;
    if (--consumer->goodbyes == 0)
        rc_loop_stop(consumer->loop);
}

/* Commits and leaves the group; the answers tell that the brokers have it. One without a connection has no
 * answer. */
static void on_stop(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_consumer *consumer = rc_container_of(mail, struct rc_consumer, stop);
    struct rc_remoting request;
    rc_timer_stop(&consumer->heartbeat);
    rc_timer_stop(&consumer->rebalance);
    rc_timer_stop(&consumer->commit);
    rc_consumer_commit_all(consumer);
    consumer->is_stopping = true;
    consumer->goodbyes = 0;
    for (uint32_t i = 0; i < consumer->brokers_count; i++) {
        if (!rc_link_is_ready(consumer->brokers[i].link))
            continue;
        consumer->goodbyes++;
        rc_remoting_request(&request, RC_REQ_UNREGISTER, 0);
        rc_remoting_add(&request, "clientID", rc_slice_str(consumer->client_id));
        rc_remoting_add(&request, "consumerGroup", rc_slice_str(consumer->options.group));
        rc_link_call(consumer->brokers[i].link, &request, STOP_MS, on_last_answer, consumer);
    }
    if (consumer->goodbyes == 0)
        rc_loop_stop(loop);
}

void rc_consumer_begin_stop(struct rc_consumer *consumer)
{
    if (consumer == NULL || consumer->is_stop_posted)
        return;
    consumer->is_stop_posted = true;
    consumer->stop.deliver = on_stop;
    rc_loop_post(consumer->loop, &consumer->stop);
}

void rc_consumer_stop(struct rc_consumer *consumer)
{
    if (consumer == NULL)
        return;
    rc_consumer_begin_stop(consumer);
    rc_loop_join_thread(consumer->loop);
    free_consumer(consumer);
}

uint32_t rc_consumer_queues(const struct rc_consumer *consumer)
{
    return atomic_load_explicit(&consumer->queues_count, memory_order_relaxed);
}

void rc_consumer_state(const struct rc_consumer *consumer, struct rc_consumer_state *ret)
{
    ret->behind = atomic_load(&consumer->behind);
    ret->retries = atomic_load(&consumer->retries);
    ret->is_failing = atomic_load(&consumer->is_lost) || atomic_load(&consumer->queues_failing) > 0;
}

int rc_consumer_property(const struct rc_consumer_message *message, const char *name, char *out, size_t size)
{
    struct rc_slice value = rc_props_get(rc_slice(message->properties, message->properties_len), name);
    if (value.ptr == NULL)
        return -1;
    size_t len = size == 0 ? 0 : value.len < size - 1 ? value.len : size - 1;
    if (len > 0)
        memcpy(out, value.ptr, len);
    if (size > 0)
        out[len] = '\0';
    return (int)value.len;
}

#include "broker/private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/poison.h"
#include "broker/forward.h"

enum { RC_SWEEP_MS = 1000 };

void rc_broker_options_default(struct rc_broker_options *options)
{
    *options = (struct rc_broker_options){
        .shards = 1,
        .node = "rollcall",
        .max_connections = 1000000,
        .max_connecting = RC_BROKER_CONNECTING_MAX,
        .max_queued_bytes = RC_BROKER_QUEUED_BYTES_MAX,
        .max_packet_size = 128 * 1024,
        .connect_timeout_ms = 10000,
        .sys_interval_ms = 10000,
    };
}

static struct rc_slice session_key(const void *item)
{
    const struct rc_session *session = item;
    return rc_slice(session->key, session->key_len);
}

/* Nobody is there, and all that was to be said stands in the log: what waits for room there is waited for. */
static void report_if_stopped(struct rc_broker *broker)
{
    if (!broker->is_stopping || broker->on_stopped == NULL || rc_presence_channels(broker->presence) > 0 ||
        !rc_list_is_empty(&broker->wills_waiting) || rc_log_sender_under_way(broker->sender) > 0)
        return;
    void (*on_stopped)(void *arg) = broker->on_stopped;
    broker->on_stopped = NULL;
    on_stopped(broker->on_stopped_arg);
}

/* ---- presence's callbacks ---- */

static void on_online(struct rc_channel *channel)
{
    rc_conn_online(rc_conn_of_channel(channel));
}

static const char *certificate_sn(const struct rc_channel *channel)
{
    const char *key = rc_conn_certificate(rc_conn_of_channel((struct rc_channel *)(uintptr_t)channel));
    return key != NULL ? strchr(key, '/') + 1 : NULL;
}

static void on_gone(struct rc_channel *channel)
{
    struct rc_conn *conn = rc_conn_of_channel(channel);
    rc_conn_free(conn);
}

static void on_log_room(void *arg)
{
    struct rc_broker *broker = arg;
    rc_presence_on_room(broker->presence);
}

/* ---- the end of a turn ---- */

static void flush_conn(struct rc_conn *conn)
{
    conn->is_dirty = false;
    rc_list_remove(&conn->dirty);
    int err = rc_conn_flush(conn);
    if (err != RC_OK && err != RC_ERR_AGAIN) {
        RC_COUNT(&conn->broker->counters, connection_lost);
        rc_conn_close(conn, false, "connection-lost");
        return;
    }
    if (rc_output_pending(&conn->output) > RC_BROKER_OUTPUT_MAX) {
        RC_COUNT(&conn->broker->counters, slow_consumers);
        rc_conn_disconnect(conn, RC_MQTT_QUOTA_EXCEEDED, "slow-consumer");
    }
}

static void free_dead(struct rc_broker *broker)
{
    for (struct rc_list *node; (node = rc_list_pop_front(&broker->dead)) != NULL;)
        rc_conn_free(rc_container_of(node, struct rc_conn, dirty));
}

static void on_turn_end(struct rc_hook *hook)
{
    struct rc_broker *broker = rc_container_of(hook, struct rc_broker, hook);
    rc_roll_answer_waiting(broker);
    do { /* of a connection that is found broken others have to be told, and its will */
        rc_wills_publish(broker);
        rc_sys_publish_notices(broker);
        while (!rc_list_is_empty(&broker->dirty))
            flush_conn(rc_container_of(broker->dirty.next, struct rc_conn, dirty));
    } while (!rc_list_is_empty(&broker->wills) || !rc_list_is_empty(&broker->sys.notices));
    rc_forward_post(broker);
    rc_persist_turn_end(broker);
    free_dead(broker);
    report_if_stopped(broker);
    broker->opening_ns = 0;
}

/* Every shard drops its replica by itself; one of them tells the store and counts. */
static void on_retained_expired(struct rc_slice instance, struct rc_publication *publication, void *arg)
{
    struct rc_broker *broker = arg;
    if (publication->stamp % broker->options.shards != broker->options.shard)
        return;
    RC_COUNT(&broker->counters, retained_expired);
    rc_persist_retained_expired(broker, instance, publication);
}

static void on_sweep(struct rc_timer *timer)
{
    struct rc_broker *broker = rc_container_of(timer, struct rc_broker, sweep);
    rc_presence_on_room(broker->presence);
    rc_inflow_retry(broker);
    rc_wills_retry(broker);
    rc_forward_sweep(broker);
    rc_retained_sweep(&broker->retained, rc_loop_now_ms(broker->options.loop), on_retained_expired, broker);
    rc_timer_start(broker->options.loop, timer, RC_SWEEP_MS);
}

/* ---- life ---- */

int rc_broker_create(const struct rc_broker_options *options, struct rc_broker **ret)
{
    struct rc_broker *broker = rc_new(struct rc_broker);
    broker->options = *options;
    rc_list_init(&broker->connecting);
    rc_list_init(&broker->conns);
    rc_list_init(&broker->dirty);
    rc_list_init(&broker->dead);
    rc_list_init(&broker->leaving);
    rc_list_init(&broker->absent);
    rc_list_init(&broker->wills);
    rc_list_init(&broker->wills_waiting);
    rc_review_init(broker);
    rc_sys_init(broker);
    rc_list_init(&broker->lingering);
    rc_list_init(&broker->inflows);
    /* Before the sender's own hook: what flushing finds broken is staged in the same turn. */
    broker->hook.run = on_turn_end;
    rc_loop_add_hook(options->loop, &broker->hook);
    int err = rc_log_sender_create(options->writer, options->loop, &broker->sender);
    if (err == RC_OK)
        rc_log_sender_gather(broker->sender);
    if (err != RC_OK) {
        rc_loop_remove_hook(&broker->hook);
        free(broker);
        return err;
    }
    struct rc_presence_options presence = {
        .loop = options->loop,
        .sender = broker->sender,
        .node = options->node,
        .store_host = options->store_host,
        .floor_ms = options->floor_ms,
        .on_online = on_online,
        .on_gone = on_gone,
        .certificate_sn = certificate_sn,
    };
    broker->presence = rc_presence_create(&presence);
    rc_log_sender_set_on_room(broker->sender, on_log_room, broker);
    broker->catalog = rc_catalog_ref(options->catalog);
    rc_map_init(&broker->sessions, session_key);
    rc_identities_init(&broker->identities);
    rc_roll_init(&broker->roll);
    rc_subscriptions_init(&broker->subscriptions);
    rc_retained_init(&broker->retained);
    rc_shares_init(&broker->shares);
    rc_held_init(&broker->held);
    rc_persist_init(broker, options->sessions);
    broker->sweep.on_due = on_sweep;
    rc_timer_start(options->loop, &broker->sweep, RC_SWEEP_MS);
    *ret = broker;
    return RC_OK;
}

void rc_broker_destroy(struct rc_broker *broker)
{
    if (broker == NULL)
        return;
    broker->persist.store = NULL; /* what is freed now is not what ends */
    rc_timer_stop(&broker->sweep);
    rc_review_stop(broker);
    rc_sys_free(broker);
    rc_loop_remove_hook(&broker->hook);
    free_dead(broker);
    while (!rc_list_is_empty(&broker->leaving)) /* the log took no more: the next start tells of them */
        rc_conn_free(rc_container_of(broker->leaving.next, struct rc_conn, node));
    rc_lingering_free(broker);
    rc_wills_free(broker);
    rc_sessions_free_absent(broker);
    rc_roll_free(&broker->roll);
    rc_map_free(&broker->identities);
    rc_map_free(&broker->sessions);
    rc_subscriptions_free(&broker->subscriptions);
    rc_retained_free(&broker->retained);
    rc_shares_free(&broker->shares);
    rc_held_free(&broker->held);
    rc_forward_free(broker);
    rc_persist_free(broker);
    rc_outflow_free(&broker->outflow);
    rc_tracer_free(&broker->tracer);
    rc_presence_destroy(broker->presence);
    rc_log_sender_destroy(broker->sender);
    rc_catalog_unref(broker->catalog);
    rc_matches_free(broker->matches);
    rc_unpoison(broker->scratch, sizeof(broker->scratch));
    free(broker);
}

const struct rc_broker_counters *rc_broker_counters(const struct rc_broker *broker)
{
    return &broker->counters;
}

/* ---- mail from the control plane ---- */

struct catalog_mail {
    struct rc_mail mail;
    struct rc_broker *broker;
    struct rc_catalog *catalog;
    struct rc_catalog_change change;
    uint8_t texts[]; /* of the change */
};

static void on_catalog(struct rc_mail *mail, struct rc_loop *loop)
{
    struct catalog_mail *letter = rc_container_of(mail, struct catalog_mail, mail);
    rc_catalog_unref(letter->broker->catalog);
    letter->broker->catalog = letter->catalog;
    letter->broker->catalog_generation++;
    rc_review_start(letter->broker, &letter->change);
    free(letter);
}

static struct rc_slice copy_text(uint8_t **at, struct rc_slice text)
{
    struct rc_slice copy = rc_slice(*at, text.len);
    memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

void rc_broker_post_change(struct rc_broker *broker, struct rc_catalog *catalog,
                           const struct rc_catalog_change *change)
{
    size_t texts = 0;
    for (uint32_t i = 0; i < change->clients_count; i++)
        texts += change->clients[i].instance.len + change->clients[i].client_id.len;
    struct catalog_mail *letter = rc_calloc(1, sizeof(*letter) + texts);
    uint8_t *at = letter->texts;
    letter->mail.deliver = on_catalog;
    letter->broker = broker;
    letter->catalog = rc_catalog_ref(catalog);
    letter->change = *change;
    for (uint32_t i = 0; i < change->clients_count; i++) {
        letter->change.clients[i].instance = copy_text(&at, change->clients[i].instance);
        letter->change.clients[i].client_id = copy_text(&at, change->clients[i].client_id);
    }
    rc_loop_post(broker->options.loop, &letter->mail);
}

void rc_broker_post_catalog(struct rc_broker *broker, struct rc_catalog *catalog)
{
    static const struct rc_catalog_change change = {.all = true};
    rc_broker_post_change(broker, catalog, &change);
}

struct stop_mail {
    struct rc_mail mail;
    struct rc_broker *broker;
    void (*on_stopped)(void *arg);
    void *arg;
};

static void close_all(struct rc_list *list)
{
    while (!rc_list_is_empty(list))
        rc_conn_disconnect(rc_container_of(list->next, struct rc_conn, node), RC_MQTT_SERVER_SHUTTING_DOWN,
                           "server-shutdown");
}

static void on_stop(struct rc_mail *mail, struct rc_loop *loop)
{
    struct stop_mail *letter = rc_container_of(mail, struct stop_mail, mail);
    struct rc_broker *broker = letter->broker;
    broker->is_stopping = true;
    broker->on_stopped = letter->on_stopped;
    broker->on_stopped_arg = letter->arg;
    free(letter);
    rc_review_stop(broker);
    close_all(&broker->connecting);
    close_all(&broker->conns);
}

void rc_broker_post_stop(struct rc_broker *broker, void (*on_stopped)(void *arg), void *arg)
{
    struct stop_mail *letter = rc_new(struct stop_mail);
    *letter =
        (struct stop_mail){.mail.deliver = on_stop, .broker = broker, .on_stopped = on_stopped, .arg = arg};
    rc_loop_post(broker->options.loop, &letter->mail);
}

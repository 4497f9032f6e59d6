#include "broker/private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

const char *rc_session_client_id(const struct rc_session *session)
{
    return session->key + session->instance_len + 1;
}

struct rc_slice rc_session_instance(const struct rc_session *session)
{
    return rc_slice(session->key, session->instance_len);
}

void rc_session_unref(struct rc_session *session)
{
    if (--session->refs > 0)
        return;
    rc_delivery_free(session);
    rc_will_drop(session);
    free(session->rare);
    free(session);
}

/* ---- while the client is away ---- */

/* What is known of an absent client's session, one timer for all that may become due. */
struct rc_absence {
    struct rc_broker *broker;
    struct rc_session *session;
    struct rc_list node; /* among the absent, the longest absent first */
    struct rc_timer timer;
    int64_t left_ms;          /* wall clock */
    uint64_t will_ms, end_ms; /* monotonic: when the will is due, when the session ends; UINT64_MAX: never */
};

static struct rc_absence *absence_of(const struct rc_session *session)
{
    return session->rare != NULL ? session->rare->absence : NULL;
}

struct rc_session_rare *rc_session_rare(struct rc_session *session)
{
    if (session->rare == NULL)
        session->rare = rc_new(struct rc_session_rare);
    return session->rare;
}

static void end_absence(struct rc_session *session)
{
    struct rc_absence *absence = absence_of(session);
    if (absence == NULL)
        return;
    rc_timer_stop(&absence->timer);
    rc_list_remove(&absence->node);
    free(absence);
    session->rare->absence = NULL;
}

int64_t rc_session_left_ms(const struct rc_session *session)
{
    const struct rc_absence *absence = absence_of(session);
    return absence != NULL ? absence->left_ms : 0;
}

/* The session ends: nobody finds it any more. */
static void discard(struct rc_broker *broker, struct rc_session *session)
{
    rc_persist_end_session(broker, session);
    rc_session_drop_subscriptions(broker, session);
    rc_delivery_give_back(session, true);
    rc_delivery_free(session);
    rc_will_send(broker, session);
    end_absence(session);
    if (!session->is_listed)
        return;
    rc_map_remove(&broker->sessions, rc_slice(session->key, session->key_len));
    session->is_listed = false;
    RC_COUNT_DOWN(&broker->counters, sessions);
    rc_session_unref(session);
}

/* Waits for what comes next; the longest waits are made in parts. */
static void wait_on(struct rc_absence *absence)
{
    uint64_t now = rc_loop_now_ms(absence->broker->options.loop);
    uint64_t due = absence->will_ms < absence->end_ms ? absence->will_ms : absence->end_ms;
    if (due != UINT64_MAX)
        rc_timer_start(absence->broker->options.loop, &absence->timer, due > now ? due - now : 0);
}

static void on_absence(struct rc_timer *timer)
{
    struct rc_absence *absence = rc_container_of(timer, struct rc_absence, timer);
    struct rc_broker *broker = absence->broker;
    uint64_t now = rc_loop_now_ms(broker->options.loop);
    if (absence->end_ms <= now) {
        discard(broker, absence->session);
        RC_COUNT(&broker->counters, sessions_expired);
        return;
    }
    if (absence->will_ms <= now) {
        rc_will_send(broker, absence->session);
        absence->will_ms = UINT64_MAX;
        rc_persist_session(broker, absence->session);
    }
    wait_on(absence);
}

uint32_t rc_session_expiry(const struct rc_limits *limits, uint32_t asked_s)
{
    uint64_t keep_s = limits->session_keep_ms / 1000;
    uint32_t expiry_s =
        asked_s > 0 && asked_s < limits->session_expiry_min_s ? limits->session_expiry_min_s : asked_s;
    return expiry_s < keep_s ? expiry_s : (uint32_t)keep_s;
}

/* When `seconds` are over, of which `elapsed_ms` have passed. */
static uint64_t due_in(uint64_t now_ms, uint32_t seconds, uint64_t elapsed_ms)
{
    uint64_t all_ms = (uint64_t)seconds * 1000;
    if (seconds == UINT32_MAX)
        return UINT64_MAX;
    return now_ms + (all_ms > elapsed_ms ? all_ms - elapsed_ms : 0);
}

/* `left_ms`: when its client left, by the wall clock. One that was set back makes a session stay longer. */
static void begin_absence(struct rc_broker *broker, struct rc_session *session, int64_t left_ms)
{
    struct rc_absence *absence = rc_new(struct rc_absence);
    uint64_t now = rc_loop_now_ms(broker->options.loop);
    int64_t away_ms = rc_clock_wall_ms() - left_ms;
    uint64_t elapsed_ms = away_ms > 0 ? (uint64_t)away_ms : 0;
    absence->left_ms = left_ms;
    absence->broker = broker;
    absence->session = session;
    absence->timer.on_due = on_absence;
    /* A delay of 2^32-1 s has no special meaning, but nobody sees the difference in 136 years. */
    absence->will_ms = rc_session_will(session) != NULL
                           ? due_in(now, rc_session_will(session)->delay_s, elapsed_ms)
                           : UINT64_MAX;
    absence->end_ms = due_in(now, session->expiry_s, elapsed_ms);
    rc_session_rare(session)->absence = absence;
    rc_list_push_back(&broker->absent, &absence->node);
    wait_on(absence);
}

/* The longest absent goes when there are too many. */
static void bound_absent(struct rc_broker *broker)
{
    uint32_t kept_max = RC_BROKER_SESSIONS_KEPT_MAX / broker->options.shards;
    if (broker->sessions.count <= kept_max + broker->options.max_connections)
        return;
    RC_COUNT(&broker->counters, sessions_dropped);
    rc_log_warn("mqtt", "a session was dropped: more than %u clients are absent", kept_max);
    discard(broker, rc_container_of(broker->absent.next, struct rc_absence, node)->session);
}

void rc_session_leave(struct rc_broker *broker, struct rc_session *session)
{
    session->conn = NULL;
    if (session->expiry_s == 0) {
        discard(broker, session);
        return;
    }
    if (rc_session_will(session) != NULL && rc_session_will(session)->delay_s == 0)
        rc_will_send(broker, session);
    rc_share_presence(broker, session, false);
    if (!broker->is_stopping) /* then everybody leaves, and each keeps what he has */
        rc_delivery_give_back(session, false);
    begin_absence(broker, session, rc_clock_wall_ms());
    rc_persist_session(broker, session);
    bound_absent(broker);
}

void rc_sessions_free_absent(struct rc_broker *broker)
{
    while (!rc_list_is_empty(&broker->absent)) {
        struct rc_session *session = rc_container_of(broker->absent.next, struct rc_absence, node)->session;
        rc_will_drop(session);
        rc_delivery_free(session); /* what it holds goes to nobody: the others end too */
        discard(broker, session);
    }
}

/* ---- opening ---- */

static struct rc_session *create(struct rc_broker *broker, struct rc_slice key, struct rc_slice instance)
{
    struct rc_session *session = rc_calloc(1, sizeof(*session) + key.len + 1);
    memcpy(session->key, key.ptr, key.len);
    session->key_len = (uint16_t)key.len;
    session->instance_len = (uint16_t)instance.len;
    session->is_listed = true;
    session->refs = 1;
    session->number = ++broker->session_numbers * broker->options.shards + broker->options.shard;
    rc_map_insert(&broker->sessions, session);
    RC_COUNT(&broker->counters, sessions);
    return session;
}

/* instance NUL client id, in `out` of RC_SESSION_KEY_MAX bytes. */
static struct rc_slice make_key(char *out, struct rc_slice instance, struct rc_slice client_id)
{
    memcpy(out, instance.ptr, instance.len);
    out[instance.len] = '\0';
    memcpy(out + instance.len + 1, client_id.ptr, client_id.len);
    return rc_slice(out, instance.len + 1 + client_id.len);
}

struct rc_session *rc_session_find(struct rc_broker *broker, struct rc_slice instance,
                                   struct rc_slice client_id)
{
    char key[RC_SESSION_KEY_MAX];
    if (instance.len > RC_CATALOG_ID_MAX || client_id.len == 0 || client_id.len > RC_CLIENT_ID_MAX)
        return NULL;
    return rc_map_find(&broker->sessions, make_key(key, instance, client_id));
}

struct rc_session *rc_session_open(struct rc_broker *broker, struct rc_slice instance,
                                   struct rc_slice client_id, bool is_clean, bool *ret_present)
{
    char bytes[RC_SESSION_KEY_MAX];
    struct rc_slice key = make_key(bytes, instance, client_id);
    struct rc_session *session = rc_map_find(&broker->sessions, key);
    if (session != NULL && session->conn != NULL) {
        RC_COUNT(&broker->counters, takeovers);
        rc_conn_disconnect(session->conn, RC_MQTT_SESSION_TAKEN_OVER, "takeover");
        session = rc_map_find(&broker->sessions, key); /* one that does not outlive it is gone */
    }
    if (session != NULL && is_clean) {
        discard(broker, session);
        session = NULL;
    }
    *ret_present = session != NULL;
    if (session == NULL)
        session = create(broker, key, instance);
    end_absence(session);
    session->refs++;
    return session;
}

struct rc_session *rc_session_restore(struct rc_broker *broker, struct rc_slice instance,
                                      struct rc_slice client_id)
{
    char bytes[RC_SESSION_KEY_MAX];
    return create(broker, make_key(bytes, instance, client_id), instance);
}

void rc_session_restored(struct rc_broker *broker, struct rc_session *session, int64_t left_ms)
{
    if (rc_session_will(session) != NULL && rc_session_will(session)->delay_s == 0)
        rc_will_send(broker, session);
    begin_absence(broker, session, left_ms);
}

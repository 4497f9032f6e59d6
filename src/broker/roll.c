#include "broker/roll.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "broker/private.h"

enum {
    PAGE_STEP = 256,       /* sessions looked at at once */
    PAGE_SCAN_MAX = 16384, /* ... for one page: a shard has other work; the page may then be short */
};

/* ---- tallies ---- */

static struct rc_slice tally_key(const void *item)
{
    const struct rc_roll_tally *tally = item;
    return rc_slice(tally->key, tally->key_len);
}

void rc_roll_init(struct rc_roll *roll)
{
    rc_map_init(&roll->tallies, tally_key);
    rc_list_init(&roll->waiting);
    roll->waiting_count = 0;
}

/* instance NUL group, in `out` of RC_CATALOG_ID_MAX * 2 + 1 bytes. */
static struct rc_slice make_key(char *out, struct rc_slice instance, struct rc_slice group)
{
    memcpy(out, instance.ptr, instance.len);
    out[instance.len] = '\0';
    if (group.len > 0)
        memcpy(out + instance.len + 1, group.ptr, group.len);
    return rc_slice(out, instance.len + 1 + group.len);
}

static struct rc_roll_tally *find_tally(const struct rc_roll *roll, struct rc_slice instance,
                                        struct rc_slice group)
{
    char key[2 * RC_CATALOG_ID_MAX + 1];
    if (instance.len > RC_CATALOG_ID_MAX || group.len > RC_CATALOG_ID_MAX)
        return NULL;
    return rc_map_find(&roll->tallies, make_key(key, instance, group));
}

static struct rc_roll_tally *take_tally(struct rc_roll *roll, struct rc_slice instance, struct rc_slice group)
{
    char bytes[2 * RC_CATALOG_ID_MAX + 1];
    struct rc_roll_tally *tally = find_tally(roll, instance, group);
    if (tally == NULL) {
        struct rc_slice key = make_key(bytes, instance, group);
        tally = rc_calloc(1, sizeof(*tally) + key.len);
        tally->key_len = (uint16_t)key.len;
        memcpy(tally->key, key.ptr, key.len);
        if (group.len > 0)
            tally->instance = take_tally(roll, instance, rc_slice(NULL, 0));
        rc_map_insert(&roll->tallies, tally);
    }
    tally->refs++;
    return tally;
}

static void put_tally(struct rc_roll *roll, struct rc_roll_tally *tally)
{
    if (--tally->refs > 0)
        return;
    struct rc_roll_tally *instance = tally->instance;
    rc_map_remove(&roll->tallies, tally_key(tally));
    free(tally);
    if (instance != NULL)
        put_tally(roll, instance);
}

void rc_roll_enrol(struct rc_conn *conn, struct rc_slice instance, struct rc_slice group)
{
    conn->tally = take_tally(&conn->broker->roll, instance, group);
}

void rc_roll_enter(struct rc_conn *conn)
{
    conn->is_on_roll = true;
    for (struct rc_roll_tally *tally = conn->tally; tally != NULL; tally = tally->instance)
        tally->online++;
}

void rc_roll_leave(struct rc_conn *conn)
{
    if (!conn->is_on_roll)
        return;
    conn->is_on_roll = false;
    for (struct rc_roll_tally *tally = conn->tally; tally != NULL; tally = tally->instance)
        tally->online--;
}

void rc_roll_strike(struct rc_conn *conn)
{
    rc_roll_leave(conn);
    if (conn->tally != NULL)
        put_tally(&conn->broker->roll, conn->tally);
    conn->tally = NULL;
}

/* ---- answers ---- */

static bool is_online(const struct rc_session *session)
{
    return session != NULL && session->conn != NULL && session->conn->is_on_roll;
}

static void describe(const struct rc_conn *conn, struct rc_roll_client *client)
{
    const struct rc_channel *channel = &conn->channel;
    uint64_t silent_ms = rc_loop_now_ms(conn->broker->options.loop) - rc_conn_active_ms(conn);
    client->is_online = true;
    memcpy(client->channel_id, channel->id, RC_CHANNEL_ID_LEN);
    client->since_ms = channel->connect_ms;
    client->last_active_ms = rc_clock_wall_ms() - (int64_t)silent_ms;
    client->protocol = channel->protocol;
    struct rc_slice ip = rc_channel_client_ip(channel, client->client_ip);
    client->client_ip[ip.len < RC_CLIENT_IP_MAX ? ip.len : RC_CLIENT_IP_MAX - 1] = '\0';
}

static void look_up(struct rc_roll_question *question, bool close)
{
    struct rc_broker *broker = question->broker;
    for (uint32_t i = 0; i < question->clients_count; i++) {
        struct rc_roll_client *client = &question->clients[i];
        struct rc_session *session = rc_session_find(broker, question->instance, client->client_id);
        client->is_online = false;
        if (!is_online(session))
            continue;
        describe(session->conn, client);
        question->count++;
        if (close)
            rc_conn_close(session->conn, false, "closed-by-operator");
    }
}

static bool is_asked_for(const struct rc_roll_question *question, const struct rc_session *session,
                         const struct rc_roll_tally *tally)
{
    if (!is_online(session))
        return false;
    const struct rc_roll_tally *of_session = session->conn->tally;
    return of_session == tally || of_session->instance == tally;
}

/* The ids lie in the text one behind the other; it has stopped moving now. */
static void point_at_text(struct rc_roll_question *question, uint32_t count)
{
    const uint8_t *at = rc_buf_slice(&question->text).ptr;
    for (uint32_t i = 0; i < count; i++) {
        question->clients[i].client_id.ptr = at;
        at += question->clients[i].client_id.len;
    }
}

static void read_page(struct rc_roll_question *question)
{
    struct rc_broker *broker = question->broker;
    const struct rc_roll_tally *tally = find_tally(&broker->roll, question->instance, question->group);
    uint32_t filled = 0, scanned = 0, most = question->clients_count;
    uint64_t cursor = question->cursor;
    void *sessions[PAGE_STEP];
    do {
        uint32_t room = most - filled < PAGE_STEP ? most - filled : PAGE_STEP;
        uint32_t count = tally != NULL ? rc_map_page(&broker->sessions, &cursor, sessions, room) : 0;
        for (uint32_t i = 0; i < count; i++) {
            const struct rc_session *session = sessions[i];
            struct rc_slice id = rc_slice_str(rc_session_client_id(session));
            if (!is_asked_for(question, session, tally) || rc_buf_put_slice(&question->text, id) != RC_OK)
                continue;
            question->clients[filled].client_id = rc_slice(NULL, id.len);
            describe(session->conn, &question->clients[filled++]);
        }
        scanned += count;
        if (tally == NULL)
            cursor = 0;
    } while (cursor != 0 && filled < most && scanned < PAGE_SCAN_MAX);
    point_at_text(question, filled);
    question->clients_count = filled;
    question->cursor = cursor;
}

static void count_online(struct rc_roll_question *question)
{
    const struct rc_roll_tally *tally =
        find_tally(&question->broker->roll, question->instance, question->group);
    question->count = tally != NULL ? tally->online : 0;
}

/* A step that the log does not take whole is made again: some are told twice then, which harms nobody. */
static void announce(struct rc_roll_question *question)
{
    struct rc_broker *broker = question->broker;
    const struct rc_roll_tally *tally = find_tally(&broker->roll, question->instance, question->group);
    uint64_t cursor = question->cursor, next = cursor;
    void *sessions[PAGE_STEP];
    for (uint32_t scanned = 0;
         tally != NULL && scanned < PAGE_SCAN_MAX && question->count < RC_ROLL_CLIENTS_MAX;) {
        uint32_t count = rc_map_page(&broker->sessions, &next, sessions, PAGE_STEP);
        for (uint32_t i = 0; i < count; i++) {
            const struct rc_session *session = sessions[i];
            if (!is_asked_for(question, session, tally))
                continue;
            if (rc_presence_announce(broker->presence, &session->conn->channel) != RC_OK)
                return; /* the cursor stays where this step began */
            question->count++;
        }
        question->cursor = next;
        scanned += count;
        if (next == 0)
            return;
    }
    if (tally == NULL)
        question->cursor = 0;
}

static void deliver_answer(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_roll_question *question = rc_container_of(mail, struct rc_roll_question, mail);
    question->on_answer(question);
}

static void answer(struct rc_roll_question *question)
{
    struct rc_log_progress progress;
    rc_log_sender_progress(question->broker->sender, &progress);
    question->position = progress.position;
    question->count = 0;
    switch (question->kind) {
    case RC_ROLL_LOOK_UP:
    case RC_ROLL_CLOSE:
        look_up(question, question->kind == RC_ROLL_CLOSE);
        break;
    case RC_ROLL_PAGE:
        read_page(question);
        break;
    case RC_ROLL_COUNT:
        count_online(question);
        break;
    case RC_ROLL_ANNOUNCE:
        announce(question);
        break;
    }
    question->mail.deliver = deliver_answer;
    rc_loop_post(question->reply_to, &question->mail);
}

/* ---- questions ---- */

void rc_roll_answer_waiting(struct rc_broker *broker)
{
    struct rc_roll *roll = &broker->roll;
    struct rc_log_progress progress;
    rc_log_sender_progress(broker->sender, &progress);
    bool is_blocked = rc_log_writer_is_blocked(broker->options.writer);
    while (!rc_list_is_empty(&roll->waiting)) {
        struct rc_roll_question *question =
            rc_container_of(roll->waiting.next, struct rc_roll_question, node);
        if (question->ticket > progress.reported && !is_blocked)
            return;
        rc_list_remove(&question->node);
        roll->waiting_count--;
        answer(question);
    }
}

static void on_question(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_roll_question *question = rc_container_of(mail, struct rc_roll_question, mail);
    struct rc_roll *roll = &question->broker->roll;
    struct rc_log_progress progress;
    rc_log_sender_progress(question->broker->sender, &progress);
    question->ticket = progress.staged;
    rc_list_push_back(&roll->waiting, &question->node);
    roll->waiting_count++;
    if (progress.reported == progress.staged)
        rc_roll_answer_waiting(question->broker);
    else if (roll->waiting_count > RC_ROLL_WAITING_MAX) {
        rc_list_remove(&question->node);
        roll->waiting_count--;
        answer(question);
    }
}

void rc_roll_ask(struct rc_broker *broker, struct rc_roll_question *question)
{
    question->broker = broker;
    question->mail.deliver = on_question;
    rc_loop_post(broker->options.loop, &question->mail);
}

void rc_roll_free(struct rc_roll *roll)
{
    for (struct rc_list *node; (node = rc_list_pop_front(&roll->waiting)) != NULL;)
        answer(rc_container_of(node, struct rc_roll_question, node));
    rc_map_free(&roll->tallies); /* every client is gone, and with the last its tally */
}

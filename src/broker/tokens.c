#include "broker/tokens.h"

#include "auth/acl.h"
#include "auth/token.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "broker/private.h"

/* One token, without its signature and what the catalog knows. */
struct client_token {
    struct rc_token_head head;
    uint8_t actions; /* as what it was presented: no more than it has */
    bool is_announced;
    uint32_t count;
    struct rc_slice topics[]; /* the texts behind them */
};

struct rc_client_tokens {
    struct rc_conn *conn;
    struct rc_timer timer; /* for the next notice or end */
    struct client_token *list[RC_TOKEN_PAIRS_MAX];
};

static const char *type_text(uint8_t actions)
{
    return actions == RC_ACL_READ ? "R" : actions == RC_ACL_WRITE ? "W" : "RW";
}

static struct client_token *keep(const struct rc_token *token, uint8_t actions)
{
    size_t texts = token->head.access_key.len;
    for (uint32_t i = 0; i < token->resources_count; i++)
        texts += token->resources[i].len;
    struct client_token *kept =
        rc_malloc(sizeof(*kept) + token->resources_count * sizeof(kept->topics[0]) + texts);
    uint8_t *at = (uint8_t *)(kept->topics + token->resources_count);
    *kept = (struct client_token){.head = token->head, .actions = actions, .count = token->resources_count};
    kept->head.access_key = rc_slice(at, token->head.access_key.len);
    memcpy(at, token->head.access_key.ptr, token->head.access_key.len);
    at += token->head.access_key.len;
    for (uint32_t i = 0; i < kept->count; i++) {
        kept->topics[i] = rc_slice(at, token->resources[i].len);
        memcpy(at, token->resources[i].ptr, token->resources[i].len);
        at += token->resources[i].len;
    }
    return kept;
}

/* ---- telling the client ---- */

/* At QoS 0: a session that waits for its client must not tell it of tokens that it had. */
static void notify(struct rc_conn *conn, const char *topic, const char *name, int64_t value, uint8_t actions)
{
    struct rc_buf out;
    struct rc_json json;
    rc_buf_init(&out, 256);
    rc_json_init(&json, &out);
    rc_json_object_begin(&json);
    rc_json_put_int(&json, name, value);
    rc_json_put_str(&json, "type", type_text(actions));
    rc_json_object_end(&json);
    struct rc_mqtt_publish publish = {.topic = rc_slice_str(topic), .payload = rc_buf_slice(&out)};
    struct rc_publication *publication =
        rc_publication_create(NULL, &publish, 0, rc_loop_now_ms(conn->broker->options.loop));
    struct rc_copy copy = {.publication = publication};
    rc_delivery_send(conn->broker, conn->session, &copy);
    rc_publication_unref(publication);
    rc_buf_free(&out);
}

static bool refuse(struct rc_conn *conn, enum rc_token_state state, uint8_t actions)
{
    char client[128];
    RC_COUNT(&conn->broker->counters, tokens_ended);
    rc_log_info("auth", "client closed: a token counts no more: code=%d client=%s", (int)state,
                rc_log_quote(client, sizeof(client), rc_slice_str(rc_session_client_id(conn->session))));
    notify(conn, "$SYS/tokenInvalidNotice", "code", (int64_t)state, actions);
    rc_conn_disconnect(conn, RC_MQTT_NOT_AUTHORIZED, "token-invalid");
    return false;
}

/* It is forgotten first: it gives no right to the will either. */
static bool end(struct rc_client_tokens *tokens, int place, enum rc_token_state state)
{
    uint8_t actions = tokens->list[place]->actions;
    free(tokens->list[place]);
    tokens->list[place] = NULL;
    return refuse(tokens->conn, state, actions);
}

/* ---- time ---- */

static int64_t next_due(const struct rc_client_tokens *tokens)
{
    int64_t due = INT64_MAX;
    for (int i = 0; i < RC_TOKEN_PAIRS_MAX; i++) {
        const struct client_token *token = tokens->list[i];
        if (token == NULL)
            continue;
        int64_t at = token->head.expire_ms - (token->is_announced ? 0 : RC_TOKEN_NOTICE_MS);
        due = at < due ? at : due;
    }
    return due;
}

static void start_timer(struct rc_client_tokens *tokens)
{
    int64_t wait = next_due(tokens) - rc_clock_wall_ms();
    rc_timer_start(tokens->conn->broker->options.loop, &tokens->timer, wait > 0 ? (uint64_t)wait : 0);
}

static void on_due(struct rc_timer *timer)
{
    struct rc_client_tokens *tokens = rc_container_of(timer, struct rc_client_tokens, timer);
    struct rc_conn *conn = tokens->conn;
    int64_t now = rc_clock_wall_ms();
    if (conn->session == NULL || conn->is_dead) /* it is leaving */
        return;
    for (int i = 0; i < RC_TOKEN_PAIRS_MAX; i++) {
        struct client_token *token = tokens->list[i];
        if (token == NULL)
            continue;
        if (token->head.expire_ms <= now) {
            end(tokens, i, RC_TOKEN_EXPIRED);
            return;
        }
        if (token->is_announced || token->head.expire_ms - RC_TOKEN_NOTICE_MS > now)
            continue;
        token->is_announced = true;
        notify(conn, "$SYS/tokenExpireNotice", "expireTime", token->head.expire_ms, token->actions);
    }
    start_timer(tokens);
}

/* ---- life ---- */

bool rc_tokens_has(const struct rc_conn *conn)
{
    return conn->rare != NULL && conn->rare->tokens != NULL;
}

bool rc_tokens_open(struct rc_conn *conn, const struct rc_auth_login *login)
{
    struct rc_token_pair pairs[RC_TOKEN_PAIRS_MAX];
    const struct rc_identity *identity = rc_conn_identity(conn);
    uint32_t count = rc_token_split(login->password, pairs);
    struct rc_token *token = rc_malloc(sizeof(*token));
    struct rc_client_tokens *tokens = rc_new(struct rc_client_tokens);
    bool are_valid = count > 0 && identity->instance != NULL;
    tokens->conn = conn;
    tokens->timer.on_due = on_due;
    rc_conn_rare(conn)->tokens = tokens;
    for (uint32_t i = 0; are_valid && i < count; i++) {
        are_valid = rc_token_check(conn->broker->catalog, identity->instance, pairs[i].text,
                                   rc_clock_wall_ms(), token) == RC_TOKEN_VALID;
        if (are_valid)
            tokens->list[i] = keep(token, pairs[i].actions);
    }
    free(token);
    if (!are_valid)
        rc_tokens_close(conn);
    return are_valid;
}

static struct rc_client_tokens *tokens_of(const struct rc_conn *conn)
{
    return conn->rare != NULL ? conn->rare->tokens : NULL;
}

void rc_tokens_start(struct rc_conn *conn)
{
    if (tokens_of(conn) != NULL)
        start_timer(tokens_of(conn));
}

void rc_tokens_close(struct rc_conn *conn)
{
    if (tokens_of(conn) == NULL)
        return;
    rc_timer_stop(&tokens_of(conn)->timer);
    for (int i = 0; i < RC_TOKEN_PAIRS_MAX; i++)
        free(tokens_of(conn)->list[i]);
    free(tokens_of(conn));
    conn->rare->tokens = NULL;
}

bool rc_tokens_allow(const struct rc_conn *conn, uint8_t action, struct rc_slice topic)
{
    for (int i = 0; tokens_of(conn) != NULL && i < RC_TOKEN_PAIRS_MAX; i++) {
        const struct client_token *token = tokens_of(conn)->list[i];
        if (token == NULL || !(token->actions & action))
            continue;
        for (uint32_t t = 0; t < token->count; t++)
            if (rc_acl_filter_covers(token->topics[t], topic))
                return true;
    }
    return false;
}

/* ---- another one ---- */

static enum rc_token_state check_upload(struct rc_conn *conn, const char *text, uint8_t actions,
                                        struct rc_token *ret)
{
    const struct rc_identity *identity = rc_conn_identity(conn);
    if (text == NULL || identity->instance == NULL)
        return RC_TOKEN_FORGED;
    enum rc_token_state state = rc_token_check(conn->broker->catalog, identity->instance, rc_slice_str(text),
                                               rc_clock_wall_ms(), ret);
    if (state != RC_TOKEN_VALID)
        return state;
    if ((actions & ~ret->head.actions) != 0)
        return RC_TOKEN_WRONG_TYPE;
    bool is_ours = identity->key != NULL && rc_slice_eq(ret->head.access_key, identity->key->access_key);
    return is_ours ? RC_TOKEN_VALID : RC_TOKEN_BAD_ACCOUNT;
}

/* In the place of the one of the same type, else in a free one. There are as many places as types. */
static void put(struct rc_client_tokens *tokens, struct client_token *token)
{
    int place = 0;
    for (int i = RC_TOKEN_PAIRS_MAX - 1; i >= 0; i--)
        if (tokens->list[i] == NULL)
            place = i;
    for (int i = 0; i < RC_TOKEN_PAIRS_MAX; i++)
        if (tokens->list[i] != NULL && tokens->list[i]->actions == token->actions)
            place = i;
    free(tokens->list[place]);
    tokens->list[place] = token;
}

bool rc_tokens_upload(struct rc_conn *conn, struct rc_slice payload)
{
    uint8_t actions = 0;
    char *text = rc_token_parse_upload(payload, &actions);
    struct rc_token *token = rc_malloc(sizeof(*token));
    enum rc_token_state state = check_upload(conn, text, actions, token);
    if (state == RC_TOKEN_VALID) {
        put(tokens_of(conn), keep(token, actions));
        start_timer(tokens_of(conn));
        /* What was subscribed to by the old one must be the new one's too. */
        if (!rc_review_subscriptions(conn))
            state = RC_TOKEN_WRONG_RESOURCE;
    }
    free(text);
    free(token);
    return state == RC_TOKEN_VALID || refuse(conn, state, actions != 0 ? actions : RC_ACL_READ);
}

bool rc_tokens_review(struct rc_conn *conn)
{
    const struct rc_identity *identity = rc_conn_identity(conn);
    for (int i = 0; tokens_of(conn) != NULL && i < RC_TOKEN_PAIRS_MAX; i++) {
        const struct client_token *token = tokens_of(conn)->list[i];
        if (token == NULL || identity->instance == NULL)
            continue;
        enum rc_token_state state =
            rc_token_recheck(conn->broker->catalog, identity->instance, &token->head, rc_clock_wall_ms());
        if (state != RC_TOKEN_VALID)
            return end(tokens_of(conn), i, state);
    }
    return true;
}

#include "broker/access.h"

#include "auth/acl.h"
#include "base/apart.h"
#include "base/words.h"
#include "broker/private.h"
#include "mqtt/topic.h"

const struct rc_limits *rc_conn_limits(const struct rc_conn *conn)
{
    const struct rc_identity *identity = rc_conn_identity(conn);
    const struct rc_instance *instance = identity != NULL ? identity->instance
                                         : conn->arrival != NULL
                                             ? conn->arrival->client.instance /* just checked */
                                             : NULL;
    return instance != NULL ? &instance->limits : rc_limits_of(RC_PROFILE_PRODUCT);
}

static struct rc_slice client_id_of(const struct rc_conn *conn)
{
    return rc_slice_str(conn->session != NULL ? rc_session_client_id(conn->session)
                                              : conn->arrival->client_id);
}

/* ---- P2P topics: <parent>/p2p/<client id> ---- */

struct p2p {
    struct rc_slice parent, client_id;
};

static bool split_p2p(struct rc_slice topic, struct p2p *ret)
{
    struct rc_slice parent = rc_slice(topic.ptr, rc_word_find(topic, '/'));
    if (parent.len == topic.len)
        return false;
    struct rc_slice rest = rc_slice_from(topic, parent.len + 1);
    if (!rc_slice_starts_with(rest, rc_slice("p2p/", 4)))
        return false;
    *ret = (struct p2p){.parent = parent, .client_id = rc_slice_from(rest, 4)};
    return true;
}

bool rc_access_split_p2p(struct rc_slice topic, struct rc_slice *ret_client_id)
{
    struct p2p p2p;
    if (!split_p2p(topic, &p2p))
        return false;
    *ret_client_id = p2p.client_id;
    return true;
}

bool rc_access_p2p_target(const struct rc_instance *instance, struct rc_slice topic,
                          struct rc_slice *ret_client_id)
{
    struct p2p p2p;
    if (instance == NULL || instance->profile != RC_PROFILE_PRODUCT || !split_p2p(topic, &p2p))
        return false;
    *ret_client_id = p2p.client_id;
    return true;
}

/* ---- what both profiles have ---- */

static bool is_within_limits(const struct rc_limits *limits, struct rc_slice topic)
{
    uint32_t levels = 1;
    if (topic.len < limits->topic_levels_max) /* a level takes a byte */
        return topic.len <= limits->topic_len_max;
    for (size_t i = 0; i < topic.len; i++)
        levels += topic.ptr[i] == '/';
    return topic.len <= limits->topic_len_max && levels <= limits->topic_levels_max;
}

static bool is_sys(struct rc_slice topic)
{
    struct rc_slice level;
    size_t at = 0;
    if (topic.len == 0 || topic.ptr[0] != '$')
        return false;
    rc_topic_next_level(topic, &at, &level);
    return rc_slice_eq_str(level, "$SYS");
}

static RC_APART enum rc_acl_answer ask_rules(const struct rc_conn *conn, const struct rc_identity *identity,
                                             uint8_t action, struct rc_slice topic)
{
    struct rc_acl_who who = {
        .user = rc_identity_user_name(identity),
        .client_id = client_id_of(conn),
    };
    return rc_acl_ask(identity->instance, &who, action, topic);
}

/* Nobody writes $SYS but the server. Administrators read it, and those whom a rule names for it. */
static RC_APART bool may_use_sys(const struct rc_conn *conn, const struct rc_identity *identity,
                                 uint8_t action, struct rc_slice topic)
{
    if (action != RC_ACL_READ)
        return false;
    return rc_identity_is_admin(identity) || (identity->instance->rules_count > 0 &&
                                              ask_rules(conn, identity, action, topic) == RC_ACL_ALLOWED);
}

/* ---- the product's way: what is not allowed ends the connection ---- */

/* The first level must be a parent topic; P2P topics are a client's own to read, and anybody's to write. */
static RC_APART bool product_decides(const struct rc_conn *conn, const struct rc_identity *identity,
                                     uint8_t action, struct rc_slice topic)
{
    struct rc_slice parent;
    struct p2p p2p;
    size_t at = 0;
    rc_topic_next_level(topic, &at, &parent);
    if (!rc_instance_has_topic(identity->instance, parent))
        return false;
    if (split_p2p(topic, &p2p)) /* not held to the length: the client id is as long as it is */
        return action == RC_ACL_WRITE || rc_slice_eq(p2p.client_id, client_id_of(conn));
    return is_within_limits(&identity->instance->limits, topic);
}

/* To write is a question of the instance and the topic alone, and devices write the same topics again and
 * again: the answer is remembered until another catalog comes. */
static struct rc_access_memo *memo_of(struct rc_broker *broker, struct rc_slice topic)
{
    return &broker->access_memos[rc_word_place(topic, RC_ACCESS_MEMOS)];
}

static bool is_of(const struct rc_access_memo *memo, const struct rc_broker *broker,
                  const struct rc_instance *instance, struct rc_slice topic)
{
    return memo->instance == instance && memo->generation == broker->catalog_generation &&
           rc_word_eq(rc_slice(memo->topic, memo->topic_len), topic);
}

static bool product_allows(const struct rc_conn *conn, const struct rc_identity *identity, uint8_t action,
                           struct rc_slice topic)
{
    struct rc_broker *broker = conn->broker;
    if (action != RC_ACL_WRITE || topic.len > RC_ACCESS_MEMO_TOPIC)
        return product_decides(conn, identity, action, topic);
    struct rc_access_memo *memo = memo_of(broker, topic);
    if (is_of(memo, broker, identity->instance, topic))
        return memo->is_allowed;
    memo->instance = identity->instance;
    memo->generation = broker->catalog_generation;
    memo->topic_len = (uint8_t)topic.len;
    memcpy(memo->topic, topic.ptr, topic.len);
    memo->is_allowed = product_decides(conn, identity, action, topic);
    return memo->is_allowed;
}

/* ---- what the way in has given ---- */

static RC_APART bool custom_allows(const struct rc_conn *conn, const struct rc_identity *identity,
                                   uint8_t action, struct rc_slice topic)
{
    struct rc_acl_who who = {.user = rc_identity_user_name(identity), .client_id = client_id_of(conn)};
    return rc_acl_custom_allows(identity->instance, &who, action, topic);
}

/* Tokens, custom identities and key pairs may be narrower than their instance. */
static bool is_narrowed(const struct rc_identity *identity)
{
    return identity->kind == RC_IDENTITY_TOKEN || identity->kind == RC_IDENTITY_CUSTOM ||
           (identity->key != NULL && identity->key->role == RC_KEY_READ_ONLY);
}

static bool way_allows(const struct rc_conn *conn, const struct rc_identity *identity, uint8_t action,
                       struct rc_slice topic)
{
    if (identity->kind == RC_IDENTITY_TOKEN)
        return rc_tokens_allow(conn, action, topic);
    if (identity->kind == RC_IDENTITY_CUSTOM)
        return custom_allows(conn, identity, action, topic);
    return action == RC_ACL_READ || !is_narrowed(identity);
}

static RC_APART enum rc_access_result decide(const struct rc_conn *conn, const struct rc_identity *identity,
                                             uint8_t action, struct rc_slice topic)
{
    if (identity == NULL || !rc_identity_is_valid(identity)) /* it is being shown out */
        return RC_ACCESS_CLOSE;
    bool is_product = identity->instance->profile == RC_PROFILE_PRODUCT, is_allowed;
    enum rc_acl_answer rules = RC_ACL_ALLOWED;
    if (is_sys(topic)) {
        is_allowed = may_use_sys(conn, identity, action, topic);
    } else if (is_product) {
        is_allowed = product_allows(conn, identity, action, topic);
    } else {
        if (!rc_identity_is_admin(identity))
            rules = ask_rules(conn, identity, action, topic);
        is_allowed = is_within_limits(&identity->instance->limits, topic) && rules != RC_ACL_DENIED;
    }
    if (!is_allowed || !way_allows(conn, identity, action, topic))
        return is_product ? RC_ACCESS_CLOSE : RC_ACCESS_DENIED;
    return rules == RC_ACL_ALLOWED ? RC_ACCESS_ALLOWED : RC_ACCESS_PARTLY;
}

/* Whether it goes to the server itself. */
static bool is_for_server(const struct rc_conn *conn, const struct rc_identity *identity,
                          struct rc_slice topic)
{
    bool is_product =
        identity != NULL && identity->instance != NULL && identity->instance->profile == RC_PROFILE_PRODUCT;
    /* Clients ask the cloud product so for their messages in order, which they have here anyway. */
    if (is_product && rc_slice_eq_str(topic, "$SYS/enableOrderMsg"))
        return true;
    return rc_tokens_has(conn) && rc_slice_eq_str(topic, RC_TOKEN_UPLOAD_TOPIC);
}

/* As decide would find again. Only the product's way has what is remembered. */
static bool is_known_to_be_allowed(const struct rc_conn *conn, const struct rc_identity *identity,
                                   struct rc_slice topic)
{
    const struct rc_access_memo *memo = memo_of(conn->broker, topic);
    return identity != NULL && rc_identity_is_valid(identity) && !is_narrowed(identity) &&
           is_of(memo, conn->broker, identity->instance, topic) && memo->is_allowed;
}

enum rc_access_result rc_access_publish(struct rc_conn *conn, struct rc_slice topic, uint8_t qos, bool retain)
{
    const struct rc_identity *identity = rc_conn_identity(conn);
    if (topic.len > 0 && topic.ptr[0] == '$' && is_for_server(conn, identity, topic))
        return RC_ACCESS_TAKEN;
    if (is_known_to_be_allowed(conn, identity, topic))
        return RC_ACCESS_ALLOWED;
    return decide(conn, identity, RC_ACL_WRITE, topic);
}

enum rc_access_result rc_access_subscribe(struct rc_conn *conn, struct rc_slice filter, uint8_t qos)
{
    struct rc_slice group, inner = filter;
    bool is_shared = rc_topic_filter_split_shared(filter, &group, &inner);
    enum rc_access_result result = decide(conn, rc_conn_identity(conn), RC_ACL_READ, inner);
    /* What one member of a group may not read another may: which one gets it is not decided by that. */
    return is_shared && result == RC_ACCESS_PARTLY ? RC_ACCESS_DENIED : result;
}

bool rc_access_reads(struct rc_conn *conn, struct rc_slice topic)
{
    return decide(conn, rc_conn_identity(conn), RC_ACL_READ, topic) == RC_ACCESS_ALLOWED;
}

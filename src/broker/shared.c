#include "broker/shared.h"

#include "base/alloc.h"
#include "base/apart.h"
#include "broker/private.h"
#include "mqtt/topic.h"

struct member {
    uint64_t number; /* of the session */
    uint32_t shard;
    uint16_t client_len;
    bool is_online;
    bool can_hold; /* at QoS 1 or 2: it may get a message while its client is away */
    char *client_id;
};

struct group {
    struct member *members;
    uint32_t count, cap, turn; /* who is next */
    uint16_t instance_len, key_len;
    char *key;                    /* instance NUL whole filter */
    struct rc_subscription inner; /* in the tree; last, for its filter stands behind it */
};

enum kind {
    JOIN,    /* to the group: a new member */
    JOINED,  /* to the member: it is one now, or was refused */
    LEAVE,   /* to the group */
    PRESENT, /* to the group: the member's client is there, or not any more */
    OFFER,   /* to the member: a message */
    BOUNCED, /* to the group: the member that was picked does not have it */
    RETURN,  /* to the group: a member will not deliver it after all */
};

struct letter {
    struct rc_mail mail;
    enum kind kind;
    struct rc_broker *to;
    struct rc_publication *publication; /* a reference, or NULL */
    struct rc_turn *turn;               /* for which this is done, NULL: none */
    struct rc_suback_wait *wait;        /* of the member's shard; travels there and back */
    uint64_t number;
    uint32_t shard, at;
    uint8_t tries;
    bool is_online; /* JOIN, PRESENT; OFFER: was picked as one who is there */
    bool can_hold;  /* JOIN */
    bool is_gone;   /* BOUNCED: that member is none any more */
    bool is_taken;  /* JOINED */
    uint16_t instance_len, filter_len, client_len;
    char text[]; /* instance, whole filter, client id */
};

/* ---- names ---- */

struct rc_share_name *rc_share_name_create(struct rc_slice filter)
{
    struct rc_share_name *name = rc_malloc(sizeof(*name) + filter.len);
    name->refs = 1;
    name->len = (uint16_t)filter.len;
    memcpy(name->text, filter.ptr, filter.len);
    return name;
}

struct rc_share_name *rc_share_name_ref(struct rc_share_name *name)
{
    if (name != NULL)
        name->refs++;
    return name;
}

void rc_share_name_unref(struct rc_share_name *name)
{
    if (name != NULL && --name->refs == 0)
        free(name);
}

/* ---- letters ---- */

static struct rc_slice letter_instance(const struct letter *letter)
{
    return rc_slice(letter->text, letter->instance_len);
}

static struct rc_slice letter_filter(const struct letter *letter)
{
    return rc_slice(letter->text + letter->instance_len, letter->filter_len);
}

static struct rc_slice letter_client(const struct letter *letter)
{
    return rc_slice(letter->text + letter->instance_len + letter->filter_len, letter->client_len);
}

static struct letter *letter_create(enum kind kind, struct rc_slice instance, struct rc_slice filter,
                                    struct rc_slice client_id)
{
    struct letter *letter = rc_calloc(1, sizeof(*letter) + instance.len + filter.len + client_id.len);
    letter->kind = kind;
    letter->instance_len = (uint16_t)instance.len;
    letter->filter_len = (uint16_t)filter.len;
    letter->client_len = (uint16_t)client_id.len;
    memcpy(letter->text, instance.ptr, instance.len);
    memcpy(letter->text + instance.len, filter.ptr, filter.len);
    memcpy(letter->text + instance.len + filter.len, client_id.ptr, client_id.len);
    return letter;
}

static void letter_free(struct letter *letter)
{
    rc_publication_unref(letter->publication);
    free(letter);
}

static void handle(struct letter *letter);

static void on_letter(struct rc_mail *mail, struct rc_loop *loop)
{
    struct letter *letter = rc_container_of(mail, struct letter, mail);
    struct rc_broker *broker = letter->to;
    struct rc_turn *turn = letter->turn;
    bool is_numbered = letter->publication != NULL && letter->publication->origin != 0;
    letter->turn = NULL;
    rc_persist_begin_errand(broker, turn);
    handle(letter);
    rc_persist_end_errand(broker, turn, is_numbered);
}

/* Members come and go no more when all end; what they were promised, and SUBACKs that wait, find their place.
 */
static bool is_needed_at_the_end(const struct letter *letter)
{
    return letter->kind == JOIN || letter->kind == JOINED ||
           (letter->publication != NULL && letter->publication->qos > 0);
}

/* To another shard by mail; here at once, so that what a client sends next finds it done. */
static void dispatch(struct rc_broker *from, uint32_t to, struct letter *letter)
{
    letter->to = from->options.brokers[to];
    letter->mail.deliver = on_letter;
    if (from->is_stopping && !is_needed_at_the_end(letter))
        letter_free(letter);
    else if (to == from->options.shard)
        handle(letter);
    else {
        if (letter->publication != NULL)
            letter->turn = rc_persist_entrust(from, letter->to, letter->publication);
        rc_loop_post(letter->to->options.loop, &letter->mail);
    }
}

static uint32_t home_of(const struct rc_broker *broker, struct rc_slice instance, struct rc_slice filter)
{
    return rc_broker_shard_of(instance, filter, broker->options.shards);
}

/* A letter from a member to its group. */
static struct letter *to_group(const struct rc_broker *broker, enum kind kind,
                               const struct rc_session *session, struct rc_slice filter)
{
    struct letter *letter = letter_create(kind, rc_session_instance(session), filter,
                                          rc_slice_str(rc_session_client_id(session)));
    letter->number = session->number;
    letter->shard = broker->options.shard;
    return letter;
}

/* ---- SUBACKs that wait ---- */

struct rc_suback_wait {
    uint64_t number;
    uint32_t waiting;
    uint16_t packet_id, codes_count, instance_len, client_len;
    uint8_t channel_id[RC_CHANNEL_ID_LEN];
    uint8_t *codes;
    char key[]; /* instance, client id */
};

struct rc_suback_wait *rc_suback_wait_create(const struct rc_session *session, uint16_t packet_id,
                                             struct rc_slice codes)
{
    struct rc_slice instance = rc_session_instance(session);
    struct rc_slice client_id = rc_slice_str(rc_session_client_id(session));
    struct rc_suback_wait *wait = rc_calloc(1, sizeof(*wait) + instance.len + client_id.len);
    wait->number = session->number;
    wait->waiting = 1; /* until it is sealed */
    wait->packet_id = packet_id;
    wait->instance_len = (uint16_t)instance.len;
    wait->client_len = (uint16_t)client_id.len;
    memcpy(wait->channel_id, session->conn->channel.id, RC_CHANNEL_ID_LEN);
    memcpy(wait->key, instance.ptr, instance.len);
    memcpy(wait->key + instance.len, client_id.ptr, client_id.len);
    wait->codes_count = (uint16_t)codes.len;
    wait->codes = (uint8_t *)rc_strndup(codes.ptr, codes.len);
    return wait;
}

/* The session that asked, if it and its connection are still the same. */
static struct rc_session *asker_of(struct rc_broker *broker, const struct rc_suback_wait *wait)
{
    struct rc_session *session = rc_session_find(broker, rc_slice(wait->key, wait->instance_len),
                                                 rc_slice(wait->key + wait->instance_len, wait->client_len));
    bool is_same = session != NULL && session->number == wait->number && session->conn != NULL &&
                   memcmp(session->conn->channel.id, wait->channel_id, RC_CHANNEL_ID_LEN) == 0;
    return is_same ? session : NULL;
}

void rc_suback_wait_seal(struct rc_broker *broker, struct rc_suback_wait *wait)
{
    if (--wait->waiting > 0)
        return;
    struct rc_session *session = asker_of(broker, wait);
    if (session != NULL)
        rc_conn_put_suback(session->conn, wait->packet_id, rc_slice(wait->codes, wait->codes_count));
    free(wait->codes);
    free(wait);
}

/* ---- groups ---- */

static struct rc_slice group_key(const void *item)
{
    const struct group *group = item;
    return rc_slice(group->key, group->key_len);
}

void rc_shares_init(struct rc_shares *shares)
{
    rc_map_init(&shares->groups, group_key);
    rc_subscriptions_init(&shares->tree);
}

static struct group *find_group(struct rc_broker *broker, const struct letter *letter)
{
    char key[RC_CATALOG_ID_MAX + 1 + RC_MQTT_STRING_MAX];
    memcpy(key, letter->text, letter->instance_len);
    key[letter->instance_len] = '\0';
    memcpy(key + letter->instance_len + 1, letter_filter(letter).ptr, letter->filter_len);
    return rc_map_find(&broker->shares.groups,
                       rc_slice(key, (size_t)letter->instance_len + 1 + letter->filter_len));
}

static struct group *make_group(struct rc_broker *broker, const struct letter *letter)
{
    struct rc_slice name, inner = letter_filter(letter);
    rc_topic_filter_split_shared(inner, &name, &inner);
    struct group *group = rc_calloc(1, sizeof(*group) + inner.len);
    group->instance_len = letter->instance_len;
    group->key_len = (uint16_t)(letter->instance_len + 1 + letter->filter_len);
    group->key = rc_calloc(1, group->key_len);
    memcpy(group->key, letter->text, letter->instance_len);
    memcpy(group->key + letter->instance_len + 1, letter_filter(letter).ptr, letter->filter_len);
    group->inner.filter_len = (uint16_t)inner.len;
    memcpy(group->inner.filter, inner.ptr, inner.len);
    rc_map_insert(&broker->shares.groups, group);
    rc_subscriptions_add(&broker->shares.tree, letter_instance(letter), &group->inner);
    RC_COUNT(&broker->counters, shared_groups);
    return group;
}

static void free_group(struct rc_shares *shares, struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++)
        free(group->members[i].client_id);
    rc_subscriptions_remove(&shares->tree, &group->inner);
    free(group->members);
    free(group->key);
    free(group);
}

void rc_shares_free(struct rc_shares *shares)
{
    struct group *group;
    for (uint32_t cursor = 0; (group = rc_map_next(&shares->groups, &cursor)) != NULL;)
        free_group(shares, group);
    rc_map_free(&shares->groups);
    rc_subscriptions_free(&shares->tree);
}

static struct member *find_member(const struct group *group, uint64_t number)
{
    for (uint32_t i = 0; i < group->count; i++)
        if (group->members[i].number == number)
            return &group->members[i];
    return NULL;
}

static bool add_member(struct group *group, const struct letter *letter)
{
    struct member *member = find_member(group, letter->number);
    if (member == NULL) {
        if (group->count == RC_SHARE_MEMBERS_MAX)
            return false;
        if (group->count == group->cap) {
            group->cap = group->cap > 0 ? 2 * group->cap : 4;
            group->members = rc_realloc(group->members, group->cap * sizeof(*group->members));
        }
        struct rc_slice client_id = letter_client(letter);
        member = &group->members[group->count++];
        *member = (struct member){.number = letter->number,
                                  .shard = letter->shard,
                                  .client_len = letter->client_len,
                                  .client_id = rc_strndup(client_id.ptr, client_id.len)};
    }
    member->is_online = letter->is_online;
    member->can_hold = letter->can_hold;
    return true;
}

/* The group goes with its last member. */
static void remove_member(struct rc_broker *broker, struct group *group, uint64_t number)
{
    struct member *member = find_member(group, number);
    if (member == NULL)
        return;
    uint32_t at = (uint32_t)(member - group->members);
    free(member->client_id);
    group->count--;
    memmove(member, member + 1, (group->count - at) * sizeof(*member));
    if (group->turn > at)
        group->turn--;
    if (group->count > 0)
        return;
    rc_map_remove(&broker->shares.groups, group_key(group));
    free_group(&broker->shares, group);
    RC_COUNT_DOWN(&broker->counters, shared_groups);
}

static bool is_there(const struct member *member)
{
    return member->is_online;
}

static bool can_hold(const struct member *member)
{
    return member->can_hold;
}

/* The next one in turn; NULL when there is none. */
static const struct member *pick(struct group *group, bool (*is_fit)(const struct member *member))
{
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t at = (group->turn + i) % group->count;
        if (!is_fit(&group->members[at]))
            continue;
        group->turn = at + 1;
        return &group->members[at];
    }
    return NULL;
}

/* ---- a message finds its member ---- */

static void offer(struct rc_broker *broker, struct group *group, struct rc_publication *publication,
                  uint8_t tries)
{
    const struct member *member = tries < RC_SHARE_TRIES_MAX ? pick(group, is_there) : NULL;
    bool is_online = member != NULL;
    if (member == NULL && publication->qos > 0) /* it can wait, with one who is away or may have left */
        member = pick(group, can_hold);
    if (member == NULL) {
        RC_COUNT(&broker->counters, dropped_shared);
        return;
    }
    struct rc_slice filter =
        rc_slice(group->key + group->instance_len + 1, (size_t)group->key_len - group->instance_len - 1);
    struct letter *letter = letter_create(OFFER, rc_slice(group->key, group->instance_len), filter,
                                          rc_slice(member->client_id, member->client_len));
    letter->publication = rc_publication_ref(publication);
    letter->number = member->number;
    letter->shard = broker->options.shard;
    letter->is_online = is_online;
    letter->tries = (uint8_t)(is_online ? tries + 1 : tries);
    dispatch(broker, member->shard, letter);
}

struct routing {
    struct rc_broker *broker;
    struct rc_publication *publication;
    bool had_any;
};

static void on_group(struct rc_subscription *inner, void *arg)
{
    struct routing *routing = arg;
    routing->had_any = true;
    offer(routing->broker, rc_container_of(inner, struct group, inner), routing->publication, 0);
}

static RC_APART bool route(struct rc_broker *broker, struct rc_slice instance,
                           struct rc_publication *publication)
{
    struct routing routing = {broker, publication, false};
    rc_subscriptions_match(&broker->shares.tree, instance, rc_publication_topic(publication), on_group,
                           &routing);
    return routing.had_any;
}

bool rc_share_route(struct rc_broker *broker, struct rc_slice instance, struct rc_publication *publication)
{
    return broker->shares.groups.count > 0 && route(broker, instance, publication);
}

static void bounce(struct rc_broker *broker, const struct letter *offered, bool is_gone)
{
    struct letter *letter =
        letter_create(BOUNCED, letter_instance(offered), letter_filter(offered), letter_client(offered));
    letter->publication = rc_publication_ref(offered->publication);
    letter->number = offered->number;
    letter->tries = offered->tries;
    letter->is_gone = is_gone;
    dispatch(broker, offered->shard, letter);
}

static void on_offer(const struct letter *letter)
{
    struct rc_broker *broker = letter->to;
    struct rc_session *session = rc_session_find(broker, letter_instance(letter), letter_client(letter));
    const struct rc_subscription *subscription = session != NULL && session->number == letter->number
                                                     ? rc_session_subscription(session, letter_filter(letter))
                                                     : NULL;
    bool is_there = subscription != NULL && session->conn != NULL;
    if (subscription == NULL || (letter->is_online && !is_there)) {
        bounce(broker, letter, subscription == NULL);
        return;
    }
    struct rc_publication *publication = letter->publication;
    uint8_t qos = subscription->options & RC_MQTT_SUB_QOS;
    struct rc_copy copy = {
        .publication = publication,
        .qos = qos < publication->qos ? qos : publication->qos,
        .retain = publication->retain && (subscription->options & RC_MQTT_SUB_RETAIN_AS_PUBLISHED),
        .ids = &subscription->id,
        .ids_count = subscription->id != 0 ? 1 : 0,
        .share = subscription->share,
    };
    rc_delivery_send(broker, session, &copy);
}

static void on_bounced(const struct letter *letter)
{
    struct rc_broker *broker = letter->to;
    struct group *group = find_group(broker, letter);
    struct member *member = group != NULL ? find_member(group, letter->number) : NULL;
    if (member != NULL && !letter->is_gone)
        member->is_online = false;
    else if (member != NULL && group->count == 1)
        group = NULL; /* nobody is left to take it; the group goes when the member's own letter comes */
    if (group == NULL) {
        RC_COUNT(&broker->counters, dropped_shared);
        return;
    }
    if (member != NULL && letter->is_gone)
        remove_member(broker, group, letter->number);
    offer(broker, group, letter->publication, letter->tries);
}

/* ---- joining and leaving ---- */

static void on_join(struct letter *letter)
{
    struct rc_broker *broker = letter->to;
    struct group *group = find_group(broker, letter);
    uint32_t asker = letter->shard;
    if (group == NULL)
        group = make_group(broker, letter);
    letter->is_taken = add_member(group, letter);
    letter->kind = JOINED;
    dispatch(broker, asker, letter);
}

static void on_joined(const struct letter *letter)
{
    if (letter->wait == NULL) /* of a session that was restored: there is nobody to tell */
        return;
    struct rc_session *session = letter->is_taken ? NULL : asker_of(letter->to, letter->wait);
    if (session != NULL) {
        RC_COUNT(&letter->to->counters, subscriptions_refused);
        rc_session_unsubscribe(letter->to, session, letter_filter(letter));
        letter->wait->codes[letter->at] =
            session->conn->version >= RC_MQTT_V5 ? RC_MQTT_QUOTA_EXCEEDED : RC_MQTT_UNSPECIFIED_ERROR;
    }
    rc_suback_wait_seal(letter->to, letter->wait);
}

static void on_present(const struct letter *letter)
{
    struct group *group = find_group(letter->to, letter);
    struct member *member = group != NULL ? find_member(group, letter->number) : NULL;
    if (member != NULL)
        member->is_online = letter->is_online;
}

static void on_leave(const struct letter *letter)
{
    struct group *group = find_group(letter->to, letter);
    if (group != NULL)
        remove_member(letter->to, group, letter->number);
}

static void on_return(const struct letter *letter)
{
    struct group *group = find_group(letter->to, letter);
    if (group != NULL)
        offer(letter->to, group, letter->publication, 0);
    else
        RC_COUNT(&letter->to->counters, dropped_shared);
}

static void handle(struct letter *letter)
{
    switch (letter->kind) {
    case JOIN:
        on_join(letter); /* goes back as the answer */
        return;
    case JOINED:
        on_joined(letter);
        break;
    case LEAVE:
        on_leave(letter);
        break;
    case PRESENT:
        on_present(letter);
        break;
    case OFFER:
        on_offer(letter);
        break;
    case BOUNCED:
        on_bounced(letter);
        break;
    case RETURN:
        on_return(letter);
        break;
    }
    letter_free(letter);
}

/* ---- the member's side ---- */

static struct rc_slice filter_of(const struct rc_subscription *subscription)
{
    return rc_slice(subscription->filter, subscription->filter_len);
}

void rc_share_join(struct rc_broker *broker, const struct rc_subscription *subscription,
                   struct rc_suback_wait *wait, uint32_t at)
{
    struct rc_session *session = subscription->session;
    struct letter *letter = to_group(broker, JOIN, session, filter_of(subscription));
    letter->is_online = session->conn != NULL; /* one that was restored is not */
    letter->can_hold = (subscription->options & RC_MQTT_SUB_QOS) > 0;
    letter->wait = wait;
    letter->at = at;
    if (wait != NULL)
        wait->waiting++;
    dispatch(broker, home_of(broker, rc_session_instance(session), filter_of(subscription)), letter);
}

void rc_share_leave(struct rc_broker *broker, const struct rc_subscription *subscription)
{
    struct rc_session *session = subscription->session;
    dispatch(broker, home_of(broker, rc_session_instance(session), filter_of(subscription)),
             to_group(broker, LEAVE, session, filter_of(subscription)));
}

void rc_share_presence(struct rc_broker *broker, const struct rc_session *session, bool is_online)
{
    for (struct rc_subscription *one = session->subscriptions; one != NULL && session->shared_count > 0;
         one = one->session_next) {
        if (one->share == NULL)
            continue;
        struct letter *letter = to_group(broker, PRESENT, session, filter_of(one));
        letter->is_online = is_online;
        dispatch(broker, home_of(broker, rc_session_instance(session), filter_of(one)), letter);
    }
}

void rc_share_return(struct rc_broker *broker, const struct rc_session *session,
                     const struct rc_share_name *name, struct rc_publication *publication)
{
    struct rc_slice filter = rc_slice(name->text, name->len);
    struct letter *letter = to_group(broker, RETURN, session, filter);
    letter->publication = rc_publication_ref(publication);
    dispatch(broker, home_of(broker, rc_session_instance(session), filter), letter);
}

/*
 * Inflow rules: each has a consumer (librollcall) of its own, of this server's endpoint or of another
 * cluster. Its callback hands one message to a shard and returns when the MQTT side has it, so the offset
 * that is committed never gets ahead of that; after a crash what was not committed comes again.
 *
 * The table belongs to whoever applies catalogs: one thread at a time.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/semaphore.h"
#include "broker/inflow.h"
#include "client/consumer_state.h"
#include "rules/inflow_map.h"
#include "rules/rules_private.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOK_MS = 100 };

/* What the consumer's thread and a shard share: whoever is the last frees it. */
struct errand {
    struct rc_inflow inflow;
    atomic_uint refs;
    sem_t done;
    enum rc_inflow_result result;
    uint8_t bytes[]; /* all texts */
};

/* What it is made from; when any of it changes the consumer is made anew. */
struct settings {
    char instance[RC_CATALOG_ID_MAX + 1], id[RC_CATALOG_ID_MAX + 1], mqtt_topic[RC_CATALOG_ID_MAX + 1];
    char source[RC_CATALOG_ID_MAX + 1], source_topic[RC_MESSAGE_TOPIC_MAX + 1];
    char namesrv[RC_RULES_NAMESERVERS_MAX * 257];
    char topic[2 * RC_MESSAGE_TOPIC_MAX], group[512];
    char access_key[RC_CATALOG_ID_MAX + 1], secret_key[RC_CATALOG_SECRET_MAX + 1];
    char tls_name[RC_DIAL_TARGET_MAX];
    uint64_t tls_fingerprint; /* of what its files hold */
    bool is_from_first, has_tls;
};

struct rc_inflow_rule {
    struct rc_rules *rules;
    struct settings settings;
    struct rc_rule_tally *tally;
    struct rc_consumer *consumer; /* NULL: it could not be started */
    struct rc_inflow_map map;     /* the consumer's thread */
    atomic_bool is_stopping;
    bool is_wanted;
    pthread_mutex_t mutex; /* of those below */
    char error[RC_RULES_ERROR_MAX];
    int64_t failing_since_ms; /* 0: the cluster answers */
    int64_t waiting_born_ms;  /* of the message under way; 0: none */
    struct rc_feed_alarm lag_alarm;
};

/* ---- one message ---- */

static void unref_errand(struct errand *errand)
{
    if (atomic_fetch_sub_explicit(&errand->refs, 1, memory_order_acq_rel) != 1)
        return;
    sem_destroy(&errand->done);
    free(errand);
}

static void on_done(struct rc_inflow *inflow, enum rc_inflow_result result)
{
    struct errand *errand = rc_container_of(inflow, struct errand, inflow);
    errand->result = result;
    sem_post(&errand->done);
    unref_errand(errand);
}

static struct rc_slice put(uint8_t **at, struct rc_slice text)
{
    struct rc_slice copy = rc_slice(*at, text.len);
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static struct errand *make_errand(const struct rc_inflow_rule *in, struct rc_slice body)
{
    const struct rc_inflow_map *map = &in->map;
    struct rc_slice instance = rc_slice_str(in->settings.instance);
    size_t len = instance.len + body.len + rc_buf_len(&map->topic) + rc_buf_len(&map->shown_topic) +
                 rc_buf_len(&map->props);
    struct errand *errand = rc_calloc(1, sizeof(*errand) + len + 1);
    uint8_t *at = errand->bytes;
    atomic_init(&errand->refs, 2);
    sem_init(&errand->done, 0, 0);
    errand->inflow = (struct rc_inflow){
        .instance = put(&at, instance),
        .topic = put(&at, rc_buf_slice(&map->topic)),
        .shown_topic = put(&at, rc_buf_slice(&map->shown_topic)),
        .props = put(&at, rc_buf_slice(&map->props)),
        .payload = put(&at, body),
        .qos = map->qos,
        .is_for_present = map->is_for_present,
        .on_done = on_done,
    };
    return errand;
}

/* False when the rule is stopped before. */
static bool wait_for(struct rc_inflow_rule *in, struct errand *errand)
{
    while (!atomic_load(&in->is_stopping))
        if (rc_semaphore_wait(&errand->done, LOOK_MS))
            return true;
    atomic_store(&errand->inflow.is_given_up, true);
    return sem_trywait(&errand->done) == 0;
}

static void note_under_way(struct rc_inflow_rule *in, int64_t born_ms)
{
    pthread_mutex_lock(&in->mutex);
    in->waiting_born_ms = born_ms;
    pthread_mutex_unlock(&in->mutex);
}

static void tell(struct rc_inflow_rule *in, const char *what)
{
    pthread_mutex_lock(&in->mutex);
    snprintf(in->error, sizeof(in->error), "%s", what);
    pthread_mutex_unlock(&in->mutex);
    rc_log_warn("rules", "%s: %s", in->settings.id, what);
}

static void drop(struct rc_inflow_rule *in, enum rc_rule_drop reason)
{
    static const char *const why[] = {
        [RC_RULE_DROP_UNFIT] =
            "a message is dropped: its topic is none, or it or its size is more than the instance allows",
        [RC_RULE_DROP_EXPIRED] = "a message is dropped: it has expired",
        [RC_RULE_DROP_NO_CLIENT] = "a message is dropped: its client has no session, or is away",
    };
    atomic_fetch_add(&in->tally->dropped[reason], 1);
    if (reason != RC_RULE_DROP_ECHO)
        tell(in, why[reason]);
}

static enum rc_consume_result on_message(const struct rc_consumer_message *message, void *arg)
{
    static const enum rc_rule_drop reasons[] = {[RC_INFLOW_EXPIRED] = RC_RULE_DROP_EXPIRED,
                                                [RC_INFLOW_ECHO] = RC_RULE_DROP_ECHO,
                                                [RC_INFLOW_BAD] = RC_RULE_DROP_UNFIT};
    struct rc_inflow_rule *in = arg;
    enum rc_inflow_verdict verdict = rc_inflow_map_take(
        &in->map, rc_slice_str(in->settings.instance), rc_slice_str(in->settings.mqtt_topic),
        rc_slice(message->properties, message->properties_len), message->born_ms, rc_clock_wall_ms());
    if (verdict != RC_INFLOW_GOOD) {
        drop(in, reasons[verdict]);
        return RC_CONSUME_COMMIT;
    }
    struct errand *errand = make_errand(in, rc_slice(message->body, message->body_len));
    note_under_way(in, message->born_ms);
    rc_inflow_post(in->rules->brokers, in->rules->brokers_count, &errand->inflow);
    enum rc_inflow_result result = wait_for(in, errand) ? errand->result : RC_INFLOW_GIVEN_UP;
    note_under_way(in, 0);
    unref_errand(errand);
    if (result == RC_INFLOW_GIVEN_UP)
        /* It comes again: to the consumer that takes this one's place, if it is stopped. */
        return atomic_load(&in->is_stopping) ? RC_CONSUME_STOP : RC_CONSUME_LATER;
    if (result == RC_INFLOW_TAKEN)
        atomic_fetch_add(&in->tally->delivered, 1);
    else
        drop(in, result == RC_INFLOW_NO_CLIENT ? RC_RULE_DROP_NO_CLIENT : RC_RULE_DROP_UNFIT);
    return RC_CONSUME_COMMIT;
}

static void on_error(const char *text, void *arg)
{
    tell(arg, text);
}

static void on_lost(uint64_t messages, const char *text, void *arg)
{
    struct rc_inflow_rule *in = arg;
    char what[RC_RULES_ERROR_MAX];
    atomic_fetch_add(&in->tally->lost, messages);
    snprintf(what, sizeof(what), "lost=%llu: %.200s", (unsigned long long)messages, text);
    tell(in, what);
}

/* ---- start and stop ---- */

static void put_text(char *out, size_t size, struct rc_slice text)
{
    snprintf(out, size, "%.*s", RC_SLICE_FMT(text));
}

/* Any key pair of the instance: the endpoint may ask for signatures. */
static void put_own_key(struct settings *settings, const struct rc_catalog *catalog)
{
    struct rc_trie_walk walk;
    const struct rc_key_pair *pair;
    rc_trie_walk_start(&walk, &catalog->key_pairs);
    while ((pair = rc_trie_walk_next(&walk)) != NULL) {
        if (!rc_slice_eq_str(pair->instance_id, settings->instance))
            continue;
        put_text(settings->access_key, sizeof(settings->access_key), pair->access_key);
        put_text(settings->secret_key, sizeof(settings->secret_key), pair->secret_key);
        if (pair->role == RC_KEY_USER)
            return;
    }
}

static void settle(struct rc_rules *rules, const struct rc_catalog *catalog,
                   const struct rc_instance *instance, const struct rc_flow_rule *rule, struct settings *ret)
{
    const struct rc_target *target = rule->target;
    memset(ret, 0, sizeof(*ret)); /* compared as a whole */
    put_text(ret->instance, sizeof(ret->instance), instance->id);
    put_text(ret->id, sizeof(ret->id), rule->id);
    put_text(ret->mqtt_topic, sizeof(ret->mqtt_topic), rule->mqtt_topic);
    ret->is_from_first = rule->is_from_first;
    if (target == NULL) {
        put_text(ret->source_topic, sizeof(ret->source_topic), rule->topic_name);
        put_text(ret->topic, sizeof(ret->topic), rule->topic_name);
        put_text(ret->namesrv, sizeof(ret->namesrv), rc_slice_str(rules->own_endpoint));
        put_text(ret->group, sizeof(ret->group), rule->group);
        put_own_key(ret, catalog);
        return;
    }
    put_text(ret->source, sizeof(ret->source), target->name);
    put_text(ret->source_topic, sizeof(ret->source_topic), rule->target_topic);
    rc_target_put_name(ret->topic, sizeof(ret->topic), target, rule->target_topic);
    rc_target_put_name(ret->group, sizeof(ret->group), target, rule->group);
    put_text(ret->namesrv, sizeof(ret->namesrv), target->nameservers);
    put_text(ret->access_key, sizeof(ret->access_key), target->access_key);
    put_text(ret->secret_key, sizeof(ret->secret_key), target->secret_key);
    put_text(ret->tls_name, sizeof(ret->tls_name), target->tls_name);
    ret->tls_fingerprint = target->tls_fingerprint;
    ret->has_tls = target->has_tls;
}

static void start(struct rc_inflow_rule *in, const struct rc_flow_rule *rule)
{
    const struct rc_target *target = rule->target;
    const struct settings *settings = &in->settings;
    char error[RC_RULES_ERROR_MAX];
    bool has_key = settings->access_key[0] != '\0';
    struct rc_consumer_options options = {
        .namesrv = settings->namesrv,
        .group = settings->group,
        .topic = settings->topic,
        .access_key = has_key ? settings->access_key : NULL,
        .secret_key = has_key ? settings->secret_key : NULL,
        .from_first = settings->is_from_first,
        .on_message = on_message,
        .on_error = on_error,
        .on_lost = on_lost,
        .arg = in,
    };
    int64_t since = rc_inflow_since(in->rules, rc_slice_str(settings->instance), rule);
    options.from_ms = settings->is_from_first ? 0 : since;
    struct rc_tls *tls = NULL;
    struct rc_error why;
    if (target != NULL && rc_cluster_tls(target, &tls, &why) != RC_OK) /* then nothing goes out unencrypted */
        tell(in, why.text);
    else if (rc_consumer_start_tls(&options, tls, settings->tls_name[0] != '\0' ? settings->tls_name : NULL,
                                   &in->consumer, error, sizeof(error)) != RC_OK)
        tell(in, error);
    rc_tls_unref(tls);
}

static void stop(struct rc_inflow_rule *in)
{
    atomic_store(&in->is_stopping, true);
    rc_consumer_stop(in->consumer);
    rc_inflow_map_free(&in->map);
    pthread_mutex_destroy(&in->mutex);
    explicit_bzero(in->settings.secret_key, sizeof(in->settings.secret_key));
    free(in);
}

static bool find(struct rc_rules *rules, const struct settings *settings)
{
    for (uint32_t i = 0; i < rules->inflows_count; i++)
        if (memcmp(&rules->inflows[i]->settings, settings, sizeof(*settings)) == 0) {
            rules->inflows[i]->is_wanted = true;
            return true;
        }
    return false;
}

/* The table is changed under the mutex; consumers are started and stopped outside of it, all at a time. */
static void remove_unwanted(struct rc_rules *rules)
{
    for (uint32_t i = 0; i < rules->inflows_count; i++) {
        if (rules->inflows[i]->is_wanted)
            continue;
        atomic_store(&rules->inflows[i]->is_stopping, true);
        rc_consumer_begin_stop(rules->inflows[i]->consumer);
    }
    for (uint32_t i = 0; i < rules->inflows_count;) {
        struct rc_inflow_rule *in = rules->inflows[i];
        if (in->is_wanted) {
            i++;
            continue;
        }
        pthread_mutex_lock(&rules->mutex);
        rules->inflows[i] = rules->inflows[--rules->inflows_count];
        pthread_mutex_unlock(&rules->mutex);
        stop(in);
    }
}

static void add(struct rc_rules *rules, const struct settings *settings, const struct rc_flow_rule *rule)
{
    struct rc_inflow_rule *in = rc_new(struct rc_inflow_rule);
    in->rules = rules;
    in->settings = *settings;
    in->tally = rule->tally;
    in->is_wanted = true;
    pthread_mutex_init(&in->mutex, NULL);
    rc_inflow_map_init(&in->map);
    start(in, rule);
    pthread_mutex_lock(&rules->mutex);
    rules->inflows[rules->inflows_count++] = in;
    pthread_mutex_unlock(&rules->mutex);
}

typedef void (*inflow_fn)(struct rc_rules *rules, const struct settings *settings,
                          const struct rc_flow_rule *rule);

static void each(struct rc_rules *rules, const struct rc_catalog *catalog, inflow_fn visit)
{
    struct settings *settings = rc_new(struct settings);
    struct rc_inflow_walk walk;
    const struct rc_flow_rule *rule;
    rc_inflow_walk_start(&walk, catalog);
    while ((rule = rc_inflow_walk_next_enabled(&walk)) != NULL) {
        settle(rules, catalog, walk.instance, rule, settings);
        visit(rules, settings, rule);
    }
    explicit_bzero(settings, sizeof(*settings));
    free(settings);
}

static void want(struct rc_rules *rules, const struct settings *settings, const struct rc_flow_rule *rule)
{
    find(rules, settings);
}

static void ensure(struct rc_rules *rules, const struct settings *settings, const struct rc_flow_rule *rule)
{
    if (!find(rules, settings))
        add(rules, settings, rule);
}

int rc_inflows_check(const struct rc_catalog *catalog, struct rc_error *error)
{
    struct rc_inflow_walk walk;
    uint32_t count = 0;
    rc_inflow_walk_start(&walk, catalog);
    while (rc_inflow_walk_next_enabled(&walk) != NULL)
        count++;
    return count <= RC_RULES_INFLOWS_MAX
               ? RC_OK
               : rc_error_set(error, RC_ERR_FULL, "more than %d enabled inflow rules", RC_RULES_INFLOWS_MAX);
}

void rc_inflows_apply(struct rc_rules *rules, const struct rc_catalog *catalog)
{
    for (uint32_t i = 0; i < rules->inflows_count; i++)
        rules->inflows[i]->is_wanted = false;
    if (catalog != NULL)
        each(rules, catalog, want);
    remove_unwanted(rules); /* first: one with other settings may have the same group */
    if (catalog != NULL)
        each(rules, catalog, ensure);
}

/* The consumer's own word, and since when; `retries` of it. */
static bool is_failing(struct rc_inflow_rule *in, struct rc_consumer_state *ret)
{
    *ret = (struct rc_consumer_state){.is_failing = true};
    if (in->consumer != NULL)
        rc_consumer_state(in->consumer, ret);
    if (!ret->is_failing)
        in->failing_since_ms = 0;
    else if (in->failing_since_ms == 0)
        in->failing_since_ms = rc_clock_wall_ms();
    return ret->is_failing;
}

void rc_inflow_stats(struct rc_inflow_rule *in, struct rc_rule_stats *ret)
{
    struct rc_consumer_state state;
    int64_t now = rc_clock_wall_ms();
    memset(ret, 0, sizeof(*ret));
    pthread_mutex_lock(&in->mutex);
    bool fails = is_failing(in, &state);
    put_text(ret->error, sizeof(ret->error), rc_slice_str(in->error));
    ret->retrying_since_ms = in->failing_since_ms;
    ret->waiting = state.behind > 0 ? state.behind : in->waiting_born_ms != 0;
    ret->lag_ms = in->waiting_born_ms != 0 ? now - in->waiting_born_ms : 0;
    ret->is_lag_alarm =
        ret->lag_ms > RC_RULES_LAG_ALARM_MS || (fails && now - in->failing_since_ms > RC_RULES_LAG_ALARM_MS);
    pthread_mutex_unlock(&in->mutex);
    put_text(ret->topic, sizeof(ret->topic), rc_slice_str(in->settings.source_topic));
    put_text(ret->rule, sizeof(ret->rule), rc_slice_str(in->settings.id));
    put_text(ret->instance, sizeof(ret->instance), rc_slice_str(in->settings.instance));
    put_text(ret->target, sizeof(ret->target), rc_slice_str(in->settings.source));
    put_text(ret->target_topic, sizeof(ret->target_topic), rc_slice_str(in->settings.mqtt_topic));
    ret->state = in->consumer == NULL ? RC_RULE_STOPPED : fails ? RC_RULE_RETRYING : RC_RULE_RUNNING;
    ret->is_current = true;
    ret->retries = state.retries;
    ret->delivered = atomic_load(&in->tally->delivered);
    ret->matched = ret->delivered + ret->waiting;
    rc_tally_add_drops(in->tally, ret);
}

void rc_inflow_look(struct rc_inflow_rule *in)
{
    struct rc_rule_stats stats;
    bool had_lag = in->lag_alarm.is_on;
    rc_inflow_stats(in, &stats);
    if (rc_feed_alarm_is_due(&in->lag_alarm, stats.is_lag_alarm))
        rc_log_error("rules", "ALARM: %s <- %s/%s lags: lag_ms=%lld waiting=%llu: %s", stats.rule,
                     stats.target, stats.topic, (long long)stats.lag_ms, (unsigned long long)stats.waiting,
                     stats.error);
    else if (had_lag && !in->lag_alarm.is_on)
        rc_log_info("rules", "alarm over: %s <- %s/%s lags no more", stats.rule, stats.target, stats.topic);
}

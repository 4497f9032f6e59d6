/* All feeds: which there are, what they are connected with, their thread. */
#include "rules/rules.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "rules/rules_private.h"
#include "store/fs.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_PREFIX "rule-" RC_RULE_TOPIC_PREFIX

enum { TELL_HELD_MS = 60000 };

static struct rc_feed *find_feed(struct rc_rules *rules, uint32_t count, struct rc_slice topic)
{
    for (uint32_t i = 0; i < count; i++)
        if (rc_slice_eq_str(topic, rules->feeds[i]->topic))
            return rules->feeds[i];
    return NULL;
}

/* Under `life`. From here on retention asks for it. */
static void add_feed(struct rc_rules *rules, struct rc_feed *feed)
{
    pthread_mutex_lock(&rules->mutex);
    rules->feeds[rules->feeds_count++] = feed;
    pthread_mutex_unlock(&rules->mutex);
}

/* ---- what was kept on disk ---- */

static int load_feed(struct rc_rules *rules, const char *name, struct rc_error *error)
{
    struct rc_feed *feed = rc_feed_create(rules);
    int err = rc_feed_load(feed, name);
    if (err == RC_OK && strcmp(feed->topic, name + sizeof("rule-") - 1) != 0)
        err = RC_ERR_CORRUPT;
    if (err == RC_OK && rules->feeds_count == RC_RULES_MAX)
        err = RC_ERR_FULL;
    if (err != RC_OK)
        rc_error_set(error, err, "rollcall/%s, how far a rule got, cannot be used: %s", name,
                     rc_err_text(err));
    err = err ? err : rc_feed_open(feed, error);
    if (err == RC_OK)
        add_feed(rules, feed);
    else
        rc_feed_destroy(feed);
    return err;
}

static bool is_feed_file(const char *name)
{
    size_t len = strlen(name);
    return strncmp(name, FILE_PREFIX, sizeof(FILE_PREFIX) - 1) == 0 && strchr(name, '.') == NULL &&
           len <= RC_MESSAGE_TOPIC_MAX + sizeof("rule-") - 1;
}

static int load_all(struct rc_rules *rules, struct rc_error *error)
{
    int fd, err = rc_fs_open_dir(rc_store_own_dir(rules->store), ".", false, &fd);
    DIR *dir = err == RC_OK ? fdopendir(fd) : NULL;
    if (dir == NULL)
        return rc_error_set(error, err ? err : RC_ERR_IO, "the directory of the rules' files cannot be read");
    for (struct dirent *one; err == RC_OK && (one = readdir(dir)) != NULL;)
        if (is_feed_file(one->d_name))
            err = load_feed(rules, one->d_name, error);
    closedir(dir);
    return err;
}

/* ---- a catalog ---- */

typedef int (*rule_fn)(struct rc_rules *rules, const struct rc_instance *instance,
                       const struct rc_status_rule *rule, struct rc_error *error);

/* Every rule that leads to another cluster, the disabled ones too. */
static int each_rule(struct rc_rules *rules, const struct rc_catalog *catalog, rule_fn visit,
                     struct rc_error *error)
{
    const struct rc_instance *instance;
    struct rc_trie_walk instances, status_rules, flows;
    int err = RC_OK;
    rc_trie_walk_start(&instances, &catalog->instances);
    while (err == RC_OK && (instance = rc_trie_walk_next(&instances)) != NULL) {
        const struct rc_status_rule *rule;
        const struct rc_flow_rule *flow;
        rc_trie_walk_start(&flows, &instance->outflows);
        while (err == RC_OK && (flow = rc_trie_walk_next(&flows)) != NULL) {
            struct rc_status_rule as = {.id = flow->id,
                                        .topic_name = flow->topic_name,
                                        .target = flow->target,
                                        .target_topic = flow->target_topic,
                                        .is_enabled = flow->is_enabled,
                                        .fails_over = flow->fails_over};
            if (flow->target != NULL)
                err = visit(rules, instance, &as, error);
        }
        rc_trie_walk_start(&status_rules, &instance->status_rules);
        while (err == RC_OK && (rule = rc_trie_walk_next(&status_rules)) != NULL) {
            if (rule->target != NULL)
                err = visit(rules, instance, rule, error);
        }
    }
    return err;
}

static void put(char *out, size_t size, struct rc_slice text)
{
    snprintf(out, size, "%.*s", RC_SLICE_FMT(text));
}

static int want_feed(struct rc_rules *rules, const struct rc_instance *instance,
                     const struct rc_status_rule *rule, struct rc_error *error)
{
    struct rc_feed *feed = find_feed(rules, rules->feeds_count, rule->topic_name);
    if (feed != NULL)
        rc_former_want(feed);
    return RC_OK;
}

static int ensure_feed(struct rc_rules *rules, const struct rc_instance *instance,
                       const struct rc_status_rule *rule, struct rc_error *error)
{
    if (!rule->is_enabled || find_feed(rules, rules->feeds_count, rule->topic_name) != NULL)
        return RC_OK;
    if (rules->feeds_count == RC_RULES_MAX)
        return rc_error_set(error, RC_ERR_FULL, "more than %d topics that rules send on", RC_RULES_MAX);
    struct rc_feed *feed = rc_feed_create(rules);
    put(feed->topic, sizeof(feed->topic), rule->topic_name);
    put(feed->rule, sizeof(feed->rule), rule->id);
    put(feed->instance, sizeof(feed->instance), instance->id);
    put(feed->target, sizeof(feed->target), rule->target->name);
    put(feed->target_topic, sizeof(feed->target_topic), rule->target_topic);
    feed->fails_over = rule->fails_over;
    rc_former_want(feed);
    int err = rc_feed_begin(feed, error);
    if (err == RC_OK)
        add_feed(rules, feed);
    else
        rc_feed_destroy(feed);
    return err;
}

static int mark_current(struct rc_rules *rules, const struct rc_instance *instance,
                        const struct rc_status_rule *rule, struct rc_error *error)
{
    struct rc_feed *feed = find_feed(rules, rules->known, rule->topic_name);
    if (feed == NULL || !rule->is_enabled)
        return RC_OK;
    feed->is_current = true;
    feed->is_dirty = feed->is_dirty || feed->fails_over != rule->fails_over;
    feed->fails_over = rule->fails_over;
    return RC_OK;
}

static struct rc_cluster *find_cluster(struct rc_rules *rules, const char *name)
{
    rc_list_for_each(node, &rules->clusters)
    {
        struct rc_cluster *cluster = rc_container_of(node, struct rc_cluster, node);
        if (strcmp(cluster->name, name) == 0)
            return cluster;
    }
    return NULL;
}

/* Its links go first: then no answer can reach a feed that has forgotten what it asked. */
static void drop_cluster(struct rc_rules *rules, struct rc_cluster *cluster)
{
    rc_list_remove(&cluster->node);
    for (uint32_t i = 0; i < cluster->links_count; i++)
        rc_link_destroy(cluster->links[i].link);
    cluster->links_count = 0;
    for (uint32_t i = 0; i < rules->known; i++)
        if (rules->feeds[i]->cluster == cluster)
            rc_feed_set_cluster(rules->feeds[i], NULL);
    rc_cluster_destroy(cluster);
}

static void drop_changed_clusters(struct rc_rules *rules, const struct rc_catalog *catalog)
{
    rc_list_for_each_safe(node, &rules->clusters)
    {
        struct rc_cluster *cluster = rc_container_of(node, struct rc_cluster, node);
        const struct rc_target *target = rc_trie_find(&catalog->targets, rc_slice_str(cluster->name));
        if (target == NULL || !rc_cluster_is_as(cluster, target))
            drop_cluster(rules, cluster);
    }
}

static void connect_feed(struct rc_rules *rules, struct rc_feed *feed, const struct rc_catalog *catalog)
{
    const struct rc_target *target = rc_trie_find(&catalog->targets, rc_slice_str(feed->target));
    struct rc_cluster *cluster = find_cluster(rules, feed->target);
    struct rc_error error = {.text = ""};
    if (target != NULL && cluster == NULL) {
        cluster = rc_cluster_create(rules->loop, target, &error);
        if (cluster != NULL)
            rc_list_push_back(&rules->clusters, &cluster->node);
    }
    rc_feed_set_cluster(feed, cluster);
    if (target != NULL && cluster == NULL)
        rc_feed_tell(feed, feed->target, error.text);
}

struct order {
    struct rc_mail mail;
    struct rc_rules *rules;
    struct rc_catalog *catalog;
};

struct sweep {
    struct rc_mail mail;
    struct rc_rules *rules;
};

static void on_catalog(struct rc_mail *mail, struct rc_loop *loop)
{
    struct order *order = rc_container_of(mail, struct order, mail);
    struct rc_rules *rules = order->rules;
    pthread_mutex_lock(&rules->mutex);
    rules->known = rules->feeds_count;
    pthread_mutex_unlock(&rules->mutex);
    for (uint32_t i = 0; i < rules->known; i++)
        rules->feeds[i]->is_current = false;
    each_rule(rules, order->catalog, mark_current, NULL);
    drop_changed_clusters(rules, order->catalog);
    for (uint32_t i = 0; i < rules->known && rules->reader != NULL; i++)
        rc_log_reader_await(rules->reader, rules->feeds[i]->queue);
    for (uint32_t i = 0; i < rules->known; i++)
        if (rules->feeds[i]->cluster == NULL)
            connect_feed(rules, rules->feeds[i], order->catalog);
    rc_catalog_unref(order->catalog);
    free(order);
}

static int ensure_feeds(struct rc_rules *rules, const struct rc_catalog *catalog, struct rc_error *error)
{
    pthread_mutex_lock(&rules->life);
    rc_former_begin(rules);
    each_rule(rules, catalog, want_feed, NULL);
    int err = each_rule(rules, catalog, ensure_feed, error);
    pthread_mutex_unlock(&rules->life);
    return err;
}

static void on_sweep(struct rc_mail *mail, struct rc_loop *loop)
{
    rc_former_sweep(rc_container_of(mail, struct sweep, mail)->rules);
}

/* Former targets that are done with may be in the way, until the next time that they are looked at. */
static void sweep_now(struct rc_rules *rules)
{
    struct sweep sweep = {.mail.deliver = on_sweep, .rules = rules};
    rc_loop_post(rules->loop, &sweep.mail);
    rc_loop_sync(rules->loop);
}

int rc_rules_apply(struct rc_rules *rules, struct rc_catalog *catalog, struct rc_error *error)
{
    int err = rc_inflows_check(catalog, error);
    err = err ? err : rc_tallies_give(rules, catalog, error);
    err = err ? err : ensure_feeds(rules, catalog, error);
    if (err == RC_ERR_FULL && rules->is_running) {
        sweep_now(rules);
        err = ensure_feeds(rules, catalog, error);
    }
    if (err != RC_OK)
        return err;
    rc_inflow_holds_apply(rules, catalog);
    if (rules->brokers != NULL) {
        rc_inflows_apply(rules, catalog);
    } else {
        rc_catalog_unref(rules->applied);
        rules->applied = rc_catalog_ref(catalog);
    }
    struct order *order = rc_new(struct order);
    order->mail.deliver = on_catalog;
    order->rules = rules;
    order->catalog = rc_catalog_ref(catalog);
    rc_loop_post(rules->loop, &order->mail);
    if (rules->is_running)
        rc_loop_sync(rules->loop);
    return RC_OK;
}

void rc_rules_published(struct rc_rules *rules, const struct rc_catalog *catalog)
{
    pthread_mutex_lock(&rules->life);
    for (uint32_t i = 0; i < rules->feeds_count; i++)
        rules->feeds[i]->is_wanted = rules->feeds[i]->is_wanted_next;
    pthread_mutex_unlock(&rules->life);
    rc_inflow_since_sweep(rules, catalog);
}

/* ---- retention ---- */

uint64_t rc_rules_keep_from(void *arg, uint64_t target)
{
    struct rc_rules *rules = arg;
    uint64_t keep = target;
    const char *held_by = NULL;
    pthread_mutex_lock(&rules->mutex);
    for (uint32_t i = 0; i < rules->feeds_count; i++) {
        struct rc_feed *feed = rules->feeds[i];
        uint64_t from = rc_queue_holds(feed->queue, atomic_load(&feed->saved_cursor), keep);
        if (from < keep)
            held_by = feed->rule;
        keep = from;
    }
    keep = rc_inflow_holds_keep_from(rules, keep, &held_by);
    char by[RC_CATALOG_ID_MAX + 1];
    snprintf(by, sizeof(by), "%s", held_by != NULL ? held_by : "");
    pthread_mutex_unlock(&rules->mutex);
    uint64_t now = rc_clock_mono_ms();
    if (held_by != NULL && (rules->held_told_ms == 0 || now - rules->held_told_ms > TELL_HELD_MS)) {
        rules->held_told_ms = now;
        rc_log_warn("rules",
                    "retention stops at %" PRIu64 " instead of %" PRIu64 ": %s has not sent what is there",
                    keep, target, by);
    }
    return keep;
}

/* ---- the thread ---- */

static void on_grown(struct rc_queue *queue, void *arg)
{
    struct rc_rules *rules = arg;
    bool is_read = false;
    for (uint32_t i = 0; i < rules->known; i++)
        if (rules->feeds[i]->queue == queue) {
            is_read = true;
            rc_feed_pump(rules->feeds[i]);
        }
    if (!is_read)
        rc_log_reader_rest(rules->reader, queue); /* on_catalog awaits those of new feeds */
}

static void on_save(struct rc_timer *timer)
{
    struct rc_rules *rules = rc_container_of(timer, struct rc_rules, save);
    for (uint32_t i = 0; i < rules->known; i++)
        rc_feed_tick(rules->feeds[i]);
    rc_former_sweep(rules);
    pthread_mutex_lock(&rules->mutex);
    for (uint32_t i = 0; i < rules->inflows_count; i++)
        rc_inflow_look(rules->inflows[i]);
    pthread_mutex_unlock(&rules->mutex);
    rc_timer_start(rules->loop, &rules->save, RC_FEED_SAVE_MS);
}

int rc_rules_create(struct rc_store *store, struct rc_rules **ret, struct rc_error *error)
{
    struct rc_rules *rules = rc_new(struct rc_rules);
    rules->store = store;
    pthread_mutex_init(&rules->life, NULL);
    pthread_mutex_init(&rules->mutex, NULL);
    rc_list_init(&rules->clusters);
    rules->save.on_due = on_save;
    int err = rc_loop_create("rc-rules", &rules->loop);
    if (err != RC_OK)
        rc_error_set(error, err, "no event loop for the rules: %s", rc_err_text(err));
    err = err ? err : load_all(rules, error);
    if (err == RC_OK)
        *ret = rules;
    else
        rc_rules_destroy(rules);
    return err;
}

int rc_rules_start(struct rc_rules *rules, struct rc_log_writer *writer, struct rc_error *error)
{
    if (rules->applied != NULL)
        rc_rules_published(rules, rules->applied);
    int err = rc_log_reader_create(writer, rules->loop, on_grown, rules, &rules->reader);
    rc_timer_start(rules->loop, &rules->save, 0);
    err = err ? err : rc_loop_start_thread(rules->loop);
    if (err != RC_OK)
        return rc_error_set(error, err, "no thread for the rules: %s", rc_err_text(err));
    rules->is_running = true;
    return RC_OK;
}

void rc_rules_stop(struct rc_rules *rules)
{
    if (rules == NULL || !rules->is_running)
        return;
    rc_loop_stop(rules->loop);
    rc_loop_join_thread(rules->loop);
    rules->is_running = false;
    for (uint32_t i = 0; i < rules->feeds_count; i++)
        rc_feed_tick(rules->feeds[i]);
    rc_timer_stop(&rules->save);
}

void rc_rules_destroy(struct rc_rules *rules)
{
    if (rules == NULL)
        return;
    if (rules->reader != NULL)
        rc_log_reader_destroy(rules->reader);
    rc_timer_stop(&rules->save);
    if (rules->loop != NULL)
        while (rc_loop_drain(rules->loop))
            ;
    while (!rc_list_is_empty(&rules->clusters))
        drop_cluster(rules, rc_container_of(rules->clusters.next, struct rc_cluster, node));
    for (uint32_t i = 0; i < rules->feeds_count; i++)
        rc_feed_destroy(rules->feeds[i]);
    for (uint32_t i = 0; i < rules->tallies_count; i++)
        free(rules->tallies[i]);
    free(rules->holds);
    rc_catalog_unref(rules->applied);
    rc_loop_destroy(rules->loop);
    pthread_mutex_destroy(&rules->mutex);
    pthread_mutex_destroy(&rules->life);
    free(rules);
}

/* ---- an operator's order ---- */

static void on_drop_done(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_rules_drop *drop = rc_container_of(mail, struct rc_rules_drop, mail);
    drop->on_done(drop);
}

static bool is_about(const struct rc_rules_drop *drop, const struct rc_feed *feed)
{
    return strcmp(drop->instance, feed->instance) == 0 && strcmp(drop->rule, feed->rule) == 0 &&
           (drop->target[0] == '\0' || strcmp(drop->target, feed->target) == 0) &&
           (drop->target_topic[0] == '\0' || strcmp(drop->target_topic, feed->target_topic) == 0);
}

static uint64_t drop_of(struct rc_feed *feed, const struct rc_rules_drop *drop)
{
    uint64_t end = rc_queue_end(feed->queue);
    if (drop->message >= 0)
        return rc_feed_drop_one(feed, (uint64_t)drop->message);
    uint64_t upto = drop->before_ms == INT64_MAX ? end : rc_queue_search(feed->queue, drop->before_ms);
    return rc_feed_drop(feed, upto < end ? upto : end);
}

static void on_drop(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_rules_drop *drop = rc_container_of(mail, struct rc_rules_drop, mail);
    struct rc_rules *rules = drop->rules;
    drop->targets = 0;
    drop->dropped = 0;
    for (uint32_t i = 0; i < rules->known; i++) {
        struct rc_feed *feed = rules->feeds[i];
        if (!is_about(drop, feed))
            continue;
        uint64_t count = drop_of(feed, drop);
        drop->targets++;
        drop->dropped += count;
        rc_log_warn("rules",
                    "AUDIT: dropped by an operator: instance=%s rule=%s target=%s/%s messages=%" PRIu64
                    " before_ms=%" PRId64 " message=%" PRId64 " by=%s",
                    feed->instance, feed->rule, feed->target, feed->target_topic, count, drop->before_ms,
                    drop->message, drop->by);
        rc_feed_tick(feed);
        rc_feed_pump(feed);
    }
    drop->mail.deliver = on_drop_done;
    rc_loop_post(drop->reply_to, &drop->mail);
}

void rc_rules_post_drop(struct rc_rules *rules, struct rc_rules_drop *drop)
{
    drop->rules = rules;
    drop->mail.deliver = on_drop;
    rc_loop_post(rules->loop, &drop->mail);
}

void rc_rules_start_inflow(struct rc_rules *rules, struct rc_broker **brokers, uint32_t count,
                           const char *own_endpoint)
{
    rules->brokers = brokers;
    rules->brokers_count = count;
    snprintf(rules->own_endpoint, sizeof(rules->own_endpoint), "%s", own_endpoint);
    if (rules->applied != NULL)
        rc_inflows_apply(rules, rules->applied);
    rc_catalog_unref(rules->applied);
    rules->applied = NULL;
}

void rc_rules_stop_inflow(struct rc_rules *rules)
{
    if (rules != NULL)
        rc_inflows_apply(rules, NULL);
}

uint32_t rc_rules_stats(struct rc_rules *rules, struct rc_rule_stats *ret, uint32_t max)
{
    pthread_mutex_lock(&rules->mutex);
    uint32_t count = rules->feeds_count;
    for (uint32_t i = 0; i < count && i < max; i++) {
        ret[i] = rules->feeds[i]->stats;
        rc_tally_add(rules, &ret[i]);
    }
    for (uint32_t i = 0; i < rules->tallies_count && count < max; i++)
        count += rc_tally_stats(rules->tallies[i], &ret[count]);
    for (uint32_t i = 0; i < rules->inflows_count && count < max; i++)
        rc_inflow_stats(rules->inflows[i], &ret[count++]);
    pthread_mutex_unlock(&rules->mutex);
    return count;
}

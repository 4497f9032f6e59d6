/*
 * What rules send to other RocketMQ clusters. Events that go there stand in the log first, in a topic of one
 * queue for each rule and target (RC_RULE_TOPIC_PREFIX). A thread of its own (rc-rules) reads those topics
 * with a cursor kept on disk and sends on: at least once, a client's events in the order of the log (by their
 * first occurrence), with the keys that they have there.
 *
 * A rule that was disabled, removed or given another target has channels that began with it: what they still
 * tell is sent where they began. When the last of them has ended and all is sent, that former target is
 * forgotten, with its file. Nothing is ever dropped by itself.
 */
#ifndef RC_RULES_RULES_H
#define RC_RULES_RULES_H

#include "catalog/catalog.h"
#include "loop/loop.h"
#include "store/log_writer.h"

enum {
    RC_RULES_MAX = 1024, /* topics of the log that are sent on, those of former targets included */
    RC_RULES_ERROR_MAX = 256,
    RC_RULES_LAG_ALARM_MS = 60000,
    RC_RULES_RETENTION_ALARM_PERCENT = 75, /* of store.retain_size, retain_time or quota */
};

struct rc_broker;
struct rc_rules;

/*
 * Opens what was kept on disk. Before the log writer starts, and before recovery writes: retention asks from
 * then on. The store must outlive it.
 */
int rc_rules_create(struct rc_store *store, struct rc_rules **ret, struct rc_error *error);
/*
 * Goes by this catalog (its topics are resolved) from now on; takes a reference of its own. When it returns
 * retention knows the rules' topics, so call it before anybody writes to them. Main thread. RC_ERR_FULL.
 */
int rc_rules_apply(struct rc_rules *rules, struct rc_catalog *catalog, struct rc_error *error);
/*
 * All shards go by the catalog that was applied last: what only those before had as a target may be forgotten
 * from now on. The thread that applies. (For the catalog of the start rc_rules_start says it.)
 */
void rc_rules_published(struct rc_rules *rules, const struct rc_catalog *catalog);
/* Starts the thread, after the log writer. */
int rc_rules_start(struct rc_rules *rules, struct rc_log_writer *writer, struct rc_error *error);
/*
 * Inflow rules begin (the ones of the catalog that was applied last), and follow what is applied from then
 * on. After all shards and the endpoint run, before others apply catalogs; `own_endpoint`: host:port of this
 * server's name server. Stopped before any of them, when nobody applies catalogs any more.
 */
void rc_rules_start_inflow(struct rc_rules *rules, struct rc_broker **brokers, uint32_t count,
                           const char *own_endpoint);
void rc_rules_stop_inflow(struct rc_rules *rules); /* NULL is harmless */
/* Ends the thread and saves the cursors; before rc_log_writer_stop. What was not sent waits for the next
 * start. NULL is harmless, to the one below too. */
void rc_rules_stop(struct rc_rules *rules);
void rc_rules_destroy(struct rc_rules *rules);

/* The log writer's thread: how far retention may go on its way to `target` (rc_log_retention). */
uint64_t rc_rules_keep_from(void *arg, uint64_t target);

enum rc_rule_state {
    RC_RULE_RUNNING,
    RC_RULE_RETRYING, /* something is in the way: `error` says what */
    RC_RULE_STOPPED,  /* its cluster is not configured (any more) */
};

/* matched = delivered + waiting + dropped, at every moment. */
struct rc_rule_stats {
    char topic[RC_MESSAGE_TOPIC_MAX + 1]; /* of the log */
    char rule[RC_CATALOG_ID_MAX + 1], instance[RC_CATALOG_ID_MAX + 1];
    char target[RC_CATALOG_ID_MAX + 1], target_topic[RC_MESSAGE_TOPIC_MAX + 1];
    enum rc_rule_state state;
    bool is_current; /* an enabled rule sends there */
    uint64_t matched, delivered, waiting, dropped;
    /* The same by reason; lost: the log had them no more. Those of enum rc_rule_drop since the start. */
    uint64_t dropped_by_operator, dropped_lost, dropped_for[RC_RULE_DROP_REASONS];
    uint64_t refused;            /* not matched: publishers send them again */
    uint64_t retries, uncertain; /* since the start; uncertain: stored, but the broker had not flushed.
                                  * Inflow: requests to the cluster that were made again */
    int64_t lag_ms;              /* age of the oldest that waits; 0: none */
    int64_t retrying_since_ms;   /* wall clock; 0 while it runs */
    uint64_t held_bytes;         /* of the log, from the oldest that waits to the end */
    bool is_lag_alarm;           /* lag over RC_RULES_LAG_ALARM_MS */
    char waits_for[128]; /* the broker that the oldest waits for, as it is away or refuses; empty: none */
    bool is_window_full; /* and nothing is read behind that one any more: other brokers' clients wait too */
    bool is_retention_alarm; /* most of what the log may hold is held for it: clients are refused next */
    char error[RC_RULES_ERROR_MAX]; /* the last one, in words; empty: none yet */
};
/* Any thread: up to `max` of them; returns how many there are. */
uint32_t rc_rules_stats(struct rc_rules *rules, struct rc_rule_stats *ret, uint32_t max);

/*
 * An operator's order to drop what waits: the only way in which something is dropped. What is under way at
 * that moment is delivered where it is answered, and dropped where it would be sent again.
 */
struct rc_rules_drop {
    struct rc_mail mail;
    struct rc_rules *rules;
    char instance[RC_CATALOG_ID_MAX + 1], rule[RC_CATALOG_ID_MAX + 1];
    char target[RC_CATALOG_ID_MAX + 1],
        target_topic[RC_MESSAGE_TOPIC_MAX + 1]; /* empty: any, former ones too */
    int64_t message;                            /* its number in the rule's topic, alone; -1: by time */
    int64_t before_ms;                          /* stored before; INT64_MAX: all */
    char by[RC_CATALOG_ID_MAX + 1];             /* who: for the log */
    struct rc_loop *reply_to;
    void *owner;                                 /* the sender's */
    void (*on_done)(struct rc_rules_drop *drop); /* on reply_to's thread; the memory is the sender's again */
    uint32_t targets;                            /* of the answer: how many it was about */
    uint64_t dropped;                            /* messages, those under way not counted */
};
/* Any thread, while rc-rules runs. */
void rc_rules_post_drop(struct rc_rules *rules, struct rc_rules_drop *drop);

#endif

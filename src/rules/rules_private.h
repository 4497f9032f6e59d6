/* What the files of rules share. All of it belongs to the thread rc-rules but where said otherwise. */
#ifndef RC_RULES_RULES_PRIVATE_H
#define RC_RULES_RULES_PRIVATE_H

#include "base/error.h"
#include "base/list.h"
#include "client/link.h"
#include "rules/layout.h"
#include "rules/rules.h"
#include "store/slot_file.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    RC_FEED_WINDOW = 65536,       /* messages read ahead of the cursor; a power of 2 */
    RC_FEED_READ_PER_TURN = 4096, /* entries; then others get their turn */
    RC_FEED_BATCH_MESSAGES = 1024,
    RC_FEED_BATCH_BYTES = 1024 * 1024, /* unless one message alone is larger */
    RC_RULES_INFLOWS_MAX = 256,
    RC_FEED_LINK_BYTES = 4 * 1024 * 1024, /* under way on a connection; with that many no batch is begun */
    RC_FEED_SMALL_BYTES = 16 * 1024,      /* a batch that no way is too slow for */
    RC_FEED_GROW_AFTER = 16,              /* batches stored, before one may be larger again */
    RC_FEED_SEND_MS = 3000,
    RC_FEED_ROUTE_MS = 30000,
    RC_FEED_ROUTE_SOON_MS = 1000,
    RC_FEED_RETRY_MIN_MS = 100,
    RC_FEED_RETRY_MAX_MS = 10000,
    RC_FEED_SAVE_MS = 500,
    RC_RULES_NAMESERVERS_MAX = 16,
    RC_RULES_LINKS_MAX = 256,    /* of one cluster */
    RC_RULES_SWEPT_AT_ONCE = 64, /* former targets that go; then others get their turn */
};

/* ---- cluster.c: the connections to one cluster ---- */
/* One of them, and what feeds have under way there. */
struct rc_cluster_link {
    struct rc_link *link;
    uint64_t bytes;
    struct rc_list waiting; /* queues of targets that have something to send when there are fewer */
};
struct rc_cluster {
    struct rc_list node;
    struct rc_link_options options; /* its keys are NULL or the strings below */
    char *name, *nameservers_text, *access_key, *secret_key, *name_space, *tls_name;
    bool has_tls;
    uint64_t tls_fingerprint;
    char *nameservers[RC_RULES_NAMESERVERS_MAX]; /* pieces of the text's copy */
    char *pieces;
    uint32_t nameservers_count, nameserver_at;
    struct rc_cluster_link links[RC_RULES_LINKS_MAX];
    uint32_t links_count;
};
/* NULL, and why, when its certificates cannot be used (any more): nothing goes out unencrypted instead. */
struct rc_cluster *rc_cluster_create(struct rc_loop *loop, const struct rc_target *target,
                                     struct rc_error *error);
void rc_cluster_destroy(struct rc_cluster *cluster);
/* What a consumer of it needs; RC_OK and NULL without TLS. The reference is the caller's. */
int rc_cluster_tls(const struct rc_target *target, struct rc_tls **ret, struct rc_error *error);
/* What a topic or group is called there: in its namespace, where it has one. NULL: this server, without any.
 */
void rc_target_put_name(char *out, size_t size, const struct rc_target *target, struct rc_slice name);
/* Whether it was made from the same. */
bool rc_cluster_is_as(const struct rc_cluster *cluster, const struct rc_target *target);
/* The connection to an address, NULL at RC_RULES_LINKS_MAX. */
struct rc_cluster_link *rc_cluster_link(struct rc_cluster *cluster, const char *address);
struct rc_link *rc_cluster_nameserver(struct rc_cluster *cluster);
void rc_cluster_next_nameserver(struct rc_cluster *cluster);

#define RC_FEED_NONE UINT64_MAX

/* ---- feed.c: one topic of the log on its way to one topic of a cluster ---- */
struct rc_feed_entry {
    uint64_t physical;
    uint32_t size;
    int32_t hash; /* Java's, of the client id */
    bool is_done, is_dropped;
    bool is_unwanted; /* under way, and an operator drops it should it come back */
    uint64_t next;    /* offset of the next one of its target queue, RC_FEED_NONE: the last */
};

/* A queue of the target. */
struct rc_feed_queue {
    struct rc_feed *feed;
    struct rc_timer retry;
    uint64_t head, tail; /* offsets; RC_FEED_NONE: empty */
    uint64_t in_flight;  /* messages under way from the head; 0: none */
    uint32_t attempts;
    uint32_t
        batch_max;   /* messages: smaller after a batch was too large for the broker, or for the way there */
    uint32_t stored; /* batches, since that was changed last */
    struct rc_cluster_link *via; /* of what is under way */
    uint64_t bytes;              /* of the same */
    struct rc_list waiting;      /* for room in the connection */
};

struct rc_feed_alarm {
    bool is_on;
    uint64_t told_ms;
};

struct rc_feed {
    struct rc_rules *rules;
    char topic[RC_MESSAGE_TOPIC_MAX + 1];
    char rule[RC_CATALOG_ID_MAX + 1], instance[RC_CATALOG_ID_MAX + 1];
    char target[RC_CATALOG_ID_MAX + 1], target_topic[RC_MESSAGE_TOPIC_MAX + 1];
    struct rc_queue *queue; /* of the log */
    uint64_t begun;  /* its first message: those before were of an earlier one of this name, which is gone */
    uint64_t cursor; /* all before it is done with */
    atomic_uint_fast64_t saved_cursor; /* that of the file: retention goes by it */
    struct rc_slot_file file;
    bool is_current, fails_over; /* of the catalog */
    /* Under the rules' `life`: whether a rule, be it disabled, has this target, in the catalog that all go by
     * and in the one that was applied last. Without any it is a former target. */
    bool is_wanted, is_wanted_next;

    struct rc_cluster *cluster;   /* NULL: not configured */
    struct rc_layout layout;      /* of the last route */
    struct rc_layout layout_used; /* that `queues` were made from */
    struct rc_feed_entry *window; /* of offsets cursor..read_to-1, at offset % RC_FEED_WINDOW */
    uint64_t read_to;
    struct rc_feed_queue *queues; /* layout_used.queues */
    uint32_t under_way;           /* batches */
    struct rc_timer route, pump;
    bool is_asking, is_layout_new, is_route_soon;
    bool has_route; /* since it was connected with the cluster */

    uint64_t done_ahead; /* in the window */
    uint64_t dropped_by_operator, dropped_lost, retries, uncertain;
    uint64_t dropped_settled; /* of those by an operator, the ones before the cursor: what is saved */
    uint64_t drop_to;         /* what is before it and comes back, or was not read yet, is dropped */
    struct rc_feed_alarm lag_alarm, retention_alarm, window_alarm;
    int64_t retrying_since_ms; /* wall clock; 0: it runs */
    uint64_t told_ms;          /* when it was last said in the log that it does not */
    char error[RC_RULES_ERROR_MAX];
    bool is_dirty, is_route_bad, is_log_bad, is_retrying;
    struct rc_rule_stats stats; /* under the rules' mutex */
};

/* Empty: its names are then filled in or read, and rc_feed_open finds its queue in the log. */
struct rc_feed *rc_feed_create(struct rc_rules *rules);
int rc_feed_open(struct rc_feed *feed, struct rc_error *error);
/* The same of a new one, which begins with what is written to its topic from now on; with its file. */
int rc_feed_begin(struct rc_feed *feed, struct rc_error *error);
void rc_feed_destroy(struct rc_feed *feed);
/* Connects it with a cluster (or none), forgetting what was under way, but not what was delivered. */
void rc_feed_set_cluster(struct rc_feed *feed, struct rc_cluster *cluster);
/* The log's queue has grown, or something changed. */
void rc_feed_pump(struct rc_feed *feed);
/* Which of its queues a message of the window goes to. */
uint32_t rc_feed_queue_of(const struct rc_feed *feed, uint64_t offset);
/* Something is in the way. */
void rc_feed_tell(struct rc_feed *feed, const char *where, const char *why);
/* Saves what has changed, publishes the numbers, says in the log how it stands. */
void rc_feed_tick(struct rc_feed *feed);

void rc_feed_tell_refusal(struct rc_feed *feed, const char *where, const struct rc_remoting *answer);

/* ---- feed_route.c ---- */
void rc_feed_ask_route(struct rc_feed *feed);
/* Soon, because something failed. */
void rc_feed_want_route(struct rc_feed *feed);
/* The topic's name in the cluster, its namespace included. */
void rc_feed_topic_there(const struct rc_feed *feed, char out[RC_MESSAGE_TOPIC_MAX + 1]);

/* ---- feed_send.c ---- */
void rc_feed_send(struct rc_feed_queue *queue);
/* A batch was stored: after many the next ones may be larger, for a limit may have been lifted there. */
void rc_feed_grow(struct rc_feed_queue *queue);
/* Moves the cursor over what is done with at its place. */
void rc_feed_advance(struct rc_feed *feed);
/* The batch that is under way (its first `count`) was stored. */
void rc_feed_delivered(struct rc_feed_queue *queue);
/* The client of a record of presence, from its KEYS; its Java hash. */
int32_t rc_feed_client_hash(const struct rc_message *message);

/* ---- feed_drop.c ---- */
/* Drops what is before `offset` and neither done nor under way; returns how many. */
uint64_t rc_feed_drop(struct rc_feed *feed, uint64_t offset);
/* The same of the one message at `offset`. */
uint64_t rc_feed_drop_one(struct rc_feed *feed, uint64_t offset);
/* The same of one queue, as far as the two above were told: a batch has come back. */
void rc_feed_drop_returned(struct rc_feed_queue *queue);

/* ---- feed_alarm.c ---- */
/* True when an alarm is to be told now: at first, and now and then while it lasts. */
bool rc_feed_alarm_is_due(struct rc_feed_alarm *alarm, bool is_on);
/* Fills in which broker is in the way, if one is, and whether the whole rule waits for it. */
void rc_feed_find_broker_in_way(struct rc_feed *feed, struct rc_rule_stats *ret);
/* Says in the log when lag, a full window or the log's room becomes, or is no longer, a matter for somebody.
 */
void rc_feed_look(struct rc_feed *feed, const struct rc_rule_stats *stats);
/* Bytes of the log from the oldest that waits on. */
uint64_t rc_feed_held_bytes(struct rc_feed *feed);

/* ---- feed_file.c: what is kept on disk ---- */
int rc_feed_save(struct rc_feed *feed);
/* Fills a feed from the file of this name, of this version's form or an older one's. RC_ERR_CORRUPT and what
 * reading files gives. */
int rc_feed_load(struct rc_feed *feed, const char *name);
/* Durably. */
int rc_feed_remove_file(struct rc_feed *feed);

/* ---- former.c: what rules led to before ---- */
/* A rule of a catalog that is being applied has this target; under `life`. */
void rc_former_want(struct rc_feed *feed);
/* From here on no feed is wanted next, but those of the above. Under `life`. */
void rc_former_begin(struct rc_rules *rules);
/* rc-rules: former targets that nothing is owed to go, RC_RULES_SWEPT_AT_ONCE at most. */
void rc_former_sweep(struct rc_rules *rules);

/* ---- tally.c ---- */
struct rc_tally_name {
    char instance[RC_CATALOG_ID_MAX + 1], rule[RC_CATALOG_ID_MAX + 1], topic[RC_MESSAGE_TOPIC_MAX + 1];
    bool is_inflow, is_local;
};
struct rc_named_tally {
    struct rc_rule_tally tally;
    struct rc_tally_name name;
    bool is_used; /* by a rule of the catalog that was given tallies last */
};
/* Gives every flow rule of a catalog that is not published yet its tally. Places of rules that are no more
 * are used again. */
int rc_tallies_give(struct rc_rules *rules, const struct rc_catalog *catalog, struct rc_error *error);
/* Adds what was dropped to `matched` and `dropped`, and by reason; takes over `refused`. */
void rc_tally_add_drops(const struct rc_rule_tally *tally, struct rc_rule_stats *ret);
/* Adds what an outflow rule's tally knows to what its feed told. */
void rc_tally_add(const struct rc_rules *rules, struct rc_rule_stats *ret);
/* False when others tell of that rule, or there is none any more. */
bool rc_tally_stats(const struct rc_named_tally *tally, struct rc_rule_stats *ret);

/* ---- inflow_walk.c ---- */
struct rc_inflow_walk {
    const struct rc_instance *instance; /* of the rule that was returned last */
    struct rc_trie_walk instances, rules;
};
void rc_inflow_walk_start(struct rc_inflow_walk *walk, const struct rc_catalog *catalog);
/* NULL: that was the last. */
const struct rc_flow_rule *rc_inflow_walk_next(struct rc_inflow_walk *walk);
const struct rc_flow_rule *rc_inflow_walk_next_enabled(struct rc_inflow_walk *walk);

/* ---- inflow_since.c ---- */
/* Wall clock: since when this rule takes what is sent; since now, if it never began. */
int64_t rc_inflow_since(struct rc_rules *rules, struct rc_slice instance, const struct rc_flow_rule *rule);
/* Forgets it of rules that the catalog has no more. */
void rc_inflow_since_sweep(struct rc_rules *rules, const struct rc_catalog *catalog);

/* ---- inflow_hold.c ---- */
struct rc_inflow_hold;
/* From now on retention heeds the inflow rules of this catalog. Whoever applies catalogs. */
void rc_inflow_holds_apply(struct rc_rules *rules, const struct rc_catalog *catalog);
/* Under the mutex: how far retention may go on its way to `keep`; the rule that stops it, if one does. */
uint64_t rc_inflow_holds_keep_from(struct rc_rules *rules, uint64_t keep, const char **ret_rule);

/* ---- inflow.c ---- */
struct rc_inflow_rule;
/* Whether there is room for the catalog's: RC_ERR_FULL above RC_RULES_INFLOWS_MAX. */
int rc_inflows_check(const struct rc_catalog *catalog, struct rc_error *error);
/* Starts and stops consumers as the catalog says (NULL: none is to run). Whoever applies catalogs. */
void rc_inflows_apply(struct rc_rules *rules, const struct rc_catalog *catalog);
void rc_inflow_stats(struct rc_inflow_rule *in, struct rc_rule_stats *ret);
/* Now and then, under the mutex: says in the log when one lags, and when no more. */
void rc_inflow_look(struct rc_inflow_rule *in);

struct rc_rules {
    struct rc_named_tally *tallies[RC_RULES_MAX]; /* as feeds: never emptied */
    uint32_t tallies_count;
    struct rc_inflow_rule *inflows[RC_RULES_INFLOWS_MAX]; /* likewise under the mutex */
    uint32_t inflows_count;
    struct rc_inflow_hold *holds; /* under the mutex */
    uint32_t holds_count;
    struct rc_broker **brokers; /* NULL until inflow is started */
    uint32_t brokers_count;
    char own_endpoint[64];
    struct rc_catalog *applied; /* until inflow is started: the one to begin with */
    struct rc_store *store;
    struct rc_loop *loop;
    struct rc_log_reader *reader;
    /* Held while feeds are made (by whoever applies catalogs) and removed (by rc-rules), their files with
     * them; taken before `mutex`. */
    pthread_mutex_t life;
    pthread_mutex_t mutex;               /* of the table of feeds and what rc_rules_stats reads */
    struct rc_feed *feeds[RC_RULES_MAX]; /* changed under both mutexes */
    uint32_t feeds_count;                /* likewise */
    uint32_t known;                      /* of rc-rules: those that it has been told of by mail */
    struct rc_list clusters;
    struct rc_timer save;
    uint64_t held_told_ms; /* of the log writer's thread: when it was said that retention is held up */
    bool is_running;
};

#endif

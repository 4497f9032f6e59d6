/* What the files of this room share. All of it on the registry's thread. */
#ifndef RC_REGISTRY_PRIVATE_H
#define RC_REGISTRY_PRIVATE_H

#include "base/list.h"
#include "registry/registry.h"
#include "registry/secret_box.h"
#include "registry/sql.h"

/* RC_ORIGIN_GONE: within a transaction, what the file declared until now (declare_rows.c). */
/* Said besides the origin, it lets SQLite use an index that has only these rows (schema.c). */
#define RC_NOT_API "origin <> 0"
enum rc_origin { RC_ORIGIN_API, RC_ORIGIN_FILE, RC_ORIGIN_GONE };

struct rc_registry {
    struct rc_registry_options options;
    struct rc_sql sql;
    struct rc_secret_box *box;
    struct rc_loop *loop;
    struct rc_hook hook;
    struct rc_catalog *declared;      /* what the file says; a reference */
    struct rc_catalog *catalog;       /* what was published last */
    struct rc_catalog *next;          /* with what this turn has changed; NULL: nothing */
    struct rc_catalog *next_declared; /* by a reload in this turn; NULL: as before */
    struct rc_catalog *undo;          /* `next` before the running job changed it */
    struct rc_catalog *undo_declared; /* likewise */
    bool in_transaction;              /* of the turn */
    bool has_begun;                   /* the running job has changed something */
    bool has_failed;                  /* the last commit */
    bool is_started;
    int lock_fd; /* -1: none */
    struct rc_catalog_change change, undo_change;
    struct rc_list done; /* jobs of this turn: answered after the commit */
    atomic_uint waiting;
    atomic_uint_fast64_t commits, failures;
    atomic_uint_fast64_t reach[RC_REGISTRY_REACH_BOUNDS + 1], reach_sum_us, reach_max_us;
    struct rc_registry_keeper *keeper;       /* NULL: this one only reads */
    struct rc_registry *reader;              /* NULL: this one only reads */
    _Atomic(struct rc_registry_view *) view; /* of a reader: what it goes by when view_mail arrives */
    struct rc_mail view_mail;
    uint32_t touched_used, undo_touched_used; /* of: the texts of `change` */
    uint8_t touched[RC_CATALOG_CHANGE_CLIENTS * (RC_CATALOG_ID_MAX + RC_CLIENT_ID_MAX)];
};

/* ---- turn.c ---- */
/* Before a job's first change, and any later one: opens what has to be undone together. */
int rc_registry_begin(struct rc_registry *registry, struct rc_error *error);
/* Runs a change outside of a loop: before the start. With `publishes` the catalog is prepared and published.
 */
int rc_registry_run(struct rc_registry *registry, struct rc_registry_job *job);
/* The instance, to be changed in the next catalog; RC_ERR_NOT_FOUND with a sentence. Begins. */
int rc_registry_edit(struct rc_registry *registry, struct rc_slice id, struct rc_instance **ret,
                     struct rc_error *error);
/* Who may have lost a right by it. */
void rc_registry_touch_client(struct rc_registry *registry, struct rc_slice instance,
                              struct rc_slice client_id);
void rc_registry_on_job(struct rc_mail *mail, struct rc_loop *loop);
void rc_registry_on_turn(struct rc_hook *hook);

/* Posted, changed something, and every shard goes by it now: how long that took. ---- stats.c ---- */
void rc_registry_note_reach(struct rc_registry *registry, const struct rc_registry_job *job);

/* ---- reader.c ---- */
/* Beside `registry`, whose database is open; closed with it. */
int rc_registry_open_reader(struct rc_registry *registry, const char *key_file, struct rc_error *error);
/* From now on reads go by what was committed: before any job of the commit is answered. */
void rc_registry_show_reader(struct rc_registry *registry);

/* ---- keeper.c ---- */
/* Of `registry`, whose database is open, and whose commits it is to follow. NULL is harmless to the others.
 */
int rc_registry_open_keeper(struct rc_registry *registry, struct rc_error *error);
int rc_registry_start_keeper(struct rc_registry_keeper *keeper);
void rc_registry_stop_keeper(struct rc_registry_keeper *keeper);
void rc_registry_close_keeper(struct rc_registry_keeper *keeper);
/* After commits, when they were answered. */
void rc_registry_keep(struct rc_registry *registry);
void rc_registry_keeper_stats(const struct rc_registry_keeper *keeper, struct rc_registry_stats *ret);

/* ---- registry.c ---- */
/* One with a loop of this name (rc_loop_create) and nothing else; NULL when that cannot be. */
struct rc_registry *rc_registry_make(const struct rc_registry_options *options, const char *thread,
                                     struct rc_error *error);
/* A connection that cannot change anything; what it finds was not checked. */
int rc_registry_connect_to_read(struct rc_registry *registry, struct rc_error *error);

/* ---- values.c ---- */
/* What names may be, for people. */
#define RC_REGISTRY_NAME_WORDS "letters, digits, - and _"
#define RC_REGISTRY_INSTANCE_WORDS "1 to 64 " RC_REGISTRY_NAME_WORDS
#define RC_REGISTRY_GROUP_WORDS "GID_ or GID-, and then 3 to 60 " RC_REGISTRY_NAME_WORDS
#define RC_REGISTRY_PARENT_TOPIC_WORDS "3 to 64 " RC_REGISTRY_NAME_WORDS
#define RC_REGISTRY_RULE_WORDS "3 to 64 " RC_REGISTRY_NAME_WORDS ", not - and _ alone"
#define RC_REGISTRY_ACCESS_KEY_WORDS "1 to 64 characters of ASCII without spaces and |"
int64_t rc_registry_now_ms(void);
/* `len` letters and digits, and a NUL. */
void rc_registry_random(char *out, size_t len);
/* Sealed under what the parts name; the bytes are good until the next call. */
int rc_registry_seal(struct rc_registry *registry, const char *kind, struct rc_slice instance,
                     struct rc_slice id, struct rc_slice secret, struct rc_slice *ret,
                     struct rc_error *error);
int rc_registry_unseal(struct rc_registry *registry, const char *kind, struct rc_slice instance,
                       struct rc_slice id, struct rc_slice sealed, struct rc_slice *ret,
                       struct rc_error *error);
/* A sentence for `err`; of what there are words for, what is not valid is told with what would be. */
int rc_registry_refuse(struct rc_error *error, int err, const char *what, struct rc_slice name);
/* The page's bounds; false when they are none. */
bool rc_registry_page_is_valid(const struct rc_registry_page *page);

/* ---- load.c ---- */
/* Into `next`: what the file does not declare. `from` (NULL: the database) has what is costly to read. */
int rc_registry_load(struct rc_registry *registry, struct rc_catalog *next, const struct rc_catalog *from,
                     struct rc_error *error);
/* Of an instance, from the database; one that cannot be any more is left out, and told of. ---- rules.c ----
 */
int rc_registry_load_rules(struct rc_registry *registry, struct rc_catalog *next,
                           struct rc_instance *instance, struct rc_error *error);
/* Into the catalog, with the log's topic that it needs. ---- rules_catalog.c ---- */
int rc_registry_put_rule(struct rc_registry *registry, struct rc_catalog *next, struct rc_instance *instance,
                         const struct rc_registry_rule *rule, struct rc_error *error);
/*
 * Before a rule of any type that was made here names a topic of the log: it becomes the instance's. Refused
 * are names that RocketMQ does not take, the server's own, those of another instance, and those to which a
 * rule of another instance leads.
 */
int rc_registry_claim_topic(struct rc_registry *registry, const struct rc_catalog *next,
                            struct rc_slice instance, struct rc_slice topic, struct rc_error *error);
/* A topic or consumer group as RocketMQ takes it, whoever's it is. */
bool rc_registry_is_rocketmq_name(struct rc_slice name, size_t max);
/* The instance of a tag's id, <instance> or <instance>/<group>; the group is empty for an instance's own.
 * ---- tags.c ---- */
struct rc_slice rc_registry_split_tagged(struct rc_slice id, struct rc_slice *ret_group);
/* Reads PEM into the catalog. ---- certificates.c ---- */
int rc_registry_put_ca(struct rc_instance *instance, struct rc_slice sn, struct rc_slice content,
                       bool is_active, struct rc_error *error);

/*
 * Each into a table of the instance, from the database: all rows that were made here, or those of one key of
 * the table. What the file declares by the same key stays.
 */
typedef int rc_registry_load_fn(struct rc_registry *registry, struct rc_instance *instance,
                                const struct rc_slice *key, struct rc_error *error);
/* `key` NULL: `all`, of the instance (?1); else `one`, of the key too (?2). */
sqlite3_stmt *rc_registry_bind_rows(struct rc_registry *registry, const char *all, const char *one,
                                    const struct rc_instance *instance, const struct rc_slice *key);
rc_registry_load_fn rc_registry_load_identities, rc_registry_load_permissions, rc_registry_load_cas,
    rc_registry_load_devices;

/* ---- instances.c ---- */
/* The row, unless it is there. */
int rc_registry_insert_instance(struct rc_registry *registry, struct rc_slice id, struct rc_slice name,
                                enum rc_origin origin, struct rc_error *error);
/* What only the database knows of it. */
int rc_registry_load_instance(struct rc_registry *registry, struct rc_instance *instance,
                              struct rc_error *error);
/* Profile and limits of one that was made here, into the catalog, after its groups. */
int rc_registry_load_settings(struct rc_registry *registry, struct rc_instance *instance,
                              struct rc_error *error);
/* All rows of it. */
int rc_registry_erase_instance(struct rc_registry *registry, struct rc_slice id, struct rc_error *error);

/* ---- declare.c ---- */
/* Rows of what is declared, and of what no longer is. */
int rc_registry_sync_declared(struct rc_registry *registry, const struct rc_catalog *declared,
                              struct rc_error *error);
/* The same for credentials, identities, permissions, the blacklist, certificates and tags. ----
 * declare_rows.c ---- */
int rc_registry_sync_rows(struct rc_registry *registry, const struct rc_catalog *declared,
                          struct rc_error *error);
/* ---- certificates.c ---- */
int rc_registry_declare_certificate(struct rc_registry *registry, struct rc_slice instance,
                                    const struct rc_declared_certificate *declared, struct rc_error *error);
/* RC_ERR_DENIED for what the file declares. */
int rc_registry_refuse_declared(struct rc_registry *registry, const char *what, struct rc_slice name,
                                struct rc_error *error);
const struct rc_instance *rc_registry_declared(const struct rc_registry *registry, struct rc_slice instance);
const struct rc_catalog *rc_registry_declared_all(const struct rc_registry *registry);
/* What it declared before the running job. */
const struct rc_catalog *rc_registry_declared_before(const struct rc_registry *registry);

#endif

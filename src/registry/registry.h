/*
 * The registry: what exists besides what the configuration file declares, in SQLite, with secrets encrypted.
 * It has one thread of its own for changes; everything under "within a job" is called from a job there (or
 * before rc_registry_start). Each change goes to disk and into the next catalog in one transaction: when a
 * job is answered its change is durable and every shard goes by it. Jobs that wait together share one commit.
 * What only lists or gets may run as a read: on another thread, so that a long list holds no change up.
 *
 * What the file declares is in the registry too (with a creation time, listed like the rest), but it belongs
 * to the file: it is applied by rc_registry_declare, and cannot be changed or deleted from here
 * (RC_ERR_DENIED). What was made here is never touched by the file.
 *
 * Errors: RC_ERR_NOT_FOUND, RC_ERR_EXISTS, RC_ERR_INVALID (a name or value against the rules), RC_ERR_FULL (a
 * limit), RC_ERR_DENIED (see above), RC_ERR_BUSY (something is left that hangs on it), RC_ERR_IO and
 * RC_ERR_NO_SPACE (the disk). `error` (never NULL in a job: job->error) gets a sentence that may be shown to
 * the caller: no secrets.
 */
#ifndef RC_REGISTRY_REGISTRY_H
#define RC_REGISTRY_REGISTRY_H

#include "base/error.h"
#include "catalog/catalog.h"
#include "loop/loop.h"

enum {
    RC_REGISTRY_JOBS_MAX = 4096,  /* that wait; more are refused */
    RC_REGISTRY_READS_MAX = 1024, /* likewise */
    RC_REGISTRY_GROUPS_MAX = 1000000,
    RC_REGISTRY_TOPICS_MAX = 10000, /* of an instance */
    RC_REGISTRY_CREDENTIALS_MAX = 10000000,
    RC_REGISTRY_IDENTITIES_MAX = 1000000,
    RC_REGISTRY_REVOCATIONS_MAX = 1000000,
    RC_REGISTRY_TAGS_MAX = 20, /* of one resource */
    RC_REGISTRY_TAG_TEXT_MAX = RC_CATALOG_LABEL_MAX,
    RC_REGISTRY_PAGE_MAX = 1000,
};

struct rc_registry;

struct rc_registry_options {
    const char *path;     /* of the database; its directory exists */
    const char *key_file; /* NULL: <path>.key; made, with mode 0600, together with a new database */
    bool is_reader;       /* only reads, so another process may have it open; it must be there */
    const char *key_text; /* 64 hexadecimal digits, from the environment; NULL: the file's */
    /*
     * All on the registry's thread, may be NULL. `prepare` makes what a catalog with changed rules needs
     * before it is published, at the end of each job that changes them; its failure undoes that job. What
     * was prepared but is not to be published is taken back by `unprepare`: `stays` is what counts instead,
     * and was prepared before. Only after rc_registry_start.
     * `publish` returns when all go by it; it takes a reference of its own where it keeps it.
     */
    int (*prepare)(void *arg, struct rc_catalog *next, struct rc_error *error);
    void (*unprepare)(void *arg, struct rc_catalog *stays);
    /* Makes a topic of the log the instance's, for a rule that was made here. RC_ERR_DENIED: it is another's,
     * RC_ERR_FULL. May be NULL: every topic is free. */
    int (*claim_topic)(void *arg, const struct rc_catalog *next, struct rc_slice instance,
                       struct rc_slice topic);
    void (*publish)(void *arg, struct rc_catalog *next, const struct rc_catalog_change *change);
    void *arg;
};

/*
 * Opens or makes the database, checks it (key, version, integrity), migrates it. No thread yet. RC_ERR_BUSY
 * while another process has it.
 */
int rc_registry_open(const struct rc_registry_options *options, struct rc_registry **ret,
                     struct rc_error *error);
/*
 * Applies what the configuration file declares (`declared`: built from it alone, not published; the caller
 * keeps its reference) and makes the catalog of both. With `ret` it is returned, with a reference, and not
 * published: for the start. Otherwise it is published.
 */
int rc_registry_declare(struct rc_registry *registry, struct rc_catalog *declared, struct rc_catalog **ret,
                        struct rc_error *error);
int rc_registry_start(struct rc_registry *registry, struct rc_error *error);
/* Ends the thread: what was posted is done first. While shards run. NULL is harmless to both. */
void rc_registry_stop(struct rc_registry *registry);
void rc_registry_close(struct rc_registry *registry);

/* ---- jobs ---- */

struct rc_registry_job {
    struct rc_mail mail;
    /* On the registry's thread (a read: on that of reads): calls what stands below. Negative: everything that
     * it changed is undone. */
    int (*run)(struct rc_registry *registry, struct rc_registry_job *job);
    /* On reply_to's thread (NULL: the registry's); owns the job from then on. */
    void (*on_done)(struct rc_registry_job *job);
    struct rc_loop *reply_to;
    int err; /* what run returned, or why it could not be kept */
    struct rc_error error;
    struct rc_registry *registry; /* the registry's own, like all below */
    struct rc_list node;
    uint64_t posted_ns;
    bool has_changed;
};

/* Any thread, before the start too: 0, or RC_ERR_FULL (the job is still the caller's). */
int rc_registry_post(struct rc_registry *registry, struct rc_registry_job *job);
/*
 * The same for a job that changes nothing (RC_ERR_DENIED): it runs beside changes, and sees all those that
 * were answered before it was posted. What it reads of the database is of one moment; the catalog and what
 * the file declares may be a commit older.
 */
int rc_registry_post_read(struct rc_registry *registry, struct rc_registry_job *job);
/* Any thread but those of shards and the registry's own: posts and waits. Returns job->err. */
int rc_registry_call(struct rc_registry *registry, struct rc_registry_job *job);

/* Any thread. */
enum { RC_REGISTRY_REACH_BOUNDS = 12 };
/* Of the buckets below, in microseconds. */
extern const uint32_t rc_registry_reach_bounds_us[RC_REGISTRY_REACH_BOUNDS];
struct rc_registry_stats {
    uint64_t waiting, waiting_reads; /* jobs posted and not answered */
    uint64_t commits, failures;
    /* Times that the write-ahead log was carried over into the database: beside changes, and in their way. */
    uint64_t checkpoints, checkpoints_in_way;
    /* Changes, by how long each took from being posted until every shard went by it: up to each bound and
     * above the one before; the last: above all. */
    uint64_t reach[RC_REGISTRY_REACH_BOUNDS + 1], reach_sum_us, reach_max_us;
};
void rc_registry_stats(const struct rc_registry *registry, struct rc_registry_stats *ret);

/* ======== all below: within a job; lists and gets within a read too ======== */

/* Whether a change could be made now; nothing is changed. After a commit that failed it tries another one. */
int rc_registry_check(struct rc_registry *registry, struct rc_error *error);

/* The catalog as the running job has made it; valid until the job's next change. */
const struct rc_catalog *rc_registry_catalog(const struct rc_registry *registry);

/*
 * Lists are read in pages, in the order of their keys: `after` is the key of the last row of the page before
 * (empty: from the start), or `skip` rows are passed over. `limit` 1..RC_REGISTRY_PAGE_MAX. Visited rows are
 * valid during the visit. Returns the rows visited, or a negative rc_err; *ret_total (may be NULL): all that
 * fit.
 */
enum { RC_REGISTRY_KEY_SEPARATOR = 1 /* between the parts of a key that has several; no name holds it */ };
struct rc_registry_page {
    struct rc_slice after;
    uint64_t skip;
    uint32_t limit;
};

/* ---- instances ---- */
struct rc_registry_instance {
    struct rc_slice id, name;
    int64_t created_ms, updated_ms;
    enum rc_profile profile;
    struct rc_slice
        limits; /* that it has besides its profile's, as rc_limits_apply reads them; not the file's */
    bool is_traced, is_declared;
};
typedef void (*rc_registry_instance_fn)(const struct rc_registry_instance *row, void *arg);
/* `id` empty: one is made (mqtt-rc-<random>), *ret_id (may be NULL) gets it. Profile product. */
int rc_registry_create_instance(struct rc_registry *registry, struct rc_slice id, struct rc_slice name,
                                char ret_id[RC_CATALOG_ID_MAX + 1], struct rc_error *error);
/* What is NULL stays as it is. */
struct rc_registry_settings {
    const struct rc_slice *name;
    const enum rc_profile *profile;
    const struct rc_slice *limits; /* all that it shall have besides its profile's */
    const bool *is_traced;
};
/*
 * For connected clients too. RC_ERR_BUSY: profile product while a rule has the group of those whose client id
 * names none (GID_standard).
 */
int rc_registry_update_instance(struct rc_registry *registry, struct rc_slice id,
                                const struct rc_registry_settings *settings, struct rc_error *error);
/* With all that hangs on it, when `cascade`; else RC_ERR_BUSY while there are groups, topics or keys. */
int rc_registry_delete_instance(struct rc_registry *registry, struct rc_slice id, bool cascade,
                                struct rc_error *error);
int rc_registry_list_instances(struct rc_registry *registry, const struct rc_registry_page *page,
                               rc_registry_instance_fn visit, void *arg, uint64_t *ret_total);

/* ---- groups and parent topics: the same shape ---- */
struct rc_registry_name {
    struct rc_slice id;
    int64_t created_ms, updated_ms;
    bool is_declared;
};
typedef void (*rc_registry_name_fn)(const struct rc_registry_name *row, void *arg);
int rc_registry_create_group(struct rc_registry *registry, struct rc_slice instance, struct rc_slice id,
                             struct rc_error *error);
/* With its device credentials; RC_ERR_BUSY while a rule has it for its source. */
int rc_registry_delete_group(struct rc_registry *registry, struct rc_slice instance, struct rc_slice id,
                             struct rc_error *error);
int rc_registry_list_groups(struct rc_registry *registry, struct rc_slice instance,
                            const struct rc_registry_page *page, rc_registry_name_fn visit, void *arg,
                            uint64_t *ret_total);
int rc_registry_create_topic(struct rc_registry *registry, struct rc_slice instance, struct rc_slice name,
                             struct rc_error *error);
/* RC_ERR_BUSY while an outflow or inflow rule has it. */
int rc_registry_delete_topic(struct rc_registry *registry, struct rc_slice instance, struct rc_slice name,
                             struct rc_error *error);
int rc_registry_list_topics(struct rc_registry *registry, struct rc_slice instance,
                            const struct rc_registry_page *page, rc_registry_name_fn visit, void *arg,
                            uint64_t *ret_total);

/* ---- key pairs ---- */
struct rc_registry_key {
    struct rc_slice access_key, instance; /* instance: empty for an administrator */
    enum rc_key_role role;
    int64_t created_ms;
    bool is_declared;
};
typedef void (*rc_registry_key_fn)(const struct rc_registry_key *row, void *arg);
/* Makes both keys, unless they are given. */
int rc_registry_create_key(struct rc_registry *registry, struct rc_slice instance, enum rc_key_role role,
                           struct rc_slice access_key, struct rc_slice secret_key,
                           char ret_access_key[RC_CATALOG_ID_MAX + 1],
                           char ret_secret_key[RC_CATALOG_SECRET_MAX + 1], struct rc_error *error);
/* Another role, another secret; NULL leaves it. An administrator's key stays one. */
int rc_registry_update_key(struct rc_registry *registry, struct rc_slice access_key,
                           const enum rc_key_role *role, const struct rc_slice *secret_key,
                           struct rc_error *error);
int rc_registry_delete_key(struct rc_registry *registry, struct rc_slice access_key, struct rc_error *error);
/* Of the instance, and administrators' too when `with_admins`. */
int rc_registry_list_keys(struct rc_registry *registry, struct rc_slice instance, bool with_admins,
                          const struct rc_registry_page *page, rc_registry_key_fn visit, void *arg,
                          uint64_t *ret_total);

/* ---- device credentials ---- */
struct rc_registry_credential {
    struct rc_slice client_id, access_key, secret;
    int64_t created_ms, updated_ms;
    bool is_declared;
};
typedef void (*rc_registry_credential_fn)(const struct rc_registry_credential *row, void *arg);
/*
 * Makes a credential for the client, in the place of the one that it had. The client's group must exist.
 * `visit` gets it (so does that of the two below).
 */
int rc_registry_register_credential(struct rc_registry *registry, struct rc_slice instance,
                                    struct rc_slice client_id, rc_registry_credential_fn visit, void *arg,
                                    struct rc_error *error);
/* A new secret; RC_ERR_NOT_FOUND without one. */
int rc_registry_refresh_credential(struct rc_registry *registry, struct rc_slice instance,
                                   struct rc_slice client_id, rc_registry_credential_fn visit, void *arg,
                                   struct rc_error *error);
int rc_registry_get_credential(struct rc_registry *registry, struct rc_slice instance,
                               struct rc_slice client_id, rc_registry_credential_fn visit, void *arg,
                               struct rc_error *error);
int rc_registry_unregister_credential(struct rc_registry *registry, struct rc_slice instance,
                                      struct rc_slice client_id, struct rc_error *error);
/* Of one group; by client id; without secrets. */
int rc_registry_list_credentials(struct rc_registry *registry, struct rc_slice instance,
                                 struct rc_slice group, const struct rc_registry_page *page,
                                 rc_registry_credential_fn visit, void *arg, uint64_t *ret_total);

/* ---- tokens: made and read by auth/token.h, from the catalog; here is what was revoked ---- */
/* Kept until the token would have expired. RC_ERR_INVALID for what is no token of the instance. */
int rc_registry_revoke_token(struct rc_registry *registry, struct rc_slice instance, struct rc_slice token,
                             struct rc_error *error);

/* ---- custom identities, their permissions, the blacklist ---- */
struct rc_registry_identity {
    bool is_client; /* IdentityType CLIENT: a user name together with one client id */
    struct rc_slice username, client_id, secret;
    bool is_signed; /* SignMode SIGNED */
    bool is_declared;
};
typedef void (*rc_registry_identity_fn)(const struct rc_registry_identity *row, void *arg);
int rc_registry_add_identity(struct rc_registry *registry, struct rc_slice instance,
                             const struct rc_registry_identity *identity, struct rc_error *error);
/* Another secret and mode for one that is there. */
int rc_registry_update_identity(struct rc_registry *registry, struct rc_slice instance,
                                const struct rc_registry_identity *identity, struct rc_error *error);
/* By is_client, username and client_id. */
int rc_registry_delete_identity(struct rc_registry *registry, struct rc_slice instance,
                                const struct rc_registry_identity *identity, struct rc_error *error);
/* Empty fields of `like` fit all; `of_type` -1: both, 0: users, 1: clients. By NextToken: `skip` of the page.
 */
int rc_registry_list_identities(struct rc_registry *registry, struct rc_slice instance, int of_type,
                                const struct rc_registry_identity *like, const struct rc_registry_page *page,
                                rc_registry_identity_fn visit, void *arg, uint64_t *ret_total);

struct rc_registry_permission {
    bool is_client;
    struct rc_slice identity, topic; /* user name or client id; a topic filter */
    uint8_t actions;                 /* RC_ACL_READ (SUB), RC_ACL_WRITE (PUB), both */
    bool denies, is_declared;
};
typedef void (*rc_registry_permission_fn)(const struct rc_registry_permission *row, void *arg);
int rc_registry_add_permission(struct rc_registry *registry, struct rc_slice instance,
                               const struct rc_registry_permission *permission, struct rc_error *error);
int rc_registry_update_permission(struct rc_registry *registry, struct rc_slice instance,
                                  const struct rc_registry_permission *permission, struct rc_error *error);
/* By is_client, identity and topic. */
int rc_registry_delete_permission(struct rc_registry *registry, struct rc_slice instance,
                                  const struct rc_registry_permission *permission, struct rc_error *error);
int rc_registry_list_permissions(struct rc_registry *registry, struct rc_slice instance, int of_type,
                                 const struct rc_registry_permission *like,
                                 const struct rc_registry_page *page, rc_registry_permission_fn visit,
                                 void *arg, uint64_t *ret_total);

/* Client ids that may not connect. `visit` gets the id. */
int rc_registry_add_black(struct rc_registry *registry, struct rc_slice instance, struct rc_slice client_id,
                          struct rc_error *error);
int rc_registry_delete_black(struct rc_registry *registry, struct rc_slice instance,
                             struct rc_slice client_id, struct rc_error *error);
/* `client_id` empty: all. */
int rc_registry_list_black(struct rc_registry *registry, struct rc_slice instance, struct rc_slice client_id,
                           const struct rc_registry_page *page, rc_registry_name_fn visit, void *arg,
                           uint64_t *ret_total);

/* ---- certificates of CAs and devices ---- */
struct rc_registry_certificate {
    struct rc_slice ca_sn; /* of a device's; empty for a CA's */
    struct rc_slice sn, name, content;
    struct rc_slice verification, registration_code; /* of a CA's */
    bool is_active, is_declared;
    int64_t valid_from_ms, valid_to_ms;
};
typedef void (*rc_registry_certificate_fn)(const struct rc_registry_certificate *row, void *arg);
/* What the subject's common name of a verification certificate must be. */
int rc_registry_registration_code(struct rc_registry *registry, struct rc_slice instance,
                                  char ret[RC_CATALOG_ID_MAX + 1], struct rc_error *error);
/*
 * Registers a CA, inactive or active as `is_active` says: `content` must be a CA's, `verification` be signed
 * by it and bear the registration code. *ret_sn gets its serial number (hexadecimal, lower case).
 */
int rc_registry_register_ca(struct rc_registry *registry, struct rc_slice instance, struct rc_slice name,
                            struct rc_slice content, struct rc_slice verification, bool is_active,
                            char ret_sn[RC_CATALOG_SN_MAX + 1], struct rc_error *error);
int rc_registry_set_ca_active(struct rc_registry *registry, struct rc_slice instance, struct rc_slice sn,
                              bool is_active, struct rc_error *error);
/* With the device certificates that are known of it. */
int rc_registry_delete_ca(struct rc_registry *registry, struct rc_slice instance, struct rc_slice sn,
                          struct rc_error *error);
int rc_registry_get_ca(struct rc_registry *registry, struct rc_slice instance, struct rc_slice sn,
                       rc_registry_certificate_fn visit, void *arg, struct rc_error *error);
int rc_registry_list_cas(struct rc_registry *registry, struct rc_slice instance,
                         const struct rc_registry_page *page, rc_registry_certificate_fn visit, void *arg,
                         uint64_t *ret_total);
/* Device certificates become known, and active, when a device comes with one for the first time. */
int rc_registry_see_device(struct rc_registry *registry, struct rc_slice instance, struct rc_slice ca_sn,
                           struct rc_slice content, struct rc_error *error);
int rc_registry_set_device_active(struct rc_registry *registry, struct rc_slice instance,
                                  struct rc_slice ca_sn, struct rc_slice sn, bool is_active,
                                  struct rc_error *error);
/* It is forgotten, so it may come again: make it inactive to keep it out. */
int rc_registry_delete_device(struct rc_registry *registry, struct rc_slice instance, struct rc_slice ca_sn,
                              struct rc_slice sn, struct rc_error *error);
int rc_registry_get_device(struct rc_registry *registry, struct rc_slice instance, struct rc_slice ca_sn,
                           struct rc_slice sn, rc_registry_certificate_fn visit, void *arg,
                           struct rc_error *error);
/* `ca_sn` empty: of all CAs. */
int rc_registry_list_devices(struct rc_registry *registry, struct rc_slice instance, struct rc_slice ca_sn,
                             const struct rc_registry_page *page, rc_registry_certificate_fn visit, void *arg,
                             uint64_t *ret_total);

/* ---- tags ---- */
struct rc_registry_tag {
    struct rc_slice type, id, key, value; /* type: instance or group; id: <instance> or <instance>/<group> */
    bool is_declared;                     /* of one that is listed */
};
typedef void (*rc_registry_tag_fn)(const struct rc_registry_tag *row, void *arg);
int rc_registry_tag(struct rc_registry *registry, const struct rc_registry_tag *tag, struct rc_error *error);
/* `tag->key` empty: all of the resource that the file does not declare. */
int rc_registry_untag(struct rc_registry *registry, const struct rc_registry_tag *tag,
                      struct rc_error *error);
/* Empty fields of `like` fit all. */
int rc_registry_list_tags(struct rc_registry *registry, const struct rc_registry_tag *like,
                          const struct rc_registry_page *page, rc_registry_tag_fn visit, void *arg,
                          uint64_t *ret_total);

/* ---- rules made here; all are listed from the catalog, the file's too ---- */
enum rc_rule_type { RC_RULE_STATUS_NOTICE, RC_RULE_OUTFLOW, RC_RULE_INFLOW }; /* kept on disk */
struct rc_registry_rule {
    enum rc_rule_type type;
    struct rc_slice id, description;
    struct rc_slice group;                         /* status notice */
    struct rc_slice mqtt_topic;                    /* outflow and inflow: the parent topic */
    struct rc_slice topic;                         /* of the endpoint; or */
    struct rc_slice target_instance, target_topic; /* of another cluster; inflow: where messages come from */
    struct rc_slice consumer_group; /* inflow from another cluster; empty: one that bears the rule's name */
    uint32_t queues;
    bool is_enabled, fails_over, is_from_first;
};
/* One with room for its texts. */
struct rc_registry_kept_rule {
    struct rc_registry_rule rule;
    uint8_t texts[2048];
};
/* RC_ERR_FULL: the instance has RC_CATALOG_RULES_MAX. An id is one rule's, whatever its type. */
int rc_registry_create_rule(struct rc_registry *registry, struct rc_slice instance,
                            const struct rc_registry_rule *rule, struct rc_error *error);
/* One that was made here, as it is. RC_ERR_NOT_FOUND, also for one of another type. */
int rc_registry_find_rule(struct rc_registry *registry, struct rc_slice instance, enum rc_rule_type type,
                          struct rc_slice id, struct rc_registry_kept_rule *ret, struct rc_error *error);
/* Puts it in the place of the one with its id and type; a status rule's group stays. */
int rc_registry_update_rule(struct rc_registry *registry, struct rc_slice instance,
                            const struct rc_registry_rule *rule, struct rc_error *error);
int rc_registry_delete_rule(struct rc_registry *registry, struct rc_slice instance, enum rc_rule_type type,
                            struct rc_slice id, struct rc_error *error);

#endif

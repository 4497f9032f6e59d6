/*
 * The catalog: what exists. Instances with their keys, users, groups, parent topics and rules, as one
 * immutable, reference-counted snapshot. Built by one thread, then published; any thread that holds a
 * reference may read it without a lock. All strings live as long as the snapshot.
 */
#ifndef RC_CATALOG_CATALOG_H
#define RC_CATALOG_CATALOG_H

#include "base/map.h"
#include "catalog/limits.h"

#include <stdatomic.h>

struct rc_topic; /* of the store: where a status rule's events go */

enum {
    RC_CATALOG_ID_MAX = 64, /* instance, group, rule id and access key */
    RC_CATALOG_SECRET_MAX = 256,
    RC_CATALOG_INSTANCES_MAX = 10000,
    RC_CATALOG_CLIENT_ID_MAX = 64, /* <group>@@@<device> */
    RC_CATALOG_USER_MAX = 128,     /* a user's name */
    RC_CATALOG_PASSWORD_MAX = 512, /* a hashed password's entry */
};

struct rc_key_pair {
    struct rc_slice access_key;
    struct rc_slice secret_key;
    struct rc_instance *instance;
    bool is_admin; /* its clients may read $SYS */
};

/* Who logs in with a user name and a password of his own (profile standard). */
struct rc_user {
    struct rc_slice name;
    struct rc_slice password; /* hashed: an entry that auth/password.h reads */
    bool is_admin;            /* may read $SYS, and passes the rules below */
};

enum { RC_ACL_READ = 1, RC_ACL_WRITE = 2 };

/* One line of the rules who may use which topics (profile standard); auth/acl.h goes by them. */
struct rc_acl_rule {
    struct rc_slice user;   /* pattern with * and ?; empty: anybody, anonymous clients too */
    struct rc_slice client; /* pattern; empty: any */
    uint8_t actions;        /* RC_ACL_ bits */
    bool denies;
    uint32_t topics_count;
    struct rc_slice *topics; /* filters, with %c, %u and %% in their levels */
};

/* A RocketMQ cluster of its own, to which rules may send. */
struct rc_target {
    struct rc_slice name;
    struct rc_slice nameservers;            /* host:port;host:port... */
    struct rc_slice access_key, secret_key; /* empty: requests are not signed */
    struct rc_slice name_space;             /* empty: none */
};

/* Topics of the log that hold what is on its way to another cluster; nobody else may send there. */
#define RC_RULE_TOPIC_PREFIX "RC_RULE_"

/* A status-notice rule: the events of a group's clients go to one RocketMQ topic. */
struct rc_status_rule {
    struct rc_slice id;
    struct rc_slice topic_name; /* namespace%topic as it stands in the log */
    uint32_t queues;            /* for a topic that does not exist yet */
    bool is_enabled;
    const struct rc_target *target; /* NULL: the log's topic is the target itself */
    struct rc_slice target_topic;   /* there, without its namespace */
    bool fails_over;                /* order is given up for queues that are out of reach */
    struct rc_topic *topic;         /* resolved by the control plane before publication; NULL when disabled */
};

struct rc_group {
    struct rc_slice id;
    struct rc_instance *instance;
    struct rc_status_rule *status_rule; /* NULL: its events go to the system topic */
};

struct rc_instance {
    struct rc_slice id;
    struct rc_map keys;   /* struct rc_key_pair by access_key */
    struct rc_map groups; /* struct rc_group by id */
    struct rc_map topics; /* struct rc_parent_topic by name */
    enum rc_profile profile;
    struct rc_limits limits;
    /* Profile standard: */
    struct rc_map users;       /* struct rc_user by name */
    struct rc_acl_rule *rules; /* in order; the first that fits decides */
    uint32_t rules_count;
    bool takes_anonymous;   /* clients without a user name */
    struct rc_group *group; /* of clients whose id names none of the groups; set for profile standard */
};

struct rc_parent_topic {
    struct rc_slice name;
};

struct rc_catalog {
    atomic_uint refs;
    struct rc_map instances;              /* struct rc_instance by id */
    struct rc_map key_pairs;              /* struct rc_key_pair by access_key, over all instances (unique) */
    struct rc_map targets;                /* struct rc_target by name */
    struct rc_instance *default_instance; /* of logins that name none; may be NULL */
    struct rc_topic *presence_topic;  /* the system topic for groups without a rule; resolved like a rule's */
    struct rc_catalog_memory *memory; /* chunks that hold all of the above */
};

struct rc_catalog *rc_catalog_create(void); /* one reference, empty */
struct rc_catalog *rc_catalog_ref(struct rc_catalog *catalog);
void rc_catalog_unref(struct rc_catalog *catalog); /* NULL is fine */

/*
 * Building, before publication. The catalog copies the strings. 0, RC_ERR_EXISTS, RC_ERR_FULL or
 * RC_ERR_INVALID (a name against the product's rules; see rc_catalog_is_*).
 */
int rc_catalog_add_instance(struct rc_catalog *catalog, struct rc_slice id, struct rc_instance **ret);
/* The instance goes by this profile, with the profile's limits; at first it is RC_PROFILE_PRODUCT. */
void rc_catalog_set_profile(struct rc_instance *instance, enum rc_profile profile);
int rc_catalog_add_key(struct rc_catalog *catalog, struct rc_instance *instance, struct rc_slice access_key,
                       struct rc_slice secret_key);
/* The pair of this access key becomes an administrator's. */
void rc_catalog_make_key_admin(struct rc_instance *instance, struct rc_slice access_key);
/* The password is an entry that was checked (auth/password.h). */
int rc_catalog_add_user(struct rc_catalog *catalog, struct rc_instance *instance, struct rc_slice name,
                        struct rc_slice password, bool is_admin);
/* Takes a copy of all rules; call once. The patterns were checked (auth/acl.h). */
void rc_catalog_set_acl(struct rc_catalog *catalog, struct rc_instance *instance,
                        const struct rc_acl_rule *rules, uint32_t count);
int rc_catalog_add_group(struct rc_catalog *catalog, struct rc_instance *instance, struct rc_slice id,
                         struct rc_group **ret);
int rc_catalog_add_parent_topic(struct rc_catalog *catalog, struct rc_instance *instance,
                                struct rc_slice name);
int rc_catalog_set_status_rule(struct rc_catalog *catalog, struct rc_group *group, struct rc_slice id,
                               struct rc_slice topic_name, uint32_t queues, bool is_enabled);
/* RC_ERR_EXISTS for a name that is there already. */
int rc_catalog_add_target(struct rc_catalog *catalog, const struct rc_target *target);
/* The rule's events go on from its topic in the log to a topic of that cluster. */
void rc_catalog_set_rule_target(struct rc_catalog *catalog, struct rc_status_rule *rule,
                                const struct rc_target *target, struct rc_slice topic, bool fails_over);

/* Look-ups; NULL when there is none. */
const struct rc_instance *rc_catalog_instance(const struct rc_catalog *catalog, struct rc_slice id);
const struct rc_key_pair *rc_instance_key(const struct rc_instance *instance, struct rc_slice access_key);
const struct rc_group *rc_instance_group(const struct rc_instance *instance, struct rc_slice id);
/* Where the events of its clients go: the topic of its status rule, else the system topic. */
struct rc_topic *rc_group_event_topic(const struct rc_catalog *catalog, const struct rc_group *group);
const struct rc_key_pair *rc_catalog_key(const struct rc_catalog *catalog, struct rc_slice access_key);

const struct rc_user *rc_instance_user(const struct rc_instance *instance, struct rc_slice name);

/* 1..RC_CATALOG_USER_MAX bytes of UTF-8 without control characters and | */
bool rc_catalog_is_user_name(struct rc_slice name);
/* UTF-8 without control characters (C0, DEL, C1), at most RC_CLIENT_ID_MAX bytes; may be empty. */
bool rc_catalog_is_client_id(struct rc_slice client_id);

/* Names as the product has them. */
bool rc_catalog_is_group_id(struct rc_slice id);       /* GID_ or GID-, 7..64 of [A-Za-z0-9_-] */
bool rc_catalog_is_instance_id(struct rc_slice id);    /* 1..64 of [A-Za-z0-9_-] */
bool rc_catalog_is_rule_id(struct rc_slice id);        /* 3..64 of [A-Za-z0-9_-], one letter or digit */
bool rc_catalog_is_parent_topic(struct rc_slice name); /* 3..64 of [A-Za-z0-9_-] */
/*
 * Splits <group>@@@<device> (at most RC_CATALOG_CLIENT_ID_MAX, device part of [A-Za-z0-9_-], not empty).
 * 0 or RC_ERR_INVALID.
 */
int rc_catalog_split_client_id(struct rc_slice client_id, struct rc_slice *ret_group,
                               struct rc_slice *ret_device);

#endif

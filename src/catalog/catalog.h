/*
 * The catalog: what exists. Instances with their keys, users, groups, parent topics, rules, credentials, as
 * an immutable, reference-counted snapshot. Built or forked by one thread, then published; any thread that
 * holds a reference may read it without a lock. Everything found in it lives as long as the snapshot.
 *
 * Snapshots share what is equal in them (base/trie.h): a fork with one change costs what leads to the change.
 * So nothing points upwards: an item that tells its instance tells the id.
 */
#ifndef RC_CATALOG_CATALOG_H
#define RC_CATALOG_CATALOG_H

#include "base/trie.h"
#include "catalog/entrances.h"
#include "catalog/limits.h"

#include <stdatomic.h>

struct rc_topic; /* of the store: where a status rule's events go */

enum {
    RC_CATALOG_ID_MAX = 64, /* instance, group, rule id and access key */
    RC_CATALOG_SECRET_MAX = 256,
    RC_CATALOG_INSTANCES_MAX = 10000,
    RC_CATALOG_CLIENT_ID_MAX = 64,     /* <group>@@@<device> */
    RC_CATALOG_USER_MAX = 128,         /* a user's name */
    RC_CATALOG_PASSWORD_MAX = 512,     /* a hashed password's entry */
    RC_CATALOG_CUSTOM_USER_MAX = 64,   /* a custom identity's name */
    RC_CATALOG_PERMISSIONS_MAX = 1000, /* of one custom identity */
    RC_CATALOG_TOKEN_KEY_LEN = 32,
    RC_CATALOG_TOKEN_ID_LEN = 16,
    RC_CATALOG_RULES_MAX = 100,             /* of an instance, all types */
    RC_CATALOG_DESCRIPTION_MAX = 256,       /* of a rule */
    RC_CATALOG_GROUP_NAME_MAX = 255,        /* a consumer group's */
    RC_CATALOG_SN_MAX = 64,                 /* a certificate's serial number, as hexadecimal digits */
    RC_CATALOG_CERTIFICATE_MAX = 16 * 1024, /* bytes of a certificate in PEM */
    RC_CATALOG_LABEL_MAX = 128,             /* a tag's key and value, a permission's topic, a CA's name */
    RC_CATALOG_DECLARED_MAX = 10000,        /* of each kind that the file may declare, of an instance */
};

/* All that may be in a catalog begins with its references (base/trie.h); they are nobody's business here. */

enum { RC_CATALOG_CHANGE_CLIENTS = 64 };

enum rc_key_role {
    RC_KEY_USER,      /* of one instance */
    RC_KEY_READ_ONLY, /* of one instance; changes nothing, publishes nothing */
    RC_KEY_ADMIN,     /* of all instances */
};

struct rc_key_pair {
    struct rc_trie_item item;
    struct rc_slice access_key;
    struct rc_slice secret_key;
    struct rc_slice instance_id; /* empty: of all (RC_KEY_ADMIN) */
    enum rc_key_role role;
    bool is_admin; /* its clients may read $SYS */
};

/* Who logs in with a user name and a password of his own (profile standard). */
struct rc_user {
    struct rc_trie_item item;
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
    struct rc_trie_item item;
    struct rc_slice name;
    struct rc_slice nameservers;            /* host:port;host:port... */
    struct rc_slice access_key, secret_key; /* empty: requests are not signed */
    struct rc_slice name_space;             /* empty: none */
    struct rc_slice allowed;                /* <instance>;<instance>;... that may use it; empty: all may */
    bool has_tls, is_tls_unverified;
    struct rc_slice tls_ca, tls_certificate, tls_key; /* PEM files; empty: the system's, none */
    struct rc_slice tls_name;                         /* whom certificates are for; empty: the host asked */
    uint64_t tls_fingerprint;                         /* of what stands in the files */
};

/* Topics of the log that hold what is on its way to another cluster; nobody else may send there. */
#define RC_RULE_TOPIC_PREFIX "RC_RULE_"
/* ... and the traces of messages (broker/trace.h). */
#define RC_TRACE_TOPIC "RC_SYS_TRACE"
enum { RC_TRACE_QUEUES = 1 };
/* Queues of a topic that is made without saying how many; the configuration's default too. */
enum { RC_RULE_QUEUES_DEFAULT = 8 };
/* The group of clients whose id names none, unless another is named (profile standard). */
#define RC_CATALOG_STANDARD_GROUP "GID_standard"
/* The topic for events of groups without a status rule. */
#define RC_PRESENCE_TOPIC "ROLLCALL_PRESENCE"

/* A status-notice rule: the events of a group's clients go to one RocketMQ topic. */
struct rc_status_rule {
    struct rc_trie_item item;
    struct rc_slice id;
    struct rc_slice group_id;
    struct rc_slice topic_name; /* namespace%topic as it stands in the log */
    uint32_t queues;            /* for a topic that does not exist yet */
    bool is_enabled;
    const struct rc_target *target; /* NULL: the log's topic is the target itself; else a reference */
    struct rc_slice target_topic;   /* there, without its namespace */
    bool fails_over;                /* order is given up for queues that are out of reach */
    struct rc_slice description;    /* for people; may be empty */
    struct rc_topic *topic;         /* resolved by the control plane before publication; NULL when disabled */
};

/* Why a flow rule's message goes nowhere. */
enum rc_rule_drop {
    RC_RULE_DROP_UNFIT,     /* it cannot be a message there: too large, or a topic that is none */
    RC_RULE_DROP_LOG_FULL,  /* outflow, QoS 0: the log took nothing */
    RC_RULE_DROP_EXPIRED,   /* inflow */
    RC_RULE_DROP_ECHO,      /* inflow: an outflow rule of the MQTT topic had sent it */
    RC_RULE_DROP_NO_CLIENT, /* inflow, P2P: nobody gets it */
    RC_RULE_DROP_REASONS,
};

/*
 * What a flow rule has done since the start: the rules' thread owns it, it outlives the catalogs, any thread
 * counts in it.
 */
struct rc_rule_tally {
    atomic_uint_fast64_t matched, delivered, dropped[RC_RULE_DROP_REASONS];
    atomic_uint_fast64_t
        refused;               /* outflow, QoS 1 and 2: the log took nothing, its publisher sends it again */
    atomic_uint_fast64_t lost; /* inflow: never given to it, the cluster had them no more or damaged */
};

/*
 * Outflow: messages that clients publish below a parent topic go to a RocketMQ topic. Inflow: messages of a
 * RocketMQ topic are published below a parent topic. One of each for a parent topic.
 */
struct rc_flow_rule {
    struct rc_trie_item item;
    struct rc_slice mqtt_topic; /* the first level; the key */
    struct rc_slice id;
    struct rc_slice topic_name; /* of the log: where an outflow's go, where an inflow's come from */
    uint32_t queues;            /* for a topic that does not exist yet */
    bool is_enabled;
    const struct rc_target *target; /* the other cluster, a reference; NULL: the log's topic itself */
    struct rc_slice target_topic;   /* there, without its namespace */
    bool fails_over;                /* outflow */
    struct rc_slice group;          /* inflow: the consumer group, without a namespace */
    struct rc_slice description;    /* for people; may be empty */
    bool is_from_first;             /* inflow: what is there when the rule begins is taken too */
    struct rc_topic *topic;         /* resolved before publication; NULL when disabled, or not in the log */
    struct rc_rule_tally *tally;    /* set before publication; NULL when nobody counts */
};

struct rc_group {
    struct rc_trie_item item;
    struct rc_slice id;
    struct rc_status_rule *status_rule; /* a reference; NULL: its events go to the system topic */
};

/* One device's own secret: it may come as this client and as no other. */
struct rc_credential {
    struct rc_trie_item item;
    struct rc_slice client_id, access_key, secret;
};

/* A user name of the operator's own, alone or together with one client id. */
struct rc_custom_identity {
    struct rc_trie_item item;
    struct rc_slice key; /* user name, and NUL and client id where it is tied to one */
    struct rc_slice secret;
    bool is_signed; /* the password is the client id's signature; otherwise it is the secret itself */
};

struct rc_custom_permission {
    struct rc_slice topic; /* a filter */
    uint8_t actions;       /* RC_ACL_ bits */
    bool denies;
};

/* What a user name, or a client id, may use. */
struct rc_custom_permissions {
    struct rc_trie_item item;
    struct rc_slice key; /* 'u' or 'c', then the name or client id */
    uint32_t count;
    struct rc_custom_permission list[];
};

/* A client id that may not connect, or a token that was revoked. */
struct rc_mark {
    struct rc_trie_item item;
    struct rc_slice key;
    int64_t until_ms;
};

/* A CA whose device certificates an instance takes. */
struct rc_ca {
    struct rc_trie_item item;
    struct rc_slice sn;
    void *certificate; /* X509 *, for whoever links OpenSSL; not changed by reading */
    void (*free_certificate)(void *certificate);
    bool is_active;
};

/* A tag of the instance, or of one of its groups. */
struct rc_tag {
    struct rc_trie_item item;
    struct rc_slice key;                /* group, NUL, name */
    struct rc_slice group, name, value; /* group: empty for the instance's own */
};

/* A topic or consumer group of the endpoint. */
struct rc_endpoint_name {
    struct rc_trie_item item;
    struct rc_slice name; /* namespace%name as it stands in the log */
    uint32_t queues;      /* of a topic that does not exist yet */
};

/* A CA's certificate, or a device's; what counts of it is in rc_instance.cas and .devices. */
struct rc_declared_certificate {
    struct rc_trie_item item;
    struct rc_slice key;           /* <sn>, a device's: <CA's sn>/<sn> */
    struct rc_slice name, content; /* content: PEM; name: empty for a device's */
    bool is_active;
};

struct rc_instance {
    struct rc_trie_item item;
    struct rc_slice id;
    struct rc_trie groups;       /* struct rc_group by id */
    struct rc_trie topics;       /* struct rc_parent_topic by name */
    struct rc_trie status_rules; /* struct rc_status_rule by id */
    struct rc_trie outflows;     /* struct rc_flow_rule by MQTT topic */
    struct rc_trie inflows;      /* likewise */
    struct rc_trie credentials;  /* struct rc_credential by client id */
    struct rc_trie identities;   /* struct rc_custom_identity */
    struct rc_trie permissions;  /* struct rc_custom_permissions */
    struct rc_trie black;        /* struct rc_mark by client id */
    struct rc_trie revoked;      /* struct rc_mark by token id */
    struct rc_trie cas;          /* struct rc_ca by serial number */
    struct rc_trie devices; /* struct rc_mark by <CA's sn>/<sn>: device certificates; until_ms 0: active */
    /* What the file declares, beside what it adds to the tables above: */
    struct rc_trie tags;            /* struct rc_tag */
    struct rc_trie endpoint_topics; /* struct rc_endpoint_name */
    struct rc_trie endpoint_groups; /* likewise */
    struct rc_trie certificates;    /* struct rc_declared_certificate */
    uint8_t token_key[RC_CATALOG_TOKEN_KEY_LEN];
    bool has_token_key;
    bool is_traced; /* its messages and refused logins: broker/trace.h */
    enum rc_profile profile;
    struct rc_limits limits;
    /* Profile standard: */
    struct rc_trie users;      /* struct rc_user by name */
    struct rc_acl_list *acl;   /* holds the rules; shared by snapshots */
    struct rc_acl_rule *rules; /* in order; the first that fits decides */
    uint32_t rules_count;
    bool takes_anonymous;   /* clients without a user name */
    struct rc_group *group; /* of clients whose id names none of the groups; set for profile standard */
};

struct rc_parent_topic {
    struct rc_trie_item item;
    struct rc_slice name;
};

struct rc_catalog {
    atomic_uint refs;
    struct rc_trie instances;             /* struct rc_instance by id */
    struct rc_trie key_pairs;             /* struct rc_key_pair by access_key, over all instances (unique) */
    struct rc_trie targets;               /* struct rc_target by name */
    struct rc_instance *default_instance; /* of logins that name none; may be NULL */
    struct rc_entrances *entrances;       /* a reference, or NULL: none are told */
    struct rc_topic *presence_topic; /* the system topic for groups without a rule; resolved like a rule's */
    struct rc_topic *trace_topic;    /* NULL: no instance is traced */
};

/* What a publication asks of those who go by it, besides going by it: who may have lost his right? */
struct rc_catalog_change {
    bool all;               /* anybody */
    bool tokens;            /* who came by token */
    bool rules_changed;     /* status rules, or where they lead */
    uint32_t clients_count; /* these clients; more than fit: `all` */
    struct {
        struct rc_slice instance, client_id;
    } clients[RC_CATALOG_CHANGE_CLIENTS];
};

struct rc_catalog *rc_catalog_create(void); /* one reference, empty */
/* A copy to be changed, with one reference; the other stays as it is. */
struct rc_catalog *rc_catalog_fork(const struct rc_catalog *catalog);
struct rc_catalog *rc_catalog_ref(struct rc_catalog *catalog);
void rc_catalog_unref(struct rc_catalog *catalog); /* NULL is fine */

/*
 * Building, before publication. The catalog copies the strings. 0, RC_ERR_EXISTS, RC_ERR_FULL or
 * RC_ERR_INVALID (a name against the product's rules; see rc_catalog_is_*). An `instance` or `group` given
 * here is one that was just added, or one of rc_catalog_edit_instance / rc_catalog_edit_group: such pointers
 * are good until the next fork.
 */
int rc_catalog_add_instance(struct rc_catalog *catalog, struct rc_slice id, struct rc_instance **ret);
struct rc_instance *rc_catalog_edit_instance(struct rc_catalog *catalog, struct rc_slice id); /* NULL: none */
struct rc_group *rc_catalog_edit_group(struct rc_instance *instance, struct rc_slice id);     /* likewise */
/* With its key pairs; false when there is none. */
bool rc_catalog_remove_instance(struct rc_catalog *catalog, struct rc_slice id);
/* The instance goes by this profile, with the profile's limits; at first it is RC_PROFILE_PRODUCT. */
void rc_catalog_set_profile(struct rc_instance *instance, enum rc_profile profile);
int rc_catalog_add_key(struct rc_catalog *catalog, struct rc_instance *instance, struct rc_slice access_key,
                       struct rc_slice secret_key);
/* `instance_id` may be empty for RC_KEY_ADMIN. */
int rc_catalog_add_role_key(struct rc_catalog *catalog, struct rc_slice instance_id,
                            struct rc_slice access_key, struct rc_slice secret_key, enum rc_key_role role);
/* Of one that is there: RC_ERR_INVALID for a secret that cannot be. */
int rc_catalog_change_key(struct rc_catalog *catalog, struct rc_slice access_key, struct rc_slice secret_key,
                          enum rc_key_role role);
bool rc_catalog_remove_key(struct rc_catalog *catalog, struct rc_slice access_key);
/* The clients of this access key's pair may read $SYS. */
void rc_catalog_make_key_admin(struct rc_catalog *catalog, struct rc_slice access_key);
/* The password is an entry that was checked (auth/password.h). */
int rc_catalog_add_user(struct rc_instance *instance, struct rc_slice name, struct rc_slice password,
                        bool is_admin);
/* Takes a copy of all rules, in the place of those that were there. The patterns were checked (auth/acl.h).
 */
void rc_catalog_set_acl(struct rc_instance *instance, const struct rc_acl_rule *rules, uint32_t count);
int rc_catalog_add_group(struct rc_instance *instance, struct rc_slice id, struct rc_group **ret);
/* RC_ERR_NOT_FOUND, or RC_ERR_BUSY: a rule has it for its source, or strangers belong to it. */
int rc_catalog_remove_group(struct rc_instance *instance, struct rc_slice id);
int rc_catalog_add_parent_topic(struct rc_instance *instance, struct rc_slice name);
bool rc_catalog_remove_parent_topic(struct rc_instance *instance, struct rc_slice name);
/* RC_ERR_EXISTS: the group has a rule, or the id is taken. */
int rc_catalog_set_status_rule(struct rc_instance *instance, struct rc_group *group, struct rc_slice id,
                               struct rc_slice topic_name, uint32_t queues, bool is_enabled);
/*
 * The topic of the log where a rule's events wait for their cluster. It is named after all that says where
 * they go, so a rule that is given another target begins a topic of its own, and channels that began with the
 * old one end with it.
 */
void rc_catalog_name_rule_topic(char *out, size_t size, struct rc_slice instance, struct rc_slice rule,
                                struct rc_slice target, struct rc_slice topic);
bool rc_catalog_remove_status_rule(struct rc_instance *instance, struct rc_slice id);
/* The group has no status rule any more; the rule stays listed. Harmless when either is not there. */
void rc_catalog_clear_group(struct rc_instance *instance, struct rc_slice id);
/* The rule was just set. */
void rc_catalog_describe_rule(struct rc_status_rule *rule, struct rc_slice description);
/*
 * Adds a copy to instance->outflows or ->inflows; item, topic and tally are its own. RC_ERR_EXISTS: the topic
 * has one.
 */
int rc_catalog_add_flow_rule(struct rc_trie *rules, const struct rc_flow_rule *rule);
/* False when there is none of this id. */
bool rc_catalog_remove_flow_rule(struct rc_trie *rules, struct rc_slice id);
/* The consumer group of an inflow rule that names none. */
void rc_catalog_name_inflow_group(char out[RC_CATALOG_GROUP_NAME_MAX + 1], struct rc_slice instance,
                                  struct rc_slice rule);
/* RC_ERR_EXISTS for a name that is there already. */
int rc_catalog_add_target(struct rc_catalog *catalog, const struct rc_target *target);
/* The cluster for rules of an instance; NULL: there is none of that name, or it is not for that instance. */
const struct rc_target *rc_catalog_target(const struct rc_catalog *catalog, struct rc_slice instance_id,
                                          struct rc_slice name);
/* The rule's events go on from its topic in the log to a topic of that cluster. The rule was just set. */
void rc_catalog_set_rule_target(struct rc_status_rule *rule, const struct rc_target *target,
                                struct rc_slice topic, bool fails_over);

/* The client's credential, in the place of the one that it had. */
int rc_catalog_put_credential(struct rc_instance *instance, struct rc_slice client_id,
                              struct rc_slice access_key, struct rc_slice secret);
/* `client_id` empty: of the user name alone. Replaces the one that is there. */
int rc_catalog_put_identity(struct rc_instance *instance, struct rc_slice username, struct rc_slice client_id,
                            struct rc_slice secret, bool is_signed);
bool rc_catalog_remove_identity(struct rc_instance *instance, struct rc_slice username,
                                struct rc_slice client_id);
/* Adds, or replaces the one of the same topic. RC_ERR_FULL. */
int rc_catalog_put_permission(struct rc_instance *instance, bool is_client, struct rc_slice identity,
                              const struct rc_custom_permission *permission);
bool rc_catalog_remove_permission(struct rc_instance *instance, bool is_client, struct rc_slice identity,
                                  struct rc_slice topic);
/* Into instance->black, ->revoked or ->devices; replaces. */
void rc_catalog_put_mark(struct rc_trie *marks, struct rc_slice key, int64_t until_ms);
/* Takes over the certificate. */
void rc_catalog_put_ca(struct rc_instance *instance, struct rc_slice sn, void *certificate,
                       void (*free_certificate)(void *certificate), bool is_active);

/* What the file declares. RC_ERR_EXISTS; the texts were checked. */
int rc_catalog_declare_tag(struct rc_instance *instance, struct rc_slice group, struct rc_slice name,
                           struct rc_slice value);
/* Into instance->endpoint_topics or ->endpoint_groups. */
int rc_catalog_declare_name(struct rc_trie *names, struct rc_slice name, uint32_t queues);
int rc_catalog_declare_certificate(struct rc_instance *instance, struct rc_slice key, struct rc_slice name,
                                   struct rc_slice content, bool is_active);

/* Look-ups; NULL when there is none. */
const struct rc_instance *rc_catalog_instance(const struct rc_catalog *catalog, struct rc_slice id);
/* A key pair that may be used on that instance: one of its own, or an administrator's. */
const struct rc_key_pair *rc_catalog_instance_key(const struct rc_catalog *catalog,
                                                  const struct rc_instance *instance,
                                                  struct rc_slice access_key);
const struct rc_group *rc_instance_group(const struct rc_instance *instance, struct rc_slice id);
bool rc_instance_has_topic(const struct rc_instance *instance, struct rc_slice name);
/* Whether a rule of the instance names this topic of the log: sends there, or takes from there. */
bool rc_instance_leads_to(const struct rc_instance *instance, struct rc_slice topic);
/* Whether a rule of any other instance does. */
bool rc_catalog_leads_elsewhere(const struct rc_catalog *catalog, struct rc_slice instance,
                                struct rc_slice topic);
/* The flow rule of this id, NULL: none. */
const struct rc_flow_rule *rc_instance_flow(const struct rc_trie *rules, struct rc_slice id);
/* Whether a rule of any type has this id. */
bool rc_instance_has_rule(const struct rc_instance *instance, struct rc_slice id);
/* Of all types. */
uint32_t rc_instance_rules_count(const struct rc_instance *instance);
/* Whether an inflow rule of any instance reads that cluster (NULL: this server's endpoint) as this group. */
bool rc_catalog_has_inflow_group(const struct rc_catalog *catalog, const struct rc_target *target,
                                 struct rc_slice group);
/* The enabled outflow rule that a message to this MQTT topic falls under; NULL: none. */
const struct rc_flow_rule *rc_instance_outflow(const struct rc_instance *instance, struct rc_slice topic);
/* Where the events of its clients go: the topic of its status rule, else the system topic. */
struct rc_topic *rc_group_event_topic(const struct rc_catalog *catalog, const struct rc_group *group);
const struct rc_key_pair *rc_catalog_key(const struct rc_catalog *catalog, struct rc_slice access_key);

const struct rc_user *rc_instance_user(const struct rc_instance *instance, struct rc_slice name);
const struct rc_credential *rc_instance_credential(const struct rc_instance *instance,
                                                   struct rc_slice client_id);
/* The one of name and client id where there is one, else that of the name alone. */
const struct rc_custom_identity *rc_instance_identity(const struct rc_instance *instance,
                                                      struct rc_slice username, struct rc_slice client_id);
/* The very one, of this name with this client id or without. */
const struct rc_custom_identity *rc_instance_exact_identity(const struct rc_instance *instance,
                                                            struct rc_slice username,
                                                            struct rc_slice client_id);
/* The very one of this topic. */
const struct rc_custom_permission *rc_instance_permission(const struct rc_instance *instance, bool is_client,
                                                          struct rc_slice identity, struct rc_slice topic);
const struct rc_custom_permissions *rc_instance_permissions(const struct rc_instance *instance,
                                                            bool is_client, struct rc_slice identity);
/* One that the file declares; `group` empty: of the instance itself. */
const struct rc_tag *rc_instance_tag(const struct rc_instance *instance, struct rc_slice group,
                                     struct rc_slice name);
const struct rc_mark *rc_instance_mark(const struct rc_trie *marks, struct rc_slice key);

/* 1..RC_CATALOG_USER_MAX bytes of UTF-8 without control characters and | */
bool rc_catalog_is_user_name(struct rc_slice name);
/* 1..RC_CATALOG_ID_MAX printable ASCII characters without blanks and | */
bool rc_catalog_is_access_key(struct rc_slice key);
/* UTF-8 without control characters (C0, DEL, C1), at most RC_CLIENT_ID_MAX bytes; may be empty. */
bool rc_catalog_is_client_id(struct rc_slice client_id);

/* Names as the product has them. */
bool rc_catalog_is_group_id(struct rc_slice id);       /* GID_ or GID-, 7..64 of [A-Za-z0-9_-] */
bool rc_catalog_is_instance_id(struct rc_slice id);    /* 1..64 of [A-Za-z0-9_-] */
bool rc_catalog_is_rule_id(struct rc_slice id);        /* 3..64 of [A-Za-z0-9_-], one letter or digit */
bool rc_catalog_is_parent_topic(struct rc_slice name); /* 3..64 of [A-Za-z0-9_-] */
/* Topics of the log that the server, or RocketMQ, keeps for itself or for consumer groups: no rule's. */
bool rc_catalog_is_system_topic(struct rc_slice name);
/*
 * Splits <group>@@@<device> (at most RC_CATALOG_CLIENT_ID_MAX, device part of [A-Za-z0-9_-], not empty).
 * 0 or RC_ERR_INVALID.
 */
int rc_catalog_split_client_id(struct rc_slice client_id, struct rc_slice *ret_group,
                               struct rc_slice *ret_device);

#endif

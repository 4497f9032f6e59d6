/* The configuration's keys of an instance: who may log in, who may do what, what goes to RocketMQ. */
#include "control/config_table.h"

#include "auth/acl.h"
#include "auth/certificate.h"
#include "auth/password.h"
#include "catalog/catalog.h"
#include "store/store.h"

#define KIB 1024ll
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)
#define SECOND 1000ll
#define DAY (24 * 3600 * SECOND)

#define SECTION(name_, type_, entries_)                                                                      \
    static const struct rc_config_section name_##_section = {.name = #name_,                                 \
                                                             .size = sizeof(type_),                          \
                                                             .entries = entries_,                            \
                                                             .count =                                        \
                                                                 sizeof(entries_) / sizeof(entries_[0])}

static bool is_group_or_empty(struct rc_slice text)
{
    return text.len == 0 || rc_catalog_is_group_id(text);
}

/* What --print-config writes instead reads back too; nobody can log in by it. */
static bool is_password(struct rc_slice text)
{
    struct rc_password_entry entry;
    return rc_password_parse(text, &entry) || rc_slice_eq_str(text, "(secret)");
}

/* ---- key pairs and users ---- */
static const char *const role_names[] = {"user", "read-only", NULL};

static const struct rc_config_entry key_entries[] = {
    {.key = "access_key",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_key, access_key),
     .min = 1,
     .max = RC_CATALOG_ID_MAX,
     .is_valid = rc_catalog_is_access_key,
     .expected = "1 to 64 printable ASCII characters without spaces and |",
     .is_live = true,
     .doc = "The AccessKey: the middle of a device's user name `Signature|<access_key>|<instance>`, and what "
            "RocketMQ clients sign with."},
    {.key = "secret_key",
     .type = RC_CONFIG_SECRET,
     .offset = offsetof(struct rc_config_key, secret_key),
     .min = 1,
     .max = RC_CATALOG_SECRET_MAX,
     .is_live = true,
     .doc = "The SecretKey that goes with it."},
    {.key = "role",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_key, role),
     .names = role_names,
     .default_text = "user",
     .is_live = true,
     .doc = "`user`: may do everything in the instance. `read-only`: changes nothing, by HTTP, MQTT or "
            "RocketMQ."},
    {.key = "admin",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_key, is_admin),
     .default_text = "false",
     .is_live = true,
     .doc = "Clients that sign with this pair may read `$SYS`."},
};
SECTION(key, struct rc_config_key, key_entries);

static const struct rc_config_entry administrator_entries[] = {
    {.key = "access_key",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_key, access_key),
     .min = 1,
     .max = RC_CATALOG_ID_MAX,
     .is_valid = rc_catalog_is_access_key,
     .expected = "1 to 64 printable ASCII characters without spaces and |",
     .is_live = true,
     .doc = "The AccessKey."},
    {.key = "secret_key",
     .type = RC_CONFIG_SECRET,
     .offset = offsetof(struct rc_config_key, secret_key),
     .min = 1,
     .max = RC_CATALOG_SECRET_MAX,
     .is_live = true,
     .doc = "The SecretKey that goes with it."},
};
const struct rc_config_section rc_config_administrator_section = {.name = "administrator",
                                                                  .size = sizeof(struct rc_config_key),
                                                                  .entries = administrator_entries,
                                                                  .count = 2};

static const struct rc_config_entry user_entries[] = {
    {.key = "name",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_user, name),
     .is_valid = rc_catalog_is_user_name,
     .expected = "1 to 128 bytes without control characters and |",
     .is_live = true,
     .doc =
         "The user name that clients send; `<name>|<instance>` where the instance is not the default one."},
    {.key = "password",
     .type = RC_CONFIG_SECRET,
     .offset = offsetof(struct rc_config_user, password),
     .min = 1,
     .max = RC_PASSWORD_ENTRY_MAX - 1,
     .is_valid = is_password,
     .expected = "a hashed password as `rollcall passwd` and mosquitto_passwd write it: $7$...",
     .is_live = true,
     .doc = "The hashed password: what `rollcall passwd` prints, or the part behind the colon of a line that "
            "`mosquitto_passwd` wrote."},
    {.key = "admin",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_user, is_admin),
     .default_text = "false",
     .is_live = true,
     .doc = "May read `$SYS`, and may use all topics whatever `acl` says."},
};
SECTION(user, struct rc_config_user, user_entries);

const char *const rc_config_access_names[] = {"read",      "write",      "readwrite", "deny",
                                              "deny-read", "deny-write", NULL};

static const struct rc_config_entry acl_entries[] = {
    {.key = "user",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_acl, user),
     .max = RC_CATALOG_USER_MAX,
     .default_text = "",
     .is_live = true,
     .doc =
         "Whose user name fits this pattern (`*` any text, `?` one byte). Empty: everybody, those without a "
         "user name too."},
    {.key = "client",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_acl, client),
     .max = RC_CLIENT_ID_MAX,
     .default_text = "",
     .is_live = true,
     .doc = "Whose client ID fits this pattern. Empty: any."},
    {.key = "access",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_acl, access),
     .names = rc_config_access_names,
     .default_text = "readwrite",
     .is_live = true,
     .doc = "`read`: may subscribe. `write`: may publish. `deny`, `deny-read`, `deny-write`: may not."},
    {.key = "topics",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_acl, topics),
     .max = 1000,
     .is_valid = rc_acl_topic_is_valid,
     .expected = "an MQTT topic filter, in which a % is %c, %u or %%",
     .is_live = true,
     .doc =
         "Topic filters with `+` and `#`. `%c` stands for the client ID, `%u` for the user name, `%%` for a "
         "percent sign. A subscription is allowed by a rule that covers all of it, and denied by one that "
         "meets any part of it: with `deny` on `secret/#`, a subscription to `#` is refused. `#` and `+` "
         "in front do not take topics that begin with `$`."},
};
SECTION(acl, struct rc_config_acl, acl_entries);

static const char *const choices[] = {"profile", "false", "true", NULL};
static const char *const qos_choices[] = {"profile", "0", "1", "2", NULL};

#define LIMIT(key_, type_, field_, max_, doc_)                                                               \
    {                                                                                                        \
        .key = key_, .type = type_, .offset = offsetof(struct rc_config_limits, field_), .max = max_,        \
        .default_text = "0", .is_live = true, .doc = doc_                                                    \
    }
#define LIMIT_CHOICE(key_, field_, names_, doc_)                                                             \
    {                                                                                                        \
        .key = key_, .type = RC_CONFIG_ENUM, .offset = offsetof(struct rc_config_limits, field_),            \
        .names = names_, .default_text = "profile", .is_live = true, .doc = doc_                             \
    }

static const struct rc_config_entry limits_entries[] = {
    LIMIT(
        "payload", RC_CONFIG_SIZE, payload, 256 * MIB,
        "Bytes of one message; a client that publishes a larger one is disconnected. product 64KiB, standard "
        "as `mqtt.max_packet_size` allows."),
    LIMIT("subscriptions", RC_CONFIG_INTEGER, subscriptions, 100000,
          "Subscriptions of one client. product 30, standard 1000."),
    LIMIT("keep_alive", RC_CONFIG_DURATION, keep_alive, 65535 * SECOND,
          "The longest keep-alive; a longer one, and none, count as this. product 8m, standard no limit."),
    LIMIT("inflight", RC_CONFIG_INTEGER, inflight, RC_LIMIT_INFLIGHT_MAX,
          "QoS 1 and 2 messages sent to a client and not acknowledged. Both 32."),
    LIMIT(
        "receive_maximum", RC_CONFIG_INTEGER, receive_maximum, 65535,
        "QoS 1 and 2 messages that a client may have unacknowledged towards the server. Both 1024 for "
        "clients of version 5, which are told; 65535, all that there can be, for older ones, which would be "
        "closed without knowing why."),
    LIMIT("queued", RC_CONFIG_INTEGER, queued, 1000000,
          "Messages that wait for one client; the oldest is dropped. Both 1000."),
    LIMIT("queued_bytes", RC_CONFIG_SIZE, queued_bytes, TIB,
          "... and their bytes; one message waits whatever its size. Both 64MiB."),
    LIMIT(
        "queued_all", RC_CONFIG_INTEGER, queued_all, 1000000000,
        "Messages that wait for all clients of the instance, divided evenly among the shards; the oldest is "
        "dropped. product 1000000, standard no limit."),
    LIMIT("queued_all_bytes", RC_CONFIG_SIZE, queued_all_bytes, TIB, "... and their bytes. Both no limit."),
    LIMIT("session_keep", RC_CONFIG_DURATION, session_keep, 3650 * DAY,
          "How long the session of an absent client, with its messages, is kept; clients of version 5 name a "
          "time of their own, and get no more than this. Both 3d."),
    LIMIT("client_id", RC_CONFIG_INTEGER, client_id, RC_CLIENT_ID_MAX,
          "Bytes of a client ID. product 64, standard 1024."),
    LIMIT("topic_length", RC_CONFIG_INTEGER, topic_length, 65535,
          "Bytes of a topic. product 64 (P2P topics aside), standard 65535."),
    LIMIT("topic_levels", RC_CONFIG_INTEGER, topic_levels, 200,
          "Levels of a topic. product 64, standard 200."),
    LIMIT("topic_aliases", RC_CONFIG_INTEGER, topic_aliases, 1024,
          "Topic aliases that a client of version 5 may set. Both 32."),
    LIMIT_CHOICE("qos", qos, qos_choices, "The highest QoS. Both 2."),
    LIMIT_CHOICE("retained", retained, choices, "Retained messages. product false, standard true."),
    LIMIT_CHOICE("wills", wills, choices, "Wills. product false, standard true."),
    LIMIT_CHOICE("shared_subscriptions", shared_subscriptions, choices,
                 "`$share/<group>/<filter>`. product false, standard true."),
    LIMIT_CHOICE("wildcards", wildcards, choices, "`+` and `#` in subscriptions. Both true."),
    LIMIT_CHOICE(
        "refusal_reasons", refusal_reasons, choices,
        "Whether SUBACK tells a client of version 5 that it is not authorized (0x87); `false`: 0x80, "
        "an unspecified error, as it tells older ones. Both true."),
};
SECTION(limits, struct rc_config_limits, limits_entries);

static const char *const profile_names[] = {"product", "standard", NULL};
_Static_assert(RC_PROFILE_PRODUCT == 0 && RC_PROFILE_STANDARD == 1, "as profile_names has them");

static const struct rc_config_entry instance_entries[] = {
    {.key = "id",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_instance, id),
     .is_valid = rc_catalog_is_instance_id,
     .expected = "1 to 64 of letters, digits, - and _",
     .is_live = true,
     .doc = "The instance's ID: the last part of a device's user name."},
    {.key = "profile",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_instance, profile),
     .names = profile_names,
     .default_text = "product",
     .is_live = true,
     .doc =
         "`product`: the ways and limits of ApsaraMQ for MQTT, for devices that were written for it. "
         "`standard`: an ordinary MQTT broker, with all that MQTT allows. `product` is the default because "
         "that is what the guide's devices, keys and groups expect, and because it lets in nobody whom "
         "the configuration does not name."},
    {.key = "keys",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, keys),
     .max = 1000,
     .section = &key_section,
     .is_live = true,
     .doc = "Key pairs. An access key belongs to one instance only."},
    {.key = "groups",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_instance, groups),
     .max = 10000,
     .is_valid = rc_catalog_is_group_id,
     .expected = "a group ID: GID_ or GID- and then letters, digits, - and _, 7 to 64 in all",
     .is_live = true,
     .doc = "Group IDs. A client's ID is `<group>@@@<device>`; clients of other groups are refused (profile "
            "product) or belong to `group` (profile standard)."},
    {.key = "topics",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_instance, topics),
     .max = 10000,
     .is_valid = rc_catalog_is_parent_topic,
     .expected = "3 to 64 of letters, digits, - and _",
     .is_live = true,
     .doc = "Parent topics: the first level of the MQTT topics that clients may publish and subscribe to "
            "(profile product). A client that uses another one is disconnected."},
    {.key = "rules",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, rules),
     .max = RC_CATALOG_RULES_MAX,
     .section = &rc_config_rule_section,
     .is_live = true,
     .doc = "What goes to RocketMQ."},
    {.key = "group",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_instance, group),
     .default_text = "",
     .is_valid = is_group_or_empty,
     .expected = "a group ID: GID_ or GID- and then letters, digits, - and _, 7 to 64 in all",
     .is_live = true,
     .doc = "Profile standard: the group of clients whose ID does not begin with one of `groups`; its status "
            "rule says where their arrivals and departures go. Empty: `GID_standard`."},
    {.key = "anonymous",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_instance, takes_anonymous),
     .default_text = "false",
     .is_live = true,
     .doc = "Profile standard: clients without a user name are let in. Where there are no `users`, any user "
            "name will do too."},
    {.key = "users",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, users),
     .max = 100000,
     .section = &user_section,
     .is_live = true,
     .doc = "Profile standard: who may log in with a password."},
    {.key = "acl",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, acl),
     .max = 1000,
     .section = &acl_section,
     .is_live = true,
     .doc = "Profile standard: who may use which topics. The first rule that fits decides; what none fits is "
            "refused. Without rules everything is allowed but `$SYS`."},
    {.key = "trace",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_instance, is_traced),
     .default_text = "false",
     .is_live = true,
     .doc =
         "The steps of each message (published, sent to a client, acknowledged) and refused logins are kept "
         "in the log, for the calls `QueryMqttTrace...`. Off, because each step is a record of some 300 "
         "bytes more in the log; see `mqtt.traces_per_second`."},
    {.key = "credentials",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, credentials),
     .max = RC_CATALOG_DECLARED_MAX,
     .section = &rc_config_credential_section,
     .is_live = true,
     .doc = "Device credentials: key pairs of single devices (docs/access.md)."},
    {.key = "identities",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, identities),
     .max = RC_CATALOG_DECLARED_MAX,
     .section = &rc_config_identity_section,
     .is_live = true,
     .doc = "Custom identities: user names of your own, which may do what `permissions` say."},
    {.key = "permissions",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, permissions),
     .max = RC_CATALOG_DECLARED_MAX,
     .section = &rc_config_permission_section,
     .is_live = true,
     .doc = "What custom identities may use. One that denies wins; what none allows is refused."},
    {.key = "blacklist",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_instance, blacklist),
     .min = 1,
     .max = RC_CATALOG_DECLARED_MAX,
     .is_valid = rc_config_is_client_id,
     .expected = "a client ID: 1 to 1024 bytes without control characters",
     .is_live = true,
     .doc = "Client IDs that may not connect, whatever they come with."},
    {.key = "cas",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, cas),
     .max = RC_CERTIFICATE_CAS_MAX,
     .section = &rc_config_ca_section,
     .is_live = true,
     .doc = "CAs whose devices log in by their certificates, at listeners with `client_certificate: "
            "registered`."},
    {.key = "tags",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, tags),
     .max = 2000,
     .section = &rc_config_tag_section,
     .is_live = true,
     .doc = "Tags of the instance and its groups; up to 20 of each."},
    {.key = "rocketmq",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_instance, rocketmq),
     .section = &rc_config_endpoint_section,
     .is_live = true,
     .doc = "Names of this server's own RocketMQ endpoint that are there from the start, and are the "
            "instance's."},
    {.key = "limits",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_instance, limits),
     .section = &limits_section,
     .is_live = true,
     .doc = "Other limits than the profile's; 0 and `profile` leave it as it is."},
};
const struct rc_config_section rc_config_instance_section = {
    .name = "instance",
    .size = sizeof(struct rc_config_instance),
    .entries = instance_entries,
    .count = sizeof(instance_entries) / sizeof(instance_entries[0]),
};

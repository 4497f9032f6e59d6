/* The configuration's keys of rules, and of the RocketMQ clusters that they send to. */
#include "control/config_table.h"

#include "catalog/catalog.h"
#include "store/store.h"

static bool is_access_key(struct rc_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || text.ptr[i] == '|')
            return false;
    }
    return text.len > 0;
}

bool rc_config_is_log_name(struct rc_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && c != '_' && c != '-' && c != '%' && c != '|')
            return false;
    }
    return text.len > 0;
}

static bool is_name_or_empty(struct rc_slice text)
{
    return text.len == 0 || rc_catalog_is_instance_id(text);
}

/* ---- rocketmq.instances ---- */
enum { CLUSTER_PATH_MAX = 1023 };

static bool is_access_key_or_empty(struct rc_slice text)
{
    return text.len == 0 || is_access_key(text);
}

static bool is_name_space(struct rc_slice text)
{
    return text.len == 0 || (rc_config_is_log_name(text) && memchr(text.ptr, '%', text.len) == NULL);
}

static bool is_nameserver(struct rc_slice text)
{
    const uint8_t *colon = memrchr(text.ptr, ':', text.len);
    size_t port = 0;
    if (colon == NULL || colon == text.ptr || text.len > 255 || memchr(text.ptr, ';', text.len) != NULL)
        return false;
    for (const uint8_t *at = colon + 1; at < text.ptr + text.len; at++) {
        if (*at < '0' || *at > '9' || port > 65535)
            return false;
        port = port * 10 + (size_t)(*at - '0');
    }
    return port > 0 && port <= 65535;
}

#define TLS(field) (offsetof(struct rc_config_cluster, tls.field) - offsetof(struct rc_config_cluster, tls))

static bool is_host_or_empty(struct rc_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || text.ptr[i] == '/')
            return false;
    return text.len <= 255;
}

static const struct rc_config_entry cluster_tls_entries[] = {
    {.key = "enabled",
     .type = RC_CONFIG_BOOL,
     .offset = TLS(is_enabled),
     .default_text = "false",
     .is_live = true,
     .doc = "Name servers and brokers are spoken to by TLS (their `tls.server.mode` is `permissive` or "
            "`enforcing`), and in no other way."},
    {.key = "ca",
     .type = RC_CONFIG_STRING,
     .offset = TLS(ca),
     .max = CLUSTER_PATH_MAX,
     .default_text = "",
     .is_live = true,
     .doc = "A PEM file with the certificates that the cluster's certificates must come from. Empty: those "
            "that the operating system trusts. Read again with the configuration."},
    {.key = "verify",
     .type = RC_CONFIG_BOOL,
     .offset = TLS(verifies),
     .default_text = "true",
     .is_live = true,
     .doc =
         "`false`: any certificate will do, as for RocketMQ's own clients by default; whoever can stand in "
         "between can read and change everything."},
    {.key = "server_name",
     .type = RC_CONFIG_STRING,
     .offset = TLS(server_name),
     .max = 255,
     .default_text = "",
     .is_valid = is_host_or_empty,
     .expected = "a host's name or address",
     .is_live = true,
     .doc = "The name that certificates must be made out to. Empty: the host of each name server's address, "
            "and of each broker's as the name servers tell it."},
    {.key = "certificate",
     .type = RC_CONFIG_STRING,
     .offset = TLS(certificate),
     .max = CLUSTER_PATH_MAX,
     .default_text = "",
     .is_live = true,
     .doc = "A PEM file: the certificate to show where the cluster asks for one."},
    {.key = "key",
     .type = RC_CONFIG_STRING,
     .offset = TLS(key),
     .max = CLUSTER_PATH_MAX,
     .default_text = "",
     .is_live = true,
     .doc = "A PEM file: its private key, not encrypted."},
};
static const struct rc_config_section cluster_tls_section = {
    .name = "tls",
    .size = sizeof(((struct rc_config_cluster *)0)->tls),
    .entries = cluster_tls_entries,
    .count = sizeof(cluster_tls_entries) / sizeof(cluster_tls_entries[0])};

static const struct rc_config_entry cluster_entries[] = {
    {.key = "name",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_cluster, name),
     .is_valid = rc_catalog_is_instance_id,
     .expected = "1 to 64 of letters, digits, - and _",
     .is_live = true,
     .doc = "The name by which rules refer to it."},
    {.key = "nameservers",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_cluster, nameservers),
     .max = RC_CONFIG_NAMESERVERS_MAX,
     .is_valid = is_nameserver,
     .expected = "a host and a port such as mq.example.com:9876",
     .is_live = true,
     .doc = "The cluster's name servers; one after the other is asked while one does not answer."},
    {.key = "allowed",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_cluster, allowed),
     .max = RC_CONFIG_ALLOWED_MAX,
     .default_text = "",
     .is_valid = rc_catalog_is_instance_id,
     .expected = "the IDs of instances",
     .is_live = true,
     .doc =
         "The instances whose rules may lead to it or read from it. Without this key: all, those too that "
         "are "
         "made by API; so name them where tenants share the server and this cluster is not for all of them."},
    {.key = "access_key",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_cluster, access_key),
     .max = RC_CATALOG_ID_MAX,
     .default_text = "",
     .is_valid = is_access_key_or_empty,
     .expected = "up to 64 printable ASCII characters without spaces and |",
     .is_live = true,
     .doc = "With which requests are signed. Empty: they are not."},
    {.key = "secret_key",
     .type = RC_CONFIG_SECRET,
     .offset = offsetof(struct rc_config_cluster, secret_key),
     .max = RC_CATALOG_SECRET_MAX,
     .default_text = "",
     .is_live = true,
     .doc = "The SecretKey that goes with it."},
    {.key = "namespace",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_cluster, name_space),
     .max = RC_CATALOG_ID_MAX,
     .default_text = "",
     .is_valid = is_name_space,
     .expected = "letters, digits, - and _",
     .is_live = true,
     .doc = "Topics are `<namespace>%<topic>` there, as for clients that use a RocketMQ instance ID."},
    {.key = "tls",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_cluster, tls),
     .section = &cluster_tls_section,
     .is_live = true,
     .doc = "How connections to the cluster are encrypted."},
};
const struct rc_config_section rc_config_cluster_section = {.name = "cluster",
                                                            .size = sizeof(struct rc_config_cluster),
                                                            .entries = cluster_entries,
                                                            .count = sizeof(cluster_entries) /
                                                                     sizeof(cluster_entries[0])};

/* ---- rules ---- */
static const char *const rule_types[] = {"status-notice", "outflow", "inflow", NULL};
static const char *const from_names[] = {"last", "first", NULL};

static bool is_group_or_empty(struct rc_slice text)
{
    return text.len == 0 || rc_catalog_is_group_id(text);
}

/* The first level of MQTT topics; which of them there may be is the profile's to say. */
static bool is_level_or_empty(struct rc_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c < ' ' || c == 0x7f || c == '/' || c == '+' || c == '#' || (i == 0 && c == '$'))
            return false;
    }
    return true;
}

static bool is_log_topic_or_empty(struct rc_slice text)
{
    return text.len == 0 || rc_config_is_log_name(text);
}

#define SOURCE(field)                                                                                        \
    (offsetof(struct rc_config_rule, source.field) - offsetof(struct rc_config_rule, source))

static const struct rc_config_entry source_entries[] = {
    {.key = "mqtt_topic",
     .type = RC_CONFIG_STRING,
     .offset = SOURCE(mqtt_topic),
     .max = 64,
     .default_text = "",
     .is_valid = is_level_or_empty,
     .expected = "the first level of MQTT topics",
     .is_live = true,
     .doc = "Outflow: the parent topic, the first level of the MQTT topics whose messages go out. With "
            "profile product one of the instance's `topics`."},
    {.key = "instance",
     .type = RC_CONFIG_STRING,
     .offset = SOURCE(instance),
     .default_text = "",
     .is_valid = is_name_or_empty,
     .expected = "the name of one of `rocketmq.instances`",
     .is_live = true,
     .doc = "Inflow: the cluster, one of `rocketmq.instances`. Empty: this server's own endpoint."},
    {.key = "topic",
     .type = RC_CONFIG_STRING,
     .offset = SOURCE(topic),
     .max = RC_MESSAGE_TOPIC_MAX,
     .default_text = "",
     .is_valid = is_log_topic_or_empty,
     .expected = "1 to 127 of letters, digits, -, _, % and |",
     .is_live = true,
     .doc = "Inflow: the RocketMQ topic whose messages come in. Of this server's own endpoint with its "
            "namespace, `<namespace>%<topic>`, of another cluster without."},
    {.key = "group",
     .type = RC_CONFIG_STRING,
     .offset = SOURCE(group),
     .max = 2 * RC_CATALOG_ID_MAX,
     .default_text = "",
     .is_valid = is_log_topic_or_empty,
     .expected = "letters, digits, -, _, % and |",
     .is_live = true,
     .doc = "Inflow from another cluster: the consumer group, which nobody else may use. Empty: "
            "`GID_rollcall_<instance>_<rule>`."},
    {.key = "from",
     .type = RC_CONFIG_ENUM,
     .offset = SOURCE(from),
     .names = from_names,
     .default_text = "last",
     .is_live = true,
     .doc = "Inflow, when the rule is new: `last`: what is sent from now on. `first`: all that the topic "
            "holds. Later it goes on where it was."},
};
static const struct rc_config_section source_section = {.name = "source",
                                                        .size = sizeof(((struct rc_config_rule *)0)->source),
                                                        .entries = source_entries,
                                                        .count = sizeof(source_entries) /
                                                                 sizeof(source_entries[0])};

#define TARGET(field)                                                                                        \
    (offsetof(struct rc_config_rule, target.field) - offsetof(struct rc_config_rule, target))

static const struct rc_config_entry target_entries[] = {
    {.key = "instance",
     .type = RC_CONFIG_STRING,
     .offset = TARGET(instance),
     .default_text = "",
     .is_valid = is_name_or_empty,
     .expected = "the name of one of `rocketmq.instances`",
     .is_live = true,
     .doc = "The cluster: one of `rocketmq.instances`."},
    {.key = "topic",
     .type = RC_CONFIG_STRING,
     .offset = TARGET(topic),
     .max = RC_MESSAGE_TOPIC_MAX - RC_CATALOG_ID_MAX - 1,
     .default_text = "",
     .is_valid = is_log_topic_or_empty,
     .expected = "1 to 62 of letters, digits, -, _, % and |",
     .is_live = true,
     .doc = "Its topic, without the cluster's namespace. It must exist there: what is sent waits for it."},
    {.key = "failover",
     .type = RC_CONFIG_BOOL,
     .offset = TARGET(fails_over),
     .default_text = "false",
     .is_live = true,
     .doc =
         "`false`: a client's events wait for the broker that holds their queue, and stay in order. `true`: "
         "the queues that the name server knows now are used, so the order may be lost with a broker."},
    {.key = "mqtt_topic",
     .type = RC_CONFIG_STRING,
     .offset = TARGET(mqtt_topic),
     .max = 64,
     .default_text = "",
     .is_valid = is_level_or_empty,
     .expected = "the first level of MQTT topics",
     .is_live = true,
     .doc = "Inflow: the parent topic below which the messages are published. With profile product one of "
            "the instance's `topics`."},
};
static const struct rc_config_section target_section = {.name = "target",
                                                        .size = sizeof(((struct rc_config_rule *)0)->target),
                                                        .entries = target_entries,
                                                        .count = sizeof(target_entries) /
                                                                 sizeof(target_entries[0])};

static const struct rc_config_entry rule_entries[] = {
    {.key = "id",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_rule, id),
     .is_valid = rc_catalog_is_rule_id,
     .expected = "3 to 64 of letters, digits, - and _, at least one letter or digit",
     .is_live = true,
     .doc = "The rule's name, unique in its instance."},
    {.key = "type",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_rule, type),
     .names = rule_types,
     .default_text = "status-notice",
     .is_live = true,
     .doc = "`status-notice`: the arrivals and departures of a group's clients go to a RocketMQ topic. "
            "`outflow`: the messages of an MQTT topic go to a RocketMQ topic. `inflow`: the messages of a "
            "RocketMQ topic are published to an MQTT topic, or to single clients (docs/rules.md)."},
    {.key = "description",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_rule, description),
     .max = RC_CATALOG_DESCRIPTION_MAX,
     .default_text = "",
     .is_live = true,
     .doc = "What it is for, for people. It is told with the rule."},
    {.key = "group",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_rule, group),
     .default_text = "",
     .is_valid = is_group_or_empty,
     .expected = "a group ID: GID_ or GID- and then letters, digits, - and _, 7 to 64 in all",
     .is_live = true,
     .doc = "Status notice: the group whose clients it is about; one of the instance's `groups`. A group has "
            "one status rule at most."},
    {.key = "source",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_rule, source),
     .section = &source_section,
     .is_live = true,
     .doc = "Outflow and inflow: where the messages come from."},
    {.key = "topic",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_rule, topic),
     .max = RC_MESSAGE_TOPIC_MAX,
     .default_text = "",
     .is_valid = is_log_topic_or_empty,
     .expected = "1 to 127 of letters, digits, -, _, % and |",
     .is_live = true,
     .doc =
         "The RocketMQ topic of this server's own endpoint. For consumers that use a RocketMQ instance ID (a "
         "namespace) write `<namespace>%<topic>`. A status-notice or outflow rule has this or `target`."},
    {.key = "target",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_rule, target),
     .section = &target_section,
     .is_live = true,
     .doc = "Where the messages go: a topic of another RocketMQ cluster, instead of `topic`; inflow: an MQTT "
            "topic."},
    {.key = "queues",
     .type = RC_CONFIG_INTEGER,
     .offset = offsetof(struct rc_config_rule, queues),
     .min = 1,
     .max = RC_STORE_QUEUES_PER_TOPIC_MAX,
     .default_text = "8", /* RC_RULE_QUEUES_DEFAULT */
     .is_live = true,
     .doc =
         "Queues of the topic when it does not exist yet; an existing topic keeps its own count. The events "
         "of one client are always in one queue."},
    {.key = "enabled",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_rule, is_enabled),
     .default_text = "true",
     .is_live = true,
     .doc = "A disabled rule is as none: the group's events go to the system topic. A connection keeps the "
            "topic "
            "that it began with."},
};
const struct rc_config_section rc_config_rule_section = {.name = "rule",
                                                         .size = sizeof(struct rc_config_rule),
                                                         .entries = rule_entries,
                                                         .count =
                                                             sizeof(rule_entries) / sizeof(rule_entries[0])};

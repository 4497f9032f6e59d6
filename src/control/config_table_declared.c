/* The configuration's keys of an instance that the API makes too: credentials, identities, certificates... */
#include "control/config_table.h"

#include "catalog/catalog.h"
#include "mqtt/topic.h"
#include "store/store.h"

#define SECTION(name_, text_, type_, entries_)                                                               \
    const struct rc_config_section rc_config_##name_##_section = {.name = text_,                             \
                                                                  .size = sizeof(type_),                     \
                                                                  .entries = entries_,                       \
                                                                  .count = sizeof(entries_) /                \
                                                                           sizeof(entries_[0])}

bool rc_config_is_client_id(struct rc_slice text)
{
    return text.len > 0 && rc_catalog_is_client_id(text);
}

static bool is_custom_user(struct rc_slice text)
{
    return text.len <= RC_CATALOG_CUSTOM_USER_MAX && rc_catalog_is_user_name(text);
}

static bool is_custom_user_or_empty(struct rc_slice text)
{
    return text.len == 0 || is_custom_user(text);
}

static bool is_permission_topic(struct rc_slice text)
{
    return text.len <= RC_CATALOG_LABEL_MAX && rc_topic_filter_is_valid(text);
}

static bool is_group_or_empty(struct rc_slice text)
{
    return text.len == 0 || rc_catalog_is_group_id(text);
}

static bool is_device(struct rc_slice text)
{
    struct rc_slice group, device;
    return rc_catalog_split_client_id(text, &group, &device) == RC_OK;
}

/* ---- device credentials ---- */
static const struct rc_config_entry credential_entries[] = {
    {.key = "client_id",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_credential, client_id),
     .is_valid = is_device,
     .expected = "a client ID <group>@@@<device>, 64 bytes at most",
     .is_live = true,
     .doc = "The one client that may log in with it, of one of the instance's `groups`."},
    {.key = "access_key",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_credential, access_key),
     .is_valid = rc_catalog_is_access_key,
     .expected = "1 to 64 printable ASCII characters without spaces and |",
     .is_live = true,
     .doc = "Its DeviceAccessKeyId: the middle of the user name `DeviceCredential|<access_key>|<instance>`."},
    {.key = "secret_key",
     .type = RC_CONFIG_SECRET,
     .offset = offsetof(struct rc_config_credential, secret_key),
     .min = 1,
     .max = RC_CATALOG_SECRET_MAX,
     .is_live = true,
     .doc = "Its DeviceAccessKeySecret."},
};
SECTION(credential, "credential", struct rc_config_credential, credential_entries);

/* ---- custom identities ---- */
static const struct rc_config_entry identity_entries[] = {
    {.key = "user",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_identity, user),
     .is_valid = is_custom_user,
     .expected = "1 to 64 bytes without control characters and |",
     .is_live = true,
     .doc = "The user name."},
    {.key = "client",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_identity, client),
     .default_text = "",
     .is_valid = rc_catalog_is_client_id,
     .expected = "a client ID: up to 1024 bytes without control characters",
     .is_live = true,
     .doc = "The one client ID that may come by it. Empty: any."},
    {.key = "secret",
     .type = RC_CONFIG_SECRET,
     .offset = offsetof(struct rc_config_identity, secret),
     .min = 1,
     .max = RC_CATALOG_SECRET_MAX,
     .is_live = true,
     .doc = "The password, or with `signed` the key by which clients sign."},
    {.key = "signed",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_identity, is_signed),
     .default_text = "false",
     .is_live = true,
     .doc = "`true`: the password is the client ID's signature (HMAC-SHA1, as with key pairs)."},
};
SECTION(identity, "identity", struct rc_config_identity, identity_entries);

static const struct rc_config_entry permission_entries[] = {
    {.key = "user",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_acl, user),
     .default_text = "",
     .is_valid = is_custom_user_or_empty,
     .expected = "1 to 64 bytes without control characters and |",
     .is_live = true,
     .doc = "The user name whose it is; it or `client` is given."},
    {.key = "client",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_acl, client),
     .default_text = "",
     .is_valid = rc_catalog_is_client_id,
     .expected = "a client ID: up to 1024 bytes without control characters",
     .is_live = true,
     .doc = "The client ID whose it is."},
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
     .max = RC_CATALOG_PERMISSIONS_MAX,
     .is_valid = is_permission_topic,
     .expected = "an MQTT topic filter of at most 128 bytes",
     .is_live = true,
     .doc = "Topic filters, each given once for a user or client."},
};
SECTION(permission, "permission", struct rc_config_acl, permission_entries);

/* ---- certificates ---- */
#define PEM_DOC " In PEM: the text itself (YAML's `|`), `file:PATH` or `env:NAME`."

static const struct rc_config_entry device_entries[] = {
    {.key = "certificate",
     .type = RC_CONFIG_PEM,
     .offset = offsetof(struct rc_config_device_certificate, certificate),
     .min = 1,
     .max = RC_CATALOG_CERTIFICATE_MAX,
     .is_live = true,
     .doc = "A device's certificate, signed by this CA." PEM_DOC},
    {.key = "active",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_device_certificate, is_active),
     .default_text = "true",
     .is_live = true,
     .doc = "`false`: nobody logs in with it."},
};
static const struct rc_config_section device_section = {.name = "device",
                                                        .size = sizeof(struct rc_config_device_certificate),
                                                        .entries = device_entries,
                                                        .count = 2};

static const struct rc_config_entry ca_entries[] = {
    {.key = "name",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_ca, name),
     .min = 1,
     .max = RC_CATALOG_LABEL_MAX,
     .is_live = true,
     .doc = "What it is called in lists."},
    {.key = "certificate",
     .type = RC_CONFIG_PEM,
     .offset = offsetof(struct rc_config_ca, certificate),
     .min = 1,
     .max = RC_CATALOG_CERTIFICATE_MAX,
     .is_live = true,
     .doc = "The CA's certificate." PEM_DOC},
    {.key = "active",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_ca, is_active),
     .default_text = "true",
     .is_live = true,
     .doc = "`false`: none of its devices logs in."},
    {.key = "devices",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_ca, devices),
     .max = RC_CATALOG_DECLARED_MAX,
     .section = &device_section,
     .is_live = true,
     .doc =
         "Devices' certificates that are known from the start. Others become known when they come first, so "
         "this serves to keep some out."},
};
SECTION(ca, "ca", struct rc_config_ca, ca_entries);

/* ---- tags ---- */
static const struct rc_config_entry tag_entries[] = {
    {.key = "key",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_tag, key),
     .min = 1,
     .max = RC_CATALOG_LABEL_MAX,
     .is_live = true,
     .doc = "The tag's key."},
    {.key = "value",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_tag, value),
     .max = RC_CATALOG_LABEL_MAX,
     .default_text = "",
     .is_live = true,
     .doc = "Its value."},
    {.key = "group",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_tag, group),
     .default_text = "",
     .is_valid = is_group_or_empty,
     .expected = "a group ID: GID_ or GID- and then letters, digits, - and _, 7 to 64 in all",
     .is_live = true,
     .doc = "One of the instance's `groups`. Empty: the instance itself."},
};
SECTION(tag, "tag", struct rc_config_tag, tag_entries);

/* ---- the endpoint's names ---- */
static bool is_topic(struct rc_slice text)
{
    return text.len <= RC_MESSAGE_TOPIC_MAX && rc_config_is_log_name(text);
}

static bool is_consumer_group(struct rc_slice text)
{
    return text.len <= RC_CATALOG_GROUP_NAME_MAX && rc_config_is_log_name(text);
}

static const struct rc_config_entry topic_entries[] = {
    {.key = "name",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_endpoint_topic, name),
     .is_valid = is_topic,
     .expected = "1 to 127 of letters, digits, -, _, % and |",
     .is_live = true,
     .doc =
         "The topic. For clients that use a RocketMQ instance ID (a namespace) write `<namespace>%<topic>`."},
    {.key = "queues",
     .type = RC_CONFIG_INTEGER,
     .offset = offsetof(struct rc_config_endpoint_topic, queues),
     .min = 1,
     .max = 1024,
     .default_text = "8",
     .is_live = true,
     .doc = "Its queues when it does not exist yet; an existing topic keeps its own count."},
};
static const struct rc_config_section topic_section = {
    .name = "topic", .size = sizeof(struct rc_config_endpoint_topic), .entries = topic_entries, .count = 2};

static const struct rc_config_entry endpoint_entries[] = {
    {.key = "topics",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_endpoint, topics),
     .max = RC_CATALOG_DECLARED_MAX,
     .section = &topic_section,
     .is_live = true,
     .doc = "Topics. One that is taken out of the file is deleted, unless it was there before the file named "
            "it."},
    {.key = "groups",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_endpoint, groups),
     .max = RC_CATALOG_DECLARED_MAX,
     .is_valid = is_consumer_group,
     .expected = "letters, digits, -, _, % and |, 255 at most",
     .is_live = true,
     .doc = "Consumer groups, likewise."},
};
SECTION(endpoint, "rocketmq", struct rc_config_endpoint, endpoint_entries);

/* What the lines of an export hold, and what may stand in them. */
#include "registry/transfer_rows.h"

#include "auth/certificate.h"
#include "base/alloc.h"
#include "base/hex.h"
#include "base/log.h"
#include "mqtt/topic.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what may stand in the columns ---- */

static bool is_custom_user(struct rc_slice text)
{
    return text.len <= RC_CATALOG_CUSTOM_USER_MAX && rc_catalog_is_user_name(text);
}

static bool is_hex(struct rc_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr("0123456789abcdefABCDEF", text.ptr[i]) == NULL)
            return false;
    return true;
}

static bool is_tag_type(struct rc_slice text)
{
    return rc_slice_eq_str(text, "instance") || rc_slice_eq_str(text, "group");
}

static bool is_certificate(struct rc_slice text)
{
    X509 *certificate = rc_certificate_read(text);
    X509_free(certificate);
    return certificate != NULL;
}

static bool is_rocketmq_name(struct rc_slice text)
{
    return rc_registry_is_rocketmq_name(text, text.len);
}

static bool is_rocketmq_topic(struct rc_slice text)
{
    return is_rocketmq_name(text) && !rc_catalog_is_system_topic(text);
}

#define ROCKETMQ_CHARACTERS "letters, digits, and of %, |, - and _"
#define VALUES static const struct rc_transfer_values

VALUES instance_id = {rc_catalog_is_instance_id, 1, RC_CATALOG_ID_MAX, RC_REGISTRY_INSTANCE_WORDS};
VALUES instance_id_or_none = {rc_catalog_is_instance_id, 0, RC_CATALOG_ID_MAX,
                              "nothing, or " RC_REGISTRY_INSTANCE_WORDS};
VALUES label = {NULL, 1, RC_REGISTRY_TAG_TEXT_MAX, "1 to 128 bytes of text"};
VALUES label_or_none = {NULL, 0, RC_REGISTRY_TAG_TEXT_MAX, "up to 128 bytes of text"};
VALUES word = {NULL, 1, RC_CATALOG_ID_MAX, "1 to 64 bytes of text"};
VALUES word_or_none = {NULL, 0, RC_CATALOG_ID_MAX, "up to 64 bytes of text"};
VALUES description = {NULL, 0, RC_CATALOG_DESCRIPTION_MAX, "up to 256 bytes of text"};
VALUES limits = {NULL, 0, RC_LIMITS_TEXT_MAX, "up to 512 bytes of text"};
VALUES group_id = {rc_catalog_is_group_id, 1, RC_CATALOG_ID_MAX, RC_REGISTRY_GROUP_WORDS};
VALUES group_id_or_none = {rc_catalog_is_group_id, 0, RC_CATALOG_ID_MAX,
                           "nothing, or " RC_REGISTRY_GROUP_WORDS};
VALUES parent_topic = {rc_catalog_is_parent_topic, 1, RC_CATALOG_ID_MAX, RC_REGISTRY_PARENT_TOPIC_WORDS};
VALUES rule_id = {rc_catalog_is_rule_id, 1, RC_CATALOG_ID_MAX, RC_REGISTRY_RULE_WORDS};
VALUES access_key = {rc_catalog_is_access_key, 1, RC_CATALOG_ID_MAX, RC_REGISTRY_ACCESS_KEY_WORDS};
VALUES secret = {NULL, 1, RC_CATALOG_SECRET_MAX, "1 to 256 bytes of text"};
VALUES token_key = {NULL, RC_CATALOG_TOKEN_KEY_LEN, RC_CATALOG_TOKEN_KEY_LEN, "64 hexadecimal digits"};
VALUES token = {NULL, RC_CATALOG_TOKEN_ID_LEN, RC_CATALOG_TOKEN_ID_LEN, "32 hexadecimal digits"};
VALUES client_id = {rc_catalog_is_client_id, 1, RC_CLIENT_ID_MAX,
                    "1 to 1024 bytes of text without control characters"};
VALUES client_id_or_none = {rc_catalog_is_client_id, 0, RC_CLIENT_ID_MAX,
                            "up to 1024 bytes of text without control characters"};
VALUES user_name = {is_custom_user, 1, RC_CATALOG_CUSTOM_USER_MAX,
                    "1 to 64 bytes of text without control characters and |"};
VALUES filter = {rc_topic_filter_is_valid, 1, RC_REGISTRY_TAG_TEXT_MAX,
                 "an MQTT topic filter of at most 128 bytes"};
VALUES serial = {is_hex, 1, RC_CATALOG_SN_MAX, "1 to 64 hexadecimal digits"};
VALUES serial_or_none = {is_hex, 0, RC_CATALOG_SN_MAX,
                         "nothing (a CA's certificate), or the 1 to 64 hexadecimal digits of its CA"};
VALUES certificate = {is_certificate, 1, RC_CATALOG_CERTIFICATE_MAX, "a certificate in PEM"};
VALUES pem_or_none = {NULL, 0, RC_CATALOG_CERTIFICATE_MAX, "up to 16384 bytes of text"};
VALUES tag_type = {is_tag_type, 1, RC_CATALOG_ID_MAX, "instance or group"};
VALUES tag_id = {NULL, 1, 2 * RC_CATALOG_ID_MAX + 1, "<instance> or <instance>/<group>"};
VALUES topic = {is_rocketmq_topic, 1, 127,
                "1 to 127 " ROCKETMQ_CHARACTERS ", and no topic that the server or RocketMQ has for itself"};
VALUES topic_or_none = {is_rocketmq_topic, 0, 127,
                        "nothing, or 1 to 127 " ROCKETMQ_CHARACTERS
                        ", and no topic that the server or RocketMQ has for itself"};
VALUES target_topic_or_none = {is_rocketmq_topic, 0, 62, "nothing, or 1 to 62 " ROCKETMQ_CHARACTERS};
VALUES consumer_group = {is_rocketmq_name, 1, RC_CATALOG_GROUP_NAME_MAX, "1 to 255 " ROCKETMQ_CHARACTERS};
VALUES consumer_group_or_none = {is_rocketmq_name, 0, RC_CATALOG_GROUP_NAME_MAX,
                                 "nothing, or 1 to 255 " ROCKETMQ_CHARACTERS};

VALUES flag = {NULL, 0, 1, "0 (no) or 1 (yes)"};
VALUES time_ms = {NULL, 0, INT64_MAX, "milliseconds since 1970"};
VALUES moment = {NULL, INT64_MIN, INT64_MAX, "milliseconds since 1970"}; /* certificates' may lie before */
VALUES profile = {NULL, RC_PROFILE_PRODUCT, RC_PROFILE_STANDARD, "0 (product) or 1 (standard)"};
VALUES role = {NULL, RC_KEY_USER, RC_KEY_ADMIN, "0 (user), 1 (read-only) or 2 (administrator)"};
VALUES identity_type = {NULL, 0, 1, "0 (a user name) or 1 (a client id)"};
VALUES actions = {NULL, RC_ACL_READ, RC_ACL_READ | RC_ACL_WRITE, "1 (read), 2 (write) or 3 (both)"};
VALUES rule_type = {NULL, RC_RULE_STATUS_NOTICE, RC_RULE_INFLOW,
                    "0 (status notice), 1 (outflow) or 2 (inflow)"};
VALUES queues = {NULL, 1, 1024, "1 to 1024"};
VALUES queues_or_none = {NULL, 0, 1024, "0 to 1024"};
VALUES perm = {NULL, 1, 7, "6 (read and write), 4 (read) or 2 (write)"};

/* ---- what columns say together ---- */

bool rc_transfer_has_instance(const struct rc_transfer_check *with, struct rc_slice id)
{
    struct rc_sql *sql = &with->registry->sql;
    if (with->declared != NULL && rc_catalog_instance(with->declared, id) != NULL)
        return true;
    return rc_sql_number(sql, rc_sql_bind(sql, "SELECT 1 FROM instances WHERE id = ?", "t", id), 0) == 1;
}

static bool has_group(const struct rc_transfer_check *with, struct rc_slice instance_name, struct rc_slice id)
{
    struct rc_sql *sql = &with->registry->sql;
    const struct rc_instance *instance =
        with->declared != NULL ? rc_catalog_instance(with->declared, instance_name) : NULL;
    if (instance != NULL && rc_instance_group(instance, id) != NULL)
        return true;
    return rc_sql_number(sql,
                         rc_sql_bind(sql, "SELECT 1 FROM groups WHERE instance = ? AND id = ?", "tt",
                                     instance_name, id),
                         0) == 1;
}

/* `what` is neither in the registry nor in a line before. */
static int refuse_missing(struct rc_error *error, const char *field, const char *what, struct rc_slice id)
{
    char text[160];
    return rc_error_set(error, RC_ERR_INVALID,
                        "%s: there is no %s %s, neither here nor in a line before this one", field, what,
                        rc_log_quote(text, sizeof(text), id));
}

static int check_instance(const struct rc_transfer_check *with, const struct rc_transfer_row *row,
                          struct rc_error *error)
{
    enum { PROFILE = 7, LIMITS = 8 };
    struct rc_error why = {0};
    struct rc_limits scratch = *rc_limits_of((enum rc_profile)row->numbers[PROFILE]);
    if (rc_limits_apply(&scratch, row->texts[LIMITS], &why) == RC_OK)
        return RC_OK;
    return rc_error_set(error, RC_ERR_INVALID, "limits: %s", why.text);
}

static int check_key(const struct rc_transfer_check *with, const struct rc_transfer_row *row,
                     struct rc_error *error)
{
    enum { INSTANCE = 1, ROLE = 2 };
    bool is_admin = row->numbers[ROLE] == RC_KEY_ADMIN;
    if (is_admin == (row->texts[INSTANCE].len == 0))
        return RC_OK;
    return rc_error_set(error, RC_ERR_INVALID,
                        "instance: an administrator's key (role 2) has none, and each other key needs one");
}

static int check_identity(const struct rc_transfer_check *with, const struct rc_transfer_row *row,
                          struct rc_error *error)
{
    enum { TYPE = 1, CLIENT_ID = 3 };
    if ((row->numbers[TYPE] == 1) == (row->texts[CLIENT_ID].len > 0))
        return RC_OK;
    return rc_error_set(error, RC_ERR_INVALID,
                        "client_id: an identity of type 1 needs one, and one of type 0 has none");
}

static int check_tag(const struct rc_transfer_check *with, const struct rc_transfer_row *row,
                     struct rc_error *error)
{
    enum { TYPE, ID };
    struct rc_slice id = row->texts[ID], group;
    struct rc_slice instance = rc_registry_split_tagged(id, &group);
    bool is_group = rc_slice_eq_str(row->texts[TYPE], "group");
    bool is_there = is_group ? has_group(with, instance, group)
                             : group.len == 0 && rc_transfer_has_instance(with, instance);
    return is_there ? RC_OK : refuse_missing(error, "id", is_group ? "group" : "instance", id);
}

static int check_rule(const struct rc_transfer_check *with, const struct rc_transfer_row *row,
                      struct rc_error *error)
{
    enum { INSTANCE, ID, GROUP, TOPIC, TARGET, TARGET_TOPIC, TYPE = 9, MQTT_TOPIC = 11 };
    bool is_far = row->texts[TARGET].len > 0, is_status = row->numbers[TYPE] == RC_RULE_STATUS_NOTICE;
    if (is_far == (row->texts[TOPIC].len > 0) || is_far != (row->texts[TARGET_TOPIC].len > 0))
        return rc_error_set(error, RC_ERR_INVALID,
                            "topic: a rule has a topic, or a target_instance with a target_topic, not both");
    if (is_status && !has_group(with, row->texts[INSTANCE], row->texts[GROUP]))
        return refuse_missing(error, "group_id", "group", row->texts[GROUP]);
    if (!is_status && row->texts[MQTT_TOPIC].len == 0)
        return rc_error_set(error, RC_ERR_INVALID, "mqtt_topic: an outflow or inflow rule needs one");
    return RC_OK;
}

/* ---- the kinds ---- */

const struct rc_transfer_table rc_transfer_tables[] = {
    {"instances",
     "instance",
     "SELECT id, name, origin, token_key, registration_code, created, updated, profile, limits,"
     " is_traced FROM instances",
     "INSERT OR REPLACE INTO instances VALUES (?1, ?2, coalesce((SELECT origin FROM instances WHERE id = ?1),"
     " ?3), ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
     {{"id", RC_TRANSFER_TEXT, &instance_id},
      {"name", RC_TRANSFER_TEXT, &label},
      {"origin", RC_TRANSFER_NUMBER, &flag},
      {"token_key", RC_TRANSFER_SECRET_BYTES, &token_key},
      {"registration_code", RC_TRANSFER_TEXT, &word},
      {"created", RC_TRANSFER_NUMBER, &time_ms},
      {"updated", RC_TRANSFER_NUMBER, &time_ms},
      {"profile", RC_TRANSFER_NUMBER_NEW, &profile},
      {"limits", RC_TRANSFER_TEXT_NEW, &limits},
      {"is_traced", RC_TRANSFER_NUMBER_NEW, &flag}},
     0,
     {-1, -1},
     check_instance},
    {"groups",
     NULL,
     "SELECT instance, id, origin, created, updated FROM groups WHERE origin = 0",
     "INSERT OR IGNORE INTO groups VALUES (?, ?, ?, ?, ?)",
     {{"instance", RC_TRANSFER_TEXT, &instance_id},
      {"id", RC_TRANSFER_TEXT, &group_id},
      {"origin", RC_TRANSFER_NUMBER, &flag},
      {"created", RC_TRANSFER_NUMBER, &time_ms},
      {"updated", RC_TRANSFER_NUMBER, &time_ms}},
     0,
     {1, -1},
     NULL},
    {"topics",
     NULL,
     "SELECT instance, id, origin, created, updated FROM topics WHERE origin = 0",
     "INSERT OR IGNORE INTO topics VALUES (?, ?, ?, ?, ?)",
     {{"instance", RC_TRANSFER_TEXT, &instance_id},
      {"id", RC_TRANSFER_TEXT, &parent_topic},
      {"origin", RC_TRANSFER_NUMBER, &flag},
      {"created", RC_TRANSFER_NUMBER, &time_ms},
      {"updated", RC_TRANSFER_NUMBER, &time_ms}},
     0,
     {1, -1},
     NULL},
    {"keys",
     "key",
     "SELECT access_key, instance, role, secret, origin, created FROM keys WHERE origin = 0",
     "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?)",
     {{"access_key", RC_TRANSFER_TEXT, &access_key},
      {"instance", RC_TRANSFER_TEXT, &instance_id_or_none},
      {"role", RC_TRANSFER_NUMBER, &role},
      {"secret", RC_TRANSFER_SECRET, &secret},
      {"origin", RC_TRANSFER_NUMBER, &flag},
      {"created", RC_TRANSFER_NUMBER, &time_ms}},
     1,
     {0, -1},
     check_key},
    {"credentials",
     "credential",
     "SELECT instance, client_id, access_key, secret, created, updated FROM credentials WHERE"
     " origin = 0",
     "INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?, 0)",
     {{"instance", RC_TRANSFER_TEXT, &instance_id},
      {"client_id", RC_TRANSFER_TEXT, &client_id},
      {"access_key", RC_TRANSFER_TEXT, &access_key},
      {"secret", RC_TRANSFER_SECRET, &secret},
      {"created", RC_TRANSFER_NUMBER, &time_ms},
      {"updated", RC_TRANSFER_NUMBER, &time_ms}},
     0,
     {1, -1},
     NULL},
    {"revocations",
     NULL,
     "SELECT instance, token, until FROM revocations",
     "INSERT OR REPLACE INTO revocations VALUES (?, ?, ?)",
     {{"instance", RC_TRANSFER_TEXT, &instance_id},
      {"token", RC_TRANSFER_BYTES, &token},
      {"until", RC_TRANSFER_NUMBER, &time_ms}},
     0,
     {-1, -1},
     NULL},
    {"identities",
     "identity",
     "SELECT instance, type, username, client_id, is_signed, secret, created, updated FROM identities"
     " WHERE origin = 0",
     "INSERT OR REPLACE INTO identities VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
     {{"instance", RC_TRANSFER_TEXT, &instance_id},
      {"type", RC_TRANSFER_NUMBER, &identity_type},
      {"username", RC_TRANSFER_TEXT, &user_name},
      {"client_id", RC_TRANSFER_TEXT, &client_id_or_none},
      {"is_signed", RC_TRANSFER_NUMBER, &flag},
      {"secret", RC_TRANSFER_SECRET, &secret},
      {"created", RC_TRANSFER_NUMBER, &time_ms},
      {"updated", RC_TRANSFER_NUMBER, &time_ms}},
     0,
     {2, 3},
     check_identity},
    {"permissions",
     NULL,
     "SELECT instance, type, identity, topic, actions, denies FROM permissions WHERE origin = 0",
     "INSERT OR REPLACE INTO permissions VALUES (?, ?, ?, ?, ?, ?, 0)",
     {{"instance", RC_TRANSFER_TEXT, &instance_id},
      {"type", RC_TRANSFER_NUMBER, &identity_type},
      {"identity", RC_TRANSFER_TEXT, &client_id},
      {"topic", RC_TRANSFER_TEXT, &filter},
      {"actions", RC_TRANSFER_NUMBER, &actions},
      {"denies", RC_TRANSFER_NUMBER, &flag}},
     0,
     {-1, -1},
     NULL},
    {"blacklist",
     NULL,
     "SELECT instance, client_id, created FROM blacklist WHERE origin = 0",
     "INSERT OR REPLACE INTO blacklist VALUES (?, ?, ?, 0)",
     {{"instance", RC_TRANSFER_TEXT, &instance_id},
      {"client_id", RC_TRANSFER_TEXT, &client_id},
      {"created", RC_TRANSFER_NUMBER, &time_ms}},
     0,
     {-1, -1},
     NULL},
    {"certificates",
     NULL,
     "SELECT instance, ca_sn, sn, name, content, verification, code, is_active, valid_from, valid_to FROM"
     " certificates WHERE origin = 0",
     "INSERT OR REPLACE INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
     {{"instance", RC_TRANSFER_TEXT, &instance_id},
      {"ca_sn", RC_TRANSFER_TEXT, &serial_or_none},
      {"sn", RC_TRANSFER_TEXT, &serial},
      {"name", RC_TRANSFER_TEXT, &label_or_none},
      {"content", RC_TRANSFER_TEXT, &certificate},
      {"verification", RC_TRANSFER_TEXT, &pem_or_none},
      {"code", RC_TRANSFER_TEXT, &word_or_none},
      {"is_active", RC_TRANSFER_NUMBER, &flag},
      {"valid_from", RC_TRANSFER_NUMBER, &moment},
      {"valid_to", RC_TRANSFER_NUMBER, &moment}},
     0,
     {-1, -1},
     NULL},
    {"tags",
     NULL,
     "SELECT type, id, key, value FROM tags WHERE origin = 0",
     "INSERT OR REPLACE INTO tags VALUES (?, ?, ?, 0, ?)",
     {{"type", RC_TRANSFER_TEXT, &tag_type},
      {"id", RC_TRANSFER_TEXT, &tag_id},
      {"key", RC_TRANSFER_TEXT, &label},
      {"value", RC_TRANSFER_TEXT, &label_or_none}},
     0,
     {-1, -1},
     check_tag},
    {"rules",
     NULL,
     "SELECT instance, id, group_id, topic, target_instance, target_topic, queues, is_enabled, fails_over,"
     " type, description, mqtt_topic, consumer_group, is_from_first FROM rules",
     "INSERT OR REPLACE INTO rules VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
     {{"instance", RC_TRANSFER_TEXT, &instance_id},
      {"id", RC_TRANSFER_TEXT, &rule_id},
      {"group_id", RC_TRANSFER_TEXT, &group_id_or_none},
      {"topic", RC_TRANSFER_TEXT, &topic_or_none},
      {"target_instance", RC_TRANSFER_TEXT, &word_or_none},
      {"target_topic", RC_TRANSFER_TEXT, &target_topic_or_none},
      {"queues", RC_TRANSFER_NUMBER, &queues_or_none},
      {"is_enabled", RC_TRANSFER_NUMBER, &flag},
      {"fails_over", RC_TRANSFER_NUMBER, &flag},
      {"type", RC_TRANSFER_NUMBER_NEW, &rule_type},
      {"description", RC_TRANSFER_TEXT_NEW, &description},
      {"mqtt_topic", RC_TRANSFER_TEXT_NEW, &word_or_none},
      {"consumer_group", RC_TRANSFER_TEXT_NEW, &consumer_group_or_none},
      {"is_from_first", RC_TRANSFER_NUMBER_NEW, &flag}},
     0,
     {-1, -1},
     check_rule},
    {RC_TRANSFER_TOPICS,
     NULL,
     NULL,
     NULL,
     {{"instance", RC_TRANSFER_TEXT, &instance_id_or_none},
      {"topic", RC_TRANSFER_TEXT, &topic},
      {"queues", RC_TRANSFER_NUMBER, &queues},
      {"perm", RC_TRANSFER_NUMBER, &perm}},
     0,
     {-1, -1},
     NULL},
    {RC_TRANSFER_GROUPS,
     NULL,
     NULL,
     NULL,
     {{"instance", RC_TRANSFER_TEXT, &instance_id_or_none}, {"group", RC_TRANSFER_TEXT, &consumer_group}},
     0,
     {-1, -1},
     NULL},
};
const size_t rc_transfer_tables_count = sizeof(rc_transfer_tables) / sizeof(rc_transfer_tables[0]);

bool rc_transfer_is_text(enum rc_transfer_type type)
{
    return type == RC_TRANSFER_TEXT || type == RC_TRANSFER_TEXT_NEW;
}

bool rc_transfer_is_number(enum rc_transfer_type type)
{
    return type == RC_TRANSFER_NUMBER || type == RC_TRANSFER_NUMBER_NEW;
}

bool rc_transfer_is_secret(enum rc_transfer_type type)
{
    return type == RC_TRANSFER_SECRET || type == RC_TRANSFER_SECRET_BYTES;
}

static bool is_new(enum rc_transfer_type type)
{
    return type == RC_TRANSFER_TEXT_NEW || type == RC_TRANSFER_NUMBER_NEW;
}

static bool is_hex_digits(enum rc_transfer_type type)
{
    return type == RC_TRANSFER_BYTES || type == RC_TRANSFER_SECRET_BYTES;
}

void rc_transfer_set_context(const struct rc_transfer_table *table, const struct rc_slice *values,
                             struct rc_transfer_context *context)
{
    struct rc_slice none = {NULL, 0};
    context->instance = values[table->instance_column];
    context->id = table->id_columns[0] >= 0 ? values[table->id_columns[0]] : none;
    if (table->id_columns[1] < 0)
        return;
    struct rc_slice second = values[table->id_columns[1]];
    size_t len = context->id.len + 1 + second.len;
    if (len > sizeof(context->text))
        return;
    memcpy(context->text, context->id.ptr, context->id.len);
    context->text[context->id.len] = '\0';
    if (second.len > 0)
        memcpy(context->text + context->id.len + 1, second.ptr, second.len);
    context->id = rc_slice(context->text, len);
}

/* ---- a line ---- */

void rc_transfer_free_row(struct rc_transfer_row *row)
{
    for (int i = 0; i < RC_TRANSFER_COLUMNS_MAX; i++) {
        if (row->owned[i] != NULL)
            explicit_bzero(row->owned[i], strlen(row->owned[i]));
        free(row->owned[i]);
    }
}

/* What stands there instead, without what nobody may see. */
static const char *show(const json_t *value, enum rc_transfer_type type, char *out, size_t size)
{
    if (rc_transfer_is_secret(type))
        return "something else";
    if (json_is_string(value))
        return rc_log_quote(out, size, rc_slice(json_string_value(value), json_string_length(value)));
    if (json_is_integer(value))
        snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        snprintf(out, size, "%s",
                 json_is_object(value)  ? "an object"
                 : json_is_array(value) ? "a list"
                 : json_is_real(value)  ? "a fraction"
                 : json_is_null(value)  ? "null"
                 : json_is_true(value)  ? "true"
                                        : "false");
    return out;
}

static bool is_text_right(const struct rc_transfer_values *values, struct rc_slice text)
{
    return (int64_t)text.len >= values->min && (int64_t)text.len <= values->max &&
           (text.len == 0 || values->is_right == NULL || values->is_right(text));
}

/* Takes the value; false when it is none that may stand there. */
static bool take_value(enum rc_transfer_type type, const struct rc_transfer_values *values,
                       const json_t *value, int at, struct rc_transfer_row *row)
{
    if (rc_transfer_is_number(type)) {
        row->numbers[at] = json_integer_value(value);
        return json_is_integer(value) && row->numbers[at] >= values->min && row->numbers[at] <= values->max;
    }
    if (!json_is_string(value))
        return false;
    size_t len = json_string_length(value);
    char *text = row->owned[at] = rc_strndup(json_string_value(value), len);
    if (is_hex_digits(type)) {
        if (!rc_hex_decode(text, len / 2, rc_slice(text, len))) /* in place: fewer bytes than digits */
            return false;
        len /= 2;
    }
    row->texts[at] = rc_slice(text, len);
    return is_text_right(values, row->texts[at]);
}

static int read_column(const struct rc_transfer_table *table, int at, const json_t *line,
                       struct rc_transfer_row *row, struct rc_error *error)
{
    char text[160];
    const char *name = table->columns[at].name;
    enum rc_transfer_type type = table->columns[at].type;
    const json_t *value = json_object_get(line, name);
    row->texts[at] = rc_slice("", 0);
    if (value == NULL && is_new(type))
        return RC_OK;
    if (value == NULL)
        return rc_error_set(error, RC_ERR_INVALID, "%s is missing: %s", name,
                            table->columns[at].values->words);
    if (take_value(type, table->columns[at].values, value, at, row))
        return RC_OK;
    return rc_error_set(error, RC_ERR_INVALID, "%s: %s was given, %s was expected", name,
                        show(value, type, text, sizeof(text)), table->columns[at].values->words);
}

static bool has_column(const struct rc_transfer_table *table, const char *name)
{
    for (int i = 0; i < RC_TRANSFER_COLUMNS_MAX && table->columns[i].name != NULL; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return true;
    return strcmp(name, "kind") == 0;
}

static int refuse_unknown(const struct rc_transfer_table *table, const json_t *line, struct rc_error *error)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)line, name, value)
    {
        char text[160];
        if (!has_column(table, name))
            return rc_error_set(error, RC_ERR_INVALID, "%s has no field %s", table->name,
                                rc_log_quote(text, sizeof(text), rc_slice_str(name)));
    }
    return RC_OK;
}

int rc_transfer_read_row(const struct rc_transfer_check *with, const struct rc_transfer_table *table,
                         const json_t *line, struct rc_transfer_row *ret, struct rc_error *error)
{
    int err = refuse_unknown(table, line, error);
    *ret = (struct rc_transfer_row){0};
    for (int i = 0; err == RC_OK && i < RC_TRANSFER_COLUMNS_MAX && table->columns[i].name != NULL; i++)
        err = read_column(table, i, line, ret, error);
    if (err == RC_OK && table->check != NULL)
        err = table->check(with, ret, error);
    int at = table->instance_column; /* what hangs on an instance: "instances" itself says `id` */
    if (err == RC_OK && at >= 0 && strcmp(table->columns[at].name, "instance") == 0 &&
        ret->texts[at].len > 0 && !rc_transfer_has_instance(with, ret->texts[at]))
        err = refuse_missing(error, "instance", "instance", ret->texts[at]);
    return err;
}

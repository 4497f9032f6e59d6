#include "registry/transfer.h"

#include "base/alloc.h"
#include "base/hex.h"
#include "base/json_write.h"
#include "registry/private.h"

#include <jansson.h>
#include <stdlib.h>

/* How a column stands in the file. Secrets are bound to their row by its first columns (`context`). */
/* *_NEW: empty or 0 in exports of versions that had no such column. */
enum column_type { TEXT, NUMBER, BYTES, SECRET, SECRET_BYTES, TEXT_NEW, NUMBER_NEW };
enum { COLUMNS_MAX = 14 };

struct table {
    const char *name, *kind; /* of its secrets */
    const char *select, *insert;
    struct {
        const char *name;
        enum column_type type;
    } columns[COLUMNS_MAX];
    int instance_column, id_columns[2]; /* of the context; -1: none */
};

static const struct table tables[] = {
    {"instances",
     "instance",
     "SELECT id, name, origin, token_key, registration_code, created, updated, profile, limits,"
     " is_traced FROM instances",
     "INSERT OR REPLACE INTO instances VALUES (?1, ?2, coalesce((SELECT origin FROM instances WHERE id = ?1),"
     " ?3), ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
     {{"id", TEXT},
      {"name", TEXT},
      {"origin", NUMBER},
      {"token_key", SECRET_BYTES},
      {"registration_code", TEXT},
      {"created", NUMBER},
      {"updated", NUMBER},
      {"profile", NUMBER_NEW},
      {"limits", TEXT_NEW},
      {"trace", NUMBER_NEW}},
     0,
     {-1, -1}},
    {"groups",
     NULL,
     "SELECT instance, id, origin, created, updated FROM groups WHERE origin = 0",
     "INSERT OR IGNORE INTO groups VALUES (?, ?, ?, ?, ?)",
     {{"instance", TEXT}, {"id", TEXT}, {"origin", NUMBER}, {"created", NUMBER}, {"updated", NUMBER}},
     0,
     {1, -1}},
    {"topics",
     NULL,
     "SELECT instance, id, origin, created, updated FROM topics WHERE origin = 0",
     "INSERT OR IGNORE INTO topics VALUES (?, ?, ?, ?, ?)",
     {{"instance", TEXT}, {"id", TEXT}, {"origin", NUMBER}, {"created", NUMBER}, {"updated", NUMBER}},
     0,
     {1, -1}},
    {"keys",
     "key",
     "SELECT access_key, instance, role, secret, origin, created FROM keys WHERE origin = 0",
     "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?)",
     {{"access_key", TEXT},
      {"instance", TEXT},
      {"role", NUMBER},
      {"secret", SECRET},
      {"origin", NUMBER},
      {"created", NUMBER}},
     1,
     {0, -1}},
    {"credentials",
     "credential",
     "SELECT instance, client_id, access_key, secret, created, updated FROM credentials WHERE"
     " origin = 0",
     "INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?, 0)",
     {{"instance", TEXT},
      {"client_id", TEXT},
      {"access_key", TEXT},
      {"secret", SECRET},
      {"created", NUMBER},
      {"updated", NUMBER}},
     0,
     {1, -1}},
    {"revocations",
     NULL,
     "SELECT instance, token, until FROM revocations",
     "INSERT OR REPLACE INTO revocations VALUES (?, ?, ?)",
     {{"instance", TEXT}, {"token", BYTES}, {"until", NUMBER}},
     0,
     {-1, -1}},
    {"identities",
     "identity",
     "SELECT instance, type, username, client_id, is_signed, secret, created, updated FROM identities"
     " WHERE origin = 0",
     "INSERT OR REPLACE INTO identities VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
     {{"instance", TEXT},
      {"type", NUMBER},
      {"username", TEXT},
      {"client_id", TEXT},
      {"is_signed", NUMBER},
      {"secret", SECRET},
      {"created", NUMBER},
      {"updated", NUMBER}},
     0,
     {2, 3}},
    {"permissions",
     NULL,
     "SELECT instance, type, identity, topic, actions, denies FROM permissions WHERE origin = 0",
     "INSERT OR REPLACE INTO permissions VALUES (?, ?, ?, ?, ?, ?, 0)",
     {{"instance", TEXT},
      {"type", NUMBER},
      {"identity", TEXT},
      {"topic", TEXT},
      {"actions", NUMBER},
      {"denies", NUMBER}},
     0,
     {-1, -1}},
    {"blacklist",
     NULL,
     "SELECT instance, client_id, created FROM blacklist WHERE origin = 0",
     "INSERT OR REPLACE INTO blacklist VALUES (?, ?, ?, 0)",
     {{"instance", TEXT}, {"client_id", TEXT}, {"created", NUMBER}},
     0,
     {-1, -1}},
    {"certificates",
     NULL,
     "SELECT instance, ca_sn, sn, name, content, verification, code, is_active, valid_from, valid_to FROM"
     " certificates WHERE origin = 0",
     "INSERT OR REPLACE INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
     {{"instance", TEXT},
      {"ca_sn", TEXT},
      {"sn", TEXT},
      {"name", TEXT},
      {"content", TEXT},
      {"verification", TEXT},
      {"code", TEXT},
      {"is_active", NUMBER},
      {"valid_from", NUMBER},
      {"valid_to", NUMBER}},
     0,
     {-1, -1}},
    {"tags",
     NULL,
     "SELECT type, id, key, value FROM tags WHERE origin = 0",
     "INSERT OR REPLACE INTO tags VALUES (?, ?, ?, 0, ?)",
     {{"type", TEXT}, {"id", TEXT}, {"key", TEXT}, {"value", TEXT}},
     0,
     {-1, -1}},
    {"rules",
     NULL,
     "SELECT instance, id, group_id, topic, target_instance, target_topic, queues, is_enabled, fails_over,"
     " type, description, mqtt_topic, consumer_group, is_from_first FROM rules",
     "INSERT OR REPLACE INTO rules VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
     {{"instance", TEXT},
      {"id", TEXT},
      {"group_id", TEXT},
      {"topic", TEXT},
      {"target_instance", TEXT},
      {"target_topic", TEXT},
      {"queues", NUMBER},
      {"is_enabled", NUMBER},
      {"fails_over", NUMBER},
      {"type", NUMBER_NEW},
      {"description", TEXT_NEW},
      {"mqtt_topic", TEXT_NEW},
      {"consumer_group", TEXT_NEW},
      {"is_from_first", NUMBER_NEW}},
     0,
     {-1, -1}},
};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

static bool is_text(enum column_type type)
{
    return type == TEXT || type == TEXT_NEW;
}

static bool is_number(enum column_type type)
{
    return type == NUMBER || type == NUMBER_NEW;
}

static bool is_secret(enum column_type type)
{
    return type == SECRET || type == SECRET_BYTES;
}

/* What stands in the row: one name, or two with a NUL between them. */
struct context {
    struct rc_slice instance, id;
    char text[RC_CATALOG_CUSTOM_USER_MAX + 1 + RC_CLIENT_ID_MAX];
};

static void set_context(const struct table *table, const struct rc_slice *values, struct context *context)
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

/* ---- out ---- */

static void put_hex(struct rc_json *json, const char *name, struct rc_slice bytes)
{
    char *text = rc_malloc(2 * bytes.len + 1);
    rc_hex_lower(text, bytes.ptr, bytes.len);
    rc_json_put_string(json, name, rc_slice(text, 2 * bytes.len));
    explicit_bzero(text, 2 * bytes.len);
    free(text);
}

static int put_row(struct rc_registry *registry, const struct table *table, sqlite3_stmt *row,
                   struct rc_json *json, struct rc_error *error)
{
    struct rc_slice texts[COLUMNS_MAX], secret;
    struct context context;
    int err = RC_OK;
    for (int i = 0; i < COLUMNS_MAX && table->columns[i].name != NULL; i++)
        texts[i] = is_text(table->columns[i].type) ? rc_sql_text(row, i) : rc_slice(NULL, 0);
    set_context(table, texts, &context);
    rc_json_object_begin(json);
    rc_json_put_str(json, "kind", table->name);
    for (int i = 0; err == RC_OK && i < COLUMNS_MAX && table->columns[i].name != NULL; i++) {
        const char *name = table->columns[i].name;
        enum column_type type = table->columns[i].type;
        if (is_secret(type))
            err = rc_registry_unseal(registry, table->kind, context.instance, context.id,
                                     rc_sql_bytes(row, i), &secret, error);
        if (err != RC_OK)
            break;
        if (is_text(type))
            rc_json_put_string(json, name, texts[i]);
        else if (is_number(type))
            rc_json_put_int(json, name, sqlite3_column_int64(row, i));
        else if (type == SECRET)
            rc_json_put_string(json, name, secret);
        else
            put_hex(json, name, type == BYTES ? rc_sql_bytes(row, i) : secret);
    }
    rc_json_object_end(json);
    return err ? err : json->err;
}

static int write_line(FILE *out, struct rc_buf *line, struct rc_error *error)
{
    rc_buf_put_u8(line, '\n');
    struct rc_slice text = rc_buf_slice(line);
    bool is_written = fwrite(text.ptr, 1, text.len, out) == text.len;
    explicit_bzero(line->data, line->cap);
    rc_buf_consume(line, text.len);
    return is_written ? RC_OK : rc_error_set(error, RC_ERR_IO, "the export cannot be written");
}

static int64_t export_table(struct rc_registry *registry, const struct table *table, FILE *out,
                            struct rc_buf *line, struct rc_error *error)
{
    int64_t rows = 0;
    int err;
    sqlite3_stmt *statement = rc_sql_bind(&registry->sql, table->select, "");
    while ((err = rc_sql_row(&registry->sql, statement, error)) == 1) {
        struct rc_json json;
        rc_json_init(&json, line);
        err = put_row(registry, table, statement, &json, error);
        err = err ? err : write_line(out, line, error);
        if (err != RC_OK) {
            rc_sql_end(statement);
            return err;
        }
        rows++;
    }
    return err < 0 ? err : rows;
}

int64_t rc_registry_export(struct rc_registry *registry, FILE *out, struct rc_error *error)
{
    struct rc_buf line;
    int64_t rows = 0, more = 0;
    rc_buf_init(&line, RC_TRANSFER_LINE_MAX);
    int code = sqlite3_exec(registry->sql.db, "BEGIN", NULL, NULL, NULL); /* all of it as of one moment */
    int err = code == SQLITE_OK ? RC_OK : rc_sql_error(&registry->sql, code, error);
    rc_buf_printf(&line, "{\"kind\":\"rollcall-registry\",\"version\":%d}", RC_TRANSFER_VERSION);
    err = err ? err : write_line(out, &line, error);
    for (size_t i = 0; err == RC_OK && more >= 0 && i < TABLES; i++) {
        more = export_table(registry, &tables[i], out, &line, error);
        rows += more > 0 ? more : 0;
    }
    sqlite3_exec(registry->sql.db, "COMMIT", NULL, NULL, NULL);
    if (err == RC_OK && more >= 0 && fflush(out) != 0)
        err = rc_error_set(error, RC_ERR_IO, "the export cannot be written");
    rc_buf_free(&line);
    return err ? err : more < 0 ? more : rows;
}

/* ---- in ---- */

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place: the bytes are shorter than their digits. */
static bool from_hex(char *text, struct rc_slice *ret)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + 1 < len; i += 2) {
        int high = hex_value(text[i]), low = hex_value(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        text[i / 2] = (char)(high << 4 | low);
    }
    *ret = rc_slice(text, len / 2);
    return len % 2 == 0;
}

static const struct table *find_table(const char *name)
{
    for (size_t i = 0; name != NULL && i < TABLES; i++)
        if (strcmp(tables[i].name, name) == 0)
            return &tables[i];
    return NULL;
}

/* The values of a row, with what they point to; freed by free_row. */
struct row {
    struct rc_slice texts[COLUMNS_MAX];
    int64_t numbers[COLUMNS_MAX];
    char *owned[COLUMNS_MAX];
};

static void free_row(struct row *row)
{
    for (int i = 0; i < COLUMNS_MAX; i++) {
        if (row->owned[i] != NULL)
            explicit_bzero(row->owned[i], strlen(row->owned[i]));
        free(row->owned[i]);
    }
}

static bool read_row(const struct table *table, const json_t *line, struct row *ret)
{
    *ret = (struct row){0};
    for (int i = 0; i < COLUMNS_MAX && table->columns[i].name != NULL; i++) {
        const json_t *value = json_object_get(line, table->columns[i].name);
        enum column_type type = table->columns[i].type;
        if (value == NULL && (type == TEXT_NEW || type == NUMBER_NEW)) {
            ret->texts[i] = rc_slice("", 0);
            continue;
        }
        if (is_number(type) ? !json_is_integer(value) : !json_is_string(value))
            return false;
        if (is_number(type)) {
            ret->numbers[i] = json_integer_value(value);
            continue;
        }
        ret->owned[i] = rc_strndup(json_string_value(value), json_string_length(value));
        ret->texts[i] = rc_slice(ret->owned[i], json_string_length(value));
        if ((type == BYTES || type == SECRET_BYTES) && !from_hex(ret->owned[i], &ret->texts[i]))
            return false;
    }
    return true;
}

static int insert_row(struct rc_registry *registry, const struct table *table, struct row *row,
                      struct rc_error *error)
{
    struct context context;
    struct rc_slice sealed;
    set_context(table, row->texts, &context);
    sqlite3_stmt *statement = rc_sql_bind(&registry->sql, table->insert, "");
    for (int i = 0; i < COLUMNS_MAX && table->columns[i].name != NULL; i++) {
        enum column_type type = table->columns[i].type;
        struct rc_slice value = row->texts[i];
        int err = is_secret(type) ? rc_registry_seal(registry, table->kind, context.instance, context.id,
                                                     value, &sealed, error)
                                  : RC_OK;
        if (err != RC_OK)
            return err;
        if (is_number(type))
            sqlite3_bind_int64(statement, i + 1, row->numbers[i]);
        else if (is_text(type))
            sqlite3_bind_text(statement, i + 1, (const char *)value.ptr, (int)value.len, SQLITE_STATIC);
        else
            rc_sql_bind_bytes(statement, i + 1, is_secret(type) ? sealed : value);
    }
    return rc_sql_change(&registry->sql, statement, error);
}

static int import_line(struct rc_registry *registry, const char *text, uint64_t number,
                       struct rc_error *error)
{
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const struct table *table = find_table(kind);
    struct row row = {0};
    int err = RC_OK;
    if (number == 1) {
        bool is_ours = kind != NULL && strcmp(kind, "rollcall-registry") == 0 &&
                       json_integer_value(json_object_get(line, "version")) == RC_TRANSFER_VERSION;
        if (!is_ours)
            err = rc_error_set(error, RC_ERR_INVALID, "line 1 does not say that this is a registry's export");
    } else if (table == NULL || !read_row(table, line, &row)) {
        err = rc_error_set(error, RC_ERR_INVALID, "line %llu is no line of a registry's export",
                           (unsigned long long)number);
    } else {
        err = insert_row(registry, table, &row, error);
    }
    free_row(&row);
    json_decref(line);
    return err;
}

static int64_t import_lines(struct rc_registry *registry, FILE *in, struct rc_error *error)
{
    char *line = rc_malloc(RC_TRANSFER_LINE_MAX + 2);
    uint64_t number = 0;
    int err = RC_OK;
    while (err == RC_OK && fgets(line, RC_TRANSFER_LINE_MAX + 2, in) != NULL) {
        number++;
        if (strchr(line, '\n') == NULL && !feof(in))
            err = rc_error_set(error, RC_ERR_TOO_LARGE, "line %llu is too long", (unsigned long long)number);
        else
            err = import_line(registry, line, number, error);
    }
    explicit_bzero(line, RC_TRANSFER_LINE_MAX + 2);
    free(line);
    if (err == RC_OK && number == 0)
        err = rc_error_set(error, RC_ERR_INVALID, "the file is empty");
    return err ? err : (int64_t)number - 1;
}

struct import {
    struct rc_registry_job job;
    FILE *in;
    int64_t rows;
};

/* What was read must make a catalog: then the next start will find nothing wrong with it. */
static int run_import(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct import *import = rc_container_of(job, struct import, job);
    int err = rc_registry_begin(registry, &job->error);
    if (err != RC_OK)
        return err;
    import->rows = import_lines(registry, import->in, &job->error);
    if (import->rows < 0)
        return (int)import->rows;
    sqlite3_exec(registry->sql.db, "SAVEPOINT try; UPDATE instances SET origin = 0", NULL, NULL, NULL);
    struct rc_catalog *catalog = rc_catalog_create();
    err = rc_registry_load(registry, catalog, NULL, &job->error);
    rc_catalog_unref(catalog);
    sqlite3_exec(registry->sql.db, "ROLLBACK TO try; RELEASE try", NULL, NULL, NULL);
    return err;
}

int64_t rc_registry_import(struct rc_registry *registry, FILE *in, struct rc_error *error)
{
    struct import import = {.job.run = run_import, .in = in};
    int err = rc_registry_run(registry, &import.job);
    if (err != RC_OK)
        return rc_error_set(error, err, "%s", import.job.error.text);
    return import.rows;
}

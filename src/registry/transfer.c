/* An export is written. */
#include "registry/transfer.h"

#include "base/alloc.h"
#include "base/hex.h"
#include "base/json_write.h"
#include "registry/transfer_rows.h"

#include <stdlib.h>

static void put_hex(struct rc_json *json, const char *name, struct rc_slice bytes)
{
    char *text = rc_malloc(2 * bytes.len + 1);
    rc_hex_lower(text, bytes.ptr, bytes.len);
    rc_json_put_string(json, name, rc_slice(text, 2 * bytes.len));
    explicit_bzero(text, 2 * bytes.len);
    free(text);
}

static int put_row(struct rc_registry *registry, const struct rc_transfer_table *table, sqlite3_stmt *row,
                   struct rc_json *json, struct rc_error *error)
{
    struct rc_slice texts[RC_TRANSFER_COLUMNS_MAX], secret;
    struct rc_transfer_context context;
    int err = RC_OK;
    for (int i = 0; i < RC_TRANSFER_COLUMNS_MAX && table->columns[i].name != NULL; i++)
        texts[i] = rc_transfer_is_text(table->columns[i].type) ? rc_sql_text(row, i) : rc_slice(NULL, 0);
    rc_transfer_set_context(table, texts, &context);
    rc_json_object_begin(json);
    rc_json_put_str(json, "kind", table->name);
    for (int i = 0; err == RC_OK && i < RC_TRANSFER_COLUMNS_MAX && table->columns[i].name != NULL; i++) {
        const char *name = table->columns[i].name;
        enum rc_transfer_type type = table->columns[i].type;
        if (rc_transfer_is_secret(type))
            err = rc_registry_unseal(registry, table->secret_kind, context.instance, context.id,
                                     rc_sql_bytes(row, i), &secret, error);
        if (err != RC_OK)
            break;
        if (rc_transfer_is_text(type))
            rc_json_put_string(json, name, texts[i]);
        else if (rc_transfer_is_number(type))
            rc_json_put_int(json, name, sqlite3_column_int64(row, i));
        else if (type == RC_TRANSFER_SECRET)
            rc_json_put_string(json, name, secret);
        else
            put_hex(json, name, type == RC_TRANSFER_BYTES ? rc_sql_bytes(row, i) : secret);
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

static int64_t export_table(struct rc_registry *registry, const struct rc_transfer_table *table, FILE *out,
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

/* ---- names that are kept elsewhere ---- */

struct names_out {
    const struct rc_transfer_check *with;
    FILE *out;
    struct rc_buf *line;
    int64_t lines;
    struct rc_error *error;
};

/* Those of an instance that is no more are what it left in the log: they do not go along. */
static int put_name(const struct rc_transfer_name *name, void *arg)
{
    struct names_out *names = arg;
    struct rc_json json;
    if (name->instance.len > 0 && !rc_transfer_has_instance(names->with, name->instance))
        return RC_OK;
    rc_json_init(&json, names->line);
    rc_json_object_begin(&json);
    rc_json_put_str(&json, "kind", name->is_group ? RC_TRANSFER_GROUPS : RC_TRANSFER_TOPICS);
    rc_json_put_string(&json, "instance", name->instance);
    rc_json_put_string(&json, name->is_group ? "group" : "topic", name->name);
    if (!name->is_group) {
        rc_json_put_int(&json, "queues", name->queues);
        rc_json_put_int(&json, "perm", name->perm);
    }
    rc_json_object_end(&json);
    int err = json.err ? json.err : write_line(names->out, names->line, names->error);
    names->lines += err == RC_OK;
    return err;
}

static int64_t export_names(struct rc_registry *registry, const struct rc_transfer_names *names, FILE *out,
                            struct rc_buf *line, struct rc_error *error)
{
    struct rc_transfer_check with = {registry, NULL};
    struct names_out visitor = {&with, out, line, 0, error};
    int err = names != NULL ? names->each(names->arg, put_name, &visitor, error) : RC_OK;
    return err ? err : visitor.lines;
}

static int64_t export_rows(struct rc_registry *registry, const struct rc_transfer_names *names, FILE *out,
                           struct rc_buf *line, struct rc_error *error)
{
    int64_t rows = 0, more = 0;
    for (size_t i = 0; more >= 0 && i < rc_transfer_tables_count; i++) {
        if (rc_transfer_tables[i].select == NULL)
            continue;
        more = export_table(registry, &rc_transfer_tables[i], out, line, error);
        rows += more;
    }
    if (more >= 0) {
        more = export_names(registry, names, out, line, error);
        rows += more;
    }
    return more < 0 ? more : rows;
}

int64_t rc_registry_export(struct rc_registry *registry, const struct rc_transfer_names *names, FILE *out,
                           struct rc_error *error)
{
    struct rc_buf line;
    rc_buf_init(&line, RC_TRANSFER_LINE_MAX);
    int code = sqlite3_exec(registry->sql.db, "BEGIN", NULL, NULL, NULL); /* all of it as of one moment */
    int64_t rows = code == SQLITE_OK ? RC_OK : rc_sql_error(&registry->sql, code, error);
    rc_buf_printf(&line, "{\"kind\":\"rollcall-registry\",\"version\":%d}", RC_TRANSFER_VERSION);
    rows = rows ? rows : write_line(out, &line, error);
    rows = rows ? rows : export_rows(registry, names, out, &line, error);
    sqlite3_exec(registry->sql.db, "COMMIT", NULL, NULL, NULL);
    if (rows >= 0 && fflush(out) != 0)
        rows = rc_error_set(error, RC_ERR_IO, "the export cannot be written");
    rc_buf_free(&line);
    return rows;
}

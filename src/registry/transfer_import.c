/* An export is read: all of it, or nothing. */
#include "base/alloc.h"
#include "base/log.h"
#include "registry/transfer_rows.h"

#include <stdlib.h>

struct import {
    struct rc_registry_job job;
    struct rc_transfer_check with;
    const struct rc_transfer_names *names; /* may be NULL */
    FILE *in;
    int64_t rows;
};

static const struct rc_transfer_table *find_table(const char *name)
{
    for (size_t i = 0; name != NULL && i < rc_transfer_tables_count; i++)
        if (strcmp(rc_transfer_tables[i].name, name) == 0)
            return &rc_transfer_tables[i];
    return NULL;
}

static int insert_row(struct rc_registry *registry, const struct rc_transfer_table *table,
                      const struct rc_transfer_row *row, struct rc_error *error)
{
    struct rc_transfer_context context;
    struct rc_slice sealed;
    rc_transfer_set_context(table, row->texts, &context);
    sqlite3_stmt *statement = rc_sql_bind(&registry->sql, table->insert, "");
    for (int i = 0; i < RC_TRANSFER_COLUMNS_MAX && table->columns[i].name != NULL; i++) {
        enum rc_transfer_type type = table->columns[i].type;
        struct rc_slice value = row->texts[i];
        bool is_secret = rc_transfer_is_secret(type);
        int err = is_secret ? rc_registry_seal(registry, table->secret_kind, context.instance, context.id,
                                               value, &sealed, error)
                            : RC_OK;
        if (err != RC_OK)
            return err;
        if (rc_transfer_is_number(type))
            sqlite3_bind_int64(statement, i + 1, row->numbers[i]);
        else if (rc_transfer_is_text(type))
            sqlite3_bind_text(statement, i + 1, (const char *)value.ptr, (int)value.len, SQLITE_STATIC);
        else
            rc_sql_bind_bytes(statement, i + 1, is_secret ? sealed : value);
    }
    return rc_sql_change(&registry->sql, statement, error);
}

static int take_name(const struct rc_transfer_names *names, const struct rc_transfer_table *table,
                     const struct rc_transfer_row *row, struct rc_error *error)
{
    bool is_group = strcmp(table->name, RC_TRANSFER_GROUPS) == 0;
    struct rc_transfer_name name = {is_group, row->texts[1], row->texts[0], (uint32_t)row->numbers[2],
                                    (uint32_t)row->numbers[3]};
    if (names == NULL)
        return rc_error_set(error, RC_ERR_UNSUPPORTED, "kind: %s cannot be made here", table->name);
    return names->take(names->arg, &name, error);
}

static int take_line(struct import *import, const json_t *line, struct rc_error *error)
{
    struct rc_transfer_row row = {0};
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const struct rc_transfer_table *table = find_table(kind);
    char text[160];
    if (kind == NULL)
        return rc_error_set(error, RC_ERR_INVALID, "it is no object with a kind");
    if (table == NULL)
        return rc_error_set(error, RC_ERR_INVALID,
                            "kind: %s was given, a kind of a registry's export was expected",
                            rc_log_quote(text, sizeof(text), rc_slice_str(kind)));
    int err = rc_transfer_read_row(&import->with, table, line, &row, error);
    if (err == RC_OK)
        err = table->insert != NULL ? insert_row(import->with.registry, table, &row, error)
                                    : take_name(import->names, table, &row, error);
    rc_transfer_free_row(&row);
    return err;
}

static int take_head(const json_t *line, struct rc_error *error)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    json_int_t version = json_integer_value(json_object_get(line, "version"));
    if (kind == NULL || strcmp(kind, "rollcall-registry") != 0)
        return rc_error_set(error, RC_ERR_INVALID, "it does not say that this is a registry's export");
    if (version != RC_TRANSFER_VERSION)
        return rc_error_set(error, RC_ERR_VERSION, "version: %lld was given, %d was expected",
                            (long long)version, RC_TRANSFER_VERSION);
    return RC_OK;
}

/* What is near it may be a secret: that part of the parser's sentence is left out. */
static int refuse_syntax(const json_error_t *at, uint64_t number, struct rc_error *error)
{
    const char *near = strstr(at->text, " near ");
    int len = near != NULL ? (int)(near - at->text) : (int)strlen(at->text);
    return rc_error_set(error, RC_ERR_INVALID, "line %llu, column %d: %.*s", (unsigned long long)number,
                        at->column > 0 ? at->column : 1, len, at->text);
}

static int import_line(struct import *import, const char *text, uint64_t number, struct rc_error *error)
{
    json_error_t at;
    struct rc_error why = {0};
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &at);
    if (line == NULL)
        return refuse_syntax(&at, number, error);
    int err = number == 1 ? take_head(line, &why) : take_line(import, line, &why);
    json_decref(line);
    return err ? rc_error_set(error, err, "line %llu: %s", (unsigned long long)number, why.text) : RC_OK;
}

static int64_t import_lines(struct import *import, struct rc_error *error)
{
    char *line = rc_malloc(RC_TRANSFER_LINE_MAX + 2);
    uint64_t number = 0;
    int err = RC_OK;
    while (err == RC_OK && fgets(line, RC_TRANSFER_LINE_MAX + 2, import->in) != NULL) {
        number++;
        if (strchr(line, '\n') == NULL && !feof(import->in))
            err = rc_error_set(error, RC_ERR_TOO_LARGE, "line %llu has more than %d bytes",
                               (unsigned long long)number, RC_TRANSFER_LINE_MAX);
        else
            err = import_line(import, line, number, error);
    }
    explicit_bzero(line, RC_TRANSFER_LINE_MAX + 2);
    free(line);
    if (err == RC_OK && ferror(import->in))
        err = rc_error_set(error, RC_ERR_IO, "the file cannot be read to its end");
    if (err == RC_OK && number == 0)
        err = rc_error_set(error, RC_ERR_INVALID, "the file is empty");
    return err ? err : (int64_t)number - 1;
}

/* As the next start does: what the file declares has a row. */
static int insert_declared(struct import *import, struct rc_error *error)
{
    struct rc_trie_walk walk;
    const struct rc_instance *instance;
    int err = RC_OK;
    if (import->with.declared == NULL)
        return RC_OK;
    rc_trie_walk_start(&walk, &import->with.declared->instances);
    while (err == RC_OK && (instance = rc_trie_walk_next(&walk)) != NULL)
        err = rc_registry_insert_instance(import->with.registry, instance->id, instance->id, RC_ORIGIN_FILE,
                                          error);
    return err;
}

/* What was read must make a catalog: then the next start will find nothing wrong with it. */
static int try_catalog(struct import *import, struct rc_error *error)
{
    struct rc_registry *registry = import->with.registry;
    sqlite3_exec(registry->sql.db, "SAVEPOINT try; UPDATE instances SET origin = 0", NULL, NULL, NULL);
    struct rc_catalog *catalog =
        import->with.declared != NULL ? rc_catalog_fork(import->with.declared) : rc_catalog_create();
    int err = insert_declared(import, error);
    err = err ? err : rc_registry_load(registry, catalog, NULL, error);
    rc_catalog_unref(catalog);
    sqlite3_exec(registry->sql.db, "ROLLBACK TO try; RELEASE try", NULL, NULL, NULL);
    return err;
}

static int run_import(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct import *import = rc_container_of(job, struct import, job);
    int err = rc_registry_begin(registry, &job->error);
    if (err != RC_OK)
        return err;
    import->rows = import_lines(import, &job->error);
    if (import->rows < 0)
        return (int)import->rows;
    err = try_catalog(import, &job->error);
    if (err == RC_OK && import->names != NULL)
        err = import->names->keep(import->names->arg, &job->error);
    return err;
}

int64_t rc_registry_import(struct rc_registry *registry, const struct rc_catalog *declared,
                           const struct rc_transfer_names *names, FILE *in, struct rc_error *error)
{
    struct import import = {.job.run = run_import, .with = {registry, declared}, .names = names, .in = in};
    int err = rc_registry_run(registry, &import.job);
    if (err != RC_OK)
        return rc_error_set(error, err, "%s", import.job.error.text);
    return import.rows;
}

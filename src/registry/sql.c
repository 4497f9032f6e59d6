#include "registry/sql.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdlib.h>

int rc_sql_error(struct rc_sql *sql, int code, struct rc_error *error)
{
    /* Not RC_ERR_BUSY or RC_ERR_DENIED, which tell callers something about what they asked for. */
    static const struct {
        int code, err;
    } known[] = {
        {SQLITE_FULL, RC_ERR_NO_SPACE},
        {SQLITE_CONSTRAINT, RC_ERR_EXISTS},
        {SQLITE_CORRUPT, RC_ERR_CORRUPT},
        {SQLITE_NOTADB, RC_ERR_CORRUPT},
    };
    int err = RC_ERR_IO;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].code == (code & 0xff))
            err = known[i].err;
    return rc_error_set(error, err, "the registry's database: %s", sqlite3_errmsg(sql->db));
}

static sqlite3_stmt *prepare(struct rc_sql *sql, const char *text)
{
    for (uint32_t i = 0; i < sql->count; i++)
        if (sql->statements[i].text == text)
            return sql->statements[i].statement;
    if (sql->count == RC_SQL_STATEMENTS_MAX)
        abort(); /* the texts are literals: there are only so many */
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
        rc_log_error("registry", "statement refused: %s: %s", sqlite3_errmsg(sql->db), text);
        return NULL;
    }
    sql->statements[sql->count].text = text;
    sql->statements[sql->count++].statement = statement;
    return statement;
}

sqlite3_stmt *rc_sql_bind(struct rc_sql *sql, const char *text, const char *format, ...)
{
    sqlite3_stmt *statement = prepare(sql, text);
    if (statement == NULL)
        return NULL;
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    va_list args;
    va_start(args, format);
    for (int i = 1; *format != '\0'; i++, format++) {
        if (*format == 'i') {
            sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
            continue;
        }
        struct rc_slice slice = va_arg(args, struct rc_slice);
        const void *ptr = slice.ptr != NULL ? (const void *)slice.ptr : "";
        if (*format == 't')
            sqlite3_bind_text(statement, i, ptr, (int)slice.len, SQLITE_STATIC);
        else
            sqlite3_bind_blob(statement, i, ptr, (int)slice.len, SQLITE_STATIC);
    }
    va_end(args);
    return statement;
}

void rc_sql_bind_bytes(sqlite3_stmt *statement, int at, struct rc_slice bytes)
{
    sqlite3_bind_blob(statement, at, bytes.ptr != NULL ? (const void *)bytes.ptr : "", (int)bytes.len,
                      SQLITE_TRANSIENT); /* several of one statement may be made in the same place */
}

int rc_sql_row(struct rc_sql *sql, sqlite3_stmt *statement, struct rc_error *error)
{
    int code = statement != NULL ? sqlite3_step(statement) : SQLITE_ERROR;
    if (code == SQLITE_ROW)
        return 1;
    int err = code == SQLITE_DONE ? RC_OK : rc_sql_error(sql, code, error);
    rc_sql_end(statement);
    return err;
}

void rc_sql_end(sqlite3_stmt *statement)
{
    if (statement == NULL)
        return;
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

int rc_sql_run(struct rc_sql *sql, sqlite3_stmt *statement, struct rc_error *error)
{
    int err = rc_sql_row(sql, statement, error);
    if (err > 0)
        rc_sql_end(statement);
    return err < 0 ? err : sqlite3_changes(sql->db);
}

int rc_sql_change(struct rc_sql *sql, sqlite3_stmt *statement, struct rc_error *error)
{
    int changed = rc_sql_run(sql, statement, error);
    return changed < 0 ? changed : RC_OK;
}

int64_t rc_sql_number(struct rc_sql *sql, sqlite3_stmt *statement, int64_t otherwise)
{
    if (rc_sql_row(sql, statement, NULL) != 1)
        return otherwise;
    int64_t number = sqlite3_column_int64(statement, 0);
    rc_sql_end(statement);
    return number;
}

struct rc_slice rc_sql_text(sqlite3_stmt *statement, int column)
{
    const void *text = sqlite3_column_text(statement, column);
    return rc_slice(text, (size_t)sqlite3_column_bytes(statement, column));
}

struct rc_slice rc_sql_bytes(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    return rc_slice(bytes, (size_t)sqlite3_column_bytes(statement, column));
}

void rc_sql_free(struct rc_sql *sql)
{
    for (uint32_t i = 0; i < sql->count; i++)
        sqlite3_finalize(sql->statements[i].statement);
    sql->count = 0;
}

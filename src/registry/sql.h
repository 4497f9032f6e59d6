/* Prepared statements, kept by their text (a literal each). On the thread of the database. */
#ifndef RC_REGISTRY_SQL_H
#define RC_REGISTRY_SQL_H

#include "base/error.h"
#include "base/slice.h"

#include <sqlite3.h>

enum { RC_SQL_STATEMENTS_MAX = 256 };

struct rc_sql {
    sqlite3 *db;
    uint32_t count;
    struct {
        const char *text;
        sqlite3_stmt *statement;
    } statements[RC_SQL_STATEMENTS_MAX];
};

/* 0 or a negative rc_err with a sentence: RC_ERR_NO_SPACE, RC_ERR_EXISTS (a constraint), RC_ERR_IO... */
int rc_sql_error(struct rc_sql *sql, int code, struct rc_error *error);

/*
 * Binds by `format`, a letter for each parameter: t text (struct rc_slice), b bytes (struct rc_slice), i
 * integer (int64_t). Bound bytes must live until the statement is done with. NULL when the statement is
 * wrong, which a test would have shown: rc_sql_row and rc_sql_end take that as an error.
 */
sqlite3_stmt *rc_sql_bind(struct rc_sql *sql, const char *text, const char *format, ...);
/* One parameter, from 1 on. */
void rc_sql_bind_bytes(sqlite3_stmt *statement, int at, struct rc_slice bytes);
/* 1: a row is there; 0: there are no more; negative: an error. */
int rc_sql_row(struct rc_sql *sql, sqlite3_stmt *statement, struct rc_error *error);
/* Done with it: unlocks what it read. */
void rc_sql_end(sqlite3_stmt *statement);
/* A statement without rows: how many rows it changed, or an error. */
int rc_sql_run(struct rc_sql *sql, sqlite3_stmt *statement, struct rc_error *error);
/* The same where it does not matter how many: RC_OK or an error. */
int rc_sql_change(struct rc_sql *sql, sqlite3_stmt *statement, struct rc_error *error);
/* The first column of the first row; `otherwise` when there is none. */
int64_t rc_sql_number(struct rc_sql *sql, sqlite3_stmt *statement, int64_t otherwise);

struct rc_slice rc_sql_text(sqlite3_stmt *statement, int column);
struct rc_slice rc_sql_bytes(sqlite3_stmt *statement, int column);

void rc_sql_free(struct rc_sql *sql); /* all statements, not the database */

#endif

/*
 * The kinds of lines that an export has: which fields, which table they are of, what may stand in them. On
 * the registry's thread.
 */
#ifndef RC_REGISTRY_TRANSFER_ROWS_H
#define RC_REGISTRY_TRANSFER_ROWS_H

#include "registry/private.h"
#include "registry/transfer.h"

#include <jansson.h>

/*
 * How a column stands in the file; bytes as hexadecimal digits. Secrets are bound to their row by its first
 * columns. *_NEW: empty or 0 in exports of versions that had no such column.
 */
enum rc_transfer_type {
    RC_TRANSFER_TEXT,
    RC_TRANSFER_NUMBER,
    RC_TRANSFER_BYTES,
    RC_TRANSFER_SECRET,
    RC_TRANSFER_SECRET_BYTES,
    RC_TRANSFER_TEXT_NEW,
    RC_TRANSFER_NUMBER_NEW
};
enum { RC_TRANSFER_COLUMNS_MAX = 14 };

/* What may stand in a column. */
struct rc_transfer_values {
    bool (*is_right)(struct rc_slice text); /* of texts that are not empty; may be NULL */
    int64_t min, max;                       /* of numbers; of texts and bytes their lengths */
    const char *words;                      /* for people */
};

/* Kinds that are kept elsewhere (struct rc_transfer_names). */
#define RC_TRANSFER_TOPICS "rocketmq_topics"
#define RC_TRANSFER_GROUPS "rocketmq_groups"

struct rc_transfer_row;
struct rc_transfer_check;

struct rc_transfer_table {
    const char *name, *secret_kind;
    const char *select, *insert; /* NULL: kept elsewhere, struct rc_transfer_names */
    struct {
        const char *name;
        enum rc_transfer_type type;
        const struct rc_transfer_values *values;
    } columns[RC_TRANSFER_COLUMNS_MAX];
    int instance_column, id_columns[2]; /* of a secret's context; -1: none */
    /* What columns say together; may be NULL. */
    int (*check)(const struct rc_transfer_check *with, const struct rc_transfer_row *row,
                 struct rc_error *error);
};

extern const struct rc_transfer_table rc_transfer_tables[];
extern const size_t rc_transfer_tables_count;

/* The values of a line, with what they point to. */
struct rc_transfer_row {
    struct rc_slice texts[RC_TRANSFER_COLUMNS_MAX];
    int64_t numbers[RC_TRANSFER_COLUMNS_MAX];
    char *owned[RC_TRANSFER_COLUMNS_MAX];
};

/* What a secret is bound to: one name, or two with a NUL between them. */
struct rc_transfer_context {
    struct rc_slice instance, id;
    char text[RC_CATALOG_CUSTOM_USER_MAX + 1 + RC_CLIENT_ID_MAX];
};
void rc_transfer_set_context(const struct rc_transfer_table *table, const struct rc_slice *values,
                             struct rc_transfer_context *context);

/* What lines may refer to: what is in the registry by now, and what the file declares (may be NULL). */
struct rc_transfer_check {
    struct rc_registry *registry;
    const struct rc_catalog *declared;
};
bool rc_transfer_has_instance(const struct rc_transfer_check *with, struct rc_slice id);

bool rc_transfer_is_text(enum rc_transfer_type type);
bool rc_transfer_is_number(enum rc_transfer_type type);
bool rc_transfer_is_secret(enum rc_transfer_type type);

/*
 * Reads a line's fields; rc_transfer_free_row afterwards, whatever was returned. RC_ERR_INVALID: the field,
 * its value (a secret's is not told) and what is allowed.
 */
int rc_transfer_read_row(const struct rc_transfer_check *with, const struct rc_transfer_table *table,
                         const json_t *line, struct rc_transfer_row *ret, struct rc_error *error);
void rc_transfer_free_row(struct rc_transfer_row *row);

#endif

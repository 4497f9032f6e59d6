/*
 * Private to control: the table that describes the configuration. A section is a struct; an entry is one key
 * of it, with the type and place of the field that takes its value.
 */
#ifndef RC_CONTROL_CONFIG_TABLE_H
#define RC_CONTROL_CONFIG_TABLE_H

#include "control/config.h"

enum rc_config_type {
    RC_CONFIG_STRING,   /* struct rc_config_text; min..max: length in bytes */
    RC_CONFIG_SECRET,   /* struct rc_config_text; also env:NAME and file:PATH */
    RC_CONFIG_PEM,      /* struct rc_config_text; also env:NAME and file:PATH, but nothing secret */
    RC_CONFIG_BOOL,     /* bool */
    RC_CONFIG_INTEGER,  /* int64_t; min..max */
    RC_CONFIG_SIZE,     /* int64_t bytes; min..max */
    RC_CONFIG_DURATION, /* int64_t milliseconds; min..max */
    RC_CONFIG_ADDRESS,  /* struct rc_config_text: numeric host:port */
    RC_CONFIG_LISTEN,   /* struct rc_config_text: numeric host:port, or unix:/path; may be empty */
    RC_CONFIG_HOSTPORT, /* struct rc_config_text: host:port, the host may be a name; may be empty */
    RC_CONFIG_ENUM,     /* int: index into names */
    RC_CONFIG_SECTION,  /* the struct of `section`, in place */
    RC_CONFIG_STRINGS,  /* struct rc_config_list of struct rc_config_text; max: items */
    RC_CONFIG_SECTIONS, /* struct rc_config_list of the struct of `section`; max: items */
};

struct rc_config_section;

struct rc_config_entry {
    const char *key;
    enum rc_config_type type;
    size_t offset;
    int64_t min, max;
    const char *default_text; /* as in a file; NULL for a scalar: the key is required */
    const char *const *names; /* RC_CONFIG_ENUM, NULL-terminated */
    const struct rc_config_section *section;
    bool (*is_valid)(struct rc_slice text); /* of a string or of each of RC_CONFIG_STRINGS; may be NULL */
    const char *expected;                   /* goes with is_valid */
    bool is_live;                           /* SIGHUP is enough */
    bool one_by_default;                    /* RC_CONFIG_SECTIONS: absent means one item with its defaults */
    const char *doc;
};

struct rc_config_section {
    const char *name;
    void (*complete)(
        void *values); /* fills in defaults that depend on other keys, with literals; may be NULL */
    size_t size;
    const struct rc_config_entry *entries;
    size_t count;
};

extern const struct rc_config_section rc_config_root;
extern const struct rc_config_section rc_config_listener_section;      /* config_table_listener.c */
extern const struct rc_config_section rc_config_tls_section;           /* config_table_listener.c */
extern const struct rc_config_section rc_config_administrator_section; /* config_table_instance.c */
extern const struct rc_config_section rc_config_instance_section;      /* config_table_instance.c */
/* ---- config_table_declared.c ---- */
extern const struct rc_config_section rc_config_credential_section, rc_config_identity_section,
    rc_config_permission_section, rc_config_ca_section, rc_config_tag_section, rc_config_endpoint_section;
extern const char *const rc_config_access_names[]; /* enum rc_config_access; config_table_instance.c */
extern const struct rc_config_section rc_config_cluster_section; /* config_table_rules.c */
extern const struct rc_config_section rc_config_rule_section;    /* config_table_rules.c */

/* ---- memory of one configuration: released all at once ---- */
void *rc_config_alloc(struct rc_config_memory **memory, size_t size); /* zeroed */
void rc_config_memory_free(struct rc_config_memory *memory);

/* ---- scalars (config_value.c) ---- */
/*
 * Checks `text` against the entry and stores it in `field`. When it is wrong, appends to `why` what was given
 * (never of a secret) and what was expected.
 */
bool rc_config_value_parse(const struct rc_config_entry *entry, struct rc_slice text,
                           struct rc_config_memory **memory, void *field, struct rc_buf *why);
/* "a whole number from 1 to 8" */
void rc_config_value_expected(const struct rc_config_entry *entry, struct rc_buf *out);
/* The value as a file would have it. */
void rc_config_value_print(const struct rc_config_entry *entry, const void *field, struct rc_buf *out);
bool rc_config_type_is_scalar(enum rc_config_type type);
/* Whether the field is a struct rc_config_text. */
bool rc_config_type_is_text(enum rc_config_type type);
/* Letters, digits, - _ % and |: what topics and consumer groups of the log are made of. Not empty. */
bool rc_config_is_log_name(struct rc_slice text);
/* One that is not empty. */
bool rc_config_is_client_id(struct rc_slice text);

#endif

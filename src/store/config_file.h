/*
 * The JSON files under config/, in the form that RocketMQ's fastjson writes and reads. It writes number keys
 * without quotes ({0:3,1:2}); they are quoted before a JSON parser sees them.
 */
#ifndef RC_STORE_CONFIG_FILE_H
#define RC_STORE_CONFIG_FILE_H

#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>

enum { RC_CONFIG_DEPTH_MAX = 64 };

/* Appends `text` with number keys quoted. RC_ERR_INVALID when it nests too deep, RC_ERR_FULL. */
int rc_config_quote_keys(struct rc_slice text, struct rc_buf *out);

/*
 * Reads config/<name>, or <name>.bak when that one is missing or broken. *ret is NULL when neither is there
 * (that is no error). RC_ERR_CORRUPT with a sentence when what is there cannot be read.
 */
int rc_config_read(int dir, const char *name, json_t **ret, struct rc_error *error);
/* Writes it durably, the previous one stays as .bak. */
int rc_config_write(int dir, const char *name, const json_t *root);

/* {"counter":n,"timestamp":ms}, by which RocketMQ tells versions of a table apart. */
json_t *rc_config_data_version(uint64_t counter);

/* A topic's or a group's name by RocketMQ's rules: letters, digits, % | - _, at most `max` characters. */
bool rc_config_name_is_valid(struct rc_slice name, size_t max);

#endif

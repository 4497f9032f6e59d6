/* Topic names and filters. The text was checked to be MQTT's UTF-8 when it was decoded. */
#ifndef RC_MQTT_TOPIC_H
#define RC_MQTT_TOPIC_H

#include "base/slice.h"

enum { RC_TOPIC_LEVELS_MAX = 200 }; /* deeper ones are refused: work per message stays bounded */

/* Not empty, no wildcards, not too deep. */
bool rc_topic_name_is_valid(struct rc_slice name);
/*
 * Of bytes that nobody has looked at: short, of ASCII alone, without NUL and wildcards. Then it is text and a
 * valid name, as nearly all are; of the others nothing is said.
 */
bool rc_topic_name_is_plain(struct rc_slice name);
/* Not empty, wildcards only as whole levels, `#` only last; `$share/...` checked in its parts. */
bool rc_topic_filter_is_valid(struct rc_slice filter);
bool rc_topic_filter_has_wildcard(struct rc_slice filter);

/* Splits $share/<group>/<filter>; false (and nothing set) when it is not shared. Valid filters only. */
bool rc_topic_filter_split_shared(struct rc_slice filter, struct rc_slice *ret_group,
                                  struct rc_slice *ret_filter);

/* Whether a valid filter (not shared) takes a valid name; wildcards at the first level do not take `$` names.
 */
bool rc_topic_matches(struct rc_slice filter, struct rc_slice name);

/* The level at *at, which moves behind it; start with *at = 0; false when all have been given. */
bool rc_topic_next_level(struct rc_slice topic, size_t *at, struct rc_slice *ret);

#endif

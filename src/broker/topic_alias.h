/*
 * Topic aliases of one connection of version 5, both ways. Nothing is held until the first is used.
 */
#ifndef RC_BROKER_TOPIC_ALIAS_H
#define RC_BROKER_TOPIC_ALIAS_H

#include "base/slice.h"

struct rc_topic_aliases;

enum { RC_ALIAS_OUT_MAX = 16 }; /* that we use towards a client, however many it takes */

void rc_topic_aliases_free(struct rc_topic_aliases *aliases); /* NULL is harmless */

/*
 * A PUBLISH came with an alias: with a topic it is remembered, with an empty one *topic becomes the
 * remembered one (a view that lives until the alias is set again). The reason code: success; topic alias
 * invalid when it is 0 or above `max`; protocol error when it is unknown.
 */
uint8_t rc_topic_alias_resolve(struct rc_topic_aliases **aliases, uint16_t max, uint16_t alias,
                               struct rc_slice *topic);

/*
 * The alias for a topic that goes out, the longest unused one taken over when all are in use; 0 when the
 * client takes none. `*ret_known`: the client has it already, and the topic may be left out.
 */
uint16_t rc_topic_alias_assign(struct rc_topic_aliases **aliases, uint16_t max, struct rc_slice topic,
                               bool *ret_known);

#endif

/*
 * A set of packet ids: a list while they are few, a bit for each id there is when they are many. So a session
 * holds little for the few that most clients have under way, and 8 KiB at most, and looking one up costs the
 * same however many they are. One thread.
 */
#ifndef RC_BROKER_PACKET_IDS_H
#define RC_BROKER_PACKET_IDS_H

#include <stdbool.h>
#include <stdint.h>

enum { RC_PACKET_IDS_FEW = 32 }; /* more are bits */

/* Zeroed is empty. */
struct rc_packet_ids {
    uint32_t count;
    uint16_t list_cap;
    uint16_t *list; /* NULL when there are none, or `bits` has them */
    uint64_t *bits; /* NULL while they are few */
};

bool rc_packet_ids_have(const struct rc_packet_ids *ids, uint16_t id);
/* One that is not there yet. */
void rc_packet_ids_add(struct rc_packet_ids *ids, uint16_t id);
/* False when it is not there. With the last one all memory goes. */
bool rc_packet_ids_remove(struct rc_packet_ids *ids, uint16_t id);
void rc_packet_ids_free(struct rc_packet_ids *ids);

#endif

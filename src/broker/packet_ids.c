#include "broker/packet_ids.h"

#include "base/alloc.h"

enum { WORD_BITS = 64, WORDS = (UINT16_MAX + 1) / WORD_BITS };

static uint64_t bit_of(uint16_t id)
{
    return (uint64_t)1 << (id % WORD_BITS);
}

/* Its place in the list; count when it is not there. */
static uint32_t place_of(const struct rc_packet_ids *ids, uint16_t id)
{
    uint32_t at = 0;
    while (at < ids->count && ids->list[at] != id)
        at++;
    return at;
}

bool rc_packet_ids_have(const struct rc_packet_ids *ids, uint16_t id)
{
    if (ids->bits != NULL)
        return (ids->bits[id / WORD_BITS] & bit_of(id)) != 0;
    return place_of(ids, id) < ids->count;
}

static void become_bits(struct rc_packet_ids *ids)
{
    ids->bits = rc_calloc(WORDS, sizeof(*ids->bits));
    for (uint32_t i = 0; i < ids->count; i++)
        ids->bits[ids->list[i] / WORD_BITS] |= bit_of(ids->list[i]);
    free(ids->list);
    ids->list = NULL;
    ids->list_cap = 0;
}

void rc_packet_ids_add(struct rc_packet_ids *ids, uint16_t id)
{
    if (ids->bits == NULL && ids->count == RC_PACKET_IDS_FEW)
        become_bits(ids);
    if (ids->bits != NULL) {
        ids->bits[id / WORD_BITS] |= bit_of(id);
        ids->count++;
        return;
    }
    if (ids->count == ids->list_cap) {
        ids->list_cap = ids->list_cap > 0 ? (uint16_t)(2 * ids->list_cap) : 4;
        ids->list = rc_realloc(ids->list, ids->list_cap * sizeof(*ids->list));
    }
    ids->list[ids->count++] = id;
}

bool rc_packet_ids_remove(struct rc_packet_ids *ids, uint16_t id)
{
    if (!rc_packet_ids_have(ids, id))
        return false;
    if (ids->bits != NULL)
        ids->bits[id / WORD_BITS] &= ~bit_of(id);
    else
        ids->list[place_of(ids, id)] = ids->list[ids->count - 1];
    if (--ids->count == 0)
        rc_packet_ids_free(ids);
    return true;
}

void rc_packet_ids_free(struct rc_packet_ids *ids)
{
    free(ids->list);
    free(ids->bits);
    *ids = (struct rc_packet_ids){.count = 0};
}

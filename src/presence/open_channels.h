/*
 * The channels that are open at a place in the log: made by reading presence records in order. Saved as a
 * snapshot, it stands for all of the log before that place, so segments with the `connect` of open channels
 * may go. No thread of its own; one thread at a time.
 */
#ifndef RC_PRESENCE_OPEN_CHANNELS_H
#define RC_PRESENCE_OPEN_CHANNELS_H

#include "base/error.h"
#include "base/map.h"
#include "presence/event.h"
#include "store/message.h"

/* One open channel: what its tcpclean needs. */
struct rc_open_channel {
    uint8_t id[RC_CHANNEL_ID_LEN];
    int64_t connect_ms, last_ms;
    uint32_t sequence; /* of its last event */
    uint32_t queue_id;
    uint8_t born_addr[4]; /* of the connect's bornHost */
    uint32_t born_port;
    struct rc_slice topic, client_id_json, keys, client_ip, instance, protocol;
    uint8_t bytes[]; /* what the slices view */
};

struct rc_open_channels {
    struct rc_map channels; /* struct rc_open_channel by id */
    uint64_t place;         /* all records before this physical offset are in it */
    int64_t greatest_ms;    /* the greatest event time seen */
};

void rc_open_channels_init(struct rc_open_channels *open);
void rc_open_channels_free(struct rc_open_channels *open);

/* The next record of the log; others than presence records are passed over. Moves `place` behind it. */
void rc_open_channels_apply(struct rc_open_channels *open, const struct rc_message *message, uint32_t size);

/* Forgets the channels that were opened later than that. */
void rc_open_channels_forget_after(struct rc_open_channels *open, int64_t connect_ms);

/* Writes the snapshot durably (beside, fdatasync, rename). */
int rc_open_channels_save(const struct rc_open_channels *open, const char *path, struct rc_error *error);
/* Reads it into an empty table: 0; RC_ERR_NOT_FOUND when there is none; RC_ERR_CORRUPT with what to do. */
int rc_open_channels_load(struct rc_open_channels *open, const char *path, struct rc_error *error);

#endif

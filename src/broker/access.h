/*
 * What a client may do: the limits of its instance, and which topics it may use. On the broker's loop.
 */
#ifndef RC_BROKER_ACCESS_H
#define RC_BROKER_ACCESS_H

#include "base/slice.h"
#include "catalog/limits.h"

struct rc_conn;
struct rc_instance;

enum rc_access_result {
    RC_ACCESS_ALLOWED,
    RC_ACCESS_PARTLY, /* a subscription: it is granted, but each message has to be asked for (rc_access_reads)
                       */
    RC_ACCESS_TAKEN,  /* a message to the server itself: acknowledge it, it goes to nobody */
    RC_ACCESS_DENIED, /* answer 0x87 (not authorized) in the acknowledgement; QoS 0: drop it */
    RC_ACCESS_CLOSE,  /* the product's way: close the connection, 0x87 in version 5 */
};

/* Profile product: whether a topic may be published to, as it was last decided; the broker has a table. */
enum { RC_ACCESS_MEMOS = 64, RC_ACCESS_MEMO_TOPIC = 107 };
struct rc_access_memo {
    const struct rc_instance *instance; /* of the catalog of that generation; NULL: nothing yet */
    uint32_t generation;
    bool is_allowed;
    uint8_t topic_len;
    uint8_t topic[RC_ACCESS_MEMO_TOPIC];
};

/*
 * The limits of a client's instance; valid until the turn ends (a reload brings others). Before the client is
 * known, and when its instance has just been deleted, the product profile's.
 */
const struct rc_limits *rc_conn_limits(const struct rc_conn *conn);

/*
 * Whether a client may publish to a topic / subscribe to a filter (with its $share/<group>/ where it has
 * one). Names and filters are valid. What the profile has no room for at all (QoS, retained, shared,
 * wildcards) is the caller's to check by the limits.
 */
enum rc_access_result rc_access_publish(struct rc_conn *conn, struct rc_slice topic, uint8_t qos,
                                        bool retain);
enum rc_access_result rc_access_subscribe(struct rc_conn *conn, struct rc_slice filter, uint8_t qos);
static inline bool rc_access_is_granted(enum rc_access_result result)
{
    return result == RC_ACCESS_ALLOWED || result == RC_ACCESS_PARTLY;
}
/* Whether the client may read messages of that topic, a name. */
bool rc_access_reads(struct rc_conn *conn, struct rc_slice topic);

/*
 * Profile product: whether a topic is <parent>/p2p/<client id>, whose messages go to that client, subscribed
 * or not, and to nobody else.
 */
bool rc_access_p2p_target(const struct rc_instance *instance, struct rc_slice topic,
                          struct rc_slice *ret_client_id);

/* The client id of <parent>/p2p/<client id>; false for other topics. Of any profile. */
bool rc_access_split_p2p(struct rc_slice topic, struct rc_slice *ret_client_id);

#endif

/* Where messages go. On the broker's loop. */
#ifndef RC_BROKER_ROUTING_H
#define RC_BROKER_ROUTING_H

#include "mqtt/packet.h"

struct rc_broker;
struct rc_instance;
struct rc_matches;
struct rc_publication;
struct rc_session;
struct rc_subscription;

enum rc_routed {
    RC_ROUTED,
    RC_ROUTED_TO_NOBODY, /* nobody wants it, as far as this shard knows */
    RC_ROUTED_FULL,      /* no room for another retained message; or a session here could not hold it */
    RC_ROUTED_LATER,     /* not published: the log, for an outflow rule, or another shard takes nothing now */
};

/*
 * Delivers to the subscribers of all shards, or to the one client whom a P2P topic names, and keeps it when
 * it is to be retained. `from` is whose message it is, NULL: the server's. Whether it was allowed is the
 * caller's to have checked.
 */
enum rc_routed rc_route(struct rc_broker *broker, const struct rc_instance *instance,
                        const struct rc_mqtt_publish *publish, const struct rc_session *from);
/* The same for a message that has an id (RC_TRACE_ID_LEN bytes) already. */
enum rc_routed rc_route_named(struct rc_broker *broker, const struct rc_instance *instance,
                              const struct rc_mqtt_publish *publish, const struct rc_session *from,
                              const uint8_t *id);
/* The same for what the server sends by itself; when the instance is gone it goes to nobody. */
enum rc_routed rc_publish_internal(struct rc_broker *broker, struct rc_slice instance,
                                   const struct rc_mqtt_publish *publish, struct rc_session *from);
/* Another shard has forwarded it: delivers what concerns this one. */
void rc_route_arrived(struct rc_broker *broker, struct rc_slice instance, struct rc_publication *publication);
/* Delivers to this shard's subscribers alone; true when there are any. */
bool rc_route_here(struct rc_broker *broker, struct rc_slice instance, struct rc_publication *publication);
/* Sends what is retained and this new subscription takes. */
void rc_route_retained(struct rc_broker *broker, struct rc_subscription *subscription);

void rc_matches_free(struct rc_matches *matches); /* NULL is harmless */

#endif

/* A message of RocketMQ as one of MQTT: what its properties say (docs/rules.md). No I/O. */
#ifndef RC_RULES_INFLOW_MAP_H
#define RC_RULES_INFLOW_MAP_H

#include "base/buf.h"

#include <stdint.h>

struct rc_inflow_map {
    struct rc_buf topic, shown_topic, props; /* the first never empty; props: as a PUBLISH of version 5 */
    uint8_t qos;
    bool is_for_present; /* P2P: cleansessionflag=true, so not kept for a client that is away */
};

enum rc_inflow_verdict {
    RC_INFLOW_GOOD,
    RC_INFLOW_EXPIRED,
    RC_INFLOW_ECHO, /* an outflow rule of this MQTT topic sent it */
    RC_INFLOW_BAD,  /* mqttSecondTopic makes no topic name */
};

void rc_inflow_map_init(struct rc_inflow_map *map);
void rc_inflow_map_free(struct rc_inflow_map *map);
/* `props` as the store has them. What cannot be understood of the optional ones is left out. */
enum rc_inflow_verdict rc_inflow_map_take(struct rc_inflow_map *map, struct rc_slice instance,
                                          struct rc_slice mqtt_topic, struct rc_slice props, int64_t born_ms,
                                          int64_t now_ms);

#endif

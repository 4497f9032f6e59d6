#include "control/control_entrances.h"

#include "net/transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const zones[] = {[RC_CONFIG_ZONE_PUBLIC] = "public", [RC_CONFIG_ZONE_VPC] = "vpc"};

/* 0 for a Unix socket, which has none. */
static uint16_t port_of(const struct rc_config_listener *listener)
{
    const char *colon = strrchr(listener->bind.text, ':');
    bool is_unix = strncmp(listener->bind.text, "unix:", 5) == 0;
    return is_unix || colon == NULL ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
}

struct rc_entrances *rc_control_build_entrances(const struct rc_config *config)
{
    const struct rc_config_listener *listeners = config->mqtt.listeners.items;
    uint32_t count = 0, at = 0;
    for (uint32_t i = 0; i < config->mqtt.listeners.count; i++)
        count += listeners[i].domains.count;
    struct rc_entrances *entrances = rc_entrances_create(count);
    for (uint32_t i = 0; i < config->mqtt.listeners.count; i++) {
        const struct rc_config_text *domains = listeners[i].domains.items;
        for (uint32_t d = 0; d < listeners[i].domains.count; d++) {
            struct rc_entrance *entrance = &entrances->list[at++];
            entrance->zone = zones[listeners[i].zone];
            entrance->transport = rc_transport_kind_text((enum rc_transport_kind)listeners[i].transport);
            entrance->port = port_of(&listeners[i]);
            snprintf(entrance->domain, sizeof(entrance->domain), "%s", domains[d].text);
        }
    }
    return entrances;
}

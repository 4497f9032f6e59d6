/*
 * For tests: what the guide's Java program does, as its behaviour is documented, in the smallest C. A set of
 * (client, channel, type); a channel's entries are dropped once it has one that is "connect" and one that is
 * not; online = some channel has a "connect" and nothing else.
 */
#ifndef RC_CLIENT_CLIENT_STATUS_DEMO_H
#define RC_CLIENT_CLIENT_STATUS_DEMO_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { DEMO_ENTRIES = 64 };

struct demo {
    struct {
        char client[16], channel[16], type[16];
    } entries[DEMO_ENTRIES];
    int count;
};

static inline void demo_look(const struct demo *demo, const char *client, const char *channel,
                             bool *ret_online, bool *ret_offline)
{
    *ret_online = *ret_offline = false;
    for (int i = 0; i < demo->count; i++) {
        if (strcmp(demo->entries[i].client, client) != 0 || strcmp(demo->entries[i].channel, channel) != 0)
            continue;
        if (strcmp(demo->entries[i].type, "connect") == 0)
            *ret_online = true;
        else
            *ret_offline = true;
    }
}

static inline void demo_erase(struct demo *demo, const char *client, const char *channel)
{
    int kept = 0;
    for (int i = 0; i < demo->count; i++) {
        if (strcmp(demo->entries[i].client, client) != 0 || strcmp(demo->entries[i].channel, channel) != 0)
            demo->entries[kept++] = demo->entries[i];
    }
    demo->count = kept;
}

static inline void demo_consume(struct demo *demo, const char *client, const char *channel, const char *type)
{
    bool known = false, online, offline;
    for (int i = 0; i < demo->count; i++) {
        if (strcmp(demo->entries[i].client, client) == 0 && strcmp(demo->entries[i].channel, channel) == 0 &&
            strcmp(demo->entries[i].type, type) == 0)
            known = true;
    }
    if (!known && demo->count < DEMO_ENTRIES) {
        snprintf(demo->entries[demo->count].client, 16, "%s", client);
        snprintf(demo->entries[demo->count].channel, 16, "%s", channel);
        snprintf(demo->entries[demo->count].type, 16, "%s", type);
        demo->count++;
    }
    demo_look(demo, client, channel, &online, &offline);
    if (online && offline)
        demo_erase(demo, client, channel);
}

static inline bool demo_is_online(const struct demo *demo, const char *client)
{
    for (int i = 0; i < demo->count; i++) {
        bool online, offline;
        if (strcmp(demo->entries[i].client, client) != 0)
            continue;
        demo_look(demo, client, demo->entries[i].channel, &online, &offline);
        if (online && !offline)
            return true;
    }
    return false;
}

static inline int demo_entries(const struct demo *demo)
{
    return demo->count;
}

#endif

#include "broker/topic_alias.h"

#include "base/alloc.h"
#include "mqtt/types.h"

struct alias {
    uint8_t *topic;
    uint32_t len;
    uint64_t used; /* when last, as a count of uses */
};

struct rc_topic_aliases {
    struct alias *in; /* by alias - 1 */
    uint16_t in_count;
    struct alias out[RC_ALIAS_OUT_MAX];
    uint64_t uses;
};

static struct rc_topic_aliases *make(struct rc_topic_aliases **aliases)
{
    if (*aliases == NULL)
        *aliases = rc_new(struct rc_topic_aliases);
    return *aliases;
}

void rc_topic_aliases_free(struct rc_topic_aliases *aliases)
{
    if (aliases == NULL)
        return;
    for (uint16_t i = 0; i < aliases->in_count; i++)
        free(aliases->in[i].topic);
    for (int i = 0; i < RC_ALIAS_OUT_MAX; i++)
        free(aliases->out[i].topic);
    free(aliases->in);
    free(aliases);
}

static void set(struct alias *alias, struct rc_slice topic)
{
    free(alias->topic);
    alias->topic = (uint8_t *)rc_strndup(topic.ptr, topic.len);
    alias->len = (uint32_t)topic.len;
}

uint8_t rc_topic_alias_resolve(struct rc_topic_aliases **aliases, uint16_t max, uint16_t alias,
                               struct rc_slice *topic)
{
    if (alias == 0 || alias > max)
        return RC_MQTT_TOPIC_ALIAS_INVALID;
    struct rc_topic_aliases *all = make(aliases);
    if (all->in == NULL) {
        all->in = rc_calloc(max, sizeof(*all->in));
        all->in_count = max;
    }
    if (alias > all->in_count) /* a reload allowed more; the client was told of fewer */
        return RC_MQTT_TOPIC_ALIAS_INVALID;
    struct alias *one = &all->in[alias - 1];
    if (topic->len > 0)
        set(one, *topic);
    else if (one->topic == NULL)
        return RC_MQTT_PROTOCOL_ERROR;
    *topic = rc_slice(one->topic, one->len);
    return RC_MQTT_SUCCESS;
}

uint16_t rc_topic_alias_assign(struct rc_topic_aliases **aliases, uint16_t max, struct rc_slice topic,
                               bool *ret_known)
{
    struct alias *oldest = NULL;
    *ret_known = false;
    struct rc_topic_aliases *all = make(aliases);
    for (int i = 0; i < RC_ALIAS_OUT_MAX && i < max; i++) {
        struct alias *one = &all->out[i];
        if (one->topic != NULL && rc_slice_eq(rc_slice(one->topic, one->len), topic)) {
            one->used = ++all->uses;
            *ret_known = true;
            return (uint16_t)(i + 1);
        }
        if (oldest == NULL || one->used < oldest->used)
            oldest = one;
    }
    set(oldest, topic);
    oldest->used = ++all->uses;
    return (uint16_t)(oldest - all->out + 1);
}

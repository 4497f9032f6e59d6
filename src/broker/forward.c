#include "broker/forward.h"

#include "base/alloc.h"
#include "base/log.h"
#include "broker/private.h"

enum { PARCEL_MAX = 64 };

struct forward {
    struct rc_publication *publication;
    struct rc_turn *turn; /* for which this is done, NULL: none */
    uint16_t instance_len;
    char instance[RC_CATALOG_ID_MAX];
};

struct rc_parcel {
    struct rc_mail mail;
    struct rc_broker *to;
    uint32_t count;
    struct forward forwards[PARCEL_MAX];
};

static void deliver(struct rc_broker *broker, struct forward *forward)
{
    struct rc_publication *publication = forward->publication;
    rc_persist_begin_errand(broker, forward->turn);
    rc_route_arrived(broker, rc_slice(forward->instance, forward->instance_len), publication);
    rc_persist_end_errand(broker, forward->turn, publication->origin != 0);
    rc_publication_unref(publication);
}

static void on_parcel(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_parcel *parcel = rc_container_of(mail, struct rc_parcel, mail);
    atomic_fetch_sub_explicit(&parcel->to->forwards_in, parcel->count, memory_order_relaxed);
    for (uint32_t i = 0; i < parcel->count; i++)
        deliver(parcel->to, &parcel->forwards[i]);
    free(parcel);
}

static void post(struct rc_parcel **place)
{
    struct rc_parcel *parcel = *place;
    *place = NULL;
    atomic_fetch_add_explicit(&parcel->to->forwards_in, parcel->count, memory_order_relaxed);
    rc_loop_post(parcel->to->options.loop, &parcel->mail);
}

static struct rc_parcel **place_for(struct rc_broker *from, struct rc_broker *to)
{
    if (from->parcels == NULL)
        from->parcels = rc_calloc(from->options.shards, sizeof(*from->parcels));
    struct rc_parcel **place = &from->parcels[to->options.shard];
    if (*place == NULL) {
        *place = rc_malloc(sizeof(**place));
        (*place)->mail.deliver = on_parcel;
        (*place)->to = to;
        (*place)->count = 0;
    }
    return place;
}

static bool has_room(struct rc_broker *from, struct rc_broker *to, const struct rc_publication *publication)
{
    if (publication->stamp != 0 ||
        atomic_load_explicit(&to->forwards_in, memory_order_relaxed) < RC_BROKER_FORWARDS_MAX)
        return true;
    RC_COUNT(&from->counters, dropped_forward);
    rc_log_error("mqtt", "messages dropped: shard %u is %d publishes behind", to->options.shard,
                 RC_BROKER_FORWARDS_MAX);
    return false;
}

void rc_forward(struct rc_broker *from, struct rc_broker *to, struct rc_slice instance,
                struct rc_publication *publication)
{
    if (!has_room(from, to, publication))
        return;
    struct rc_parcel **place = place_for(from, to);
    struct forward *forward = &(*place)->forwards[(*place)->count++];
    forward->publication = rc_publication_ref(publication);
    forward->turn = rc_persist_entrust(from, to, publication);
    forward->instance_len = (uint16_t)instance.len;
    memcpy(forward->instance, instance.ptr, instance.len);
    if ((*place)->count == PARCEL_MAX)
        post(place);
}

void rc_forward_post(struct rc_broker *from)
{
    for (uint32_t i = 0; from->parcels != NULL && i < from->options.shards; i++)
        if (from->parcels[i] != NULL)
            post(&from->parcels[i]);
}

void rc_forward_free(struct rc_broker *from)
{
    for (uint32_t i = 0; from->parcels != NULL && i < from->options.shards; i++) {
        struct rc_parcel *parcel = from->parcels[i];
        for (uint32_t k = 0; parcel != NULL && k < parcel->count; k++)
            rc_publication_unref(parcel->forwards[k].publication);
        free(parcel);
    }
    free(from->parcels);
    from->parcels = NULL;
}

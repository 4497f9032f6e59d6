/*
 * Design notes
 * - A parcel goes back to its sender when it is delivered, with the small publications in it: they are let go
 * on the shard that made them, whose next ones take their memory. Nobody is woken for that; the sender looks
 * when it needs a parcel, and once a second.
 */
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
    struct rc_parcel *next; /* among those that came back */
    struct rc_broker *from, *to;
    uint32_t count;
    struct forward forwards[PARCEL_MAX];
};

static void deliver(struct rc_broker *broker, struct forward *forward)
{
    struct rc_publication *publication = forward->publication;
    rc_persist_begin_errand(broker, forward->turn);
    rc_route_arrived(broker, rc_slice(forward->instance, forward->instance_len), publication);
    rc_persist_end_errand(broker, forward->turn, publication->origin != 0);
    if (publication->is_small)
        return; /* it goes back */
    rc_publication_unref(publication);
    forward->publication = NULL;
}

static void give_back(struct rc_parcel *parcel)
{
    struct rc_parcel *head = atomic_load_explicit(&parcel->from->returned, memory_order_relaxed);
    do {
        parcel->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&parcel->from->returned, &head, parcel,
                                                    memory_order_release, memory_order_relaxed));
}

static void on_parcel(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_parcel *parcel = rc_container_of(mail, struct rc_parcel, mail);
    atomic_fetch_sub_explicit(&parcel->to->forwards_in, parcel->count, memory_order_relaxed);
    for (uint32_t i = 0; i < parcel->count; i++)
        deliver(parcel->to, &parcel->forwards[i]);
    give_back(parcel);
}

static void let_go(struct rc_broker *broker, struct rc_parcel *parcel)
{
    for (uint32_t i = 0; i < parcel->count; i++)
        if (parcel->forwards[i].publication != NULL)
            rc_publication_unref_to(&broker->publications, parcel->forwards[i].publication);
    parcel->count = 0;
}

/* An empty parcel out of those that came back; NULL: there were none. */
static struct rc_parcel *take_back(struct rc_broker *broker)
{
    if (atomic_load_explicit(&broker->returned, memory_order_relaxed) == NULL)
        return NULL;
    struct rc_parcel *parcel = atomic_exchange_explicit(&broker->returned, NULL, memory_order_acquire);
    for (;;) {
        struct rc_parcel *next = parcel->next;
        let_go(broker, parcel);
        if (next == NULL)
            return parcel;
        free(parcel);
        parcel = next;
    }
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
    if (*place != NULL)
        return place;
    struct rc_parcel *parcel = take_back(from);
    *place = parcel != NULL ? parcel : rc_malloc(sizeof(*parcel));
    (*place)->mail.deliver = on_parcel;
    (*place)->from = from;
    (*place)->to = to;
    (*place)->count = 0;
    return place;
}

bool rc_forward_has_room(struct rc_broker *to)
{
    return atomic_load_explicit(&to->forwards_in, memory_order_relaxed) < RC_BROKER_FORWARDS_MAX;
}

void rc_forward(struct rc_broker *from, struct rc_broker *to, struct rc_slice instance,
                struct rc_publication *publication)
{
    if (publication->qos == 0 && publication->stamp == 0 && !rc_forward_has_room(to)) {
        RC_COUNT(&from->counters, dropped_forward);
        rc_log_error("mqtt", "messages dropped: shard %u is %d publishes behind", to->options.shard,
                     RC_BROKER_FORWARDS_MAX);
        return;
    }
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

void rc_forward_sweep(struct rc_broker *from)
{
    free(take_back(from));
}

void rc_forward_free(struct rc_broker *from)
{
    rc_forward_sweep(from);
    for (uint32_t i = 0; from->parcels != NULL && i < from->options.shards; i++) {
        if (from->parcels[i] != NULL)
            let_go(from, from->parcels[i]);
        free(from->parcels[i]);
    }
    free(from->parcels);
    from->parcels = NULL;
    rc_publication_pool_free(&from->publications);
}

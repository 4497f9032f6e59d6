#include "broker/publication.h"

#include "base/alloc.h"
#include "base/apart.h"
#include "broker/trace.h"

static uint64_t expiry_of(const struct rc_mqtt_props *props, uint64_t now_ms)
{
    if (!rc_mqtt_props_has(props, RC_MQTT_PROP_MESSAGE_EXPIRY))
        return 0;
    uint64_t at_ms = now_ms + props->numbers[RC_MQTT_PROP_MESSAGE_EXPIRY] * 1000ull;
    return at_ms > 0 ? at_ms : 1;
}

/* ---- memory ---- */

struct spare {
    struct spare *next;
};

static void *take_small(struct rc_publication_pool *pool)
{
    struct spare *spare = pool != NULL ? pool->first : NULL;
    if (spare == NULL)
        return rc_malloc(RC_PUBLICATION_SMALL_BYTES);
    pool->first = spare->next;
    pool->count--;
    return spare;
}

/* Gives one up: true when it was the last. Who has the only one need not lock the bus for it. */
static bool drop_ref(struct rc_publication *publication)
{
    return atomic_load_explicit(&publication->refs, memory_order_acquire) == 1 ||
           atomic_fetch_sub_explicit(&publication->refs, 1, memory_order_acq_rel) == 1;
}

void rc_publication_unref_to(struct rc_publication_pool *pool, struct rc_publication *publication)
{
    if (!drop_ref(publication))
        return;
    if (!publication->is_small || pool->count >= RC_PUBLICATION_POOL_MAX) {
        free(publication);
        return;
    }
    struct spare *spare = (struct spare *)publication;
    spare->next = pool->first;
    pool->first = spare;
    pool->count++;
}

void rc_publication_pool_free(struct rc_publication_pool *pool)
{
    while (pool->first != NULL) {
        struct spare *spare = pool->first;
        pool->first = spare->next;
        free(spare);
    }
    pool->count = 0;
}

/* ---- publications ---- */

/* Those that are passed on: never longer than all of them. Their length. */
static RC_APART uint32_t copy_props(uint8_t *to, struct rc_slice raw)
{
    struct rc_buf passed_on = {.data = to, .cap = (uint32_t)raw.len, .max = (uint32_t)raw.len};
    rc_mqtt_props_copy_forwarded(&passed_on, raw);
    return (uint32_t)rc_buf_len(&passed_on);
}

static struct rc_publication *create(struct rc_publication_pool *pool, const struct rc_mqtt_publish *publish,
                                     uint64_t from, uint64_t now_ms, size_t id_len)
{
    size_t topic_len = publish->topic.len, payload_len = publish->payload.len, raw = publish->props.raw.len;
    size_t size = sizeof(struct rc_publication) + topic_len + payload_len + raw + id_len;
    bool is_small = size <= RC_PUBLICATION_SMALL_BYTES;
    struct rc_publication *publication = is_small ? take_small(pool) : rc_malloc(size);
    atomic_init(&publication->refs, 1);
    publication->topic_len = (uint32_t)topic_len;
    publication->payload_len = (uint32_t)payload_len;
    publication->expires_ms = expiry_of(&publish->props, now_ms);
    publication->stamp = 0;
    publication->from = from;
    publication->origin = publication->origin_number = 0;
    publication->qos = publish->qos;
    publication->retain = publish->retain;
    publication->is_p2p = false;
    publication->is_small = is_small;
    publication->is_traced = id_len > 0;
    memcpy(publication->bytes, publish->topic.ptr, topic_len);
    if (payload_len > 0)
        memcpy(publication->bytes + topic_len, publish->payload.ptr, payload_len);
    publication->props_len =
        raw > 0 ? copy_props(publication->bytes + topic_len + payload_len, publish->props.raw) : 0;
    return publication;
}

struct rc_publication *rc_publication_create(struct rc_publication_pool *pool,
                                             const struct rc_mqtt_publish *publish, uint64_t from,
                                             uint64_t now_ms)
{
    return create(pool, publish, from, now_ms, 0);
}

struct rc_publication *rc_publication_create_traced(struct rc_publication_pool *pool,
                                                    const struct rc_mqtt_publish *publish, uint64_t from,
                                                    uint64_t now_ms, const uint8_t *id)
{
    struct rc_publication *publication = create(pool, publish, from, now_ms, RC_TRACE_ID_LEN);
    memcpy(publication->bytes + publication->topic_len + publication->payload_len + publication->props_len,
           id, RC_TRACE_ID_LEN);
    return publication;
}

struct rc_publication *rc_publication_ref(struct rc_publication *publication)
{
    atomic_fetch_add_explicit(&publication->refs, 1, memory_order_relaxed);
    return publication;
}

void rc_publication_unref(struct rc_publication *publication)
{
    if (publication != NULL && drop_ref(publication))
        free(publication);
}

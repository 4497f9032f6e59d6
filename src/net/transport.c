#include "net/transport.h"

#include "base/alloc.h"

struct rc_transport *rc_transport_create(enum rc_transport_kind kind, const char *name)
{
    struct rc_transport *transport = rc_new(struct rc_transport);
    atomic_init(&transport->refs, 1);
    transport->kind = kind;
    transport->name = rc_strdup(name);
    return transport;
}

struct rc_transport *rc_transport_ref(struct rc_transport *transport)
{
    atomic_fetch_add_explicit(&transport->refs, 1, memory_order_relaxed);
    return transport;
}

void rc_transport_unref(struct rc_transport *transport)
{
    if (transport == NULL || atomic_fetch_sub_explicit(&transport->refs, 1, memory_order_acq_rel) > 1)
        return;
    rc_tls_unref(transport->tls);
    free(transport->name);
    free(transport->path);
    free(transport->trusted);
    free(transport);
}

bool rc_transport_trusts(const struct rc_transport *transport, const struct rc_address *peer)
{
    for (uint32_t i = 0; i < transport->trusted_count; i++) {
        if (rc_cidr_has(&transport->trusted[i], peer))
            return true;
    }
    return false;
}

const char *rc_transport_kind_text(enum rc_transport_kind kind)
{
    static const char *const texts[] = {"tcp", "tls", "ws", "wss"};
    return texts[kind];
}

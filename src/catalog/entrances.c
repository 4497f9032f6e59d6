#include "catalog/entrances.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rc_entrances *rc_entrances_create(uint32_t count)
{
    struct rc_entrances *entrances = rc_calloc(1, sizeof(*entrances) + count * sizeof(entrances->list[0]));
    atomic_init(&entrances->refs, 1);
    entrances->count = count;
    return entrances;
}

struct rc_entrances *rc_entrances_ref(struct rc_entrances *entrances)
{
    if (entrances != NULL)
        atomic_fetch_add_explicit(&entrances->refs, 1, memory_order_relaxed);
    return entrances;
}

void rc_entrances_unref(struct rc_entrances *entrances)
{
    if (entrances != NULL && atomic_fetch_sub_explicit(&entrances->refs, 1, memory_order_acq_rel) == 1)
        free(entrances);
}

void rc_entrance_domain_of(const struct rc_entrance *entrance, struct rc_slice instance, char *out,
                           size_t size)
{
    static const char placeholder[] = "{instance}";
    const char *at = strstr(entrance->domain, placeholder);
    if (at == NULL)
        snprintf(out, size, "%s", entrance->domain);
    else
        snprintf(out, size, "%.*s%.*s%s", (int)(at - entrance->domain), entrance->domain,
                 RC_SLICE_FMT(instance), at + sizeof(placeholder) - 1);
}

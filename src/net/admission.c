#include "net/admission.h"

/*
 * The bucket as one number: the time at which it is empty again. Each one that comes moves it a share of a
 * second on; it may be a second ahead of now.
 */
enum { SECOND_NS = 1000000000 };

uint64_t rc_admission_wait_ns(struct rc_admission *admission, uint32_t per_second, uint64_t now_ns)
{
    if (per_second == 0)
        return 0;
    uint64_t due = atomic_load_explicit(&admission->due_ns, memory_order_relaxed);
    uint64_t after = (due > now_ns ? due : now_ns) + SECOND_NS / per_second;
    return after > now_ns + SECOND_NS ? after - now_ns - SECOND_NS : 0;
}

void rc_admission_came(struct rc_admission *admission, uint32_t per_second, uint64_t now_ns)
{
    if (per_second == 0)
        return;
    uint_fast64_t due = atomic_load_explicit(&admission->due_ns, memory_order_relaxed), next;
    do {
        next = (due > now_ns ? due : now_ns) + SECOND_NS / per_second;
    } while (!atomic_compare_exchange_weak_explicit(&admission->due_ns, &due, next, memory_order_relaxed,
                                                    memory_order_relaxed));
}

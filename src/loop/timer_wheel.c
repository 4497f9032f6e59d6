#include "loop/timer_wheel.h"

void rc_timer_wheel_init(struct rc_timer_wheel *wheel, uint64_t tick)
{
    wheel->tick = tick;
    rc_list_init(&wheel->due);
    for (int level = 0; level < RC_WHEEL_LEVELS; level++)
        for (int slot = 0; slot < RC_WHEEL_SLOTS; slot++)
            rc_list_init(&wheel->slots[level][slot]);
}

static uint32_t slot_index(uint64_t tick, int level)
{
    return (uint32_t)(tick >> (level * RC_WHEEL_BITS)) & (RC_WHEEL_SLOTS - 1);
}

void rc_timer_wheel_add(struct rc_timer_wheel *wheel, struct rc_timer *timer)
{
    uint64_t farthest = wheel->tick + UINT32_MAX;
    if (timer->due_tick > farthest)
        timer->due_tick = farthest;
    if (timer->due_tick <= wheel->tick) {
        rc_list_push_back(&wheel->due, &timer->node);
        return;
    }
    /* The level is that of the highest digit in which the due tick differs from now: the entry is looked at
     * again exactly when that digit comes round. */
    uint64_t differs = timer->due_tick ^ wheel->tick;
    int level = (63 - __builtin_clzll(differs)) / RC_WHEEL_BITS;
    if (level >= RC_WHEEL_LEVELS) {
        /* The carry ran past the top digit: the top level's slot of the due tick comes round in time all the
         * same. */
        level = RC_WHEEL_LEVELS - 1;
    }
    rc_list_push_back(&wheel->slots[level][slot_index(timer->due_tick, level)], &timer->node);
}

/* Deals the entries of a slot out again, now that time has come nearer to them. */
static void cascade(struct rc_timer_wheel *wheel, int level)
{
    struct rc_list *slot = &wheel->slots[level][slot_index(wheel->tick, level)];
    struct rc_list moving, *node;
    if (rc_list_is_empty(slot))
        return;
    moving = *slot;
    moving.next->prev = moving.prev->next = &moving;
    rc_list_init(slot);
    while ((node = rc_list_pop_front(&moving)) != NULL)
        rc_timer_wheel_add(wheel, rc_container_of(node, struct rc_timer, node));
}

void rc_timer_wheel_advance(struct rc_timer_wheel *wheel, uint64_t tick)
{
    while (wheel->tick < tick) {
        wheel->tick++;
        int level = 0;
        while (level < RC_WHEEL_LEVELS - 1 && slot_index(wheel->tick, level) == 0)
            level++;
        for (; level >= 0; level--)
            cascade(wheel, level);
    }
}

uint64_t rc_timer_wheel_wait(const struct rc_timer_wheel *wheel, uint64_t limit)
{
    if (!rc_list_is_empty(&wheel->due))
        return 0;
    for (uint64_t ahead = 1; ahead < limit; ahead++) {
        uint32_t slot = slot_index(wheel->tick + ahead, 0);
        /* At the end of the lowest level entries of the others may come down. */
        if (slot == 0 || !rc_list_is_empty(&wheel->slots[0][slot]))
            return ahead;
    }
    return limit;
}

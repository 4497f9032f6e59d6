#include "base/units.h"

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit sizes[] = {
    {"TiB", 1ll << 40}, {"GiB", 1ll << 30}, {"MiB", 1ll << 20}, {"KiB", 1ll << 10}, {"", 1},
    {"B", 1},           {NULL, 0},
};
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit none[] = {{"", 1}, {NULL, 0}};

/* Digits only; moves behind them. */
static bool take_number(struct rc_slice *text, int64_t *ret)
{
    int64_t value = 0;
    size_t at = 0;
    for (; at < text->len && text->ptr[at] >= '0' && text->ptr[at] <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text->ptr[at] - '0', &value))
            return false;
    }
    if (at == 0)
        return false;
    *text = rc_slice_from(*text, at);
    *ret = value;
    return true;
}

bool rc_units_parse(enum rc_units units, struct rc_slice text, int64_t *ret)
{
    static const struct unit *const tables[] = {
        [RC_UNITS_NONE] = none, [RC_UNITS_SIZE] = sizes, [RC_UNITS_DURATION] = durations};
    int64_t value;
    if (!take_number(&text, &value))
        return false;
    for (const struct unit *unit = tables[units]; unit->name != NULL; unit++) {
        if (rc_slice_eq_str(text, unit->name))
            return !__builtin_mul_overflow(value, unit->factor, ret);
    }
    /* Nought needs no unit. */
    *ret = value;
    return text.len == 0 && value == 0;
}

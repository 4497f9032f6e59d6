/* Limits of an instance as a text: subscriptions=50,payload=4KiB. */
#include "base/nearest.h"
#include "base/units.h"
#include "catalog/limits.h"

#include <stddef.h>
#include <string.h>

enum kind { NUMBER, NUMBER_16, BYTES, BYTES_32, SECONDS, MILLISECONDS, QOS, CHOICE };

#define FIELD(field) offsetof(struct rc_limits, field)

static const struct limit {
    const char *name; /* as in the file */
    enum kind kind;
    size_t field;
    int64_t max;
} limits[] = {
    {"payload", BYTES_32, FIELD(payload_max), 256 << 20},
    {"subscriptions", NUMBER, FIELD(subscriptions_max), 100000},
    {"keep_alive", SECONDS, FIELD(keep_alive_max_s), 65535 * 1000ll},
    {"inflight", NUMBER, FIELD(inflight_max), RC_LIMIT_INFLIGHT_MAX},
    {"receive_maximum", NUMBER, FIELD(receive_max), 65535}, /* it sets both */
    {"receive_maximum", NUMBER, FIELD(incoming_max), 65535},
    {"queued", NUMBER, FIELD(queued_max), 1000000},
    {"queued_bytes", BYTES, FIELD(queued_bytes_max), 1ll << 40},
    {"queued_all", NUMBER, FIELD(queued_all_max), 1000000000},
    {"queued_all_bytes", BYTES, FIELD(queued_all_bytes_max), 1ll << 40},
    {"session_keep", MILLISECONDS, FIELD(session_keep_ms), 3650 * 24 * 3600 * 1000ll},
    {"client_id", NUMBER, FIELD(client_id_max), RC_CLIENT_ID_MAX},
    {"topic_length", NUMBER, FIELD(topic_len_max), 65535},
    {"topic_levels", NUMBER, FIELD(topic_levels_max), 200},
    {"topic_aliases", NUMBER_16, FIELD(topic_alias_max), 1024},
    {"qos", QOS, FIELD(qos_max), 2},
    {"retained", CHOICE, FIELD(has_retained), 0},
    {"wills", CHOICE, FIELD(has_wills), 0},
    {"shared_subscriptions", CHOICE, FIELD(has_shared), 0},
    {"wildcards", CHOICE, FIELD(has_wildcards), 0},
    {"refusal_reasons", CHOICE, FIELD(tells_why), 0},
};
enum { LIMITS = sizeof(limits) / sizeof(limits[0]) };

static const char *name_of(const void *table, size_t index)
{
    return ((const struct limit *)table)[index].name;
}

static const struct limit *find(struct rc_slice name)
{
    for (size_t i = 0; i < LIMITS; i++)
        if (rc_slice_eq_str(name, limits[i].name))
            return &limits[i];
    return NULL;
}

static bool is_duration(const struct limit *limit)
{
    return limit->kind == SECONDS || limit->kind == MILLISECONDS;
}

static bool is_size(const struct limit *limit)
{
    return limit->kind == BYTES || limit->kind == BYTES_32;
}

static bool parse(const struct limit *limit, struct rc_slice text, int64_t *ret)
{
    if (limit->kind == CHOICE) {
        *ret = rc_slice_eq_str(text, "true");
        return *ret != 0 || rc_slice_eq_str(text, "false");
    }
    enum rc_units units = is_duration(limit) ? RC_UNITS_DURATION
                          : is_size(limit)   ? RC_UNITS_SIZE
                                             : RC_UNITS_NONE;
    return rc_units_parse(units, text, ret) && *ret <= limit->max;
}

/* 0 leaves it to the profile, as in the file. */
static void set(const struct limit *limit, struct rc_limits *to, int64_t value)
{
    void *field = (char *)to + limit->field;
    if (limit->kind == CHOICE)
        *(bool *)field = value != 0;
    else if (limit->kind == QOS)
        *(uint8_t *)field = (uint8_t)value;
    else if (value == 0)
        return;
    else if (limit->kind == NUMBER || limit->kind == BYTES_32)
        *(uint32_t *)field = (uint32_t)value;
    else if (limit->kind == SECONDS) /* part of one counts as one */
        *(uint32_t *)field = (uint32_t)((value + 999) / 1000);
    else if (limit->kind == NUMBER_16)
        *(uint16_t *)field = (uint16_t)value;
    else
        *(uint64_t *)field = (uint64_t)value;
}

static int refuse(const struct limit *limit, struct rc_error *error)
{
    if (limit->kind == CHOICE)
        return rc_error_set(error, RC_ERR_INVALID, "The limit %s is true or false.", limit->name);
    if (is_duration(limit))
        return rc_error_set(error, RC_ERR_INVALID,
                            "The limit %s is a duration such as 90s, of at most %llds.", limit->name,
                            (long long)(limit->max / 1000));
    return rc_error_set(error, RC_ERR_INVALID, "The limit %s is %s from 0 to %lld.", limit->name,
                        is_size(limit) ? "a size such as 64KiB" : "a whole number", (long long)limit->max);
}

static int apply_one(struct rc_limits *to, struct rc_slice item, struct rc_error *error)
{
    const uint8_t *equals = memchr(item.ptr, '=', item.len);
    size_t len = equals != NULL ? (size_t)(equals - item.ptr) : item.len;
    struct rc_slice name = rc_slice(item.ptr, len);
    struct rc_slice text = rc_slice_from(item, equals != NULL ? len + 1 : len);
    const struct limit *limit = find(name);
    int64_t value;
    if (limit == NULL) {
        const char *near = rc_nearest(name, name_of, limits, LIMITS);
        return rc_error_set(error, RC_ERR_INVALID, "There is no such limit%s%s.",
                            near != NULL ? "; perhaps meant: " : "", near != NULL ? near : "");
    }
    if (!parse(limit, text, &value))
        return refuse(limit, error);
    for (const struct limit *each = limit; each < limits + LIMITS && strcmp(each->name, limit->name) == 0;
         each++)
        set(each, to, value);
    return RC_OK;
}

int rc_limits_apply(struct rc_limits *to, struct rc_slice text, struct rc_error *error)
{
    int err = RC_OK;
    while (err == RC_OK && text.len > 0) {
        const uint8_t *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma != NULL ? (size_t)(comma - text.ptr) : text.len;
        err = apply_one(to, rc_slice(text.ptr, len), error);
        text = rc_slice_from(text, comma != NULL ? len + 1 : len);
    }
    return err;
}

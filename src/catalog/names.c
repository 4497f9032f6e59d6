/* Which names the product allows. */
#include "base/error.h"
#include "base/utf8.h"
#include "catalog/catalog.h"

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Asked of each byte of each client id: a table, not eight comparisons. */
static const bool stands_in_names[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true, ['_'] = true};

/* min..max of letters, digits, - and _ */
static bool is_name(struct rc_slice text, size_t min, size_t max)
{
    if (text.len < min || text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!stands_in_names[text.ptr[i]])
            return false;
    return true;
}

bool rc_catalog_is_group_id(struct rc_slice id)
{
    return is_name(id, 7, RC_CATALOG_ID_MAX) &&
           (rc_slice_starts_with(id, rc_slice_str("GID_")) || rc_slice_starts_with(id, rc_slice_str("GID-")));
}

bool rc_catalog_is_instance_id(struct rc_slice id)
{
    return is_name(id, 1, RC_CATALOG_ID_MAX);
}

bool rc_catalog_is_rule_id(struct rc_slice id)
{
    bool has_alnum = false;
    for (size_t i = 0; i < id.len; i++)
        has_alnum |= is_alnum(id.ptr[i]);
    return has_alnum && is_name(id, 3, RC_CATALOG_ID_MAX);
}

bool rc_catalog_is_parent_topic(struct rc_slice name)
{
    return is_name(name, 3, 64);
}

bool rc_catalog_is_system_topic(struct rc_slice name)
{
    static const char *const prefixes[] = {RC_RULE_TOPIC_PREFIX, "%RETRY%", "%DLQ%", "RMQ_SYS_", "rmq_sys_"};
    static const char *const names[] = {
        RC_PRESENCE_TOPIC,    RC_TRACE_TOPIC,    "SCHEDULE_TOPIC_XXXX",        "TBW102",
        "OFFSET_MOVED_EVENT", "SELF_TEST_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC", "BenchmarkTest",
        "DefaultCluster"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (rc_slice_starts_with(name, rc_slice_str(prefixes[i])))
            return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (rc_slice_eq_str(name, names[i]))
            return true;
    return false;
}

int rc_catalog_split_client_id(struct rc_slice client_id, struct rc_slice *ret_group,
                               struct rc_slice *ret_device)
{
    if (client_id.len > RC_CATALOG_CLIENT_ID_MAX)
        return RC_ERR_INVALID;
    const uint8_t *at = memmem(client_id.ptr, client_id.len, "@@@", 3);
    if (at == NULL)
        return RC_ERR_INVALID;
    struct rc_slice group = rc_slice(client_id.ptr, (size_t)(at - client_id.ptr));
    struct rc_slice device = rc_slice_from(client_id, group.len + 3);
    if (!rc_catalog_is_group_id(group) || !is_name(device, 1, RC_CATALOG_CLIENT_ID_MAX))
        return RC_ERR_INVALID;
    *ret_group = group;
    *ret_device = device;
    return RC_OK;
}

static bool is_printable_utf8(struct rc_slice text)
{
    while (text.len > 0) {
        size_t len = rc_utf8_sequence_len(text);
        bool is_control = text.ptr[0] < ' ' || text.ptr[0] == 0x7f ||
                          (len == 2 && text.ptr[0] == 0xc2 && text.ptr[1] < 0xa0);
        if (len == 0 || is_control)
            return false;
        text = rc_slice_from(text, len);
    }
    return true;
}

bool rc_catalog_is_access_key(struct rc_slice key)
{
    if (key.len == 0 || key.len > RC_CATALOG_ID_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++) /* '|' parts the fields of a user name */
        if (key.ptr[i] <= ' ' || key.ptr[i] >= 0x7f || key.ptr[i] == '|')
            return false;
    return true;
}

bool rc_catalog_is_user_name(struct rc_slice name)
{
    return name.len > 0 && name.len <= RC_CATALOG_USER_MAX && memchr(name.ptr, '|', name.len) == NULL &&
           is_printable_utf8(name);
}

bool rc_catalog_is_client_id(struct rc_slice client_id)
{
    return client_id.len <= RC_CLIENT_ID_MAX && is_printable_utf8(client_id);
}

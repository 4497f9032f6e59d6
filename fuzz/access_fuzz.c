/*
 * Topic rules, patterns and password entries from a configuration, names and filters from the network. The
 * input is parted at line ends: a rule's topic, a filter, a name, a client id, a user name, a password entry.
 * What a rule covers must bring nothing beyond it, and what it does not meet nothing of it.
 */
#include "auth/acl.h"
#include "auth/password.h"
#include "mqtt/topic.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIELDS = 6, TEXT_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rc_slice next_field(struct rc_slice *rest)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    struct rc_slice field = rc_slice(rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len);
    *rest = rc_slice_from(*rest, field.len + (end != NULL));
    return field;
}

/* `denies`: behind the rule stands one that allows everything, so that a no is the rule's. */
static bool decides(struct rc_slice topic, const struct rc_acl_who *who, struct rc_slice asked, bool denies)
{
    char dollars[TEXT_MAX + 3];
    struct rc_slice first;
    size_t at = 0;
    rc_topic_next_level(asked, &at, &first);
    memcpy(dollars, first.ptr, first.len);
    memcpy(dollars + first.len, "/#", 2);
    struct rc_slice everything[] = {rc_slice_str("#"), rc_slice(dollars, first.len + 2)};
    struct rc_acl_rule rules[] = {
        {.actions = RC_ACL_READ, .denies = denies, .topics = &topic, .topics_count = 1},
        {.actions = RC_ACL_READ, .topics = everything, .topics_count = 2},
    };
    struct rc_instance instance = {.rules = rules, .rules_count = denies ? 2 : 1};
    bool is_allowed = rc_acl_allows(&instance, who, RC_ACL_READ, asked);
    return denies ? !is_allowed : is_allowed;
}

static void check_rule(struct rc_slice rule, struct rc_slice filter, struct rc_slice name,
                       const struct rc_acl_who *who)
{
    if (!rc_acl_topic_is_valid(rule) || !rc_topic_name_is_valid(name))
        return;
    if (name.ptr[0] == '$' && memchr(name.ptr, '%', name.len) != NULL)
        return;                                   /* `decides` cannot write it as a rule */
    bool takes = decides(rule, who, name, false); /* a name is a filter that takes itself alone */
    if (memchr(rule.ptr, '%', rule.len) == NULL && takes != rc_topic_matches(rule, name))
        abort();
    if (takes != decides(rule, who, name, true))
        abort();
    struct rc_slice group, inner;
    if (!rc_topic_filter_is_valid(filter) || rc_topic_filter_split_shared(filter, &group, &inner) ||
        !rc_topic_matches(filter, name))
        return;
    if (decides(rule, who, filter, false) && !takes)
        abort();
    if (takes && !decides(rule, who, filter, true))
        abort();
}

static void check_entry(struct rc_slice text)
{
    struct rc_password_entry entry;
    if (rc_password_parse(text, &entry) &&
        (entry.iterations == 0 || entry.iterations > RC_PASSWORD_ITERATIONS_MAX ||
         entry.salt_len < RC_PASSWORD_SALT_MIN || entry.salt_len > RC_PASSWORD_SALT_MAX))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rc_slice rest = rc_slice(data, size), fields[FIELDS], group, device;
    if (size > TEXT_MAX)
        return 0;
    for (int i = 0; i < FIELDS; i++)
        fields[i] = next_field(&rest);
    struct rc_acl_who who = {.client_id = fields[3], .user = fields[4]};
    check_rule(fields[0], fields[1], fields[2], &who);
    check_entry(fields[5]);
    if (rc_acl_pattern_fits(fields[0], fields[0]) != true &&
        memchr(fields[0].ptr, '*', fields[0].len) == NULL)
        abort();
    rc_acl_pattern_fits(fields[0], fields[3]);
    rc_catalog_is_client_id(fields[3]);
    rc_catalog_is_user_name(fields[4]);
    rc_catalog_split_client_id(fields[3], &group, &device);
    return 0;
}

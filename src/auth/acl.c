#include "auth/acl.h"

#include "mqtt/topic.h"

bool rc_acl_pattern_fits(struct rc_slice pattern, struct rc_slice text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.len && (pattern.ptr[p] == '?' || pattern.ptr[p] == text.ptr[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) { /* the last star takes one byte more */
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

bool rc_acl_topic_is_valid(struct rc_slice topic)
{
    struct rc_slice group, filter;
    if (!rc_topic_filter_is_valid(topic) || rc_topic_filter_split_shared(topic, &group, &filter))
        return false;
    for (size_t i = 0; i < topic.len; i++) {
        if (topic.ptr[i] != '%')
            continue;
        i++;
        if (i == topic.len || (topic.ptr[i] != 'c' && topic.ptr[i] != 'u' && topic.ptr[i] != '%'))
            return false;
    }
    return true;
}

/* ---- one level against another ---- */

static bool is_wildcard(struct rc_slice level, char which)
{
    return level.len == 1 && level.ptr[0] == (uint8_t)which;
}

static bool take_prefix(struct rc_slice *text, struct rc_slice prefix)
{
    if (!rc_slice_starts_with(*text, prefix))
        return false;
    *text = rc_slice_from(*text, prefix.len);
    return true;
}

/* Whether the rule's level, its placeholders filled in (`who` NULL: it has none), is this text. */
static bool level_is(struct rc_slice level, struct rc_slice text, const struct rc_acl_who *who)
{
    if (who == NULL)
        return rc_slice_eq(level, text);
    for (size_t i = 0; i < level.len; i++) {
        struct rc_slice piece = rc_slice(level.ptr + i, 1);
        if (level.ptr[i] == '%' && i + 1 < level.len) {
            i++;
            piece = level.ptr[i] == 'c' ? who->client_id : level.ptr[i] == 'u' ? who->user : piece;
            if (level.ptr[i] != '%' && piece.len == 0)
                return false;
        }
        if (!take_prefix(&text, piece))
            return false;
    }
    return text.len == 0;
}

/* One topic (of a rule) walked along with another (asked for). */
struct walk {
    struct rc_slice rule, asked;
    size_t rule_at, asked_at;
    struct rc_slice rule_level, asked_level;
    bool rule_goes_on, asked_goes_on;
};

static void step(struct walk *walk)
{
    walk->rule_goes_on = rc_topic_next_level(walk->rule, &walk->rule_at, &walk->rule_level);
    walk->asked_goes_on = rc_topic_next_level(walk->asked, &walk->asked_at, &walk->asked_level);
}

/* Wildcards in the first level take no topic that begins with `$`, and no client names itself into those. */
static bool dollar_parts_them(const struct walk *walk)
{
    bool rule_is_wild = walk->rule_level.len > 0 && strchr("#+%", walk->rule_level.ptr[0]) != NULL;
    bool asked_is_wild = is_wildcard(walk->asked_level, '#') || is_wildcard(walk->asked_level, '+');
    bool rule_is_dollar = walk->rule_level.len > 0 && walk->rule_level.ptr[0] == '$';
    bool asked_is_dollar = walk->asked_level.len > 0 && walk->asked_level.ptr[0] == '$';
    return (rule_is_wild && asked_is_dollar) || (asked_is_wild && rule_is_dollar);
}

/* Whether the rule's topic takes every name that the asked one takes. */
static bool covers(struct walk walk, const struct rc_acl_who *who)
{
    step(&walk);
    if (dollar_parts_them(&walk))
        return false;
    for (; walk.rule_goes_on && walk.asked_goes_on; step(&walk)) {
        if (is_wildcard(walk.rule_level, '#'))
            return true;
        if (is_wildcard(walk.asked_level, '#'))
            return false;
        if (is_wildcard(walk.rule_level, '+'))
            continue;
        if (is_wildcard(walk.asked_level, '+') || !level_is(walk.rule_level, walk.asked_level, who))
            return false;
    }
    if (walk.rule_goes_on)
        return is_wildcard(walk.rule_level, '#'); /* it takes the parent level too */
    return !walk.asked_goes_on;
}

/* Whether there may be a name that both take. */
static bool meets(struct walk walk, const struct rc_acl_who *who)
{
    step(&walk);
    if (dollar_parts_them(&walk))
        return false;
    for (; walk.rule_goes_on && walk.asked_goes_on; step(&walk)) {
        if (is_wildcard(walk.rule_level, '#') || is_wildcard(walk.asked_level, '#'))
            return true;
        if (is_wildcard(walk.rule_level, '+') || is_wildcard(walk.asked_level, '+'))
            continue;
        if (!level_is(walk.rule_level, walk.asked_level, who))
            return false;
    }
    if (walk.rule_goes_on)
        return is_wildcard(walk.rule_level, '#');
    return !walk.asked_goes_on || is_wildcard(walk.asked_level, '#');
}

bool rc_acl_filter_covers(struct rc_slice filter, struct rc_slice asked)
{
    return covers((struct walk){.rule = filter, .asked = asked}, NULL);
}

bool rc_acl_filter_meets(struct rc_slice filter, struct rc_slice asked)
{
    return meets((struct walk){.rule = filter, .asked = asked}, NULL);
}

/* ---- custom identities ---- */

enum verdict { UNDECIDED, ALLOWED, DENIED };

static enum verdict ask(const struct rc_custom_permissions *permissions, uint8_t action,
                        struct rc_slice topic)
{
    enum verdict verdict = UNDECIDED;
    for (uint32_t i = 0; permissions != NULL && i < permissions->count; i++) {
        const struct rc_custom_permission *one = &permissions->list[i];
        if (!(one->actions & action))
            continue;
        if (one->denies && rc_acl_filter_meets(one->topic, topic))
            return DENIED;
        if (!one->denies && rc_acl_filter_covers(one->topic, topic))
            verdict = ALLOWED;
    }
    return verdict;
}

bool rc_acl_custom_allows(const struct rc_instance *instance, const struct rc_acl_who *who, uint8_t action,
                          struct rc_slice topic)
{
    enum verdict client = ask(rc_instance_permissions(instance, true, who->client_id), action, topic);
    enum verdict user = ask(rc_instance_permissions(instance, false, who->user), action, topic);
    return client != DENIED && user != DENIED && (client == ALLOWED || user == ALLOWED);
}

/* ---- rules ---- */

static bool is_about(const struct rc_acl_rule *rule, const struct rc_acl_who *who, uint8_t action)
{
    if (!(rule->actions & action))
        return false;
    if (rule->user.len > 0 && (who->user.len == 0 || !rc_acl_pattern_fits(rule->user, who->user)))
        return false;
    return rule->client.len == 0 || rc_acl_pattern_fits(rule->client, who->client_id);
}

enum overlap { NOTHING, SOME, ALL };

/* How much of what the asked topic takes the rule is about. */
static enum overlap overlap_of(const struct rc_acl_rule *rule, const struct rc_acl_who *who,
                               struct rc_slice topic)
{
    enum overlap most = NOTHING;
    for (uint32_t i = 0; i < rule->topics_count && most != ALL; i++) {
        struct walk walk = {.rule = rule->topics[i], .asked = topic};
        if (covers(walk, who))
            most = ALL;
        else if (meets(walk, who))
            most = SOME;
    }
    return most;
}

enum rc_acl_answer rc_acl_ask(const struct rc_instance *instance, const struct rc_acl_who *who,
                              uint8_t action, struct rc_slice topic)
{
    enum rc_acl_answer allowed = RC_ACL_ALLOWED;
    for (uint32_t i = 0; i < instance->rules_count; i++) {
        const struct rc_acl_rule *rule = &instance->rules[i];
        enum overlap overlap = is_about(rule, who, action) ? overlap_of(rule, who, topic) : NOTHING;
        if (overlap == ALL)
            return rule->denies ? RC_ACL_DENIED : allowed;
        if (overlap == SOME && rule->denies)
            allowed = RC_ACL_ALLOWED_PARTLY;
    }
    return instance->rules_count == 0 ? RC_ACL_ALLOWED : RC_ACL_DENIED;
}

bool rc_acl_allows(const struct rc_instance *instance, const struct rc_acl_who *who, uint8_t action,
                   struct rc_slice topic)
{
    return rc_acl_ask(instance, who, action, topic) == RC_ACL_ALLOWED;
}

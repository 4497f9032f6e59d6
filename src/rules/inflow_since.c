/*
 * Since when a new inflow rule takes what is sent. It is kept on disk, as the process may die before the
 * consumer has committed anything; the file goes with its rule.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "rules/rules_private.h"
#include "store/fs.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_PREFIX "inflow-" RC_RULE_TOPIC_PREFIX

enum { FILE_MAX = 4096 };

struct name {
    char text[RC_MESSAGE_TOPIC_MAX + 16];
};

static void name_file(struct name *name, struct rc_slice instance, const struct rc_flow_rule *rule)
{
    char topic[2 * RC_MESSAGE_TOPIC_MAX], of_rule[RC_MESSAGE_TOPIC_MAX + 1];
    const struct rc_target *target = rule->target;
    rc_target_put_name(topic, sizeof(topic), target, target == NULL ? rule->topic_name : rule->target_topic);
    rc_catalog_name_rule_topic(of_rule, sizeof(of_rule), instance, rule->id,
                               target == NULL ? rc_slice_str("") : target->name, rc_slice_str(topic));
    snprintf(name->text, sizeof(name->text), "inflow-%s", of_rule);
}

static int64_t read_since(struct rc_rules *rules, const struct name *name)
{
    struct rc_buf text;
    int64_t since = 0;
    rc_buf_init(&text, FILE_MAX);
    if (rc_fs_read_file(rc_store_own_dir(rules->store), name->text, &text) == RC_OK) {
        json_t *root = json_loadb((const char *)rc_buf_slice(&text).ptr, rc_buf_len(&text), 0, NULL);
        since = json_integer_value(json_object_get(root, "since"));
        json_decref(root);
    }
    rc_buf_free(&text);
    return since;
}

int64_t rc_inflow_since(struct rc_rules *rules, struct rc_slice instance, const struct rc_flow_rule *rule)
{
    struct name name;
    struct rc_buf text;
    struct rc_json json;
    name_file(&name, instance, rule);
    int64_t since = read_since(rules, &name);
    if (since > 0)
        return since;
    since = rc_clock_wall_ms();
    rc_buf_init(&text, FILE_MAX);
    rc_json_init(&json, &text);
    rc_json_object_begin(&json);
    rc_json_put_string(&json, "group", rule->group);
    rc_json_put_string(&json, "topic", rule->target == NULL ? rule->topic_name : rule->target_topic);
    rc_json_put_int(&json, "since", since);
    rc_json_object_end(&json);
    if (rc_fs_replace_file(rc_store_own_dir(rules->store), name.text, rc_buf_slice(&text), false) != RC_OK)
        rc_log_error("rules", "rollcall/%s cannot be written", name.text);
    rc_buf_free(&text);
    return since;
}

/* ---- rules that are gone ---- */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* What the files of all rules are called, in order; free it. */
static struct name *name_all(const struct rc_catalog *catalog, uint32_t *ret_count)
{
    struct rc_inflow_walk walk;
    const struct rc_flow_rule *rule;
    uint32_t count = 0, at = 0;
    rc_inflow_walk_start(&walk, catalog);
    while (rc_inflow_walk_next(&walk) != NULL)
        count++;
    struct name *names = rc_calloc(count + 1, sizeof(*names));
    rc_inflow_walk_start(&walk, catalog);
    while ((rule = rc_inflow_walk_next(&walk)) != NULL)
        name_file(&names[at++], walk.instance->id, rule);
    qsort(names, count, sizeof(*names), compare);
    *ret_count = count;
    return names;
}

static bool is_of_a_rule(const char *file, const struct name *names, uint32_t count)
{
    struct name name;
    snprintf(name.text, sizeof(name.text), "%s", file);
    return bsearch(&name, names, count, sizeof(*names), compare) != NULL;
}

void rc_inflow_since_sweep(struct rc_rules *rules, const struct rc_catalog *catalog)
{
    int fd, own = rc_store_own_dir(rules->store);
    DIR *dir = rc_fs_open_dir(own, ".", false, &fd) == RC_OK ? fdopendir(fd) : NULL;
    if (dir == NULL)
        return; /* the next time */
    uint32_t count;
    struct name *names = name_all(catalog, &count);
    for (struct dirent *one; (one = readdir(dir)) != NULL;)
        if (strncmp(one->d_name, FILE_PREFIX, sizeof(FILE_PREFIX) - 1) == 0 &&
            !is_of_a_rule(one->d_name, names, count) && rc_fs_remove_file(own, one->d_name) != RC_OK)
            rc_log_error("rules", "rollcall/%s, of a rule that is gone, cannot be removed", one->d_name);
    free(names);
    closedir(dir);
}

/* Rules that were made here. Those of the file are in the catalog alone, and are listed from there. */
#include "base/alloc.h"
#include "base/log.h"
#include "registry/private.h"

#define COLUMNS                                                                                              \
    "type, id, description, group_id, mqtt_topic, topic, target_instance, target_topic, consumer_group,"     \
    " queues, is_enabled, fails_over, is_from_first"

/* A row of COLUMNS; its texts are the statement's. */
static struct rc_registry_rule rule_of(sqlite3_stmt *row)
{
    return (struct rc_registry_rule){
        .type = (enum rc_rule_type)sqlite3_column_int(row, 0),
        .id = rc_sql_text(row, 1),
        .description = rc_sql_text(row, 2),
        .group = rc_sql_text(row, 3),
        .mqtt_topic = rc_sql_text(row, 4),
        .topic = rc_sql_text(row, 5),
        .target_instance = rc_sql_text(row, 6),
        .target_topic = rc_sql_text(row, 7),
        .consumer_group = rc_sql_text(row, 8),
        .queues = (uint32_t)sqlite3_column_int(row, 9),
        .is_enabled = sqlite3_column_int(row, 10) != 0,
        .fails_over = sqlite3_column_int(row, 11) != 0,
        .is_from_first = sqlite3_column_int(row, 12) != 0,
    };
}

int rc_registry_load_rules(struct rc_registry *registry, struct rc_catalog *next,
                           struct rc_instance *instance, struct rc_error *error)
{
    int err;
    sqlite3_stmt *statement =
        rc_sql_bind(&registry->sql, "SELECT " COLUMNS " FROM rules WHERE instance = ?", "t", instance->id);
    while ((err = rc_sql_row(&registry->sql, statement, error)) == 1) {
        struct rc_error why = {0};
        struct rc_registry_rule rule = rule_of(statement);
        if (rc_registry_put_rule(registry, next, instance, &rule, &why) != RC_OK)
            rc_log_error("registry", "rule %.*s of %.*s does not work now: %s", RC_SLICE_FMT(rule.id),
                         RC_SLICE_FMT(instance->id), why.text);
    }
    return err;
}

static int store_rule(struct rc_registry *registry, struct rc_slice instance,
                      const struct rc_registry_rule *rule, struct rc_error *error)
{
    registry->change.rules_changed = true;
    return rc_sql_change(&registry->sql,
                         rc_sql_bind(&registry->sql,
                                     "INSERT OR REPLACE INTO rules (instance, " COLUMNS ")"
                                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                     "tittttttttiiii", instance, (int64_t)rule->type, rule->id,
                                     rule->description, rule->group, rule->mqtt_topic, rule->topic,
                                     rule->target_instance, rule->target_topic, rule->consumer_group,
                                     (int64_t)rule->queues, (int64_t)rule->is_enabled,
                                     (int64_t)rule->fails_over, (int64_t)rule->is_from_first),
                         error);
}

static bool is_declared_rule(const struct rc_registry *registry, struct rc_slice instance, struct rc_slice id)
{
    const struct rc_instance *declared = rc_registry_declared(registry, instance);
    return declared != NULL && rc_instance_has_rule(declared, id);
}

int rc_registry_create_rule(struct rc_registry *registry, struct rc_slice instance_id,
                            const struct rc_registry_rule *rule, struct rc_error *error)
{
    struct rc_instance *instance;
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    if (rc_instance_rules_count(instance) >= RC_CATALOG_RULES_MAX)
        return rc_error_set(error, RC_ERR_FULL, "An instance has at most %d rules.", RC_CATALOG_RULES_MAX);
    err = rc_registry_put_rule(registry, registry->next, instance, rule, error);
    return err ? err : store_rule(registry, instance_id, rule, error);
}

static void keep_texts(struct rc_registry_kept_rule *kept)
{
    struct rc_registry_rule *rule = &kept->rule;
    struct rc_slice *texts[] = {&rule->id,           &rule->description,   &rule->group,
                                &rule->mqtt_topic,   &rule->topic,         &rule->target_instance,
                                &rule->target_topic, &rule->consumer_group};
    size_t at = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t len = texts[i]->len < sizeof(kept->texts) - at ? texts[i]->len : sizeof(kept->texts) - at;
        if (len > 0)
            memcpy(kept->texts + at, texts[i]->ptr, len);
        *texts[i] = rc_slice(kept->texts + at, len);
        at += len;
    }
}

int rc_registry_find_rule(struct rc_registry *registry, struct rc_slice instance, enum rc_rule_type type,
                          struct rc_slice id, struct rc_registry_kept_rule *ret, struct rc_error *error)
{
    if (is_declared_rule(registry, instance, id))
        return rc_registry_refuse_declared(registry, "rule", id, error);
    sqlite3_stmt *statement = rc_sql_bind(
        &registry->sql, "SELECT " COLUMNS " FROM rules WHERE instance = ? AND id = ? AND type = ?", "tti",
        instance, id, (int64_t)type);
    int err = rc_sql_row(&registry->sql, statement, error);
    if (err != 1)
        return err < 0 ? err : rc_registry_refuse(error, RC_ERR_NOT_FOUND, "rule", id);
    ret->rule = rule_of(statement);
    keep_texts(ret);
    rc_sql_end(statement);
    return RC_OK;
}

/* Harmless when it is not there: then it did not work, as something that it names is gone. */
static void take_out(struct rc_instance *instance, enum rc_rule_type type, struct rc_slice id)
{
    if (type == RC_RULE_STATUS_NOTICE)
        rc_catalog_remove_status_rule(instance, id);
    else
        rc_catalog_remove_flow_rule(type == RC_RULE_OUTFLOW ? &instance->outflows : &instance->inflows, id);
}

int rc_registry_update_rule(struct rc_registry *registry, struct rc_slice instance_id,
                            const struct rc_registry_rule *rule, struct rc_error *error)
{
    struct rc_instance *instance;
    struct rc_registry_kept_rule old;
    struct rc_registry_rule changed = *rule;
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    err = err ? err : rc_registry_find_rule(registry, instance_id, rule->type, rule->id, &old, error);
    if (err != RC_OK)
        return err;
    changed.group = old.rule.group;
    take_out(instance, rule->type, rule->id);
    err = rc_registry_put_rule(registry, registry->next, instance, &changed, error);
    return err ? err : store_rule(registry, instance_id, &changed, error);
}

int rc_registry_delete_rule(struct rc_registry *registry, struct rc_slice instance_id, enum rc_rule_type type,
                            struct rc_slice id, struct rc_error *error)
{
    struct rc_instance *instance;
    struct rc_registry_kept_rule old;
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    err = err ? err : rc_registry_find_rule(registry, instance_id, type, id, &old, error);
    if (err != RC_OK)
        return err;
    take_out(instance, type, id);
    registry->change.rules_changed = true;
    return rc_sql_change(
        &registry->sql,
        rc_sql_bind(&registry->sql, "DELETE FROM rules WHERE instance = ? AND id = ?", "tt", instance_id, id),
        error);
}

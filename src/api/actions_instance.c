/* Instances, their MQTT groups and parent topics. */
#include "api/registry_work.h"

#include <stdio.h>

/* ---- instances ---- */

#define NEVER_MS 253402300799000 /* the last second of the year 9999: programs compare it with now */

struct instances {
    struct rc_registry_work *work;
    json_t *list;
};

/* Rollcall's own: where the instance's clients reach the listeners. */
static json_t *entrances_of(const struct rc_catalog *catalog, struct rc_slice instance)
{
    json_t *list = json_array();
    for (uint32_t i = 0; catalog->entrances != NULL && i < catalog->entrances->count; i++) {
        const struct rc_entrance *entrance = &catalog->entrances->list[i];
        char domain[RC_ENTRANCE_DOMAIN_MAX + RC_CATALOG_ID_MAX + 1];
        rc_entrance_domain_of(entrance, instance, domain, sizeof(domain));
        json_t *item = json_object();
        json_object_set_new(item, "Zone", json_string(entrance->zone));
        json_object_set_new(item, "Transport", json_string(entrance->transport));
        json_object_set_new(item, "Domain", json_string(domain));
        json_object_set_new(item, "Port", json_integer(entrance->port));
        json_array_append_new(list, item);
    }
    return list;
}

static const char *const profiles[] = {[RC_PROFILE_PRODUCT] = "product", [RC_PROFILE_STANDARD] = "standard"};

static void put_instance(const struct rc_registry_instance *row, void *arg)
{
    struct instances *instances = arg;
    const struct rc_key_pair *key = instances->work->call->key;
    if (key->role != RC_KEY_ADMIN && !rc_slice_eq(row->id, key->instance_id))
        return;
    json_t *item = json_object();
    json_object_set_new(item, "InstanceId", rc_api_text(row->id));
    json_object_set_new(item, "InstanceName", rc_api_text(row->name.len > 0 ? row->name : row->id));
    json_object_set_new(item, "InstanceStatus", json_integer(1)); /* running */
    json_object_set_new(item, "InstanceType", json_integer(1));
    json_object_set_new(item, "CreateTime", json_integer(row->created_ms));
    json_object_set_new(item, "ExpireTime", json_integer(NEVER_MS));
    json_object_set_new(item, "OrderId", json_string("")); /* nobody has ordered it */
    json_object_set_new(item, "Specific", json_string(""));
    json_object_set_new(item, "KernelVersion", json_string(RC_VERSION));
    json_object_set_new(item, "RegionId", json_string("local"));
    json_object_set_new(item, "Declared", json_boolean(row->is_declared)); /* Rollcall's own */
    json_object_set_new(item, "Profile", json_string(profiles[row->profile]));
    json_object_set_new(item, "Limits", rc_api_text(row->limits));
    json_object_set_new(item, "Trace", json_boolean(row->is_traced));
    json_object_set_new(item, "Endpoints", entrances_of(instances->work->call->catalog, row->id));
    json_array_append_new(instances->list, item);
}

int rc_work_list_instances(struct rc_registry_work *work)
{
    struct instances instances = {work, json_array()};
    struct rc_registry_page page = {.after = rc_slice("", 0), .limit = RC_REGISTRY_PAGE_MAX};
    json_t *answer = work->call->answer, *item;
    size_t i;
    int count;
    json_object_set_new(answer, "Instances", instances.list);
    do {
        count = rc_registry_list_instances(work->registry, &page, put_instance, &instances, NULL);
        page.skip += count > 0 ? (uint32_t)count : 0;
    } while (count == RC_REGISTRY_PAGE_MAX && page.skip < RC_WORK_LIST_MAX);
    json_array_foreach(instances.list, i, item)
    {
        struct rc_slice id = rc_slice_str(json_string_value(json_object_get(item, "InstanceId")));
        json_object_set_new(item, "MqttTags", rc_work_tags_of(work, "instance", id));
    }
    json_object_set_new(answer, "Code", json_string("200"));
    json_object_set_new(answer, "Success", json_string("true"));
    json_object_set_new(answer, "Message", json_string("operation success."));
    return count < 0 ? count : RC_OK;
}

/* Sets what the call names; `with_name`: the name too. */
static int put_settings(struct rc_registry_work *work, struct rc_slice id, bool with_name)
{
    struct rc_slice name = rc_work_param(work, "InstanceName"), text = rc_work_param(work, "Profile");
    struct rc_slice limits = rc_work_param(work, "Limits");
    struct rc_registry_settings settings = {NULL, NULL, NULL, NULL};
    bool is_traced = false;
    enum rc_profile profile = RC_PROFILE_PRODUCT;
    if (rc_slice_eq_str(text, profiles[RC_PROFILE_STANDARD]))
        profile = RC_PROFILE_STANDARD;
    else if (text.len > 0 && !rc_slice_eq_str(text, profiles[RC_PROFILE_PRODUCT]))
        return rc_work_refuse(work, "Profile is product or standard.");
    int err = rc_work_take_one_of(work, "Trace", "false", "true", &is_traced);
    if (err != RC_OK)
        return err;
    if (with_name && name.len > 0)
        settings.name = &name;
    if (rc_work_param(work, "Trace").len > 0)
        settings.is_traced = &is_traced;
    if (text.len > 0)
        settings.profile = &profile;
    if (rc_params_get(&work->call->params, "Limits") != NULL)
        settings.limits = &limits;
    return rc_registry_update_instance(work->registry, id, &settings, work->error);
}

int rc_work_create_instance(struct rc_registry_work *work)
{
    char id[RC_CATALOG_ID_MAX + 1];
    int err = rc_registry_create_instance(work->registry, rc_work_param(work, "NewInstanceId"),
                                          rc_work_param(work, "InstanceName"), id, work->error);
    if (err >= 0)
        err = put_settings(work, rc_slice_str(id), false);
    if (err >= 0)
        json_object_set_new(work->call->answer, "InstanceId", json_string(id));
    return err;
}

int rc_work_update_instance(struct rc_registry_work *work)
{
    static const char *const any[] = {"InstanceName", "Profile", "Limits", "Trace"};
    for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++)
        if (rc_params_get(&work->call->params, any[i]) != NULL)
            return put_settings(work, work->instance, true);
    return rc_work_refuse(work, "InstanceName, Profile, Limits or Trace is missing.");
}

int rc_work_delete_instance(struct rc_registry_work *work)
{
    return rc_registry_delete_instance(work->registry, work->instance,
                                       rc_api_call_flag(work->call, "Cascade"), work->error);
}

/* ---- names of an instance: groups, parent topics ---- */

struct names {
    struct rc_registry_work *work;
    const char *field;
    json_t *list;
    size_t last_len;
    uint8_t last[RC_CATALOG_ID_MAX]; /* the name that was put last */
};

static void put_name(const struct rc_registry_name *row, void *arg)
{
    struct names *names = arg;
    json_t *item = json_object();
    json_object_set_new(item, names->field, rc_api_text(row->id));
    json_object_set_new(item, "InstanceId", rc_api_text(names->work->instance));
    json_object_set_new(item, "CreateTime", json_integer(row->created_ms));
    json_object_set_new(item, "UpdateTime", json_integer(row->updated_ms));
    json_object_set_new(item, "Declared", json_boolean(row->is_declared)); /* Rollcall's own */
    json_array_append_new(names->list, item);
    names->last_len = row->id.len < sizeof(names->last) ? row->id.len : sizeof(names->last);
    memcpy(names->last, row->id.ptr, names->last_len);
}

typedef int list_fn(struct rc_registry *registry, struct rc_slice instance,
                    const struct rc_registry_page *page, rc_registry_name_fn visit, void *arg,
                    uint64_t *ret_total);

/* Each page begins where the one before ended: rows that are passed over cost as much as those told. */
static int list_names(struct names *names, list_fn *list)
{
    struct rc_registry_page page = {.after = rc_slice("", 0), .limit = RC_REGISTRY_PAGE_MAX};
    int count;
    do {
        count = list(names->work->registry, names->work->instance, &page, put_name, names, NULL);
        page.after = rc_slice(names->last, names->last_len);
    } while (count == RC_REGISTRY_PAGE_MAX && json_array_size(names->list) < RC_WORK_LIST_MAX);
    return count < 0 ? count : RC_OK;
}

/* Nearly nobody tags groups: then they are not asked for one by one. */
static void on_any(const struct rc_registry_tag *row, void *arg)
{
    *(bool *)arg = true;
}

static bool has_tagged_groups(struct rc_registry_work *work)
{
    struct rc_slice none = rc_slice("", 0);
    struct rc_registry_tag like = {.type = rc_slice_str("group"), .id = none, .key = none, .value = none};
    struct rc_registry_page page = {.after = none, .limit = 1};
    bool has_any = false;
    rc_registry_list_tags(work->registry, &like, &page, on_any, &has_any, NULL);
    return has_any;
}

static json_t *tags_of_group(struct rc_registry_work *work, const char *group)
{
    char id[2 * RC_CATALOG_ID_MAX + 2];
    int len = snprintf(id, sizeof(id), "%.*s/%s", RC_SLICE_FMT(work->instance), group);
    return rc_work_tags_of(work, "group", rc_slice(id, (size_t)len));
}

int rc_work_list_groups(struct rc_registry_work *work)
{
    struct names names = {.work = work, .field = "GroupId", .list = json_array()};
    json_t *fitting = json_array(), *item;
    size_t i;
    int err = list_names(&names, rc_registry_list_groups);
    bool has_tags = has_tagged_groups(work);
    json_array_foreach(names.list, i, item)
    {
        const char *group = json_string_value(json_object_get(item, "GroupId"));
        json_t *tags = has_tags ? tags_of_group(work, group) : json_array();
        json_object_set_new(item, "IndependentNaming", json_true());
        if (rc_work_fits_tags(work, tags))
            json_array_append(fitting, item);
        json_object_set_new(item, "Tags", tags);
    }
    json_decref(names.list);
    json_object_set_new(work->call->answer, "Data", fitting);
    return err;
}

int rc_work_create_group(struct rc_registry_work *work)
{
    char id[2 * RC_CATALOG_ID_MAX + 2];
    struct rc_slice group = rc_work_param(work, "GroupId");
    int err = rc_registry_create_group(work->registry, work->instance, group, work->error);
    if (err < 0)
        return err;
    int len = snprintf(id, sizeof(id), "%.*s/%.*s", RC_SLICE_FMT(work->instance), RC_SLICE_FMT(group));
    return rc_work_put_tags(work, "group", rc_slice(id, (size_t)len));
}

int rc_work_delete_group(struct rc_registry_work *work)
{
    return rc_registry_delete_group(work->registry, work->instance, rc_work_param(work, "GroupId"),
                                    work->error);
}

int rc_work_list_topics(struct rc_registry_work *work)
{
    struct names names = {.work = work, .field = "Topic", .list = json_array()};
    json_object_set_new(work->call->answer, "Topics", names.list);
    return list_names(&names, rc_registry_list_topics);
}

int rc_work_create_topic(struct rc_registry_work *work)
{
    return rc_registry_create_topic(work->registry, work->instance, rc_work_param(work, "Topic"),
                                    work->error);
}

int rc_work_delete_topic(struct rc_registry_work *work)
{
    return rc_registry_delete_topic(work->registry, work->instance, rc_work_param(work, "Topic"),
                                    work->error);
}

/* Tags of instances and groups. A resource id is <instance>, or <instance>/<group>. */
#include "api/registry_work.h"

#include <stdio.h>
#include <strings.h>

enum { RESOURCES_MAX = 50, TEXT_MAX = 2 * RC_CATALOG_ID_MAX + 2 };

/* ---- for other answers ---- */

static void put_tag(const struct rc_registry_tag *row, void *arg)
{
    json_t *item = json_object();
    json_object_set_new(item, "TagKey", rc_api_text(row->key));
    json_object_set_new(item, "TagValue", rc_api_text(row->value));
    json_object_set_new(item, "Declared", json_boolean(row->is_declared)); /* Rollcall's own */
    json_array_append_new(arg, item);
}

json_t *rc_work_tags_of(struct rc_registry_work *work, const char *type, struct rc_slice id)
{
    struct rc_slice none = rc_slice("", 0);
    struct rc_registry_tag like = {.type = rc_slice_str(type), .id = id, .key = none, .value = none};
    struct rc_registry_page page = {.after = none, .limit = RC_REGISTRY_TAGS_MAX};
    json_t *list = json_array();
    rc_registry_list_tags(work->registry, &like, &page, put_tag, list, NULL);
    return list;
}

/* One of the parameter Tags, a JSON list; SDKs write its keys in either way. */
static void add_tag(json_t *list, const json_t *item)
{
    const json_t *key = json_object_get(item, "Key"), *value = json_object_get(item, "Value");
    key = key != NULL ? key : json_object_get(item, "key");
    value = value != NULL ? value : json_object_get(item, "value");
    const char *text = json_string_value(value);
    if (json_is_string(key))
        json_array_append_new(list,
                              json_pack("{s:s,s:s?}", "TagKey", json_string_value(key), "TagValue", text));
}

/* [{TagKey, TagValue}] of the parameters Tag.N.Key and Tag.N.Value, or of Tags. NULL: that is no JSON. */
static json_t *read_tags(const struct rc_registry_work *work)
{
    const struct rc_params *params = &work->call->params;
    const char *key, *text = rc_params_get(params, "Tags");
    json_t *list = json_array(), *item, *given = NULL;
    size_t i;
    for (unsigned n = 1; (key = rc_params_get_field(params, "Tag", n, "Key")) != NULL; n++)
        json_array_append_new(list, json_pack("{s:s,s:s?}", "TagKey", key, "TagValue",
                                              rc_params_get_field(params, "Tag", n, "Value")));
    if (text != NULL && text[0] != '\0') {
        given = json_loads(text, 0, NULL);
        if (!json_is_array(given)) {
            json_decref(given);
            json_decref(list);
            return NULL;
        }
    }
    json_array_foreach(given, i, item) add_tag(list, item);
    json_decref(given);
    return list;
}

static const char *text_of(const json_t *tag, const char *field)
{
    return json_string_value(json_object_get(tag, field));
}

int rc_work_put_tags(struct rc_registry_work *work, const char *type, struct rc_slice id)
{
    json_t *tags = read_tags(work), *item;
    size_t i;
    int err = tags != NULL ? RC_OK : rc_work_refuse(work, "Tags is a list in JSON.");
    json_array_foreach(tags, i, item)
    {
        const char *value = text_of(item, "TagValue");
        struct rc_registry_tag tag = {.type = rc_slice_str(type),
                                      .id = id,
                                      .key = rc_slice_str(text_of(item, "TagKey")),
                                      .value = rc_slice_str(value != NULL ? value : "")};
        err = err < 0 ? err : rc_registry_tag(work->registry, &tag, work->error);
    }
    json_decref(tags);
    return err;
}

static bool has_tag(const json_t *tags, const json_t *wanted)
{
    const char *value = text_of(wanted, "TagValue");
    const json_t *tag;
    size_t i;
    json_array_foreach(tags, i, tag)
    {
        if (strcmp(text_of(tag, "TagKey"), text_of(wanted, "TagKey")) == 0 &&
            (value == NULL || strcmp(text_of(tag, "TagValue"), value) == 0))
            return true;
    }
    return false;
}

bool rc_work_fits_tags(const struct rc_registry_work *work, const json_t *tags)
{
    json_t *wanted = read_tags(work), *item;
    bool fits = wanted != NULL;
    size_t i;
    json_array_foreach(wanted, i, item) fits = fits && has_tag(tags, item);
    json_decref(wanted);
    return fits;
}

/* ---- the actions ---- */

/* NULL for a type that there is not. */
static const char *type_of(const struct rc_registry_work *work)
{
    const char *type = rc_params_get(&work->call->params, "ResourceType");
    if (strcasecmp(type, "INSTANCE") == 0)
        return "instance";
    return strcasecmp(type, "GROUP") == 0 || strcasecmp(type, "GROUPID") == 0 ? "group" : NULL;
}

/* The key may use the instance that the id names, and what is named is there. */
static int check_resource(struct rc_registry_work *work, const char *type, struct rc_slice id)
{
    const struct rc_catalog *catalog = rc_registry_catalog(work->registry);
    const uint8_t *slash = memchr(id.ptr, '/', id.len);
    struct rc_slice name = rc_slice(id.ptr, slash != NULL ? (size_t)(slash - id.ptr) : id.len);
    const struct rc_instance *instance = rc_catalog_instance(catalog, name);
    if (instance == NULL || rc_catalog_instance_key(catalog, instance, work->call->key->access_key) == NULL)
        return rc_error_set(work->error, RC_ERR_DENIED, "%s", "The resource is none of the AccessKey's.");
    if ((strcmp(type, "group") == 0) != (slash != NULL))
        return rc_work_refuse(work, "ResourceId is <instance>, or <instance>/<group> for groups.");
    if (slash != NULL && rc_instance_group(instance, rc_slice_from(id, name.len + 1)) == NULL)
        return rc_error_set(work->error, RC_ERR_NOT_FOUND, "%s", "There is no such group.");
    return RC_OK;
}

static int for_each_resource(struct rc_registry_work *work,
                             int (*visit)(struct rc_registry_work *work, const char *type,
                                          struct rc_slice id))
{
    const char *id, *type = type_of(work);
    int err = type != NULL ? RC_OK : rc_work_refuse(work, "ResourceType is INSTANCE or GROUP.");
    unsigned n = 1;
    for (; err >= 0 && (id = rc_params_get_nth(&work->call->params, "ResourceId", n)) != NULL; n++) {
        if (n > RESOURCES_MAX)
            return rc_work_refuse(work, "There may be 50 of ResourceId.");
        err = check_resource(work, type, rc_slice_str(id));
        err = err < 0 ? err : visit(work, type, rc_slice_str(id));
    }
    return err >= 0 && n == 1 ? rc_work_refuse(work, "ResourceId.1 is missing.") : err;
}

static void put_done(struct rc_registry_work *work)
{
    json_object_set_new(work->call->answer, "Code", json_string("200"));
    json_object_set_new(work->call->answer, "Message", json_string("operation success."));
    json_object_set_new(work->call->answer, "Data", json_true());
}

int rc_work_tag_resources(struct rc_registry_work *work)
{
    if (rc_params_get_field(&work->call->params, "Tag", 1, "Key") == NULL)
        return rc_work_refuse(work, "Tag.1.Key is missing.");
    put_done(work);
    return for_each_resource(work, rc_work_put_tags);
}

static int untag_one(struct rc_registry_work *work, const char *type, struct rc_slice id)
{
    struct rc_slice none = rc_slice("", 0);
    struct rc_registry_tag tag = {.type = rc_slice_str(type), .id = id, .key = none, .value = none};
    const char *key;
    int err = RC_OK;
    if (rc_api_call_flag(work->call, "All"))
        return rc_registry_untag(work->registry, &tag, work->error);
    for (unsigned n = 1; err >= 0 && (key = rc_params_get_nth(&work->call->params, "TagKey", n)) != NULL;
         n++) {
        if (key[0] == '\0')
            return rc_work_refuse(work, "A TagKey is empty.");
        tag.key = rc_slice_str(key);
        err = rc_registry_untag(work->registry, &tag, work->error);
        if (err == RC_ERR_NOT_FOUND)
            err = RC_OK; /* it is gone, as it should be */
    }
    return err == RC_ERR_NOT_FOUND ? RC_OK : err;
}

int rc_work_untag_resources(struct rc_registry_work *work)
{
    put_done(work);
    return for_each_resource(work, untag_one);
}

struct listing {
    struct rc_registry_work *work;
    const char *type;
    json_t *list;
};

static int list_one(struct rc_registry_work *work, const char *type, struct rc_slice id)
{
    json_t *tags = rc_work_tags_of(work, type, id), *tag;
    size_t i;
    bool fits = rc_work_fits_tags(work, tags);
    json_array_foreach(tags, i, tag)
    {
        json_object_set_new(tag, "ResourceId", rc_api_text(id));
        json_object_set_new(tag, "ResourceType",
                            json_string(rc_params_get(&work->call->params, "ResourceType")));
        if (fits)
            json_array_append(json_object_get(work->call->answer, "TagResources"), tag);
    }
    json_decref(tags);
    return RC_OK;
}

static void list_group(const struct rc_registry_name *row, void *arg)
{
    const struct listing *listing = arg;
    char id[TEXT_MAX];
    int len = snprintf(id, sizeof(id), "%.*s/%.*s", RC_SLICE_FMT(listing->work->call->key->instance_id),
                       RC_SLICE_FMT(row->id));
    list_one(listing->work, listing->type, rc_slice(id, (size_t)len));
}

/* Without ResourceId: all of the key's own instance. */
static int list_all(struct rc_registry_work *work)
{
    struct listing listing = {.work = work, .type = type_of(work)};
    struct rc_slice instance = work->call->key->instance_id;
    struct rc_registry_page page = {.after = rc_slice("", 0), .limit = RC_REGISTRY_PAGE_MAX};
    int count;
    if (listing.type == NULL || instance.len == 0)
        return rc_work_refuse(work, "ResourceType is INSTANCE or GROUP; an administrator names ResourceId.");
    if (strcmp(listing.type, "instance") == 0)
        return list_one(work, listing.type, instance);
    do {
        count = rc_registry_list_groups(work->registry, instance, &page, list_group, &listing, NULL);
        page.skip += count > 0 ? (uint32_t)count : 0;
    } while (count == RC_REGISTRY_PAGE_MAX && page.skip < RC_WORK_LIST_MAX);
    return count < 0 ? count : RC_OK;
}

int rc_work_list_tag_resources(struct rc_registry_work *work)
{
    json_t *answer = work->call->answer;
    json_object_set_new(answer, "TagResources", json_array());
    json_object_set_new(answer, "NextToken", json_string(""));
    json_object_set_new(answer, "Code", json_string("200"));
    json_object_set_new(answer, "Success", json_string("true"));
    json_object_set_new(answer, "Message", json_string("operation success."));
    bool has_ids = rc_params_get_nth(&work->call->params, "ResourceId", 1) != NULL;
    return has_ids ? for_each_resource(work, list_one) : list_all(work);
}

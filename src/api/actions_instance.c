#include "api/actions.h"

static json_t *text(struct rc_slice slice)
{
    return json_stringn((const char *)slice.ptr, slice.len);
}

void rc_action_list_instances(struct rc_api_call *call)
{
    const struct rc_instance *instance = rc_catalog_instance(call->catalog, call->key->instance_id);
    json_t *list = json_array();
    json_t *item = json_object();
    json_object_set_new(item, "InstanceId", text(instance->id));
    json_object_set_new(item, "InstanceName", text(instance->id));
    json_object_set_new(item, "InstanceStatus", json_integer(1)); /* running */
    json_object_set_new(item, "InstanceType", json_integer(1));
    json_object_set_new(item, "KernelVersion", json_string(RC_VERSION));
    json_object_set_new(item, "MqttTags", json_array());
    json_object_set_new(item, "RegionId", json_string("local"));
    json_array_append_new(list, item);
    json_object_set_new(call->answer, "Instances", list);
    json_object_set_new(call->answer, "Code", json_string("200"));
    json_object_set_new(call->answer, "Success", json_string("true"));
    json_object_set_new(call->answer, "Message", json_string("operation success."));
    rc_api_call_finish(call);
}

void rc_action_list_groups(struct rc_api_call *call)
{
    const struct rc_group *group;
    struct rc_trie_walk walk;
    json_t *list = json_array();
    rc_trie_walk_start(&walk, &call->instance->groups);
    while ((group = rc_trie_walk_next(&walk)) != NULL) {
        json_t *item = json_object();
        json_object_set_new(item, "GroupId", text(group->id));
        json_object_set_new(item, "InstanceId", text(call->instance->id));
        json_object_set_new(item, "IndependentNaming", json_true());
        json_object_set_new(item, "Tags", json_array());
        json_array_append_new(list, item);
    }
    json_object_set_new(call->answer, "Data", list);
    rc_api_call_finish(call);
}

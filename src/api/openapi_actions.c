/*
 * The table of actions: names, methods and rates as the product documents them, the parameters that must be
 * there, and what does them.
 */
#include "api/actions.h"

static void not_supported_here(struct rc_api_call *call)
{
    rc_api_call_fail(call, RC_API_NOT_SUPPORTED, "%s",
                     "It is about regions, which one's own machines do not have.");
}

static void no_certificates_by_name(struct rc_api_call *call)
{
    rc_api_call_fail(call, RC_API_NOT_SUPPORTED, "%s",
                     "Certificates for names stand in the configuration (tls.certificates of a listener).");
}

#define GET_POST true, true
#define POST false, true
#define INSTANCE "InstanceId"
#define MQTT_INSTANCE "MqttInstanceId"
#define WRITES RC_ACTION_WRITES
#define OWN RC_ACTION_OWN

static const struct rc_api_action product_actions[] = {
    {"ActiveCaCertificate", GET_POST, 100, MQTT_INSTANCE, "Sn", WRITES, .work = rc_work_activate_ca},
    {"ActiveDeviceCertificate", GET_POST, 100, MQTT_INSTANCE, "CaSn DeviceSn", WRITES,
     .work = rc_work_activate_device},
    {"AddCustomAuthConnectBlack", POST, 500, INSTANCE, "ClientId", WRITES, .work = rc_work_add_black},
    {"AddCustomAuthIdentity", POST, 500, INSTANCE, "IdentityType Secret SignMode Username", WRITES,
     .work = rc_work_add_identity},
    {"AddCustomAuthPermission", POST, 500, INSTANCE, "Effect Identity IdentityType PermitAction Topic",
     WRITES, .work = rc_work_add_permission},
    {"ApplyToken", POST, 100, INSTANCE, "Actions ExpireTime Resources", WRITES, .run = rc_action_apply_token},
    {"BatchQuerySessionByClientIds", GET_POST, 100, INSTANCE, .run = rc_action_batch_query_session},
    {"CloseConnection", POST, 100, INSTANCE, "ClientId", WRITES, .run = rc_action_close_connection},
    {"CreateGroupId", POST, 10, INSTANCE, "GroupId", WRITES, .work = rc_work_create_group},
    {"DeleteCaCertificate", GET_POST, 100, MQTT_INSTANCE, "Sn", WRITES, .work = rc_work_delete_ca},
    {"DeleteCustomAuthConnectBlack", POST, 500, INSTANCE, "ClientId", WRITES, .work = rc_work_delete_black},
    {"DeleteCustomAuthIdentity", POST, 500, INSTANCE, "IdentityType Username", WRITES,
     .work = rc_work_delete_identity},
    {"DeleteCustomAuthPermission", POST, 500, INSTANCE, "Identity IdentityType Topic", WRITES,
     .work = rc_work_delete_permission},
    {"DeleteDeviceCertificate", GET_POST, 100, MQTT_INSTANCE, "CaSn DeviceSn", WRITES,
     .work = rc_work_delete_device},
    {"DeleteGroupId", POST, 10, INSTANCE, "GroupId", WRITES, .work = rc_work_delete_group},
    {"DisasterDowngrade", POST, 10, .run = not_supported_here},
    {"DisasterRecovery", POST, 10, .run = not_supported_here},
    {"GetCaCertificate", GET_POST, 100, MQTT_INSTANCE, "Sn", .read = rc_work_get_ca},
    {"GetDeviceCertificate", GET_POST, 100, MQTT_INSTANCE, "CaSn DeviceSn", .read = rc_work_get_device},
    {"GetDeviceCredential", POST, 500, INSTANCE, "ClientId", WRITES, .read = rc_work_get_credential},
    {"GetRegisterCode", GET_POST, 100, MQTT_INSTANCE, .read = rc_work_register_code},
    {"InactivateCaCertificate", GET_POST, 100, MQTT_INSTANCE, "Sn", WRITES, .work = rc_work_inactivate_ca},
    {"InactivateDeviceCertificate", GET_POST, 100, MQTT_INSTANCE, "CaSn DeviceSn", WRITES,
     .work = rc_work_inactivate_device},
    {"ListCaCertificate", GET_POST, 100, MQTT_INSTANCE, "PageNo PageSize", .read = rc_work_list_cas},
    {"ListDeviceCertificate", GET_POST, 100, MQTT_INSTANCE, "PageNo PageSize", .read = rc_work_list_devices},
    {"ListDeviceCertificateByCaSn", GET_POST, 100, MQTT_INSTANCE, "CaSn PageNo PageSize",
     .read = rc_work_list_devices},
    {"ListDeviceCredentialClientId", GET_POST, 500, INSTANCE, "GroupId PageSize",
     .read = rc_work_list_credentials},
    {"ListGroupId", GET_POST, 10, INSTANCE, .read = rc_work_list_groups},
    {"ListInstances", GET_POST, 500, .read = rc_work_list_instances},
    {"ListTagResources", GET_POST, 10, .needs = "ResourceType", .read = rc_work_list_tag_resources},
    {"QueryCustomAuthConnectBlack", GET_POST, 500, INSTANCE, "Size", .read = rc_work_query_black},
    {"QueryCustomAuthIdentity", GET_POST, 500, INSTANCE, "Size", WRITES, .read = rc_work_query_identities},
    {"QueryCustomAuthPermission", GET_POST, 500, INSTANCE, "Size", .read = rc_work_query_permissions},
    {"QueryMqttTraceDevice", GET_POST, 500, INSTANCE, "ClientId MqttRegionId", .run = rc_action_trace_device},
    {"QueryMqttTraceMessageOfClient", GET_POST, 500, INSTANCE, "ClientId MqttRegionId",
     .run = rc_action_trace_client},
    {"QueryMqttTraceMessagePublish", GET_POST, 500, INSTANCE, "MqttRegionId MsgId",
     .run = rc_action_trace_publish},
    {"QueryMqttTraceMessageSubscribe", GET_POST, 500, INSTANCE, "MqttRegionId MsgId",
     .run = rc_action_trace_subscribe},
    {"QuerySessionByClientId", GET_POST, 500, INSTANCE, "ClientId", .run = rc_action_query_session},
    {"QueryToken", GET_POST, 100, INSTANCE, "Token", .run = rc_action_query_token},
    {"RefreshDeviceCredential", POST, 500, INSTANCE, "ClientId", WRITES, .work = rc_work_refresh_credential},
    {"RegisterCaCertificate", GET_POST, 100, MQTT_INSTANCE, "CaContent CaName VerificationContent", WRITES,
     .work = rc_work_register_ca},
    {"RegisterDeviceCredential", POST, 500, INSTANCE, "ClientId", WRITES,
     .work = rc_work_register_credential},
    {"RevokeToken", POST, 5, INSTANCE, "Token", WRITES, .work = rc_work_revoke_token},
    {"SendMessage", POST, 1000, INSTANCE, "MqttTopic Payload", WRITES, .run = rc_action_send_message},
    {"SetSniConfig", GET_POST, 10, MQTT_INSTANCE, .run = no_certificates_by_name},
    {"TagResources", GET_POST, 10, .needs = "ResourceType", .flags = WRITES, .work = rc_work_tag_resources},
    {"UnRegisterDeviceCredential", POST, 500, INSTANCE, "ClientId", WRITES,
     .work = rc_work_unregister_credential},
    {"UntagResources", GET_POST, 10, .needs = "ResourceType", .flags = WRITES,
     .work = rc_work_untag_resources},
    {"UpdateCustomAuthIdentity", POST, 500, INSTANCE, "IdentityType Secret SignMode Username", WRITES,
     .work = rc_work_update_identity},
    {"UpdateCustomAuthPermission", POST, 500, INSTANCE, "Effect Identity IdentityType PermitAction Topic",
     WRITES, .work = rc_work_update_permission},
};
_Static_assert(sizeof(product_actions) / sizeof(product_actions[0]) == 50, "all that the product has");

static const struct rc_api_action own_actions[] = {
    {"CountOnlineClients", GET_POST, 500, INSTANCE, NULL, OWN, .run = rc_action_count_online_clients},
    {"CreateClientStatusNotifyRule", POST, 10, INSTANCE, "RuleId GroupId", OWN | WRITES,
     .work = rc_work_create_status_rule},
    {"CreateConsumerGroup", POST, 10, INSTANCE, "ConsumerGroup", OWN | WRITES,
     .store = rc_store_create_group},
    {"CreateInstance", POST, 10, .flags = OWN | WRITES | RC_ACTION_ADMIN, .work = rc_work_create_instance},
    {"CreateKey", POST, 10, INSTANCE, NULL, OWN | WRITES, .work = rc_work_create_key},
    {"CreateMqttInboundRule", POST, 10, INSTANCE, "RuleId MqttTopic", OWN | WRITES,
     .work = rc_work_create_inflow},
    {"CreateMqttOutboundRule", POST, 10, INSTANCE, "RuleId MqttTopic", OWN | WRITES,
     .work = rc_work_create_outflow},
    {"CreateRocketMqTopic", POST, 10, INSTANCE, "Topic", OWN | WRITES, .store = rc_store_create_rmq_topic},
    {"CreateTopic", POST, 10, INSTANCE, "Topic", OWN | WRITES, .work = rc_work_create_topic},
    {"DeleteClientStatusNotifyRule", POST, 10, INSTANCE, "RuleId", OWN | WRITES,
     .work = rc_work_delete_status_rule},
    {"DeleteConsumerGroup", POST, 10, INSTANCE, "ConsumerGroup", OWN | WRITES,
     .store = rc_store_delete_group},
    {"DeleteInstance", POST, 10, INSTANCE, NULL, WRITES | RC_ACTION_ADMIN, .work = rc_work_delete_instance},
    {"DeleteKey", POST, 10, INSTANCE, "AccessKey", OWN | WRITES, .work = rc_work_delete_key},
    {"DeleteMqttInboundRule", POST, 10, INSTANCE, "RuleId", OWN | WRITES, .work = rc_work_delete_inflow},
    {"DeleteMqttOutboundRule", POST, 10, INSTANCE, "RuleId", OWN | WRITES, .work = rc_work_delete_outflow},
    {"DeleteRocketMqTopic", POST, 10, INSTANCE, "Topic", OWN | WRITES, .store = rc_store_delete_rmq_topic},
    {"DeleteTopic", POST, 10, INSTANCE, "Topic", OWN | WRITES, .work = rc_work_delete_topic},
    {"DescribeClients", GET_POST, 500, INSTANCE, NULL, OWN, .run = rc_action_describe_clients},
    {"DescribeClientEvents", GET_POST, 500, INSTANCE, "ClientId", OWN, .run = rc_action_trace_device},
    {"DescribeConsumerGroup", GET_POST, 50, INSTANCE, "ConsumerGroup", OWN, .run = rc_action_describe_group},
    {"DropRuleMessages", POST, 5, INSTANCE, "RuleId", OWN | WRITES, .run = rc_action_drop_rule_messages},
    {"ListClientStatusNotifyRules", GET_POST, 50, INSTANCE, NULL, OWN, .run = rc_action_list_status_rules},
    {"ListConsumerGroups", GET_POST, 50, INSTANCE, NULL, OWN, .store = rc_store_list_groups},
    {"ListDeadLetters", GET_POST, 50, INSTANCE, "ConsumerGroup", OWN, .store = rc_store_list_dead_letters},
    {"ListKeys", GET_POST, 50, INSTANCE, NULL, OWN, .read = rc_work_list_keys},
    {"ListMqttInboundRules", GET_POST, 50, INSTANCE, NULL, OWN, .run = rc_action_list_inflows},
    {"ListMqttOutboundRules", GET_POST, 50, INSTANCE, NULL, OWN, .run = rc_action_list_outflows},
    {"ListOnlineClients", GET_POST, 500, INSTANCE, NULL, OWN, .run = rc_action_list_online_clients},
    {"ListRocketMqTopics", GET_POST, 50, INSTANCE, NULL, OWN, .store = rc_store_list_rmq_topics},
    {"ListRules", GET_POST, 50, INSTANCE, NULL, OWN, .run = rc_action_list_rules},
    {"ListTopic", GET_POST, 50, INSTANCE, NULL, OWN, .read = rc_work_list_topics},
    {"ReplayClientStatusNotifyRule", POST, 5, INSTANCE, "RuleId", OWN | WRITES, .run = rc_action_replay_rule},
    {"ResendDeadLetters", POST, 10, INSTANCE, "ConsumerGroup", OWN | WRITES,
     .store = rc_store_resend_dead_letters},
    {"ResetConsumerOffset", POST, 10, INSTANCE, "ConsumerGroup Topic", OWN | WRITES,
     .store = rc_store_reset_offset},
    {"TestRule", POST, 5, INSTANCE, NULL, OWN | WRITES, .run = rc_action_test_rule},
    {"UpdateClientStatusNotifyRule", POST, 10, INSTANCE, "RuleId", OWN | WRITES,
     .work = rc_work_update_status_rule},
    {"UpdateInstance", POST, 10, INSTANCE, NULL, WRITES | RC_ACTION_ADMIN, .work = rc_work_update_instance},
    {"UpdateKey", POST, 10, INSTANCE, "AccessKey", OWN | WRITES, .work = rc_work_update_key},
    {"UpdateMqttInboundRule", POST, 10, INSTANCE, "RuleId", OWN | WRITES, .work = rc_work_update_inflow},
    {"UpdateMqttOutboundRule", POST, 10, INSTANCE, "RuleId", OWN | WRITES, .work = rc_work_update_outflow},
};

const struct rc_api_action *rc_api_action_at(size_t index)
{
    enum {
        PRODUCT = sizeof(product_actions) / sizeof(product_actions[0]),
        OWN_ONES = sizeof(own_actions) / sizeof(own_actions[0])
    };
    if (index < PRODUCT)
        return &product_actions[index];
    return index < PRODUCT + OWN_ONES ? &own_actions[index - PRODUCT] : NULL;
}

const struct rc_api_action *rc_api_action_find(const char *name)
{
    const struct rc_api_action *action;
    for (size_t i = 0; (action = rc_api_action_at(i)) != NULL; i++)
        if (strcmp(action->name, name) == 0)
            return action;
    return NULL;
}

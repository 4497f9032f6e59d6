/*
 * The table of actions: names, methods and rates as the product documents them, the parameters that must be
 * there, and what does them.
 */
#include "api/actions.h"

static void not_supported(struct rc_api_call *call)
{
    rc_api_call_fail(call, RC_API_NOT_SUPPORTED, "%s",
                     "It is about regions, which one's own machines do not have.");
}

#define GET_POST true, true
#define POST false, true
#define GET true, false
#define INSTANCE "InstanceId"
#define WRITES RC_ACTION_WRITES
#define OWN RC_ACTION_OWN

static const struct rc_api_action product_actions[] = {
    {"BatchQuerySessionByClientIds", GET_POST, 100, INSTANCE, .run = rc_action_batch_query_session},
    {"CloseConnection", POST, 100, INSTANCE, "ClientId", WRITES, .run = rc_action_close_connection},
    {"DisasterDowngrade", POST, 10, .run = not_supported},
    {"DisasterRecovery", POST, 10, .run = not_supported},
    {"ListGroupId", GET_POST, 10, INSTANCE, .run = rc_action_list_groups},
    {"ListInstances", GET_POST, 10, .run = rc_action_list_instances},
    {"QueryMqttTraceDevice", GET_POST, 500, INSTANCE, "ClientId MqttRegionId", .run = rc_action_trace_device},
    {"QueryMqttTraceMessageOfClient", GET_POST, 500, INSTANCE, .run = rc_action_trace_message},
    {"QueryMqttTraceMessagePublish", GET_POST, 500, INSTANCE, .run = rc_action_trace_message},
    {"QueryMqttTraceMessageSubscribe", GET_POST, 500, INSTANCE, .run = rc_action_trace_message},
    {"QuerySessionByClientId", GET_POST, 500, INSTANCE, "ClientId", .run = rc_action_query_session},
    {"SendMessage", POST, 1000, INSTANCE, "MqttTopic Payload", WRITES, .run = rc_action_send_message},
};

static const struct rc_api_action own_actions[] = {
    {"CountOnlineClients", GET_POST, 500, INSTANCE, NULL, OWN, .run = rc_action_count_online_clients},
    {"CreateConsumerGroup", POST, 10, INSTANCE, "ConsumerGroup", OWN | WRITES,
     .store = rc_store_create_group},
    {"CreateRocketMqTopic", POST, 10, INSTANCE, "Topic", OWN | WRITES, .store = rc_store_create_rmq_topic},
    {"DeleteConsumerGroup", POST, 10, INSTANCE, "ConsumerGroup", OWN | WRITES,
     .store = rc_store_delete_group},
    {"DeleteRocketMqTopic", POST, 10, INSTANCE, "Topic", OWN | WRITES, .store = rc_store_delete_rmq_topic},
    {"DescribeClients", GET_POST, 500, INSTANCE, NULL, OWN, .run = rc_action_describe_clients},
    {"DescribeConsumerGroup", GET_POST, 50, INSTANCE, "ConsumerGroup", OWN, .run = rc_action_describe_group},
    {"DropRuleMessages", POST, 5, INSTANCE, "RuleId", OWN | WRITES, .run = rc_action_drop_rule_messages},
    {"ListClientStatusNotifyRules", GET_POST, 50, INSTANCE, NULL, OWN, .run = rc_action_list_rules},
    {"ListConsumerGroups", GET_POST, 50, INSTANCE, NULL, OWN, .store = rc_store_list_groups},
    {"ListDeadLetters", GET_POST, 50, INSTANCE, "ConsumerGroup", OWN, .store = rc_store_list_dead_letters},
    {"ListOnlineClients", GET_POST, 500, INSTANCE, NULL, OWN, .run = rc_action_list_online_clients},
    {"ListRocketMqTopics", GET_POST, 50, INSTANCE, NULL, OWN, .store = rc_store_list_rmq_topics},
    {"ReplayClientStatusNotifyRule", POST, 5, INSTANCE, "RuleId", OWN | WRITES, .run = rc_action_replay_rule},
    {"ResetConsumerOffset", POST, 10, INSTANCE, "ConsumerGroup Topic", OWN | WRITES,
     .store = rc_store_reset_offset},
};

static const struct rc_api_action *find(const struct rc_api_action *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

const struct rc_api_action *rc_api_action_find(const char *name)
{
    const struct rc_api_action *found =
        find(product_actions, sizeof(product_actions) / sizeof(product_actions[0]), name);
    return found != NULL ? found : find(own_actions, sizeof(own_actions) / sizeof(own_actions[0]), name);
}

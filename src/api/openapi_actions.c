/* The table of actions: names, methods and rates as the product documents them. */
#include "api/api_private.h"

static void not_supported(struct rc_api_call *call)
{
    rc_api_call_fail(call, RC_API_NOT_SUPPORTED, "%s",
                     "It is about regions, which one's own machines do not have.");
}

#define GET_POST true, true
#define POST false, true
#define GET true, false

static const struct rc_api_action actions[] = {
    {"BatchQuerySessionByClientIds", GET_POST, 100, "InstanceId", false, rc_action_batch_query_session},
    {"CloseConnection", POST, 100, "InstanceId", false, rc_action_close_connection},
    {"DisasterDowngrade", POST, 10, NULL, false, not_supported},
    {"DisasterRecovery", POST, 10, NULL, false, not_supported},
    {"ListGroupId", GET_POST, 10, "InstanceId", false, rc_action_list_groups},
    {"ListInstances", GET_POST, 10, NULL, false, rc_action_list_instances},
    {"QueryMqttTraceDevice", GET_POST, 500, "InstanceId", false, rc_action_trace_device},
    {"QueryMqttTraceMessageOfClient", GET_POST, 500, "InstanceId", false, rc_action_trace_message},
    {"QueryMqttTraceMessagePublish", GET_POST, 500, "InstanceId", false, rc_action_trace_message},
    {"QueryMqttTraceMessageSubscribe", GET_POST, 500, "InstanceId", false, rc_action_trace_message},
    {"QuerySessionByClientId", GET_POST, 500, "InstanceId", false, rc_action_query_session},
    /* Rollcall's own: */
    {"CountOnlineClients", GET_POST, 500, "InstanceId", true, rc_action_count_online_clients},
    {"DescribeClients", GET_POST, 500, "InstanceId", true, rc_action_describe_clients},
    {"ListClientStatusNotifyRules", GET_POST, 50, "InstanceId", true, rc_action_list_rules},
    {"ListOnlineClients", GET_POST, 500, "InstanceId", true, rc_action_list_online_clients},
    {"ReplayClientStatusNotifyRule", POST, 5, "InstanceId", true, rc_action_replay_rule},
};

const struct rc_api_action *rc_api_action_find(const char *name)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

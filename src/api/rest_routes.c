/* What REST has: one row a path and method. */
#include "api/rest.h"

#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define NAME LETTERS "0123456789_-"
#define MQ_NAME NAME "%|"

static const struct rc_rest_param params[] = {
    {"InstanceId", RC_REST_TEXT, 1, 64, NAME, "The instance."},
    {"NewInstanceId", RC_REST_TEXT, 1, 64, NAME, "What it shall be called; one is made otherwise."},
    {"InstanceName", RC_REST_TEXT, 0, 64, NULL, "For people."},
    {"Profile", RC_REST_TEXT, 1, 8, LETTERS, "product or standard."},
    {"Limits", RC_REST_TEXT, 0, 512, NULL,
     "All limits besides the profile's, as the configuration file calls them: "
     "subscriptions=50,payload=4KiB."},
    {"Trace", RC_REST_FLAG, 0, 0, NULL, "Whether traces of its messages and refused logins are kept."},
    {"Cascade", RC_REST_FLAG, 0, 0, NULL, "With all that hangs on it."},
    {"ClientId", RC_REST_TEXT, 1, 1024, NULL, "The client's id."},
    {"ClientIdList", RC_REST_TEXTS, 1, 1000, NULL, "Client ids."},
    {"GroupId", RC_REST_TEXT, 1, 64, NAME, "An MQTT group: GID_ or GID- and more."},
    {"MaxResults", RC_REST_INTEGER, 1, 1000, NULL, "The most that a page has."},
    {"NextToken", RC_REST_TEXT, 0, 64, NULL, "From the page before."},
    {"Topic", RC_REST_TEXT, 1, 127, MQ_NAME, "A topic."},
    {"Queues", RC_REST_INTEGER, 1, 1024, NULL, "Of a topic that is made."},
    {"AccessKey", RC_REST_TEXT, 1, 64, NULL, "The public half of a key pair."},
    {"SecretKey", RC_REST_TEXT, 16, 256, NULL, "The secret half of a key pair."},
    {"Role", RC_REST_TEXT, 1, 16, LETTERS "-", "user, read-only or admin."},
    {"RuleId", RC_REST_TEXT, 3, 64, NAME, "The rule."},
    {"Enabled", RC_REST_FLAG, 0, 0, NULL, "Whether it sends."},
    {"TargetInstance", RC_REST_TEXT, 1, 64, NAME, "A cluster of rocketmq.instances, with TargetTopic."},
    {"TargetTopic", RC_REST_TEXT, 1, 127, MQ_NAME, "A topic of that cluster."},
    {"Failover", RC_REST_FLAG, 0, 0, NULL, "Order is given up for queues that are out of reach."},
    {"Description", RC_REST_TEXT, 0, 256, NULL, "For people."},
    {"SourceInstance", RC_REST_TEXT, 1, 64, NAME, "A cluster of rocketmq.instances, with SourceTopic."},
    {"SourceTopic", RC_REST_TEXT, 1, 62, MQ_NAME, "A topic of that cluster."},
    {"From", RC_REST_TEXT, 1, 5, LETTERS, "A new rule begins with the first message, or after the last."},
    {"ConsumerGroup", RC_REST_TEXT, 1, 120, MQ_NAME, "A consumer group of the embedded RocketMQ endpoint."},
    {"MsgIds", RC_REST_TEXT, 32, 6000, "0123456789ABCDEF,", "MsgIds of dead letters, parted by commas."},
    {"All", RC_REST_FLAG, 0, 0, NULL, "All of them."},
    {"Since", RC_REST_INTEGER, 0, INT64_MAX, NULL, "What is there since then, in milliseconds since 1970."},
    {"Position", RC_REST_TEXT, 1, 20, NULL, "first, last, or milliseconds since 1970."},
    {"MqttTopic", RC_REST_TEXT, 1, 128, NULL,
     "The topic, whose first level is a parent topic of the instance."},
    {"Payload", RC_REST_TEXT, 1, 65536, NULL, "The message."},
    {"BeginTime", RC_REST_INTEGER, 0, INT64_MAX, NULL, "Milliseconds since 1970."},
    {"EndTime", RC_REST_INTEGER, 0, INT64_MAX, NULL, "Milliseconds since 1970."},
    {"CurrentPage", RC_REST_INTEGER, 1, 2147483647, NULL, "From 1."},
    {"PageSize", RC_REST_INTEGER, 1, 100, NULL, "Rows of a page."},
    {"MqttRegionId", RC_REST_TEXT, 1, 64, NULL, "Any text: there are no regions here."},
    {"Reverse", RC_REST_FLAG, 0, 0, NULL, "The latest first."},
};

const struct rc_rest_param *rc_rest_param(struct rc_slice name)
{
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
        if (rc_slice_eq_str(name, params[i].name))
            return &params[i];
    return NULL;
}

#define I "/v1/instances/{InstanceId}"
#define CLIENTS "\"Clients\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Client\"}}"
#define LIST(name) "\"" name "\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}"
#define NUMBER(name) "\"" name "\":{\"type\":\"integer\"}"
#define TEXT(name) "\"" name "\":{\"type\":\"string\"}"
#define TRIAL                                                                                                \
    "\"Ok\":{\"type\":\"boolean\"}," TEXT("Error") "," TEXT("TargetInstance") "," TEXT(                      \
        "TargetTopic") "," NUMBER("Brokers") "," NUMBER("Queues")

static const struct rc_rest_route routes[] = {
    {RC_HTTP_GET, "/healthz", .summary = "Whether the process answers"},
    {RC_HTTP_GET, "/readyz", .summary = "Whether events and changes can be written; 503 otherwise"},
    {RC_HTTP_GET, "/metrics", .summary = "Counters in Prometheus' text format"},
    {RC_HTTP_GET, "/openapi.json", .summary = "This document"},
    {RC_HTTP_GET, "/v1/instances", "ListInstances", .summary = "The instances that the key may use",
     .answer = LIST("Instances")},
    {RC_HTTP_POST, "/v1/instances", "CreateInstance", NULL, "NewInstanceId InstanceName Profile Limits Trace",
     "", "Makes an instance; for administrators", TEXT("InstanceId")},
    {RC_HTTP_PUT, I, "UpdateInstance", NULL, "InstanceName Profile Limits Trace", "",
     "Changes it; for administrators", NULL},
    {RC_HTTP_DELETE, I, "DeleteInstance", "Cascade", .summary = "Deletes it; for administrators"},
    {RC_HTTP_GET, I "/clients", "ListOnlineClients", "GroupId MaxResults NextToken",
     .summary = "Who is online, in pages, with the place in the log from which events go on",
     .answer = CLIENTS "," TEXT("NextToken") "," NUMBER("LogPosition") "," TEXT("Topic") "," LIST("Queues")},
    {RC_HTTP_GET, I "/client-count", "CountOnlineClients", "GroupId", .summary = "How many are online",
     .answer = NUMBER("OnlineCount") "," NUMBER("LogPosition")},
    {RC_HTTP_POST, I "/clients/describe", "DescribeClients", NULL, "ClientIdList", "ClientIdList",
     "Up to 1,000 clients: online or not, since when, from where", CLIENTS "," NUMBER("LogPosition")},
    {RC_HTTP_GET, I "/clients/{ClientId}", "DescribeClients",
     .summary = "One client: online or not, since when, from where",
     .answer = CLIENTS "," NUMBER("LogPosition")},
    {RC_HTTP_DELETE, I "/clients/{ClientId}", "CloseConnection", .summary = "Closes its connection"},
    {RC_HTTP_GET, I "/clients/{ClientId}/trace", "QueryMqttTraceDevice",
     "BeginTime EndTime CurrentPage PageSize MqttRegionId Reverse",
     .needs = "BeginTime EndTime CurrentPage PageSize MqttRegionId", .summary = "Its events in the log",
     .answer = LIST("DeviceInfoList") "," NUMBER("Total") "," NUMBER("CurrentPage") "," NUMBER("PageSize")},
    {RC_HTTP_GET, I "/groups", "ListGroupId", .summary = "MQTT groups", .answer = LIST("Data")},
    {RC_HTTP_POST, I "/groups", "CreateGroupId", NULL, "GroupId", "GroupId", "Makes a group", NULL},
    {RC_HTTP_DELETE, I "/groups/{GroupId}", "DeleteGroupId", .summary = "Deletes it"},
    {RC_HTTP_GET, I "/topics", "ListTopic", .summary = "MQTT parent topics", .answer = LIST("Topics")},
    {RC_HTTP_POST, I "/topics", "CreateTopic", NULL, "Topic", "Topic", "Makes a parent topic", NULL},
    {RC_HTTP_DELETE, I "/topics/{Topic}", "DeleteTopic", .summary = "Deletes it"},
    {RC_HTTP_GET, I "/keys", "ListKeys", .summary = "Key pairs, without their secrets",
     .answer = LIST("Keys")},
    {RC_HTTP_POST, I "/keys", "CreateKey", NULL, "Role", "", "Makes a key pair; its secret is told this once",
     TEXT("AccessKey") "," TEXT("SecretKey") "," TEXT("Role")},
    {RC_HTTP_PUT, I "/keys/{AccessKey}", "UpdateKey", NULL, "Role SecretKey", "",
     "Gives it another role, or another secret", NULL},
    {RC_HTTP_DELETE, I "/keys/{AccessKey}", "DeleteKey", .summary = "Deletes it"},
    {RC_HTTP_GET, I "/rules", "ListRules", .summary = "Rules of all types, and what they have sent",
     .answer = LIST("Rules") "," LIST("FormerTargets")},
    {RC_HTTP_POST, I "/rules", "CreateClientStatusNotifyRule", NULL,
     "RuleId GroupId Topic Queues TargetInstance TargetTopic Enabled Failover Description", "RuleId GroupId",
     "Makes a status rule", NULL},
    {RC_HTTP_PUT, I "/rules/{RuleId}", "UpdateClientStatusNotifyRule", NULL,
     "Topic Queues TargetInstance TargetTopic Enabled Failover Description", "",
     "Changes it; what is left out stays", NULL},
    {RC_HTTP_DELETE, I "/rules/{RuleId}", "DeleteClientStatusNotifyRule", .summary = "Deletes it"},
    {RC_HTTP_POST, I "/rules/{RuleId}/replay", "ReplayClientStatusNotifyRule",
     .summary = "Tells the connect of each online client of its group again", .answer = NUMBER("Clients")},
    {RC_HTTP_POST, I "/rules/{RuleId}/test", "TestRule",
     .summary = "Tries the cluster that a rule of any type leads to, or comes from", .answer = TRIAL},
    {RC_HTTP_POST, I "/rocketmq-instances/{TargetInstance}/test", "TestRule", NULL,
     "TargetTopic ConsumerGroup", "TargetTopic", "The same for a rule that might be made", TRIAL},
    {RC_HTTP_GET, I "/outflow-rules", "ListMqttOutboundRules", .summary = "Rules from MQTT to RocketMQ",
     .answer = LIST("Rules")},
    {RC_HTTP_POST, I "/outflow-rules", "CreateMqttOutboundRule", NULL,
     "RuleId MqttTopic Topic Queues TargetInstance TargetTopic Enabled Failover Description",
     "RuleId MqttTopic", "Makes one", NULL},
    {RC_HTTP_PUT, I "/outflow-rules/{RuleId}", "UpdateMqttOutboundRule", NULL,
     "MqttTopic Topic Queues TargetInstance TargetTopic Enabled Failover Description", "",
     "Changes it; what is left out stays", NULL},
    {RC_HTTP_DELETE, I "/outflow-rules/{RuleId}", "DeleteMqttOutboundRule", .summary = "Deletes it"},
    {RC_HTTP_GET, I "/inflow-rules", "ListMqttInboundRules", .summary = "Rules from RocketMQ to MQTT",
     .answer = LIST("Rules")},
    {RC_HTTP_POST, I "/inflow-rules", "CreateMqttInboundRule", NULL,
     "RuleId MqttTopic Topic Queues SourceInstance SourceTopic ConsumerGroup From Enabled Description",
     "RuleId MqttTopic", "Makes one", NULL},
    {RC_HTTP_PUT, I "/inflow-rules/{RuleId}", "UpdateMqttInboundRule", NULL,
     "MqttTopic Topic Queues SourceInstance SourceTopic ConsumerGroup From Enabled Description", "",
     "Changes it; what is left out stays", NULL},
    {RC_HTTP_DELETE, I "/inflow-rules/{RuleId}", "DeleteMqttInboundRule", .summary = "Deletes it"},
    {RC_HTTP_POST, I "/messages", "SendMessage", NULL, "MqttTopic Payload", "MqttTopic Payload",
     "A message to MQTT clients", TEXT("MsgId")},
    {RC_HTTP_GET, I "/rocketmq/topics", "ListRocketMqTopics", .summary = "Topics of the embedded endpoint",
     .answer = LIST("Topics")},
    {RC_HTTP_POST, I "/rocketmq/topics", "CreateRocketMqTopic", NULL, "Topic Queues", "Topic",
     "Makes a topic", NULL},
    {RC_HTTP_DELETE, I "/rocketmq/topics/{Topic}", "DeleteRocketMqTopic", .summary = "Deletes it"},
    {RC_HTTP_GET, I "/rocketmq/groups", "ListConsumerGroups", .summary = "Consumer groups",
     .answer = "\"ConsumerGroups\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}," LIST("Groups")},
    {RC_HTTP_POST, I "/rocketmq/groups", "CreateConsumerGroup", NULL, "ConsumerGroup", "ConsumerGroup",
     "Makes a consumer group", NULL},
    {RC_HTTP_GET, I "/rocketmq/groups/{ConsumerGroup}", "DescribeConsumerGroup",
     .summary = "Its members, and its lag in each queue",
     .answer = LIST("Members") "," LIST("Queues") "," NUMBER("Lag")},
    {RC_HTTP_DELETE, I "/rocketmq/groups/{ConsumerGroup}", "DeleteConsumerGroup", .summary = "Deletes it"},
    {RC_HTTP_PUT, I "/rocketmq/groups/{ConsumerGroup}/offset", "ResetConsumerOffset", NULL, "Topic Position",
     "Topic", "Sets where its members go on", LIST("Queues")},
    {RC_HTTP_GET, I "/rocketmq/groups/{ConsumerGroup}/dead-letters", "ListDeadLetters",
     "MaxResults NextToken", .summary = "The messages that it could not process, the newest first",
     .answer = LIST("DeadLetters") "," NUMBER("Total") "," TEXT("Topic") "," TEXT("NextToken")},
    {RC_HTTP_POST, I "/rocketmq/groups/{ConsumerGroup}/dead-letters/resend", "ResendDeadLetters", NULL,
     "MsgIds All Since NextToken", "", "Sends them to the group again: up to 100 named, or all, 1,000 a call",
     NUMBER("Sent") "," TEXT("NextToken")},
};

const struct rc_rest_route *rc_rest_routes(size_t *ret_count)
{
    *ret_count = sizeof(routes) / sizeof(routes[0]);
    return routes;
}

const char *rc_rest_method_name(enum rc_http_method method)
{
    static const char *const names[] = {
        [RC_HTTP_GET] = "get",        [RC_HTTP_HEAD] = "head",   [RC_HTTP_POST] = "post",
        [RC_HTTP_PUT] = "put",        [RC_HTTP_PATCH] = "patch", [RC_HTTP_DELETE] = "delete",
        [RC_HTTP_OPTIONS] = "options"};
    return names[method];
}

#include "cli/ctl_table.h"

#define NO_OPERAND NULL, NULL, false
#define LIST "list"
#define GROUP_OPTION                                                                                         \
    {                                                                                                        \
        "group", "GroupId", "GID", "the MQTT group", false, false                                            \
    }
#define TYPE_OPTION                                                                                          \
    {                                                                                                        \
        "type", "IdentityType", "TYPE", "USER or CLIENT", false, false                                       \
    }
#define TOPIC_OPTION                                                                                         \
    {                                                                                                        \
        "topic", "Topic", "TOPIC", "the topic", false, false                                                 \
    }
#define CA_OPTION                                                                                            \
    {                                                                                                        \
        "ca", "CaSn", "SN", "the CA that signed it", false, false                                            \
    }
#define MQTT_INSTANCE "MqttInstanceId"

#define DESCRIPTION_OPTION                                                                                   \
    {                                                                                                        \
        "description", "Description", "TEXT", "for people", false, false                                     \
    }

#define RULE_OPTIONS                                                                                         \
    DESCRIPTION_OPTION,                                                                                      \
        {"topic", "Topic", "TOPIC", "where messages go, at the embedded endpoint", false, false},            \
        {"queues", "Queues", "N", "of a topic that is made (default: 8)", false, false},                     \
        {"target", "TargetInstance", "NAME", "a cluster of rocketmq.instances instead", false, false},       \
        {"target-topic", "TargetTopic", "TOPIC", "the topic there", false, false},                           \
        {"enabled", "Enabled", "BOOL", "false: it sends nothing", false, false},                             \
    {                                                                                                        \
        "failover", "Failover", "BOOL", "order is given up for queues out of reach", false, false            \
    }

#define PARENT_OPTION                                                                                        \
    {                                                                                                        \
        "mqtt-topic", "MqttTopic", "TOPIC", "the parent topic", false, false                                 \
    }

#define INFLOW_OPTIONS                                                                                       \
    PARENT_OPTION, DESCRIPTION_OPTION,                                                                       \
        {"topic", "Topic", "TOPIC", "where messages come from, at the embedded endpoint", false, false},     \
        {"queues", "Queues", "N", "of a topic that is made (default: 8)", false, false},                     \
        {"source", "SourceInstance", "NAME", "a cluster of rocketmq.instances instead", false, false},       \
        {"source-topic", "SourceTopic", "TOPIC", "the topic there", false, false},                           \
        {"consumer-group",                                                                                   \
         "ConsumerGroup",                                                                                    \
         "GROUP",                                                                                            \
         "there (default: one that bears its name)",                                                         \
         false,                                                                                              \
         false},                                                                                             \
        {"from", "From", "WHERE", "of a new rule: last (default) or first", false, false},                   \
    {                                                                                                        \
        "enabled", "Enabled", "BOOL", "false: it takes nothing", false, false                                \
    }

#define INSTANCE_OPTIONS                                                                                     \
    {"profile", "Profile", "PROFILE", "product (default) or standard", false, false},                        \
        {"trace", "Trace", "BOOL", "true: its messages and refused logins are traced", false, false},        \
    {                                                                                                        \
        "limits", "Limits", "LIST", "all besides the profile's: subscriptions=50,payload=4KiB", false, false \
    }

#define TRACED "MqttRegionId=local BeginTime=0 EndTime=9223372036854775807"
#define NEWEST_STEPS TRACED " CurrentPage=1 PageSize=100 Reverse=true"

static const struct rc_ctl_row rows[] = {
    {"instance", LIST, "ListInstances", "lists the instances that the key may use", NO_OPERAND,
     .list = "Instances", .columns = "InstanceId InstanceName CreateTime Declared Profile Limits Trace"},
    {"instance", "create", "CreateInstance", "makes one (administrator)", "ID", "NewInstanceId", false,
     .params = {{"name", "InstanceName", "NAME", "for people", false, false}, INSTANCE_OPTIONS}},
    {"instance", "update", "UpdateInstance", "changes one (administrator)", "ID", "InstanceId", true,
     .params = {{"name", "InstanceName", "NAME", "for people", false, false}, INSTANCE_OPTIONS}},
    {"instance", "delete", "DeleteInstance", "deletes one (administrator)", "ID", "InstanceId", true,
     .params = {{"cascade", "Cascade", NULL, "with all that hangs on it", false, true}}},

    {"group", LIST, "ListGroupId", "lists MQTT groups", NO_OPERAND, .list = "Data",
     .columns = "GroupId CreateTime Declared"},
    {"group", "create", "CreateGroupId", "makes one", "GID", "GroupId", true, .paging = RC_CTL_WHOLE},
    {"group", "delete", "DeleteGroupId", "deletes one", "GID", "GroupId", true, .paging = RC_CTL_WHOLE},

    {"topic", LIST, "ListTopic", "lists MQTT parent topics", NO_OPERAND, .list = "Topics",
     .columns = "Topic CreateTime Declared"},
    {"topic", "create", "CreateTopic", "makes one", "TOPIC", "Topic", true, .paging = RC_CTL_WHOLE},
    {"topic", "delete", "DeleteTopic", "deletes one", "TOPIC", "Topic", true, .paging = RC_CTL_WHOLE},

    {"key", LIST, "ListKeys", "lists key pairs, without secrets", NO_OPERAND, .list = "Keys",
     .columns = "AccessKey InstanceId Role CreateTime Declared"},
    {"key", "create", "CreateKey", "makes one; its secret is told this once", NO_OPERAND,
     .params = {{"role", "Role", "ROLE", "user (default), read-only or admin", false, false}}},
    {"key", "update", "UpdateKey", "gives it another role, or another secret", "KEY", "AccessKey", true,
     .params = {{"role", "Role", "ROLE", "user or read-only", false, false},
                {"secret", "SecretKey", "FILE", "a file that holds the new secret", true, false}}},
    {"key", "delete", "DeleteKey", "deletes one", "KEY", "AccessKey", true, .paging = RC_CTL_WHOLE},

    {"credential", LIST, "ListDeviceCredentialClientId", "lists clients with a device credential", NO_OPERAND,
     .fixed = "PageSize=100", .params = {GROUP_OPTION}, .list = "DeviceCredentialClientIdList.ClientIdList",
     .columns = "ClientId", .paging = RC_CTL_BY_TOKEN},
    {"credential", "show", "GetDeviceCredential", "tells a client's", "CLIENT", "ClientId", true,
     .paging = RC_CTL_WHOLE},
    {"credential", "create", "RegisterDeviceCredential", "makes one for a client", "CLIENT", "ClientId", true,
     .paging = RC_CTL_WHOLE},
    {"credential", "refresh", "RefreshDeviceCredential", "gives it another secret", "CLIENT", "ClientId",
     true, .paging = RC_CTL_WHOLE},
    {"credential", "delete", "UnRegisterDeviceCredential", "deletes it", "CLIENT", "ClientId", true,
     .paging = RC_CTL_WHOLE},

    {"token", "create", "ApplyToken", "makes one", NO_OPERAND,
     .params = {{"actions", "Actions", "R,W", "R, W or R,W", false, false},
                {"topics", "Resources", "TOPICS", "topics with commas between them", false, false},
                {"expires", "ExpireTime", "MS", "in milliseconds since 1970", false, false}}},
    {"token", "show", "QueryToken", "tells whether it is valid", "TOKEN", "Token", true,
     .paging = RC_CTL_WHOLE},
    {"token", "revoke", "RevokeToken", "revokes it", "TOKEN", "Token", true, .paging = RC_CTL_WHOLE},

    {"identity", LIST, "QueryCustomAuthIdentity", "lists custom identities", NO_OPERAND, .fixed = "Size=100",
     .list = "Data.Results", .columns = "IdentityType Username ClientId SignMode Declared",
     .paging = RC_CTL_BY_TOKEN},
    {"identity", "create", "AddCustomAuthIdentity", "makes one", "USER", "Username", true,
     .params = {TYPE_OPTION,
                {"client", "ClientId", "CLIENT", "with --type CLIENT", false, false},
                {"secret", "Secret", "FILE", "a file that holds its secret", true, false},
                {"mode", "SignMode", "MODE", "ORIGIN or SIGNED", false, false}}},
    {"identity", "update", "UpdateCustomAuthIdentity", "changes its secret", "USER", "Username", true,
     .params = {TYPE_OPTION,
                {"client", "ClientId", "CLIENT", "with --type CLIENT", false, false},
                {"secret", "Secret", "FILE", "a file that holds its secret", true, false},
                {"mode", "SignMode", "MODE", "ORIGIN or SIGNED", false, false}}},
    {"identity", "delete", "DeleteCustomAuthIdentity", "deletes it", "USER", "Username", true,
     .params = {TYPE_OPTION, {"client", "ClientId", "CLIENT", "with --type CLIENT", false, false}}},

    {"permission", LIST, "QueryCustomAuthPermission", "lists what custom identities may use", NO_OPERAND,
     .fixed = "Size=100", .list = "Data.Results",
     .columns = "IdentityType Identity Topic PermitAction Effect Declared", .paging = RC_CTL_BY_TOKEN},
    {"permission", "create", "AddCustomAuthPermission", "adds one", "WHO", "Identity", true,
     .params = {TYPE_OPTION,
                TOPIC_OPTION,
                {"permit", "PermitAction", "WHAT", "PUB, SUB or PUB_SUB", false, false},
                {"effect", "Effect", "EFFECT", "ALLOW or DENY", false, false}}},
    {"permission", "update", "UpdateCustomAuthPermission", "changes one", "WHO", "Identity", true,
     .params = {TYPE_OPTION,
                TOPIC_OPTION,
                {"permit", "PermitAction", "WHAT", "PUB, SUB or PUB_SUB", false, false},
                {"effect", "Effect", "EFFECT", "ALLOW or DENY", false, false}}},
    {"permission", "delete", "DeleteCustomAuthPermission", "deletes one", "WHO", "Identity", true,
     .params = {TYPE_OPTION, TOPIC_OPTION}},

    {"black", LIST, "QueryCustomAuthConnectBlack", "lists clients that may not connect", NO_OPERAND,
     .fixed = "Size=100", .list = "Data.Results", .columns = "ClientId Declared", .paging = RC_CTL_BY_TOKEN},
    {"black", "create", "AddCustomAuthConnectBlack", "keeps a client out", "CLIENT", "ClientId", true,
     .paging = RC_CTL_WHOLE},
    {"black", "delete", "DeleteCustomAuthConnectBlack", "lets it in again", "CLIENT", "ClientId", true,
     .paging = RC_CTL_WHOLE},

    {"ca", LIST, "ListCaCertificate", "lists CAs of devices", NO_OPERAND, MQTT_INSTANCE, "PageSize=100",
     .list = "Data.CaCertificateVOS", .columns = "Sn CaName Status ValidBegin ValidEnd Declared",
     .paging = RC_CTL_BY_NUMBER},
    {"ca", "code", "GetRegisterCode", "tells what a verification certificate must be made out to", NO_OPERAND,
     MQTT_INSTANCE, .paging = RC_CTL_WHOLE},
    {"ca", "create", "RegisterCaCertificate", "registers one", "NAME", "CaName", true, MQTT_INSTANCE,
     .params = {{"certificate", "CaContent", "FILE", "its certificate", true, false},
                {"verification", "VerificationContent", "FILE", "the verification certificate", true,
                 false}}},
    {"ca", "show", "GetCaCertificate", "tells of one", "SN", "Sn", true, MQTT_INSTANCE,
     .paging = RC_CTL_WHOLE},
    {"ca", "enable", "ActiveCaCertificate", "takes its devices", "SN", "Sn", true, MQTT_INSTANCE,
     .paging = RC_CTL_WHOLE},
    {"ca", "disable", "InactivateCaCertificate", "keeps its devices out", "SN", "Sn", true, MQTT_INSTANCE,
     .paging = RC_CTL_WHOLE},
    {"ca", "certificates", "ListDeviceCertificateByCaSn", "lists certificates of devices that it signed",
     "SN", "CaSn", true, MQTT_INSTANCE, "PageSize=100", .list = "Data.DeviceCertificateVOS",
     .columns = "DeviceSn DeviceName Status ValidBegin ValidEnd Declared", .paging = RC_CTL_BY_NUMBER},
    {"ca", "delete", "DeleteCaCertificate", "deletes one", "SN", "Sn", true, MQTT_INSTANCE,
     .paging = RC_CTL_WHOLE},

    {"certificate", LIST, "ListDeviceCertificate", "lists certificates of devices", NO_OPERAND, MQTT_INSTANCE,
     "PageSize=100", .list = "Data.DeviceCertificateVOS",
     .columns = "DeviceSn DeviceName CaSn Status ValidBegin ValidEnd Declared", .paging = RC_CTL_BY_NUMBER},
    {"certificate", "show", "GetDeviceCertificate", "tells of one", "SN", "DeviceSn", true, MQTT_INSTANCE,
     .params = {CA_OPTION}},
    {"certificate", "enable", "ActiveDeviceCertificate", "takes the device", "SN", "DeviceSn", true,
     MQTT_INSTANCE, .params = {CA_OPTION}},
    {"certificate", "disable", "InactivateDeviceCertificate", "keeps the device out", "SN", "DeviceSn", true,
     MQTT_INSTANCE, .params = {CA_OPTION}},
    {"certificate", "delete", "DeleteDeviceCertificate", "forgets it", "SN", "DeviceSn", true, MQTT_INSTANCE,
     .params = {CA_OPTION}},

    {"tag", LIST, "ListTagResources", "lists tags", "RESOURCE", "ResourceId.1", false,
     .params = {{"type", "ResourceType", "TYPE", "INSTANCE or GROUP", false, false}}, .list = "TagResources",
     .columns = "ResourceType ResourceId TagKey TagValue Declared"},
    {"tag", "create", "TagResources", "gives <instance> or <instance>/<group> a tag", "RESOURCE",
     "ResourceId.1", true,
     .params = {{"type", "ResourceType", "TYPE", "INSTANCE or GROUP", false, false},
                {"key", "Tag.1.Key", "KEY", "the tag", false, false},
                {"value", "Tag.1.Value", "VALUE", "its value", false, false}}},
    {"tag", "delete", "UntagResources", "takes it away", "RESOURCE", "ResourceId.1", true,
     .params = {{"type", "ResourceType", "TYPE", "INSTANCE or GROUP", false, false},
                {"key", "TagKey.1", "KEY", "the tag", false, false},
                {"all", "All", NULL, "all of them", false, true}}},

    {"rule", LIST, "ListRules", "lists rules of all types and what they have sent", NO_OPERAND,
     .list = "Rules",
     .columns = "RuleId GroupId MqttTopic Topic TargetInstance SourceInstance State Type Matched Delivered "
                "Waiting Dropped LagMs"},
    {"rule", "create", "CreateClientStatusNotifyRule", "makes a status rule", "RULE", "RuleId", true,
     .params = {GROUP_OPTION, RULE_OPTIONS}},
    {"rule", "update", "UpdateClientStatusNotifyRule", "changes one; what is left out stays", "RULE",
     "RuleId", true, .params = {RULE_OPTIONS}},
    {"rule", "delete", "DeleteClientStatusNotifyRule", "deletes one", "RULE", "RuleId", true,
     .paging = RC_CTL_WHOLE},
    {"rule", "replay", "ReplayClientStatusNotifyRule",
     "tells the connect of each online client of its group again", "RULE", "RuleId", true,
     .paging = RC_CTL_WHOLE},
    {"rule", "test", "TestRule", "tries the cluster that a rule of any type leads to, or might lead to",
     "RULE", "RuleId", false,
     .params = {{"target", "TargetInstance", "NAME", "instead of RULE: a cluster of rocketmq.instances",
                 false, false},
                {"target-topic", "TargetTopic", "TOPIC", "a topic there", false, false},
                {"consumer-group", "ConsumerGroup", "GROUP", "whether that group may read there", false,
                 false}},
     .verdict = "Ok"},
    {"rule", "drop", "DropRuleMessages", "gives up what a rule has not sent to its cluster", "RULE", "RuleId",
     true,
     .params = {{"all", "All", NULL, "all that waits now", false, true},
                {"before", "Before", "MS", "what came before this time, in ms since 1970", false, false},
                {"message", "Message", "NUMBER", "the one that rule list tells of", false, false},
                {"target", "TargetInstance", "NAME", "only those for this cluster", false, false},
                {"topic", "Topic", "TOPIC", "only those for this topic there", false, false}}},

    {"outflow", LIST, "ListMqttOutboundRules", "lists rules from MQTT to RocketMQ", NO_OPERAND,
     .list = "Rules",
     .columns =
         "RuleId MqttTopic Topic TargetInstance State Matched Delivered Waiting Dropped Refused LagMs"},
    {"outflow", "create", "CreateMqttOutboundRule", "makes one", "RULE", "RuleId", true,
     .params = {PARENT_OPTION, RULE_OPTIONS}},
    {"outflow", "update", "UpdateMqttOutboundRule", "changes one; what is left out stays", "RULE", "RuleId",
     true, .params = {PARENT_OPTION, RULE_OPTIONS}},
    {"outflow", "delete", "DeleteMqttOutboundRule", "deletes one", "RULE", "RuleId", true,
     .paging = RC_CTL_WHOLE},

    {"inflow", LIST, "ListMqttInboundRules", "lists rules from RocketMQ to MQTT", NO_OPERAND, .list = "Rules",
     .columns = "RuleId SourceInstance Topic MqttTopic State Matched Delivered Waiting Dropped LagMs"},
    {"inflow", "create", "CreateMqttInboundRule", "makes one", "RULE", "RuleId", true,
     .params = {INFLOW_OPTIONS}},
    {"inflow", "update", "UpdateMqttInboundRule", "changes one; what is left out stays", "RULE", "RuleId",
     true, .params = {INFLOW_OPTIONS}},
    {"inflow", "delete", "DeleteMqttInboundRule", "deletes one", "RULE", "RuleId", true,
     .paging = RC_CTL_WHOLE},

    {"rocketmq-topic", LIST, "ListRocketMqTopics", "lists topics of the embedded RocketMQ endpoint",
     NO_OPERAND, .list = "Topics", .columns = "Topic Queues Messages Declared"},
    {"rocketmq-topic", "create", "CreateRocketMqTopic", "makes one", "TOPIC", "Topic", true,
     .params = {{"queues", "Queues", "N", "default: 8", false, false}}},
    {"rocketmq-topic", "delete", "DeleteRocketMqTopic", "deletes one", "TOPIC", "Topic", true,
     .paging = RC_CTL_WHOLE},

    {"consumer", LIST, "ListConsumerGroups", "lists consumer groups of the endpoint", NO_OPERAND,
     .list = "Groups", .columns = "ConsumerGroup Declared"},
    {"consumer", "show", "DescribeConsumerGroup", "tells a group's lag in each queue", "GROUP",
     "ConsumerGroup", true, .list = "Queues", .columns = "Topic QueueId ConsumerOffset EndOffset Lag LagMs"},
    {"consumer", "members", "DescribeConsumerGroup", "tells who is in it", "GROUP", "ConsumerGroup", true,
     .list = "Members", .columns = "ClientId Address LastHeardMs"},
    {"consumer", "create", "CreateConsumerGroup", "makes one", "GROUP", "ConsumerGroup", true,
     .paging = RC_CTL_WHOLE},
    {"consumer", "delete", "DeleteConsumerGroup", "deletes one, with its offsets", "GROUP", "ConsumerGroup",
     true, .paging = RC_CTL_WHOLE},
    {"consumer", "reset", "ResetConsumerOffset", "sets where its members go on", "GROUP", "ConsumerGroup",
     true,
     .params = {TOPIC_OPTION,
                {"to", "Position", "WHERE", "first, last (default), or ms since 1970", false, false}},
     .list = "Queues", .columns = "QueueId ConsumerOffset"},
    {"consumer", "dead-letters", "ListDeadLetters", "lists what it could not process", "GROUP",
     "ConsumerGroup", true, .list = "DeadLetters", .columns = "MsgId StoreTime Topic Keys Tags BodySize Body",
     .paging = RC_CTL_BY_TOKEN},
    {"consumer", "resend", "ResendDeadLetters", "sends dead letters to it again", "GROUP", "ConsumerGroup",
     true,
     .params = {{"message", "MsgIds", "IDS", "these, with commas between them, at most 100", false, false},
                {"all", "All", NULL, "all of them, the oldest first, at most 1,000 a call", false, true},
                {"since", "Since", "MS", "of all: what is there since this time, in ms since 1970", false,
                 false},
                {"from", "NextToken", "TOKEN", "of all: where the call before ended", false, false}}},

    {"client", LIST, "ListOnlineClients", "lists who is online", NO_OPERAND, .fixed = "MaxResults=1000",
     .params = {GROUP_OPTION}, .list = "Clients", .columns = "ClientId Since ClientIp Protocol ChannelId",
     .paging = RC_CTL_BY_TOKEN},
    {"client", "count", "CountOnlineClients", "counts who is online", NO_OPERAND, .params = {GROUP_OPTION}},
    {"client", "show", "DescribeClients", "tells of one", "CLIENT", "ClientId", true, .list = "Clients",
     .columns = "ClientId OnlineStatus Since ClientIp Protocol ChannelId"},
    {"client", "close", "CloseConnection", "closes its connection", "CLIENT", "ClientId", true,
     .paging = RC_CTL_WHOLE},
    {"client", "session", "QuerySessionByClientId", "tells whether it is online", "CLIENT", "ClientId", true,
     .paging = RC_CTL_WHOLE},
    {"client", "sessions", "BatchQuerySessionByClientIds", "tells which of up to 10 are online",
     "CLIENT,CLIENT", "ClientIdList.N", true, .list = "OnlineStatusList", .columns = "ClientId OnlineStatus"},
    {"client", "trace", "QueryMqttTraceDevice", "lists its newest events", "CLIENT", "ClientId", true,
     .fixed = NEWEST_STEPS, .list = "DeviceInfoList", .columns = "Time Action ActionInfo ChannelId"},

    {"client", "messages", "QueryMqttTraceMessageOfClient",
     "lists the newest steps of its messages, where they are traced", "CLIENT", "ClientId", true,
     .fixed = NEWEST_STEPS, .list = "MessageOfClientList", .columns = "Time Action ActionInfo MsgId"},

    {"message", "published", "QueryMqttTraceMessagePublish", "tells of the publication of a traced message",
     "ID", "MsgId", true, .fixed = TRACED, .list = "MessageTraceLists",
     .columns = "Time Action ActionInfo ClientId"},
    {"message", "received", "QueryMqttTraceMessageSubscribe", "lists whom a traced message reached", "ID",
     "MsgId", true, .fixed = NEWEST_STEPS,
     .params = {{"client", "ClientId", "CLIENT", "only this one", false, false}}, .list = "MessageTraceLists",
     .columns = "Time Action ActionInfo ClientId"},
    {"message", "send", "SendMessage", "sends one to MQTT clients", "TOPIC", "MqttTopic", true,
     .params = {{"payload", "Payload", "TEXT", "what it says", false, false}}},
};

const struct rc_ctl_row *rc_ctl_rows(size_t *ret_count)
{
    *ret_count = sizeof(rows) / sizeof(rows[0]);
    return rows;
}

/* SendMessage: a message to MQTT clients. */
#include "api/actions.h"
#include "base/alloc.h"
#include "base/hex.h"
#include "broker/send.h"
#include "mqtt/topic.h"

#include <openssl/rand.h>

enum { MESSAGES_MAX = 10000 /* under way */ };

static void on_done(struct rc_broker_message *message)
{
    struct rc_api_call *call = message->owner;
    char hex[2 * sizeof(message->id)];
    rc_hex_upper(hex, message->id, sizeof(message->id));
    call->api->questions--;
    free(message);
    json_object_set_new(call->answer, "MsgId", json_stringn(hex, sizeof(hex)));
    rc_api_call_finish(call);
}

/* What is wrong with the message; NULL: nothing. */
static const char *fault(const struct rc_instance *instance, struct rc_slice topic, struct rc_slice payload)
{
    struct rc_slice parent;
    size_t at = 0;
    if (!rc_topic_name_is_valid(topic) || topic.len > 2 * instance->limits.topic_len_max)
        return "MqttTopic is no name of a topic.";
    if (topic.ptr[0] == '$')
        return "Topics that begin with $ are the server's own.";
    rc_topic_next_level(topic, &at, &parent);
    if (instance->profile == RC_PROFILE_PRODUCT && !rc_instance_has_topic(instance, parent))
        return "MqttTopic begins with no parent topic of the instance.";
    if (payload.len > instance->limits.payload_max)
        return "Payload is too large.";
    return NULL;
}

void rc_action_send_message(struct rc_api_call *call)
{
    struct rc_slice topic = rc_slice_str(rc_params_get(&call->params, "MqttTopic"));
    struct rc_slice payload = rc_slice_str(rc_params_get(&call->params, "Payload"));
    const char *why = fault(call->instance, topic, payload);
    if (why != NULL) {
        rc_api_call_fail(call, RC_API_CHECK_FAILED, "%s", why);
        return;
    }
    if (call->api->questions >= MESSAGES_MAX) {
        rc_api_call_fail(call, RC_API_OVERLOADED, "%s", "Too many messages are under way.");
        return;
    }
    struct rc_broker_message *message = rc_new(struct rc_broker_message);
    *message = (struct rc_broker_message){.instance = call->instance->id,
                                          .topic = topic,
                                          .payload = payload,
                                          .qos = 1,
                                          .reply_to = call->api->loop,
                                          .on_done = on_done,
                                          .owner = call};
    RAND_bytes(message->id, sizeof(message->id));
    uint32_t shard = rc_broker_shard_of(call->instance->id, topic, call->api->options.shards);
    call->api->questions++;
    rc_broker_send(call->api->options.brokers[shard], message);
}

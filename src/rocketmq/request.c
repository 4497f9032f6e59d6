#include "rocketmq/request.h"

#include "rocketmq/endpoint_private.h"

void rc_request_reply_with(const struct rc_request *request, const struct rc_remoting *response)
{
    if (!(request->command->flag & RC_REMOTING_ONEWAY))
        rc_peer_send(request->peer, response);
}

void rc_request_reply(const struct rc_request *request, int32_t code, const char *remark)
{
    struct rc_remoting response;
    rc_remoting_response(&response, request->command, code);
    if (remark != NULL)
        response.remark = rc_slice_str(remark);
    rc_request_reply_with(request, &response);
}

void rc_request_reply_body(const struct rc_request *request, struct rc_buf *body)
{
    struct rc_remoting response;
    rc_remoting_response(&response, request->command, RC_RES_SUCCESS);
    response.body = rc_buf_slice(body);
    rc_request_reply_with(request, &response);
    rc_buf_free(body);
}

struct rc_queue *rc_request_queue(const struct rc_request *request)
{
    struct rc_slice name = rc_remoting_get(request->command, "topic");
    int64_t id = rc_remoting_get_number(request->command, "queueId", -1);
    struct rc_topic *topic = rc_store_find_topic(request->endpoint->options.store, name);
    if (topic == NULL || rc_topic_perm(topic) == 0)
        rc_request_reply(request, RC_RES_TOPIC_NOT_EXIST, "the topic does not exist");
    else if (id < 0 || id >= (int64_t)rc_topic_queue_count(topic))
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "queueId is out of range for the topic");
    else
        return rc_topic_queue(topic, (uint32_t)id);
    return NULL;
}

void rc_later_take(struct rc_later *later, const struct rc_request *request)
{
    *later = (struct rc_later){request->peer, request->command->opaque, request->command->serialization,
                               request->command->flag & RC_REMOTING_ONEWAY};
    rc_peer_ref(later->peer);
}

void rc_later_response(const struct rc_later *later, struct rc_remoting *response, int32_t code)
{
    rc_remoting_request(response, code, later->opaque);
    response->flag = RC_REMOTING_RESPONSE;
    response->serialization = later->serialization;
}

void rc_later_reply_with(const struct rc_later *later, const struct rc_remoting *response)
{
    if (!later->is_oneway)
        rc_peer_send(later->peer, response);
}

void rc_later_reply(const struct rc_later *later, int32_t code, const char *remark)
{
    struct rc_remoting response;
    rc_later_response(later, &response, code);
    if (remark != NULL)
        response.remark = rc_slice_str(remark);
    rc_later_reply_with(later, &response);
}

void rc_later_done(struct rc_later *later)
{
    rc_peer_unref(later->peer);
    later->peer = NULL;
}

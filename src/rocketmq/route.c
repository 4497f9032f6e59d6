/* The name server's part: where topics are. Always here. */
#include "base/json_write.h"
#include "base/log.h"
#include "rocketmq/endpoint_private.h"

#include <stdio.h>

#define CLUSTER_NAME "DefaultCluster"

/* What clients shall connect to: configured, or where this client came in (right through NAT and port maps).
 */
static const char *own_address(const struct rc_request *request, char out[RC_ADDRESS_TEXT_MAX])
{
    if (request->endpoint->options.advertise != NULL)
        return request->endpoint->options.advertise;
    return rc_address_format(&request->peer->local, out);
}

static void put_broker(struct rc_json *json, const struct rc_request *request)
{
    char address[RC_ADDRESS_TEXT_MAX];
    rc_json_object_begin(json);
    rc_json_key(json, "brokerAddrs");
    rc_json_object_begin(json);
    rc_json_put_str(json, "0", own_address(request, address));
    rc_json_object_end(json);
    rc_json_put_str(json, "brokerName", request->endpoint->options.broker_name);
    rc_json_put_str(json, "cluster", CLUSTER_NAME);
    rc_json_object_end(json);
}

static void put_route(struct rc_json *json, const struct rc_request *request, uint32_t queues, uint32_t perm)
{
    rc_json_object_begin(json);
    rc_json_key(json, "brokerDatas");
    rc_json_array_begin(json);
    put_broker(json, request);
    rc_json_array_end(json);
    rc_json_key(json, "filterServerTable");
    rc_json_object_begin(json);
    rc_json_object_end(json);
    rc_json_key(json, "queueDatas");
    rc_json_array_begin(json);
    rc_json_object_begin(json);
    rc_json_put_str(json, "brokerName", request->endpoint->options.broker_name);
    rc_json_put_int(json, "perm", perm);
    rc_json_put_int(json, "readQueueNums", queues);
    rc_json_put_int(json, "topicSysFlag", 0);
    rc_json_put_int(json, "writeQueueNums", queues);
    rc_json_object_end(json);
    rc_json_array_end(json);
    rc_json_object_end(json);
}

void rc_route_handle_route(const struct rc_request *request)
{
    struct rc_endpoint *endpoint = request->endpoint;
    struct rc_slice name = rc_remoting_get(request->command, "topic");
    struct rc_topic *topic = rc_store_find_topic(endpoint->options.store, name);
    struct rc_buf body;
    struct rc_json json;
    bool is_template = endpoint->options.auto_create_topics && rc_slice_eq_str(name, RC_AUTO_CREATE_TOPIC);
    if (topic != NULL && rc_topic_perm(topic) == 0)
        topic = NULL; /* deleted */
    if (topic == NULL && !is_template) {
        char remark[256], quoted[160];
        snprintf(remark, sizeof(remark), "No topic route info in name server for the topic: %s",
                 rc_log_quote(quoted, sizeof(quoted), name));
        rc_request_reply(request, RC_RES_TOPIC_NOT_EXIST, remark);
        return;
    }
    rc_buf_init(&body, 64 * 1024);
    rc_json_init(&json, &body);
    if (is_template)
        put_route(&json, request, endpoint->options.default_queues, 7);
    else
        put_route(&json, request, rc_topic_queue_count(topic), rc_topic_perm(topic));
    rc_request_reply_body(request, &body);
}

void rc_route_handle_cluster_info(const struct rc_request *request)
{
    struct rc_buf body;
    struct rc_json json;
    rc_buf_init(&body, 64 * 1024);
    rc_json_init(&json, &body);
    rc_json_object_begin(&json);
    rc_json_key(&json, "brokerAddrTable");
    rc_json_object_begin(&json);
    rc_json_key(&json, request->endpoint->options.broker_name);
    put_broker(&json, request);
    rc_json_object_end(&json);
    rc_json_key(&json, "clusterAddrTable");
    rc_json_object_begin(&json);
    rc_json_key(&json, CLUSTER_NAME);
    rc_json_array_begin(&json);
    rc_json_string(&json, rc_slice_str(request->endpoint->options.broker_name));
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    rc_json_object_end(&json);
    rc_request_reply_body(request, &body);
}

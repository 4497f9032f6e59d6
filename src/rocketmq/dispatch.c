/* Which request code is answered by what: the one table. */
#include "rocketmq/endpoint_private.h"

#include "base/log.h"

#include <stdio.h>

static void handle_check_client_config(const struct rc_request *request)
{
    /* Asked for before subscribing with an expression that is no tag expression: those are not served. */
    rc_request_reply(request, RC_RES_SYSTEM_ERROR, "only tag expressions are supported by this endpoint");
}

struct row {
    int32_t code;
    void (*handle)(const struct rc_request *request);
};

static const struct row rows[] = {
    {RC_REQ_PULL, rc_pull_handle},
    {RC_REQ_LITE_PULL, rc_pull_handle},
    {RC_REQ_UPDATE_OFFSET, rc_offsets_handle_update},
    {RC_REQ_QUERY_OFFSET, rc_offsets_handle_query},
    {RC_REQ_HEARTBEAT, rc_consumer_groups_handle_heartbeat},
    {RC_REQ_UNREGISTER, rc_consumer_groups_handle_unregister},
    {RC_REQ_CONSUMER_LIST, rc_consumer_groups_handle_consumer_list},
    {RC_REQ_ROUTE, rc_route_handle_route},
    {RC_REQ_CLUSTER_INFO, rc_route_handle_cluster_info},
    {RC_REQ_SEND, rc_send_handle},
    {RC_REQ_SEND_V2, rc_send_handle_v2},
    {RC_REQ_SEND_BATCH, rc_send_handle_batch},
    {RC_REQ_SEND_BACK, rc_send_back_handle},
    {RC_REQ_LOCK_BATCH, rc_locks_handle_lock},
    {RC_REQ_UNLOCK_BATCH, rc_locks_handle_unlock},
    {RC_REQ_MAX_OFFSET, rc_offsets_handle_max},
    {RC_REQ_MIN_OFFSET, rc_offsets_handle_min},
    {RC_REQ_SEARCH_OFFSET, rc_offsets_handle_search},
    {RC_REQ_EARLIEST_STORE_TIME, rc_offsets_handle_earliest},
    {RC_REQ_VIEW_MESSAGE, rc_query_handle_view},
    {RC_REQ_QUERY_MESSAGE, rc_query_handle_query},
    {RC_REQ_CHECK_CLIENT_CONFIG, handle_check_client_config},
};

static void refuse(const struct rc_request *request, const char *why)
{
    char address[RC_ADDRESS_TEXT_MAX], key[80];
    RC_COUNTER(request->endpoint, denied);
    rc_log_warn("rocketmq", "request refused: %s code=%d access_key=%s from=%s", why, request->command->code,
                rc_log_quote(key, sizeof(key), rc_remoting_get(request->command, "AccessKey")),
                rc_address_format(&request->peer->address, address));
    rc_request_reply(request, RC_RES_SYSTEM_ERROR, why);
}

static void refuse_unknown(const struct rc_request *request)
{
    char remark[64];
    RC_COUNTER(request->endpoint, unsupported);
    snprintf(remark, sizeof(remark), " request type %d not supported", request->command->code);
    rc_request_reply(request, RC_RES_NOT_SUPPORTED, remark);
}

void rc_endpoint_dispatch(struct rc_peer *peer, const struct rc_remoting *command)
{
    struct rc_request request = {peer->endpoint, peer, command, NULL};
    if (command->flag & RC_REMOTING_RESPONSE)
        return; /* this side's requests are one-way: an answer is nobody's */
    RC_COUNTER(peer->endpoint, requests);
    const char *why = rc_acl_refusal(peer->endpoint, command, &request.key);
    if (why != NULL) {
        refuse(&request, why);
        return;
    }
    rc_peer_set_known(peer);
    why = rc_tenancy_refusal(&request);
    if (why != NULL) {
        refuse(&request, why);
        return;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].code == command->code) {
            rows[i].handle(&request);
            return;
        }
    refuse_unknown(&request);
}

#include "rocketmq/producing.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hex.h"
#include "rocketmq/endpoint_private.h"

#include <sys/random.h>
#include <time.h>

/* One request under way. */
struct send {
    struct rc_list node;    /* of endpoint->sends */
    struct rc_list waiting; /* of endpoint->waiting_sends, while some of it is not staged */
    struct rc_endpoint *endpoint;
    struct rc_later to;
    struct rc_address from;
    struct rc_send_order order;
    uint8_t *copy; /* what order's slices view while it waits */
    size_t cost;   /* bytes that it counts for while it waits */
    size_t at;     /* in a batch: the first message that is not staged */
    uint32_t staged, written;
    bool is_complete; /* nothing more will be staged */
    bool is_failed;   /* was answered already: an error */
    uint64_t first_offset;
    struct rc_buf ids;
};

static void release(struct send *send)
{
    if (send->copy != NULL)
        send->endpoint->waiting_bytes -= send->cost;
    rc_list_remove(&send->node);
    rc_list_remove(&send->waiting);
    rc_later_done(&send->to);
    rc_buf_free(&send->ids);
    free(send->copy);
    free(send);
}

/* ---- the answer ---- */

static void reply_written(struct send *send)
{
    struct rc_remoting response;
    rc_later_response(&send->to, &response, RC_RES_SUCCESS);
    rc_remoting_add(&response, "msgId", rc_buf_slice(&send->ids));
    rc_remoting_add_number(&response, "queueId", rc_queue_id(send->order.queue));
    rc_remoting_add_number(&response, "queueOffset", (int64_t)send->first_offset);
    rc_remoting_add(&response, "MSG_REGION", rc_slice_str("DefaultRegion"));
    rc_remoting_add_bool(&response, "TRACE_ON", false); /* clients would send traces to a topic otherwise */
    rc_later_reply_with(&send->to, &response);
}

static void finish_if_written(struct send *send)
{
    if (!send->is_complete || send->written < send->staged)
        return;
    if (!send->is_failed)
        reply_written(send);
    release(send);
}

static void on_written(void *owner, const struct rc_append *append)
{
    struct send *send = owner;
    char id[RC_MESSAGE_ID_V6_LEN + 1];
    size_t len = rc_message_id_format(id, &send->endpoint->options.store_host, append->ret_physical_offset);
    if (send->written++ == 0)
        send->first_offset = append->ret_queue_offset;
    else
        rc_buf_put_str(&send->ids, ",");
    rc_buf_put(&send->ids, id, len);
    RC_COUNTER(send->endpoint, messages_in);
    finish_if_written(send);
}

static void fail(struct send *send, int err)
{
    if (err == RC_ERR_FULL)
        rc_later_reply(&send->to, RC_RES_SYSTEM_BUSY,
                       "[PCBUSY_CLEAN_QUEUE] the log takes no more now, start flow control for a while");
    else if (err == RC_ERR_NO_SPACE || err == RC_ERR_CLOSED)
        rc_later_reply(&send->to, RC_RES_SERVICE_NOT_AVAILABLE,
                       "service not available now: the log cannot be written, the disk may be full");
    else
        rc_later_reply(&send->to, RC_RES_MESSAGE_ILLEGAL,
                       "the message is illegal: body or properties are too large or malformed");
    send->is_complete = send->is_failed = true;
    finish_if_written(send); /* some of a batch may be on its way: the producer sends all of it again */
}

/* ---- staging ---- */

/* Milliseconds since the local month's start, from which clients reckon when the message was made. */
static uint32_t month_ms(int64_t now_ms)
{
    time_t now = (time_t)(now_ms / 1000);
    struct tm tm;
    localtime_r(&now, &tm);
    struct tm start = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1, .tm_isdst = -1};
    return (uint32_t)(now_ms - (int64_t)mktime(&start) * 1000);
}

int rc_producing_put_unique_key(struct rc_buf *props)
{
    uint8_t bytes[16];
    char hex[32];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        abort();
    rc_store_u32(bytes + 10, month_ms(rc_clock_wall_ms()));
    rc_hex_upper(hex, bytes, sizeof(bytes));
    return rc_props_put(props, RC_PROP_UNIQ_KEY, rc_slice(hex, sizeof(hex)));
}

/* Some clients leave the last separator out. */
static int put_props(struct rc_buf *out, struct rc_slice props)
{
    int err = rc_buf_put_slice(out, props);
    if (err == RC_OK && props.len > 0 && props.ptr[props.len - 1] != 2)
        err = rc_buf_put_u8(out, 2);
    return err;
}

static int build_props(struct rc_buf *out, struct rc_slice own, struct rc_slice batch)
{
    int err = put_props(out, own);
    err = err ? err : put_props(out, batch);
    if (err == RC_OK && rc_props_get(rc_buf_slice(out), RC_PROP_UNIQ_KEY).len == 0)
        err = rc_producing_put_unique_key(out);
    return err == RC_ERR_FULL ? RC_ERR_TOO_LARGE : err; /* FULL would mean: later */
}

static int stage(struct send *send, const struct rc_batch_item *item)
{
    const struct rc_send_order *order = &send->order;
    struct rc_endpoint *endpoint = send->endpoint;
    struct rc_buf props;
    rc_buf_init(&props, RC_MESSAGE_PROPS_MAX);
    int err = build_props(&props, item->properties, order->is_batch ? order->properties : rc_slice(NULL, 0));
    struct rc_message message = {
        .flag = item->flag,
        .sys_flag = order->sys_flag,
        .born_ms = order->born_ms,
        .store_host = endpoint->options.store_host,
        .reconsume_times = order->reconsume_times,
        .body = item->body,
        .props = rc_buf_slice(&props),
    };
    if (rc_address_ipv4(&send->from,
                        message.born_host.addr)) /* others: 0.0.0.0, for clients that know no more */
        message.born_host.port = rc_address_port(&send->from);
    if (err == RC_OK && order->delay_level > 0)
        err = rc_delay_stage(endpoint, order->queue, &message, order->delay_level, on_written, send);
    else if (err == RC_OK)
        err = rc_log_stage(endpoint->sender, order->queue, &message, 0, on_written, send);
    rc_buf_free(&props);
    return err;
}

static int next_item(struct send *send, struct rc_batch_item *ret, size_t *at)
{
    const struct rc_send_order *order = &send->order;
    if (order->is_batch)
        return rc_batch_next(order->body, at, ret);
    *ret = (struct rc_batch_item){order->flag, order->body, order->properties};
    return send->staged == 0;
}

/* Stages what the log takes: 0 when that is all, RC_ERR_FULL when the rest must wait. */
static int stage_rest(struct send *send)
{
    struct rc_batch_item item;
    for (size_t at = send->at; next_item(send, &item, &at) == 1; send->at = at) {
        int err = stage(send, &item);
        if (err != RC_OK)
            return err;
        send->staged++;
    }
    send->is_complete = true;
    return RC_OK;
}

/* ---- waiting ---- */

static struct rc_slice move(uint8_t **to, struct rc_slice from)
{
    struct rc_slice moved = rc_slice(*to, from.len);
    if (from.len > 0)
        memcpy(*to, from.ptr, from.len);
    *to += from.len;
    return moved;
}

static bool may_wait(const struct send *send)
{
    /* what has been begun is carried on in any case: there is never more than one such */
    return send->staged > 0 || send->endpoint->waiting_bytes + send->cost <= RC_ENDPOINT_WAITING_BYTES_MAX;
}

static void put_in_line(struct send *send)
{
    struct rc_send_order *order = &send->order;
    uint8_t *to = send->copy = rc_malloc(order->properties.len + order->body.len + 1);
    order->properties = move(&to, order->properties);
    order->body = move(&to, order->body);
    send->endpoint->waiting_bytes += send->cost;
    rc_list_push_back(&send->endpoint->waiting_sends, &send->waiting);
}

static void stop_waiting(struct send *send)
{
    rc_list_remove(&send->waiting);
    send->endpoint->waiting_bytes -= send->cost;
    free(send->copy);
    send->copy = NULL;
}

void rc_producing_start(const struct rc_request *request, const struct rc_send_order *order)
{
    struct rc_endpoint *endpoint = request->endpoint;
    struct send *send = rc_new(struct send);
    send->endpoint = endpoint;
    send->order = *order;
    send->from = request->peer->address;
    send->cost = sizeof(*send) + order->properties.len + order->body.len;
    rc_later_take(&send->to, request);
    rc_buf_init(&send->ids, RC_ENDPOINT_BATCH_MESSAGES_MAX * (RC_MESSAGE_ID_V6_LEN + 1));
    rc_list_push_back(&endpoint->sends, &send->node);
    if (rc_log_writer_is_blocked(endpoint->options.writer)) {
        fail(send, RC_ERR_NO_SPACE);
        return;
    }
    int err = rc_list_is_empty(&endpoint->waiting_sends) ? stage_rest(send) : RC_ERR_FULL;
    if (err == RC_ERR_FULL && may_wait(send)) {
        put_in_line(send);
    } else if (err != RC_OK) {
        if (err == RC_ERR_FULL)
            RC_COUNTER(endpoint, limits_hit);
        fail(send, err);
    }
}

void rc_producing_on_room(void *arg)
{
    struct rc_endpoint *endpoint = arg;
    while (!rc_list_is_empty(&endpoint->waiting_sends)) {
        struct send *send = rc_container_of(endpoint->waiting_sends.next, struct send, waiting);
        int err = stage_rest(send);
        if (err == RC_ERR_FULL)
            return;
        stop_waiting(send);
        if (err != RC_OK)
            fail(send, err);
    }
}

void rc_producing_free(struct rc_endpoint *endpoint)
{
    while (!rc_list_is_empty(&endpoint->sends))
        release(rc_container_of(endpoint->sends.next, struct send, node));
}

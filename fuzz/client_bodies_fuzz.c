/*
 * The JSON that librollcall reads: presence events, routes, members of a group, offsets to go on from. The
 * first byte says which; a route is followed by members after a zero byte. What comes of it must hold
 * together.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "client/consumer_private.h"
#include "client/reset_body.h"
#include "loop/loop.h"
#include "rollcall/client_status.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right, const char *what)
{
    if (is_right)
        return;
    fprintf(stderr, "must never be: %s\n", what);
    abort();
}

static void read_event(struct rc_slice body)
{
    struct rc_client_status *store = rc_client_status_create(NULL);
    struct rc_client_event event;
    struct rc_client_status_counts counts;
    enum rc_client_status_result result = rc_client_status_add_json(store, body.ptr, body.len, &event);
    if (result != RC_CLIENT_STATUS_INVALID) {
        check(event.client_id[0] != '\0' && event.channel_id[0] != '\0', "an event of nobody");
        bool is_connect = event.type == RC_CLIENT_EVENT_CONNECT;
        check(rc_client_status_is_online(store, event.client_id) == is_connect || !is_connect,
              "a lost connect");
        result = rc_client_status_add_json(store, body.ptr, body.len, NULL);
        check(result == RC_CLIENT_STATUS_DUPLICATE, "the same event twice");
    }
    rc_client_status_count(store, &counts);
    check(counts.online <= 1 && counts.open <= 1, "more clients than events");
    rc_client_status_destroy(store);
}

static void read_route(struct rc_slice route, struct rc_slice members)
{
    struct rc_consumer *consumer = rc_new(struct rc_consumer);
    char me[] = "me", topic[] = "topic", retries[] = "%RETRY%group";
    consumer->options.group = "group";
    consumer->options.tags = "*";
    consumer->client_id = me;
    consumer->topics[0] = topic;
    consumer->topics[1] = retries;
    rc_list_init(&consumer->queues);
    rc_list_init(&consumer->dropped);
    check(rc_loop_create("fuzz", &consumer->loop) == RC_OK, "a loop");
    consumer->link_options =
        (struct rc_link_options){.loop = consumer->loop}; /* it never runs: nobody is dialled */
    rc_consumer_take_route(consumer, 0, route);
    rc_consumer_assign(consumer, members);
    check(consumer->brokers_count <= RC_CONSUMER_BROKERS_MAX, "brokers");
    check(consumer->routes_count[0] <= RC_CONSUMER_QUEUES_MAX, "queues");
    check(rc_consumer_queues(consumer) <= consumer->routes_count[0], "a share larger than the whole");
    rc_consumer_take_route(consumer, 0, members); /* and a route that changes */
    rc_consumer_assign(consumer, rc_slice(NULL, 0));
    rc_consumer_free_queues(consumer);
    for (uint32_t i = 0; i < consumer->brokers_count; i++) {
        rc_link_destroy(consumer->brokers[i].link);
        free(consumer->brokers[i].name);
    }
    free(consumer->routes[0]);
    rc_loop_destroy(consumer->loop);
    free(consumer);
}

static void check_item(const struct rc_reset_item *item, void *arg)
{
    check(item->topic != NULL && item->broker != NULL && item->queue_id <= UINT16_MAX &&
              item->offset <= INT64_MAX,
          "an offset of no queue");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct rc_slice body = rc_slice(data + 1, size - 1);
    const uint8_t *zero = memchr(body.ptr, 0, body.len);
    size_t len = zero ? (size_t)(zero - body.ptr) : body.len;
    if (data[0] == 'o')
        rc_reset_body_read(body, check_item, NULL);
    else if (data[0] % 2 == 0)
        read_event(body);
    else
        read_route(rc_slice(body.ptr, len), zero ? rc_slice_from(body, len + 1) : rc_slice(NULL, 0));
    return 0;
}

/* Connections, frames, routes, signatures: the endpoint as any client meets it first. */
#include "rocketmq/test_endpoint.h"

static int32_t ask_route(struct client *client, const char *topic)
{
    struct rc_remoting request = client_request(client, RC_REQ_ROUTE);
    add(&request, "topic", topic);
    return client_call(client, &request);
}

/* ---- routes ---- */

static void test_a_route_leads_to_where_the_client_came_in(void **state)
{
    struct rig *rig = *state;
    struct client client;
    char want[512];
    client_open(&client, rig);
    assert_int_equal(ask_route(&client, TEST_TOPIC), RC_RES_SUCCESS);
    snprintf(want, sizeof(want),
             "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"127.0.0.1:%u\"},\"brokerName\":\"rollcall\","
             "\"cluster\":\"DefaultCluster\"}],\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":"
             "\"rollcall\",\"perm\":6,\"readQueueNums\":4,\"topicSysFlag\":0,\"writeQueueNums\":4}]}",
             rig->port);
    assert_body(&client, want);
    client_close(&client);
}

static void test_a_route_leads_to_the_configured_address(void **state)
{
    struct rig *rig = rig_make();
    struct client client;
    rig->options.advertise = "mq.example.org:19876";
    rig_start(rig);
    client_open(&client, rig);
    assert_int_equal(ask_route(&client, TEST_TOPIC), RC_RES_SUCCESS);
    assert_true(body_has(&client, "{\"0\":\"mq.example.org:19876\"}"));
    client_close(&client);
    rig_free(rig);
}

static void test_an_unknown_topic_has_no_route(void **state)
{
    struct client client;
    client_open(&client, *state);
    assert_int_equal(ask_route(&client, "nowhere"), RC_RES_TOPIC_NOT_EXIST);
    assert_true(client.answer.remark.len > 0);
    assert_int_equal(ask_route(&client, "TBW102"), RC_RES_TOPIC_NOT_EXIST);
    assert_int_equal(ask_route(&client, ""), RC_RES_TOPIC_NOT_EXIST);
    client_close(&client);
}

static void test_the_template_topic_has_a_route_when_producers_may_make_topics(void **state)
{
    struct rig *rig = rig_make();
    struct client client;
    rig->options.auto_create_topics = true;
    rig_start(rig);
    client_open(&client, rig);
    assert_int_equal(ask_route(&client, "TBW102"), RC_RES_SUCCESS);
    assert_true(body_has(&client, "\"perm\":7"));
    client_close(&client);
    rig_free(rig);
}

static void test_the_cluster_is_this_server(void **state)
{
    struct rig *rig = *state;
    struct client client;
    char want[512];
    client_open(&client, rig);
    struct rc_remoting request = client_request(&client, RC_REQ_CLUSTER_INFO);
    assert_int_equal(client_call(&client, &request), RC_RES_SUCCESS);
    snprintf(want, sizeof(want),
             "{\"brokerAddrTable\":{\"rollcall\":{\"brokerAddrs\":{\"0\":\"127.0.0.1:%u\"},\"brokerName\":"
             "\"rollcall\",\"cluster\":\"DefaultCluster\"}},\"clusterAddrTable\":{\"DefaultCluster\":["
             "\"rollcall\"]}}",
             rig->port);
    assert_body(&client, want);
    client_close(&client);
}

/* ---- requests and answers ---- */

static void test_a_code_that_is_not_served_is_answered_as_by_a_real_broker(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    struct rc_remoting request = client_request(&client, 9999);
    assert_int_equal(client_call(&client, &request), RC_RES_NOT_SUPPORTED);
    assert_true(rc_slice_eq_str(client.answer.remark, " request type 9999 not supported"));
    assert_int_equal(RIG_COUNTER(rig, unsupported), 1);
    client_close(&client);
}

static void test_binary_requests_get_binary_answers(void **state)
{
    struct client client;
    client_open(&client, *state);
    client.serialization = RC_REMOTING_BINARY;
    assert_int_equal(ask_route(&client, TEST_TOPIC), RC_RES_SUCCESS);
    assert_int_equal(client.answer.serialization, RC_REMOTING_BINARY);
    client.serialization = RC_REMOTING_JSON; /* on the same connection */
    assert_int_equal(ask_route(&client, TEST_TOPIC), RC_RES_SUCCESS);
    assert_int_equal(client.answer.serialization, RC_REMOTING_JSON);
    client_close(&client);
}

static void test_one_way_requests_and_stray_answers_are_not_answered(void **state)
{
    struct client client;
    client_open(&client, *state);
    struct rc_remoting request = client_request(&client, RC_REQ_ROUTE);
    request.flag = RC_REMOTING_ONEWAY;
    add(&request, "topic", TEST_TOPIC);
    client_send(&client, &request);
    request = client_request(&client, 9999);
    request.flag = RC_REMOTING_ONEWAY;
    client_send(&client, &request);
    request = client_request(&client, RC_RES_SUCCESS);
    request.flag = RC_REMOTING_RESPONSE;
    client_send(&client, &request);
    request = client_request(&client, RC_REQ_CLUSTER_INFO);
    client_send(&client, &request);
    assert_true(client_receive(&client, TEST_ANSWER_MS));
    assert_int_equal(client.answer.opaque, request.opaque);
    client_close(&client);
}

static void test_frames_may_come_byte_by_byte_or_many_at_once(void **state)
{
    struct client client;
    struct rc_buf out;
    client_open(&client, *state);
    rc_buf_init(&out, RC_REMOTING_FRAME_MAX);
    struct rc_remoting request = client_request(&client, RC_REQ_CLUSTER_INFO);
    rc_remoting_put(&out, &request);
    for (uint32_t i = 0; i < out.end; i++) {
        client_write(&client, out.data + i, 1);
        if (i % 16 == 0)
            test_sleep_ms(1);
    }
    assert_true(client_wait(&client, request.opaque, TEST_ANSWER_MS));
    rc_buf_free(&out);
    for (int i = 0; i < 1000; i++) {
        request = client_request(&client, RC_REQ_CLUSTER_INFO);
        rc_remoting_put(&out, &request);
    }
    client_write(&client, out.data, out.end);
    for (int32_t opaque = request.opaque - 999; opaque <= request.opaque; opaque++) {
        assert_true(client_receive(&client, TEST_ANSWER_MS));
        assert_int_equal(client.answer.opaque, opaque);
    }
    rc_buf_free(&out);
    client_close(&client);
}

static void test_nonsense_closes_the_connection_and_only_that(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } nonsense[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\x16\x03\x01\x02\x00\x01\x00\x01", 8},                  /* TLS */
        {"\x00\x00\x00\x03\x00\x00\x00\x00", 8},                  /* too short */
        {"\x00\x00\x00\x08\x00\x00\x00\x05....", 12},             /* header longer than the frame */
        {"\x00\x00\x00\x08\x00\x00\x00\x04\x7b\x7b\x7b\x7b", 12}, /* {{{{ */
        {"\x00\x00\x00\x08\x01\x00\x00\x04\x00\x00\x00\x00", 12}, /* a torn binary header */
        {"\x7f\xff\xff\xff\x00\x00\x00\x00", 8},
    };
    struct rig *rig = *state;
    struct client good, bad;
    client_open(&good, rig);
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        client_open(&bad, rig);
        client_write(&bad, nonsense[i].bytes, nonsense[i].len);
        assert_true(client_is_closed(&bad));
        client_close(&bad);
    }
    assert_int_equal(RIG_COUNTER(rig, protocol_errors), sizeof(nonsense) / sizeof(nonsense[0]));
    assert_int_equal(ask_route(&good, TEST_TOPIC), RC_RES_SUCCESS);
    assert_int_equal(RIG_COUNTER(rig, peers), 1);
    client_close(&good);
}

/* ---- limits ---- */

static void test_a_client_that_does_not_read_is_not_read_from(void **state)
{
    enum { REQUESTS = 400 };
    struct rig *rig = *state;
    struct client client;
    char body[100 * 1024];
    memset(body, 'x', sizeof(body));
    body[sizeof(body) - 1] = '\0';
    client_open(&client, rig);
    put_message(&client, (struct test_send){.body = "small"});
    struct rc_remoting request = send_request(&client, (struct test_send){.body = body});
    int32_t code = client_call(&client, &request); /* larger than a segment of this store */
    assert_int_equal(code, RC_RES_MESSAGE_ILLEGAL);
    body[50 * 1024] = '\0';
    put_message(&client, (struct test_send){.body = body});
    /* 400 answers of 50 KB: more than the sockets hold, and than the endpoint lets wait */
    uint64_t before = RIG_COUNTER(rig, requests);
    int32_t first = client.opaque + 1;
    for (int i = 0; i < REQUESTS; i++) {
        request = pull_request(&client, (struct test_pull){.offset = "1"});
        client_send(&client, &request);
    }
    test_sleep_ms(300);
    uint64_t handled = RIG_COUNTER(rig, requests) - before;
    assert_true(handled < REQUESTS);
    for (int32_t opaque = first; opaque < first + REQUESTS; opaque++) {
        if (!client_receive(&client, TEST_ANSWER_MS))
            fail_msg("answer %d of %d did not come", opaque - first, REQUESTS);
        assert_int_equal(client.answer.opaque, opaque);
        assert_true(client.answer.body.len > 50 * 1024);
    }
    assert_int_equal(RIG_COUNTER(rig, slow_peers), 0);
    client_close(&client);
}

static void test_silent_clients_are_closed(void **state)
{
    struct rig *rig = rig_make();
    struct client silent, busy;
    rig->options.times =
        (struct rc_endpoint_times){.idle = 400, .stranger = 60000, .lock = 60000, .sweep = 20};
    rig_start(rig);
    client_open(&silent, rig);
    client_open(&busy, rig);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ask_route(&busy, TEST_TOPIC), RC_RES_SUCCESS);
        test_sleep_ms(60);
    }
    assert_int_equal(RIG_COUNTER(rig, idle_peers), 1);
    assert_true(client_is_closed(&silent));
    client_close(&silent);
    client_close(&busy);
    rig_free(rig);
}

static void test_strangers_cannot_stay(void **state)
{
    struct rig *rig = rig_make();
    struct client stranger, known;
    rig->options.times =
        (struct rc_endpoint_times){.idle = 60000, .stranger = 200, .lock = 60000, .sweep = 20};
    rig->options.acl = true;
    rig_start(rig);
    client_open(&stranger, rig);
    client_open(&known, rig);
    known.is_signing = true;
    assert_int_equal(ask_route(&known, TEST_TOPIC), RC_RES_SUCCESS);
    assert_int_equal(ask_route(&stranger, TEST_TOPIC), RC_RES_SYSTEM_ERROR);
    assert_true(client_is_closed(&stranger));
    test_sleep_ms(100);
    assert_int_equal(ask_route(&known, TEST_TOPIC), RC_RES_SUCCESS);
    assert_int_equal(RIG_COUNTER(rig, strangers), 1);
    client_close(&stranger);
    client_close(&known);
    rig_free(rig);
}

static void test_strangers_bytes_are_bounded_over_all_of_them(void **state)
{
    enum { STRANGERS = 5, BYTES = 15 * 1024 * 1024 };
    struct rig *rig = rig_make();
    struct client strangers[STRANGERS], known;
    rig->options.acl = true;
    rig_start(rig);
    client_open(&known, rig);
    known.is_signing = true;
    assert_int_equal(ask_route(&known, TEST_TOPIC), RC_RES_SUCCESS);
    char *bytes = rc_calloc(1, BYTES);
    rc_store_u32(bytes, RC_REMOTING_FRAME_MAX);
    for (int i = 0; i < STRANGERS; i++) {
        client_open(&strangers[i], rig);
        for (size_t at = 0; at < BYTES;) {
            ssize_t sent = send(strangers[i].fd, bytes + at, BYTES - at, MSG_NOSIGNAL);
            if (sent < 0)
                break;
            at += (size_t)sent;
        }
    }
    WAIT_UNTIL(RIG_COUNTER(rig, limits_hit) == 1);
    assert_true(client_is_closed(&strangers[STRANGERS - 1]));
    assert_int_equal(ask_route(&known, TEST_TOPIC), RC_RES_SUCCESS);
    for (int i = 0; i < STRANGERS; i++)
        client_close(&strangers[i]);
    client_close(&known);
    free(bytes);
    rig_free(rig);
}

/* ---- signatures ---- */

static void test_a_request_needs_a_right_signature(void **state)
{
    struct rig *rig = rig_make();
    struct client client;
    rig->options.acl = true;
    rig_start(rig);
    client_open(&client, rig);
    assert_int_equal(ask_route(&client, TEST_TOPIC), RC_RES_SYSTEM_ERROR);
    assert_true(rc_slice_starts_with(client.answer.remark,
                                     rc_slice_str("org.apache.rocketmq.acl.common.AclException: ")));
    struct rc_remoting request = client_request(&client, RC_REQ_ROUTE);
    add(&request, "topic", TEST_TOPIC);
    add(&request, "AccessKey", ""); /* as the client in C++ sends it without credentials */
    add(&request, "Signature", "");
    assert_int_equal(client_call(&client, &request), RC_RES_SYSTEM_ERROR);
    request = client_request(&client, RC_REQ_ROUTE);
    add(&request, "topic", TEST_TOPIC);
    add(&request, "AccessKey", "AccessKey2");
    add(&request, "Signature", "OjEfRtI0A//BTn89+hTCjd6PcqI=");
    assert_int_equal(client_call(&client, &request), RC_RES_SYSTEM_ERROR);
    request = client_request(&client, RC_REQ_ROUTE);
    add(&request, "topic", TEST_TOPIC);
    add(&request, "AccessKey", TEST_KEY);
    assert_int_equal(client_call(&client, &request), RC_RES_SYSTEM_ERROR);
    assert_int_equal(RIG_COUNTER(rig, denied), 4);
    client.is_signing = true;
    assert_int_equal(ask_route(&client, TEST_TOPIC), RC_RES_SUCCESS);
    assert_int_equal(RIG_COUNTER(rig, denied), 4);
    client_close(&client);
    rig_free(rig);
}

static void test_the_byte_that_ons_signs_more_is_accepted_for_routes_only(void **state)
{
    struct rig *rig = rig_make();
    struct client client;
    rig->options.acl = true;
    rig_start(rig);
    client_open(&client, rig);
    for (int i = 0; i < 2; i++) {
        char signature[32];
        struct rc_remoting request = client_request(&client, i == 0 ? RC_REQ_ROUTE : RC_REQ_CLUSTER_INFO);
        add(&request, "topic", TEST_TOPIC);
        add(&request, "OnsChannel", "ALIYUN");
        add(&request, "AccessKey", TEST_KEY);
        rc_remoting_sign(&request, rc_slice_str(TEST_SECRET), true, NULL, signature);
        add(&request, "Signature", signature);
        assert_int_equal(client_call(&client, &request), i == 0 ? RC_RES_SUCCESS : RC_RES_SYSTEM_ERROR);
    }
    client_close(&client);
    rig_free(rig);
}

static void test_a_new_catalog_counts_at_once(void **state)
{
    struct rig *rig = rig_make();
    struct client client;
    rig->options.acl = true;
    rig_start(rig);
    client_open(&client, rig);
    client.is_signing = true;
    assert_int_equal(ask_route(&client, TEST_TOPIC), RC_RES_SUCCESS);
    struct rc_catalog *other = rig_catalog("another-key");
    rc_endpoint_post_catalog(rig->endpoint, other);
    rc_catalog_unref(other);
    WAIT_UNTIL(ask_route(&client, TEST_TOPIC) == RC_RES_SYSTEM_ERROR);
    rc_endpoint_post_catalog(rig->endpoint, rig->catalog);
    WAIT_UNTIL(ask_route(&client, TEST_TOPIC) == RC_RES_SUCCESS);
    client_close(&client);
    rig_free(rig);
}

/* ---- start and stop ---- */

static void test_a_stop_closes_connections_and_frees_the_port(void **state)
{
    struct rig *rig = rig_make();
    struct client one, two;
    rig_start(rig);
    client_open(&one, rig);
    client_open(&two, rig);
    assert_int_equal(ask_route(&one, TEST_TOPIC), RC_RES_SUCCESS);
    struct rc_remoting request = pull_request(&two, (struct test_pull){.sys_flag = "6"});
    client_send(&two, &request); /* held */
    WAIT_UNTIL(RIG_COUNTER(rig, pulls_held) == 1);
    uint16_t port = rig->port;
    rig_stop(rig);
    assert_true(client_is_closed(&one));
    assert_true(client_is_closed(&two));
    struct rc_error error;
    struct rc_address address;
    char text[32];
    int fd;
    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    assert_int_equal(rc_address_parse(text, &address, &error), RC_OK);
    assert_int_equal(rc_listen_open(&address, &fd, 1, &error), RC_OK);
    close(fd);
    client_close(&one);
    client_close(&two);
    rig_start(rig);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_a_route_leads_to_where_the_client_came_in),
        cmocka_unit_test(test_a_route_leads_to_the_configured_address),
        RIG_TEST(test_an_unknown_topic_has_no_route),
        cmocka_unit_test(test_the_template_topic_has_a_route_when_producers_may_make_topics),
        RIG_TEST(test_the_cluster_is_this_server),
        RIG_TEST(test_a_code_that_is_not_served_is_answered_as_by_a_real_broker),
        RIG_TEST(test_binary_requests_get_binary_answers),
        RIG_TEST(test_one_way_requests_and_stray_answers_are_not_answered),
        RIG_TEST(test_frames_may_come_byte_by_byte_or_many_at_once),
        RIG_TEST(test_nonsense_closes_the_connection_and_only_that),
        RIG_TEST(test_a_client_that_does_not_read_is_not_read_from),
        cmocka_unit_test(test_silent_clients_are_closed),
        cmocka_unit_test(test_strangers_cannot_stay),
        cmocka_unit_test(test_strangers_bytes_are_bounded_over_all_of_them),
        cmocka_unit_test(test_a_request_needs_a_right_signature),
        cmocka_unit_test(test_the_byte_that_ons_signs_more_is_accepted_for_routes_only),
        cmocka_unit_test(test_a_new_catalog_counts_at_once),
        cmocka_unit_test(test_a_stop_closes_connections_and_frees_the_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

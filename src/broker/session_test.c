/* How long a session lives, who comes back to it, and what a client without an id gets. */
#include "broker/test_server.h"

struct visit {
    struct rc_mqtt_connack connack;
    struct rc_buf bytes;
    int fd;
};

static struct visit visit(const struct test_server *server, const struct test_login *login)
{
    struct visit visit = {.fd = test_dial(server)};
    rc_buf_init(&visit.bytes, 4096);
    assert_true(test_log_in_as(visit.fd, login, &visit.bytes, &visit.connack));
    return visit;
}

static void end(struct visit *visit)
{
    close(visit->fd);
    rc_buf_free(&visit->bytes);
}

/* Leaves with these bytes and waits until the server knows. */
static void leave(struct visit *visit, struct rc_slice last)
{
    assert_int_equal(send(visit->fd, last.ptr, last.len, 0), last.len);
    shutdown(visit->fd, SHUT_WR);
    assert_true(test_wait_closed(visit->fd));
    end(visit);
}

static void stop(struct test_server *server)
{
    test_server_stop(server);
    test_server_remove(server);
}

static void test_a_session_lives_as_long_as_was_agreed(void **state)
{
    enum { V311 = RC_MQTT_V311, V31 = RC_MQTT_V31, V5 = RC_MQTT_V5 };
    const struct {
        uint8_t version;
        bool is_clean;
        struct rc_slice props, last;
        uint8_t next_version;
        bool next_is_clean, is_present;
    } cases[] = {
        {V311, true, TEST_BYTES(""), TEST_BYTES("\xe0\0"), V311, false, false},
        {V311, false, TEST_BYTES(""), TEST_BYTES("\xe0\0"), V311, false, true},
        {V311, false, TEST_BYTES(""), TEST_BYTES(""), V311, false, true},
        {V311, false, TEST_BYTES(""), TEST_BYTES("\xe0\0"), V311, true, false},
        {V311, false, TEST_BYTES(""), TEST_BYTES("\xe0\0"), V5, false, true},
        {V311, false, TEST_BYTES(""), TEST_BYTES("\xe0\0"), V31, false, false}, /* 3.1 is not told */
        {V31, false, TEST_BYTES(""), TEST_BYTES("\xe0\0"), V311, false, true},
        {V5, true, TEST_BYTES(""), TEST_BYTES("\xe0\0"), V5, false, false},
        {V5, false, TEST_BYTES(""), TEST_BYTES("\xe0\0"), V5, false, false},
        {V5, false, TEST_BYTES("\x11\0\0\0\0"), TEST_BYTES(""), V5, false, false},
        {V5, true, TEST_BYTES("\x11\0\0\0\x64"), TEST_BYTES("\xe0\0"), V5, false, true},
        {V5, true, TEST_BYTES("\x11\0\0\0\x64"), TEST_BYTES(""), V5, false, true},
        {V5, true, TEST_BYTES("\x11\0\0\0\x64"), TEST_BYTES(""), V5, true, false},
        {V5, true, TEST_BYTES("\x11\0\0\0\x64"), TEST_BYTES(""), V311, false, true},
        {V5, true, TEST_BYTES("\x11\xff\xff\xff\xff"), TEST_BYTES(""), V5, false, true},
        {V5, true, TEST_BYTES("\x11\0\0\0\x64"), TEST_BYTES("\xe0\7\0\5\x11\0\0\0\0"), V5, false, false},
        {V5, true, TEST_BYTES("\x11\0\0\0\1"), TEST_BYTES("\xe0\7\0\5\x11\xff\xff\xff\xff"), V5, false, true},
        /* raised from nothing: an error, and the session ends as was agreed */
        {V5, true, TEST_BYTES(""), TEST_BYTES("\xe0\7\0\5\x11\0\0\0\x64"), V5, false, false},
    };
    struct test_server server = {.shards = 2, .is_standard = true};
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_login login = {.client_id = "GID_test@@@a",
                                   .version = cases[i].version,
                                   .is_persistent = !cases[i].is_clean,
                                   .props = cases[i].props};
        struct visit first = visit(&server, &login);
        assert_int_equal(first.connack.reason, 0);
        leave(&first, cases[i].last);
        login = (struct test_login){.client_id = "GID_test@@@a",
                                    .version = cases[i].next_version,
                                    .is_persistent = !cases[i].next_is_clean};
        struct visit second = visit(&server, &login);
        if (second.connack.session_present != cases[i].is_present)
            fail_msg("case %zu: the session is%s there", i, cases[i].is_present ? " not" : "");
        leave(&second, TEST_BYTES(""));
        login = (struct test_login){.client_id = "GID_test@@@a"}; /* nothing is left for the next case */
        struct visit third = visit(&server, &login);
        leave(&third, TEST_BYTES("\xe0\0"));
    }
    stop(&server);
}

static void test_an_expired_session_is_gone(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    struct test_login login = {.client_id = "GID_test@@@a",
                               .version = RC_MQTT_V5,
                               .is_persistent = true,
                               .props = TEST_BYTES("\x11\0\0\0\1")};
    for (int i = 0; i < 2; i++) {
        struct visit one = visit(&server, &login);
        assert_false(one.connack.session_present);
        leave(&one, TEST_BYTES(""));
        TEST_WAIT(TEST_COUNTER(&server, sessions_expired) == i + 1u);
        assert_int_equal(TEST_COUNTER(&server, sessions), 0);
    }
    stop(&server);
}

static void test_a_session_of_3_x_is_kept_as_long_as_its_instance_says(void **state)
{
    struct test_server server = {.shards = 1, .session_keep_ms = 1000};
    test_server_start(&server);
    struct test_login login = {.client_id = "GID_test@@@a", .is_persistent = true};
    struct visit one = visit(&server, &login);
    leave(&one, TEST_BYTES("\xe0\0"));
    TEST_WAIT(TEST_COUNTER(&server, sessions_expired) == 1);
    struct visit two = visit(&server, &login);
    assert_false(two.connack.session_present);
    end(&two);
    stop(&server);
}

static void test_a_takeover_keeps_the_session_unless_it_is_to_start_clean(void **state)
{
    struct test_server server = {.shards = 2, .is_standard = true};
    struct test_login login = {.client_id = "GID_test@@@a",
                               .version = RC_MQTT_V5,
                               .is_persistent = true,
                               .props = TEST_BYTES("\x11\0\0\0\x64")};
    test_server_start(&server);
    struct visit first = visit(&server, &login), second = visit(&server, &login);
    assert_true(second.connack.session_present);
    login.is_persistent = false;
    struct visit third = visit(&server, &login);
    assert_false(third.connack.session_present);
    login.props = TEST_BYTES("");
    login.is_persistent = true;
    struct visit fourth = visit(&server, &login); /* ends with its connection */
    assert_true(fourth.connack.session_present);
    struct visit fifth = visit(&server, &login);
    assert_false(fifth.connack.session_present);
    end(&first);
    end(&second);
    end(&third);
    end(&fourth);
    end(&fifth);
    stop(&server);
}

static void test_a_client_without_an_id_gets_one_where_that_is_allowed(void **state)
{
    static const struct {
        uint8_t version;
        bool is_persistent;
        int code;
    } cases[] = {
        {RC_MQTT_V31, false, 2}, {RC_MQTT_V31, true, 2}, {RC_MQTT_V311, false, 0},
        {RC_MQTT_V311, true, 2}, {RC_MQTT_V5, false, 0}, {RC_MQTT_V5, true, 0},
    };
    struct test_server server = {.shards = 2, .is_standard = true};
    char last[64] = "";
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_login login = {.client_id = "",
                                   .version = cases[i].version,
                                   .is_persistent = cases[i].is_persistent,
                                   .is_anonymous = true};
        struct visit one = visit(&server, &login);
        if (one.connack.reason != cases[i].code)
            fail_msg("case %zu has code %d", i, one.connack.reason);
        bool is_told = rc_mqtt_props_has(&one.connack.props, RC_MQTT_PROP_ASSIGNED_CLIENT_ID);
        assert_int_equal(is_told, cases[i].version == RC_MQTT_V5);
        if (is_told) {
            struct rc_slice id = one.connack.props.strings[RC_MQTT_PROP_ASSIGNED_CLIENT_ID];
            assert_int_equal(id.len, 3 + 32);
            assert_false(rc_slice_eq_str(id, last));
            memcpy(last, id.ptr, id.len);
        }
        end(&one);
    }
    stop(&server);
}

/* The id that was assigned is the client's: it can be used to come back. */
static void test_an_assigned_id_is_a_client_id_like_any_other(void **state)
{
    struct test_server server = {.shards = 2, .is_standard = true};
    struct test_login login = {
        .client_id = "", .version = RC_MQTT_V5, .is_anonymous = true, .props = TEST_BYTES("\x11\0\0\0\x64")};
    char id[64] = "";
    test_server_start(&server);
    struct visit first = visit(&server, &login);
    struct rc_slice assigned = first.connack.props.strings[RC_MQTT_PROP_ASSIGNED_CLIENT_ID];
    memcpy(id, assigned.ptr, assigned.len);
    leave(&first, TEST_BYTES("\xe0\0"));
    login.client_id = id;
    login.is_persistent = true;
    struct visit second = visit(&server, &login);
    assert_int_equal(second.connack.reason, 0);
    assert_true(second.connack.session_present);
    assert_false(rc_mqtt_props_has(&second.connack.props, RC_MQTT_PROP_ASSIGNED_CLIENT_ID));
    end(&second);
    stop(&server);
}

static void test_client_ids_may_be_long_and_strange_where_the_profile_says_so(void **state)
{
    struct test_server server = {.shards = 2, .is_standard = true};
    char longest[1024 + 2] = "";
    memset(longest, 'x', 1024);
    const struct {
        const char *id;
        int code;
    } cases[] = {
        {longest, 0},
        {"\xe2\x82\xac/#+ $", 0},
        {"a\x01"
         "b",
         0x85},
        {"a\x7f", 0x85},
    };
    test_server_start(&server);
    for (size_t i = 0; i <= sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_last = i == sizeof(cases) / sizeof(cases[0]);
        if (is_last)
            longest[1024] = 'x'; /* one too many */
        struct test_login login = {
            .client_id = is_last ? longest : cases[i].id, .version = RC_MQTT_V5, .is_anonymous = true};
        struct visit one = visit(&server, &login);
        int want = is_last ? 0x85 : cases[i].code;
        if (one.connack.reason != want)
            fail_msg("case %zu has code 0x%x", i, one.connack.reason);
        end(&one);
    }
    stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session_lives_as_long_as_was_agreed),
        cmocka_unit_test(test_an_expired_session_is_gone),
        cmocka_unit_test(test_a_session_of_3_x_is_kept_as_long_as_its_instance_says),
        cmocka_unit_test(test_a_takeover_keeps_the_session_unless_it_is_to_start_clean),
        cmocka_unit_test(test_a_client_without_an_id_gets_one_where_that_is_allowed),
        cmocka_unit_test(test_an_assigned_id_is_a_client_id_like_any_other),
        cmocka_unit_test(test_client_ids_may_be_long_and_strange_where_the_profile_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

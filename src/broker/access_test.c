#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "broker/private.h"

#include <stdio.h>
#include <stdlib.h>

/* A broker that knows a catalog, and a client that has just logged in: all that access asks. */
struct world {
    struct rc_broker *broker;
    struct rc_instance *product, *standard;
    struct rc_conn conn;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct rc_catalog *catalog = rc_catalog_create();
    struct rc_group *group;
    world->broker = calloc(1, sizeof(*world->broker));
    world->broker->catalog = catalog;
    rc_identities_init(&world->broker->identities);
    rc_catalog_add_instance(catalog, rc_slice_str("product"), &world->product);
    rc_catalog_add_key(catalog, world->product, rc_slice_str("AK"), rc_slice_str("SK"));
    rc_catalog_add_key(catalog, world->product, rc_slice_str("ADMIN"), rc_slice_str("SK"));
    rc_catalog_make_key_admin(catalog, rc_slice_str("ADMIN"));
    rc_catalog_add_role_key(catalog, rc_slice_str("product"), rc_slice_str("READER"), rc_slice_str("SK"),
                            RC_KEY_READ_ONLY);
    rc_catalog_add_parent_topic(world->product, rc_slice_str("news"));
    rc_catalog_add_group(world->product, rc_slice_str("GID_x"), &group);
    rc_catalog_add_instance(catalog, rc_slice_str("standard"), &world->standard);
    rc_catalog_set_profile(world->standard, RC_PROFILE_STANDARD);
    world->standard->takes_anonymous = true;
    rc_catalog_add_user(world->standard, rc_slice_str("alice"), rc_slice_str("x"), false);
    rc_catalog_add_user(world->standard, rc_slice_str("root"), rc_slice_str("x"), true);
    world->conn.broker = world->broker;
    *state = world;
    return 0;
}

static void log_out(struct world *world)
{
    rc_identity_close(world->broker, world->conn.identity);
    world->conn.identity = NULL;
    rc_arrival_end(&world->conn);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    log_out(world);
    assert_int_equal(world->broker->identities.count, 0);
    rc_map_free(&world->broker->identities);
    rc_catalog_unref(world->broker->catalog);
    free(world->broker);
    free(world);
    return 0;
}

static void log_in(struct world *world, const struct rc_instance *instance, const char *key, const char *user,
                   const char *client_id)
{
    struct rc_auth_client client = {.instance = instance};
    log_out(world);
    if (key != NULL)
        client.key = rc_catalog_key(world->broker->catalog, rc_slice_str(key));
    if (user != NULL)
        client.user = rc_instance_user(instance, rc_slice_str(user));
    world->conn.identity = rc_identity_open(world->broker, &client);
    world->conn.arrival = rc_calloc(1, sizeof(*world->conn.arrival) + strlen(client_id) + 1);
    memcpy(world->conn.arrival->client_id, client_id, strlen(client_id));
}

static enum rc_access_result publish(struct world *world, const char *topic)
{
    return rc_access_publish(&world->conn, rc_slice_str(topic), 1, false);
}

static enum rc_access_result subscribe(struct world *world, const char *filter)
{
    return rc_access_subscribe(&world->conn, rc_slice_str(filter), 1);
}

static void test_what_was_allowed_is_so_until_the_catalog_changes(void **state)
{
    struct world *world = *state;
    log_in(world, world->product, "AK", NULL, "GID_x@@@d");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(publish(world, "news/a"), RC_ACCESS_ALLOWED);
        assert_int_equal(publish(world, "else/a"), RC_ACCESS_CLOSE);
    }
    rc_catalog_remove_parent_topic(world->product, rc_slice_str("news"));
    rc_catalog_add_parent_topic(world->product, rc_slice_str("else"));
    world->broker->catalog_generation++;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(publish(world, "news/a"), RC_ACCESS_CLOSE);
        assert_int_equal(publish(world, "else/a"), RC_ACCESS_ALLOWED);
    }
    log_in(world, world->standard, NULL, "root", "d"); /* another instance, the same topic */
    assert_int_equal(publish(world, "news/a"), RC_ACCESS_ALLOWED);
}

static void test_what_others_may_a_narrower_key_may_not(void **state)
{
    struct world *world = *state;
    log_in(world, world->product, "AK", NULL, "GID_x@@@d");
    assert_int_equal(publish(world, "news/a"), RC_ACCESS_ALLOWED);
    log_in(world, world->product, "READER", NULL, "GID_x@@@e");
    assert_int_equal(publish(world, "news/a"), RC_ACCESS_CLOSE);
    assert_int_equal(subscribe(world, "news/a"), RC_ACCESS_ALLOWED);
    log_in(world, world->product, "AK", NULL, "GID_x@@@d");
    assert_int_equal(publish(world, "news/a"), RC_ACCESS_ALLOWED);
}

static void test_the_products_clients_keep_to_parent_topics_and_their_own_p2p(void **state)
{
    struct world *world = *state;
    static const char long_id[] = "GID_x@@@0123456789012345678901234567890123456789012345678901234";
    char p2p[128];
    log_in(world, world->product, "AK", NULL, long_id);
    snprintf(p2p, sizeof(p2p), "news/p2p/%s", long_id);
    assert_int_equal(publish(world, "news/a"), RC_ACCESS_ALLOWED);
    assert_int_equal(publish(world, "other/a"), RC_ACCESS_CLOSE);
    assert_int_equal(publish(world, "$SYS/broker/uptime"), RC_ACCESS_CLOSE);
    assert_int_equal(publish(world, "$SYS/enableOrderMsg"), RC_ACCESS_TAKEN);
    assert_int_equal(publish(world, "news/p2p/somebody"), RC_ACCESS_ALLOWED);
    assert_int_equal(publish(world, p2p), RC_ACCESS_ALLOWED); /* longer than 64, as it must be */
    assert_int_equal(subscribe(world, p2p), RC_ACCESS_ALLOWED);
    assert_int_equal(subscribe(world, "news/#"), RC_ACCESS_ALLOWED);
    assert_int_equal(subscribe(world, "news/p2p"), RC_ACCESS_ALLOWED); /* an ordinary topic */
    assert_int_equal(subscribe(world, "news/p2p/somebody"), RC_ACCESS_CLOSE);
    assert_int_equal(subscribe(world, "news/p2p/#"), RC_ACCESS_CLOSE);
    assert_int_equal(subscribe(world, "$share/g/news/p2p/+"), RC_ACCESS_CLOSE);
    assert_int_equal(subscribe(world, "#"), RC_ACCESS_CLOSE);
    assert_int_equal(subscribe(world, "$SYS/#"), RC_ACCESS_CLOSE);
    assert_int_equal(publish(world, "news/0123456789012345678901234567890123456789012345678901234567"),
                     RC_ACCESS_ALLOWED); /* 63 bytes */
    assert_int_equal(publish(world, "news/012345678901234567890123456789012345678901234567890123456789"),
                     RC_ACCESS_CLOSE); /* 65 */
    log_in(world, world->product, "ADMIN", NULL, "GID_x@@@1");
    assert_int_equal(subscribe(world, "$SYS/#"), RC_ACCESS_ALLOWED);
    assert_int_equal(subscribe(world, "$SYSTEM"), RC_ACCESS_CLOSE);
    assert_int_equal(publish(world, "$SYS/x"), RC_ACCESS_CLOSE);
    assert_int_equal(publish(world, "other/a"), RC_ACCESS_CLOSE);
}

static void test_p2p_topics_are_those_of_the_product_alone(void **state)
{
    struct world *world = *state;
    struct rc_slice client_id;
    assert_true(rc_access_p2p_target(world->product, rc_slice_str("news/p2p/GID_x@@@1"), &client_id));
    assert_true(rc_slice_eq_str(client_id, "GID_x@@@1"));
    assert_false(rc_access_p2p_target(world->standard, rc_slice_str("news/p2p/GID_x@@@1"), &client_id));
    assert_false(rc_access_p2p_target(world->product, rc_slice_str("news/p2p"), &client_id));
    assert_false(rc_access_p2p_target(world->product, rc_slice_str("p2p/x"), &client_id));
    assert_false(rc_access_p2p_target(NULL, rc_slice_str("news/p2p/x"), &client_id));
}

static void test_standard_clients_are_denied_and_stay(void **state)
{
    struct world *world = *state;
    struct rc_slice own[1] = {rc_slice_str("%u/#")};
    struct rc_acl_rule rule = {.actions = RC_ACL_READ | RC_ACL_WRITE, .topics = own, .topics_count = 1};
    log_in(world, world->standard, NULL, NULL, "any thing");
    assert_int_equal(publish(world, "any/p2p/x"), RC_ACCESS_ALLOWED);
    assert_int_equal(subscribe(world, "#"), RC_ACCESS_ALLOWED);
    assert_int_equal(subscribe(world, "$share/g/a"), RC_ACCESS_ALLOWED);
    assert_int_equal(publish(world, "$other/x"), RC_ACCESS_ALLOWED);
    assert_int_equal(publish(world, "$SYS/x"), RC_ACCESS_DENIED);
    assert_int_equal(publish(world, "$SYS/enableOrderMsg"), RC_ACCESS_DENIED);
    assert_int_equal(subscribe(world, "$SYS/x"), RC_ACCESS_DENIED);
    assert_int_equal(subscribe(world, "$share/g/$SYS/#"), RC_ACCESS_DENIED);
    rc_catalog_set_acl(world->standard, &rule, 1);
    assert_int_equal(publish(world, "a"), RC_ACCESS_DENIED);
    log_in(world, world->standard, NULL, "alice", "c");
    assert_int_equal(publish(world, "alice/x"), RC_ACCESS_ALLOWED);
    assert_int_equal(subscribe(world, "$share/g/alice/#"), RC_ACCESS_ALLOWED);
    assert_int_equal(subscribe(world, "bob/#"), RC_ACCESS_DENIED);
    log_in(world, world->standard, NULL, "root", "c");
    assert_int_equal(subscribe(world, "bob/#"), RC_ACCESS_ALLOWED);
    assert_int_equal(subscribe(world, "$SYS/#"), RC_ACCESS_ALLOWED);
    assert_int_equal(publish(world, "$SYS/x"), RC_ACCESS_DENIED);
}

static void test_the_instances_limits_hold(void **state)
{
    struct world *world = *state;
    assert_ptr_equal(rc_conn_limits(&world->conn), rc_limits_of(RC_PROFILE_PRODUCT)); /* nobody yet */
    log_in(world, world->standard, NULL, NULL, "c");
    assert_ptr_equal(rc_conn_limits(&world->conn), &world->standard->limits);
    world->standard->limits.topic_len_max = 5;
    world->standard->limits.topic_levels_max = 2;
    assert_int_equal(publish(world, "a/bcd"), RC_ACCESS_ALLOWED);
    assert_int_equal(publish(world, "a/bcde"), RC_ACCESS_DENIED);
    assert_int_equal(subscribe(world, "a/b/c"), RC_ACCESS_DENIED);
}

static struct rc_catalog *another_catalog(const char *key, const char *secret)
{
    struct rc_catalog *catalog = rc_catalog_create();
    struct rc_instance *product;
    rc_catalog_add_instance(catalog, rc_slice_str("product"), &product);
    rc_catalog_add_key(catalog, product, rc_slice_str(key), rc_slice_str(secret));
    return catalog;
}

static void change(struct world *world, struct rc_catalog *catalog)
{
    rc_catalog_unref(world->broker->catalog);
    world->broker->catalog = catalog;
    world->broker->catalog_generation++;
}

static void test_an_identity_follows_the_catalog(void **state)
{
    struct world *world = *state;
    log_in(world, world->product, "AK", NULL, "GID_x@@@1");
    assert_true(rc_identity_is_valid(rc_conn_identity(&world->conn)));
    change(world, another_catalog("AK", "SK"));
    assert_true(rc_identity_is_valid(rc_conn_identity(&world->conn)));
    change(world, another_catalog("AK", "another"));
    assert_false(rc_identity_is_valid(rc_conn_identity(&world->conn)));
    /* Who comes by the new secret is somebody else than who came by the old one. */
    struct rc_auth_client client = {.key = rc_catalog_key(world->broker->catalog, rc_slice_str("AK"))};
    client.instance = rc_catalog_instance(world->broker->catalog, client.key->instance_id);
    struct rc_identity *again = rc_identity_open(world->broker, &client);
    assert_true(rc_identity_is_valid(again));
    assert_false(rc_identity_is_valid(rc_conn_identity(&world->conn)));
    rc_identity_close(world->broker, again);
    change(world, another_catalog("other", "SK"));
    assert_false(rc_identity_is_valid(rc_conn_identity(&world->conn)));
    change(world, rc_catalog_create());
    assert_null(rc_conn_identity(&world->conn)->instance);
    assert_int_equal(publish(world, "news/a"), RC_ACCESS_CLOSE);
}

/* It was checked on a shard that did not have the new catalog yet. */
static void test_who_comes_late_with_the_old_secret_takes_nothing_from_the_others(void **state)
{
    struct world *world = *state;
    struct rc_catalog *old = another_catalog("AK", "old");
    change(world, another_catalog("AK", "new"));
    const struct rc_instance *after = rc_catalog_instance(world->broker->catalog, rc_slice_str("product"));
    log_in(world, after, "AK", NULL, "GID_x@@@1");
    assert_true(rc_identity_is_valid(rc_conn_identity(&world->conn)));
    const struct rc_instance *before = rc_catalog_instance(old, rc_slice_str("product"));
    struct rc_auth_client late = {.instance = before,
                                  .key = rc_catalog_instance_key(old, before, rc_slice_str("AK"))};
    struct rc_identity *identity = rc_identity_open(world->broker, &late);
    assert_false(rc_identity_is_valid(identity));
    assert_true(rc_identity_is_valid(rc_conn_identity(&world->conn)));
    rc_identity_close(world->broker, identity);
    rc_catalog_unref(old);
}

static void test_who_has_lost_his_key_may_not_publish_what_is_remembered(void **state)
{
    struct world *world = *state;
    log_in(world, world->product, "AK", NULL, "GID_x@@@d");
    assert_int_equal(publish(world, "news/a"), RC_ACCESS_ALLOWED);
    change(world, another_catalog("OTHER", "SK"));
    assert_int_equal(publish(world, "news/a"), RC_ACCESS_CLOSE);
    assert_int_equal(subscribe(world, "news/a"), RC_ACCESS_CLOSE);
}

static void test_clients_of_one_key_share_an_identity(void **state)
{
    struct world *world = *state;
    log_in(world, world->product, "AK", NULL, "GID_x@@@1");
    struct rc_auth_client client = {.instance = world->product, .key = world->conn.identity->key};
    struct rc_identity *same = rc_identity_open(world->broker, &client);
    assert_ptr_equal(same, world->conn.identity);
    rc_identity_close(world->broker, same);
    client.key = rc_catalog_key(world->broker->catalog, rc_slice_str("ADMIN"));
    struct rc_identity *other = rc_identity_open(world->broker, &client);
    assert_ptr_not_equal(other, world->conn.identity);
    rc_identity_close(world->broker, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_allowed_is_so_until_the_catalog_changes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_others_may_a_narrower_key_may_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_products_clients_keep_to_parent_topics_and_their_own_p2p,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_p2p_topics_are_those_of_the_product_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_standard_clients_are_denied_and_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_instances_limits_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_identity_follows_the_catalog, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_comes_late_with_the_old_secret_takes_nothing_from_the_others,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_has_lost_his_key_may_not_publish_what_is_remembered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_clients_of_one_key_share_an_identity, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A registry of a size: what filling, starting and looking up cost, how much memory it takes, and how long a
 * change takes to reach shards that are busy. Small here; ./dev scale asks for the full size.
 */
#include "broker/test_server.h"

#include "base/clock.h"
#include "registry/registry.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 500, CHANGES = 200, PUBLISHERS = 2, LOOK_UPS = 200000, REACH_MS = 100 };

#define S(text) rc_slice_str(text)

struct world {
    struct test_server server;
    char path[128];
    uint32_t groups, credentials;
    struct rc_registry *registry;
    pthread_t publishers[PUBLISHERS];
    int fds[PUBLISHERS];
    atomic_bool is_over;
    atomic_uint_fast64_t published;
};

static uint32_t number_of(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static double resident_mib(void)
{
    struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd) / (1 << 20);
}

static double seconds_since(uint64_t begun_ns)
{
    return (double)(rc_clock_mono_ns() - begun_ns) / 1e9;
}

/* ---- publishing to the shards ---- */

static void publish(void *arg, struct rc_catalog *next, const struct rc_catalog_change *change)
{
    struct world *world = arg;
    for (uint32_t i = 0; i < world->server.shards; i++)
        rc_broker_post_change(world->server.brokers[i], next, change);
    for (uint32_t i = 0; i < world->server.shards; i++)
        rc_loop_sync(world->server.loops[i]);
}

static void open_it(struct world *world)
{
    struct rc_error error = {0};
    struct rc_registry_options options = {.path = world->path, .publish = publish, .arg = world};
    if (rc_registry_open(&options, &world->registry, &error) != RC_OK)
        fail_msg("%s", error.text);
    assert_int_equal(rc_registry_declare(world->registry, world->server.catalog, NULL, &error), 0);
    assert_int_equal(rc_registry_start(world->registry, &error), 0);
}

static void close_it(struct world *world)
{
    rc_registry_stop(world->registry);
    rc_registry_close(world->registry);
}

/* ---- filling it ---- */

struct filling {
    struct rc_registry_job job;
    struct world *world;
    uint32_t from, to;
    bool is_groups;
};

static void ignore(const struct rc_registry_credential *row, void *arg)
{
}

static void name_client(const struct world *world, uint32_t i, char out[64])
{
    snprintf(out, 64, "GID_g%06u@@@device%07u", i % world->groups, i);
}

static int fill_some(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct filling *filling = rc_container_of(job, struct filling, job);
    char name[64];
    int err = RC_OK;
    for (uint32_t i = filling->from; err == RC_OK && i < filling->to; i++) {
        if (filling->is_groups) {
            snprintf(name, sizeof(name), "GID_g%06u", i);
            err = rc_registry_create_group(registry, S("inst"), S(name), &job->error);
        } else {
            name_client(filling->world, i, name);
            err = rc_registry_register_credential(registry, S("inst"), S(name), ignore, NULL, &job->error);
        }
    }
    return err;
}

static void fill(struct world *world, bool is_groups, uint32_t count)
{
    uint64_t begun = rc_clock_mono_ns();
    for (uint32_t i = 0; i < count; i += BATCH) {
        struct filling filling = {
            .job.run = fill_some, .world = world, .from = i, .to = i + BATCH, .is_groups = is_groups};
        filling.to = filling.to > count ? count : filling.to;
        if (rc_registry_call(world->registry, &filling.job) != RC_OK)
            fail_msg("%s", filling.job.error.text);
    }
    print_message("%u %s made in jobs of %d: %.1f s\n", count, is_groups ? "groups" : "credentials", BATCH,
                  seconds_since(begun));
}

/* ---- looking up ---- */

struct looking {
    struct rc_registry_job job;
    struct world *world;
};

static int look_up(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct world *world = rc_container_of(job, struct looking, job)->world;
    const struct rc_instance *instance = rc_catalog_instance(rc_registry_catalog(registry), S("inst"));
    uint32_t found = 0;
    uint64_t spent = 0;
    char names[64][64];
    for (uint32_t i = 0; i < LOOK_UPS; i += 64) {
        for (uint32_t k = 0; k < 64; k++)
            name_client(world, (uint32_t)((uint64_t)(i + k) * 2654435761u % world->credentials), names[k]);
        uint64_t begun = rc_clock_mono_ns();
        for (uint32_t k = 0; k < 64; k++)
            found += rc_instance_credential(instance, S(names[k])) != NULL;
        spent += rc_clock_mono_ns() - begun;
    }
    print_message("a look-up among %u credentials: %.0f ns\n", instance->credentials.count,
                  (double)spent / LOOK_UPS);
    return found == LOOK_UPS ? RC_OK : RC_ERR_NOT_FOUND;
}

/* ---- shards that are busy, and changes ---- */

static void *publish_all_the_time(void *arg)
{
    struct world *world = arg;
    struct rc_buf out;
    struct timespec pause = {.tv_nsec = 1000000};
    uint64_t mine = atomic_fetch_add(&world->published, 1);
    rc_buf_init(&out, 1 << 16);
    for (int i = 0; i < 32; i++)
        test_put_publish(&out, "top/x", "some text for those who listen", 0);
    struct rc_slice bytes = rc_buf_slice(&out);
    while (!atomic_load(&world->is_over)) {
        if (send(world->fds[mine % PUBLISHERS], bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            atomic_fetch_add(&world->published, 32);
        nanosleep(&pause, NULL);
    }
    rc_buf_free(&out);
    return NULL;
}

static int change_one(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct filling *filling = rc_container_of(job, struct filling, job);
    char name[64];
    name_client(filling->world, filling->from, name);
    return rc_registry_register_credential(registry, S("inst"), S(name), ignore, NULL, &job->error);
}

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void measure_changes(struct world *world)
{
    double took[CHANGES];
    /* One before the count: with it the shards drop the catalog of the registry that was closed, which no
     * server has. */
    for (int i = -1; i < CHANGES; i++) {
        struct filling filling = {.job.run = change_one, .world = world, .from = (uint32_t)(i + 1) * 7919};
        filling.from %= world->credentials;
        uint64_t begun = rc_clock_mono_ns();
        assert_int_equal(rc_registry_call(world->registry, &filling.job), 0);
        if (i >= 0)
            took[i] = seconds_since(begun) * 1000;
    }
    qsort(took, CHANGES, sizeof(took[0]), by_size);
    print_message("a change durable and at both shards (%llu messages meanwhile): median %.1f ms, 99 %% %.1f "
                  "ms, longest %.1f ms\n",
                  (unsigned long long)atomic_load(&world->published), took[CHANGES / 2],
                  took[CHANGES * 99 / 100], took[CHANGES - 1]);
    assert_true(took[CHANGES / 2] < REACH_MS);
}

static void make_busy(struct world *world)
{
    char id[64];
    for (int i = 0; i < PUBLISHERS; i++) {
        snprintf(id, sizeof(id), "GID_test@@@p%d", i);
        world->fds[i] = test_client(&world->server, id);
    }
    for (int i = 0; i < PUBLISHERS; i++)
        assert_int_equal(pthread_create(&world->publishers[i], NULL, publish_all_the_time, world), 0);
}

static void calm_down(struct world *world)
{
    atomic_store(&world->is_over, true);
    for (int i = 0; i < PUBLISHERS; i++) {
        pthread_join(world->publishers[i], NULL);
        close(world->fds[i]);
    }
}

static void test_a_change_reaches_busy_shards_in_time_however_much_there_is(void **state)
{
    struct world world = {.groups = number_of("RC_SCALE_GROUPS", 500),
                          .credentials = number_of("RC_SCALE_CREDENTIALS", 3000)};
    world.server.shards = 2;
    test_server_start(&world.server);
    snprintf(world.path, sizeof(world.path), "%s/registry.db", world.server.dir);
    open_it(&world);
    fill(&world, true, world.groups);
    fill(&world, false, world.credentials);
    close_it(&world);
    double before = resident_mib();
    uint64_t begun = rc_clock_mono_ns();
    open_it(&world);
    print_message("started with %u groups and %u credentials: %.2f s, %.0f MiB\n", world.groups,
                  world.credentials, seconds_since(begun), resident_mib() - before);
    struct looking looking = {.job.run = look_up, .world = &world};
    assert_int_equal(rc_registry_call(world.registry, &looking.job), 0);
    make_busy(&world);
    measure_changes(&world);
    calm_down(&world);
    close_it(&world);
    test_server_stop(&world.server);
    test_server_remove(&world.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change_reaches_busy_shards_in_time_however_much_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* For tests: a registry in a directory of its own. */
#ifndef RC_REGISTRY_TEST_REGISTRY_H
#define RC_REGISTRY_TEST_REGISTRY_H

#include "base/alloc.h"
#include "registry/private.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define S(text) rc_slice_str(text)

struct rig {
    char dir[64], path[128], key[128];
    struct rc_registry *registry;
    struct rc_registry_options options;
    struct rc_catalog *declared;
    struct rc_catalog_change change; /* the last that was published */
    atomic_int published;
    int prepare_err;
    uint32_t unprepared_times;
    const struct rc_catalog *stays; /* by the last time */
    const char *unprepared;         /* with this rule of instance `file` a catalog cannot be prepared */
    const char *others_topic;       /* which another instance has */
};

static inline int rig_prepare(void *arg, struct rc_catalog *next, struct rc_error *error)
{
    const struct rig *rig = arg;
    const struct rc_instance *instance = rc_catalog_instance(next, S("file"));
    if (rig->unprepared != NULL && instance != NULL && rc_instance_has_rule(instance, S(rig->unprepared)))
        return rc_error_set(error, RC_ERR_FULL, "more rules than the limit");
    return rig->prepare_err;
}

static inline void rig_unprepare(void *arg, struct rc_catalog *stays)
{
    struct rig *rig = arg;
    rig->unprepared_times++;
    rig->stays = stays;
}

static inline int rig_claim_topic(void *arg, const struct rc_catalog *next, struct rc_slice instance,
                                  struct rc_slice topic)
{
    const struct rig *rig = arg;
    return rig->others_topic != NULL && rc_slice_eq_str(topic, rig->others_topic) ? RC_ERR_DENIED : RC_OK;
}

static inline void rig_publish(void *arg, struct rc_catalog *next, const struct rc_catalog_change *change)
{
    struct rig *rig = arg;
    rig->change = *change;
    atomic_fetch_add(&rig->published, 1);
}

/* Declared: instance `file` with group GID_file, topic `filed` and key FAK. */
static inline struct rc_catalog *rig_declared(void)
{
    struct rc_catalog *catalog = rc_catalog_create();
    struct rc_instance *instance;
    struct rc_group *group;
    assert_int_equal(rc_catalog_add_instance(catalog, S("file"), &instance), 0);
    assert_int_equal(rc_catalog_add_group(instance, S("GID_file"), &group), 0);
    assert_int_equal(rc_catalog_add_parent_topic(instance, S("filed")), 0);
    assert_int_equal(rc_catalog_add_key(catalog, instance, S("FAK"), S("FSK")), 0);
    return catalog;
}

static inline int rig_open(struct rig *rig, struct rc_error *error)
{
    int err = rc_registry_open(&rig->options, &rig->registry, error);
    if (err == RC_OK)
        assert_int_equal(rc_registry_declare(rig->registry, rig->declared, NULL, error), 0);
    return err;
}

static inline int rig_set_up(void **state)
{
    struct rig *rig = rc_new(struct rig);
    struct rc_error error = {0};
    memcpy(rig->dir, "/tmp/rc_registry_XXXXXX", 24);
    assert_non_null(mkdtemp(rig->dir));
    snprintf(rig->path, sizeof(rig->path), "%s/registry.db", rig->dir);
    snprintf(rig->key, sizeof(rig->key), "%s/registry.db.key", rig->dir);
    rig->options = (struct rc_registry_options){.path = rig->path,
                                                .prepare = rig_prepare,
                                                .unprepare = rig_unprepare,
                                                .claim_topic = rig_claim_topic,
                                                .publish = rig_publish,
                                                .arg = rig};
    rig->declared = rig_declared();
    assert_int_equal(rig_open(rig, &error), 0);
    *state = rig;
    return 0;
}

static inline void rig_restart(struct rig *rig)
{
    struct rc_error error = {0};
    rc_registry_stop(rig->registry);
    rc_registry_close(rig->registry);
    assert_int_equal(rig_open(rig, &error), 0);
}

static inline int rig_remove(const char *path, const struct stat *info, int type, struct FTW *at)
{
    return remove(path);
}

static inline int rig_tear_down(void **state)
{
    struct rig *rig = *state;
    rc_registry_stop(rig->registry);
    rc_registry_close(rig->registry);
    rc_catalog_unref(rig->declared);
    nftw(rig->dir, rig_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(rig);
    return 0;
}

/* ---- doing something as a job does it, without a thread ---- */

struct doing {
    struct rc_registry_job job;
    int (*body)(struct rc_registry *registry, struct rc_error *error, const void *arg);
    const void *arg;
};

static inline int run_body(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct doing *doing = rc_container_of(job, struct doing, job);
    return doing->body(registry, &job->error, doing->arg);
}

static inline int perform(struct rig *rig, int (*body)(struct rc_registry *, struct rc_error *, const void *),
                          const void *arg)
{
    struct doing doing = {.job.run = run_body, .body = body, .arg = arg};
    return rc_registry_run(rig->registry, &doing.job);
}

static inline void on_done_in_turn(struct rc_registry_job *job)
{
}

/* Runs the jobs as if they had come by one batch of mail. */
static inline void perform_together(struct rig *rig, struct doing *doings, size_t count)
{
    struct rc_registry *registry = rig->registry;
    registry->is_started = true; /* without its thread: this is it */
    for (size_t i = 0; i < count; i++) {
        doings[i].job.run = run_body;
        doings[i].job.on_done = on_done_in_turn;
        doings[i].job.registry = registry;
        atomic_fetch_add(&registry->waiting, 1);
        rc_registry_on_job(&doings[i].job.mail, registry->loop);
    }
    rc_registry_on_turn(&registry->hook);
    registry->is_started = false;
}

static inline const struct rc_instance *instance_of(const struct rig *rig, const char *id)
{
    return rc_catalog_instance(rc_registry_catalog(rig->registry), S(id));
}

#endif

/*
 * Jobs and their commits. All jobs that came by one batch of mail run in one transaction, each in a savepoint
 * of its own, and share one commit, one fsync and one publication; answers leave after that. A job that fails
 * undoes its own part: rows by the savepoint, the catalog by going back to the fork before it. What rules
 * need is prepared at the end of each job that changes them, so that a limit there refuses that job alone.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "registry/private.h"

static int execute(struct rc_registry *registry, const char *text, struct rc_error *error)
{
    int code = sqlite3_exec(registry->sql.db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? RC_OK : rc_sql_error(&registry->sql, code, error);
}

int rc_registry_begin(struct rc_registry *registry, struct rc_error *error)
{
    int err = RC_OK;
    if (registry->has_begun)
        return RC_OK;
    if (registry->options.is_reader)
        return rc_error_set(error, RC_ERR_DENIED, "what only reads changes nothing");
    if (!registry->in_transaction)
        err = execute(registry, "BEGIN IMMEDIATE", error);
    if (err != RC_OK)
        return err;
    registry->in_transaction = true;
    if (registry->next == NULL)
        registry->next = rc_catalog_fork(registry->catalog);
    err = execute(registry, "SAVEPOINT job", error);
    if (err != RC_OK)
        return err;
    registry->undo = registry->next;
    registry->undo_change = registry->change;
    registry->undo_touched_used = registry->touched_used;
    registry->undo_declared = registry->next_declared;
    registry->change.rules_changed = false; /* by the job */
    registry->next = rc_catalog_fork(registry->undo);
    registry->has_begun = true;
    return RC_OK;
}

static int prepare(struct rc_registry *registry, struct rc_error *error)
{
    if (registry->options.prepare == NULL || !registry->change.rules_changed)
        return RC_OK;
    return registry->options.prepare(registry->options.arg, registry->next, error);
}

/* What was prepared is not to be: `stays` is gone by. At the start there is nothing that would go by it. */
static void unprepare(struct rc_registry *registry, struct rc_catalog *stays)
{
    if (registry->options.unprepare != NULL && registry->change.rules_changed && registry->is_started)
        registry->options.unprepare(registry->options.arg, stays);
}

static void keep_declared(struct rc_registry *registry, struct rc_catalog *kept, struct rc_catalog *other)
{
    registry->next_declared = kept;
    registry->undo_declared = NULL;
    if (other != kept)
        rc_catalog_unref(other);
}

static void keep_job(struct rc_registry *registry, struct rc_registry_job *job)
{
    rc_catalog_unref(registry->undo);
    keep_declared(registry, registry->next_declared, registry->undo_declared);
    registry->change.rules_changed |= registry->undo_change.rules_changed;
    job->has_changed = true;
}

static void undo_job(struct rc_registry *registry, bool was_prepared)
{
    execute(registry, "ROLLBACK TO job; RELEASE job", NULL);
    if (was_prepared)
        unprepare(registry, registry->undo);
    rc_catalog_unref(registry->next);
    registry->next = registry->undo;
    keep_declared(registry, registry->undo_declared, registry->next_declared);
    registry->change = registry->undo_change;
    registry->touched_used = registry->undo_touched_used;
}

/* The running job has ended: its changes stay for the commit, or go. */
static int end_job(struct rc_registry *registry, struct rc_registry_job *job, int err)
{
    struct rc_error *error = &job->error;
    bool was_prepared = err >= 0; /* though it failed: then a part of it may be done */
    if (!registry->has_begun)
        return err;
    registry->has_begun = false;
    if (err >= 0) {
        int prepared = prepare(registry, error);
        err = prepared != RC_OK ? prepared : err;
    }
    if (err >= 0) {
        int kept = execute(registry, "RELEASE job", error);
        err = kept != RC_OK ? kept : err;
    }
    if (err >= 0)
        keep_job(registry, job);
    else
        undo_job(registry, was_prepared);
    registry->undo = NULL;
    return err;
}

int rc_registry_check(struct rc_registry *registry, struct rc_error *error)
{
    int err =
        execute(registry, "SAVEPOINT probe; UPDATE meta SET value = value WHERE name = 'key_check'", error);
    bool is_kept = err == RC_OK && registry->has_failed; /* the disk tells at a commit alone */
    if (!is_kept)
        execute(registry, "ROLLBACK TO probe", NULL);
    int released = execute(registry, "RELEASE probe", err == RC_OK ? error : NULL);
    err = err ? err : released;
    if (released != RC_OK && !registry->in_transaction)
        execute(registry, "ROLLBACK", NULL);
    if (err == RC_OK && !registry->in_transaction)
        registry->has_failed = false;
    return err;
}

const struct rc_catalog *rc_registry_catalog(const struct rc_registry *registry)
{
    return registry->next != NULL ? registry->next : registry->catalog;
}

int rc_registry_edit(struct rc_registry *registry, struct rc_slice id, struct rc_instance **ret,
                     struct rc_error *error)
{
    int err = rc_registry_begin(registry, error);
    if (err != RC_OK)
        return err;
    *ret = rc_catalog_edit_instance(registry->next, id);
    return *ret != NULL ? RC_OK : rc_registry_refuse(error, RC_ERR_NOT_FOUND, "instance", id);
}

/* ---- who has to be looked at ---- */

static struct rc_slice keep(struct rc_registry *registry, struct rc_slice text)
{
    uint8_t *at = registry->touched + registry->touched_used;
    memcpy(at, text.ptr, text.len);
    registry->touched_used += (uint32_t)text.len;
    return rc_slice(at, text.len);
}

void rc_registry_touch_client(struct rc_registry *registry, struct rc_slice instance,
                              struct rc_slice client_id)
{
    struct rc_catalog_change *change = &registry->change;
    if (change->clients_count == RC_CATALOG_CHANGE_CLIENTS || client_id.len > RC_CLIENT_ID_MAX ||
        instance.len > RC_CATALOG_ID_MAX) {
        change->all = true;
        return;
    }
    change->clients[change->clients_count].instance = keep(registry, instance);
    change->clients[change->clients_count++].client_id = keep(registry, client_id);
}

/* ---- the end of a turn ---- */

static void forget_changes(struct rc_registry *registry)
{
    registry->change = (struct rc_catalog_change){0};
    registry->touched_used = 0;
    registry->in_transaction = false;
    registry->next = registry->next_declared = NULL;
}

/* Everything that the turn has changed becomes durable, and known: or nothing of it. */
static int commit(struct rc_registry *registry, struct rc_error *error)
{
    if (!registry->in_transaction)
        return RC_OK;
    int err = execute(registry, "COMMIT", error);
    if (err != RC_OK) {
        execute(registry, "ROLLBACK", NULL);
        registry->has_failed = true;
        rc_log_error("registry", "nothing was changed: %s", error->text);
        atomic_fetch_add_explicit(&registry->failures, 1, memory_order_relaxed);
        unprepare(registry, registry->catalog);
        rc_catalog_unref(registry->next);
        rc_catalog_unref(registry->next_declared);
        forget_changes(registry);
        return err;
    }
    registry->has_failed = false;
    struct rc_catalog *before = registry->catalog;
    registry->catalog = registry->next;
    if (registry->next_declared != NULL) {
        rc_catalog_unref(registry->declared);
        registry->declared = registry->next_declared;
    }
    rc_registry_show_reader(registry);
    atomic_fetch_add_explicit(&registry->commits, 1, memory_order_relaxed);
    if (registry->options.publish != NULL && registry->is_started)
        registry->options.publish(registry->options.arg, registry->catalog, &registry->change);
    rc_catalog_unref(before);
    forget_changes(registry);
    return RC_OK;
}

static void on_answer(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_registry_job *job = rc_container_of(mail, struct rc_registry_job, mail);
    job->on_done(job);
}

static void answer(struct rc_registry *registry, struct rc_registry_job *job)
{
    atomic_fetch_sub_explicit(&registry->waiting, 1, memory_order_relaxed);
    if (job->reply_to == NULL) {
        job->on_done(job);
        return;
    }
    job->mail.deliver = on_answer;
    rc_loop_post(job->reply_to, &job->mail);
}

void rc_registry_on_turn(struct rc_hook *hook)
{
    struct rc_registry *registry = rc_container_of(hook, struct rc_registry, hook);
    struct rc_error error = {0};
    if (rc_list_is_empty(&registry->done))
        return;
    int err = commit(registry, &error);
    for (struct rc_list *node; (node = rc_list_pop_front(&registry->done)) != NULL;) {
        struct rc_registry_job *job = rc_container_of(node, struct rc_registry_job, node);
        if (err != RC_OK && job->err >= 0) {
            job->err = err;
            job->error = error;
        } else if (job->err >= 0 && job->has_changed) {
            rc_registry_note_reach(registry, job);
        }
        answer(registry, job);
    }
    rc_registry_keep(registry);
}

/* In a transaction, so that all that the job asks is of one moment. */
static void read_at_once(struct rc_registry *reader, struct rc_registry_job *job)
{
    job->err = execute(reader, "BEGIN", &job->error);
    if (job->err == RC_OK) {
        job->err = job->run(reader, job);
        execute(reader, "COMMIT", NULL);
    }
    answer(reader, job);
}

void rc_registry_on_job(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_registry_job *job = rc_container_of(mail, struct rc_registry_job, mail);
    struct rc_registry *registry = job->registry;
    if (!registry->is_started) { /* it has ended */
        job->err = RC_ERR_CLOSED;
        job->on_done(job);
        return;
    }
    if (registry->options.is_reader) {
        read_at_once(registry, job);
        return;
    }
    job->err = end_job(registry, job, job->run(registry, job));
    rc_list_push_back(&registry->done, &job->node);
}

int rc_registry_run(struct rc_registry *registry, struct rc_registry_job *job)
{
    job->err = end_job(registry, job, job->run(registry, job));
    int err = commit(registry, &job->error);
    if (job->err >= 0 && err != RC_OK)
        job->err = err;
    return job->err;
}

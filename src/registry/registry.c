#include "registry/private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "registry/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening ---- */

static const char key_check[] = "rollcall registry";

/* A sealed text that is known tells whether the key is the one that the rest was sealed with. */
static int check_key(struct rc_registry *registry, const char *key_file, struct rc_error *error)
{
    struct rc_sql *sql = &registry->sql;
    struct rc_slice none = {NULL, 0}, sealed, opened;
    sqlite3_stmt *statement = rc_sql_bind(sql, "SELECT value FROM meta WHERE name = 'key_check'", "");
    int err = rc_sql_row(sql, statement, error);
    if (err == 1) {
        err = rc_registry_unseal(registry, "meta", none, none, rc_sql_bytes(statement, 0), &opened, NULL);
        rc_sql_end(statement);
        if (err == RC_OK)
            return RC_OK;
        return rc_error_set(error, RC_ERR_DENIED,
                            "%s was encrypted with another key than that of %s: put the right key there, it "
                            "cannot be read without it",
                            registry->options.path,
                            registry->options.key_text != NULL ? "the environment" : key_file);
    }
    if (err == RC_OK)
        err = rc_registry_seal(registry, "meta", none, none, rc_slice_str(key_check), &sealed, error);
    if (err == RC_OK)
        err =
            rc_sql_run(sql, rc_sql_bind(sql, "INSERT INTO meta VALUES ('key_check', ?)", "b", sealed), error);
    return err < 0 ? err : RC_OK;
}

static int refuse_database(struct rc_registry *registry, struct rc_error *error)
{
    return rc_error_set(error, RC_ERR_IO, "the registry %s cannot be opened: %s", registry->options.path,
                        sqlite3_errmsg(registry->sql.db));
}

int rc_registry_connect_to_read(struct rc_registry *registry, struct rc_error *error)
{
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(registry->options.path, &registry->sql.db, flags, NULL) != SQLITE_OK)
        return refuse_database(registry, error);
    sqlite3_busy_timeout(registry->sql.db, 2000);
    return RC_OK;
}

/* Beside a server that has it: nothing of it is changed. */
static int open_to_read(struct rc_registry *registry, struct rc_error *error)
{
    const char *path = registry->options.path;
    int err = rc_registry_connect_to_read(registry, error);
    err = err ? err : rc_schema_check(&registry->sql, path, error);
    return err ? err : rc_schema_expect(&registry->sql, path, error);
}

static int open_database(struct rc_registry *registry, struct rc_error *error)
{
    const char *path = registry->options.path;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    /* Made before SQLite would make it, so that nobody else can ever read it. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd != -1)
        close(fd);
    int code = sqlite3_open_v2(path, &registry->sql.db, flags, NULL);
    if (code != SQLITE_OK)
        return refuse_database(registry, error);
    int err = rc_schema_prepare(&registry->sql, error);
    if (err == RC_ERR_CORRUPT || err == RC_OK)
        err = rc_schema_check(&registry->sql, path, error);
    return err ? err : rc_schema_migrate(&registry->sql, path, error);
}

/* One process at a time may change it: catalogs of others would not know. */
static int lock(struct rc_registry *registry, struct rc_error *error)
{
    char file[4096];
    snprintf(file, sizeof(file), "%s.lock", registry->options.path);
    registry->lock_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (registry->lock_fd == -1)
        return rc_error_set(error, rc_err_from_errno(errno), "%s cannot be made: %s", file, strerror(errno));
    if (flock(registry->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return rc_error_set(error, RC_ERR_BUSY,
                            "the registry %s is in use: stop the server that has it first",
                            registry->options.path);
    return RC_OK;
}

static int open_all(struct rc_registry *registry, struct rc_error *error)
{
    char file[4096];
    struct stat info;
    const char *path = registry->options.path, *key_file = registry->options.key_file;
    if (key_file == NULL)
        key_file = file;
    if ((size_t)snprintf(file, sizeof(file), "%s.key", path) >= sizeof(file))
        return rc_error_set(error, RC_ERR_TOO_LARGE, "the registry's path is too long");
    bool is_new = stat(path, &info) != 0 || info.st_size == 0;
    if (registry->options.is_reader && is_new)
        return rc_error_set(error, RC_ERR_NOT_FOUND, "there is no registry at %s", path);
    int locked = registry->options.is_reader ? RC_OK : lock(registry, error);
    if (locked != RC_OK)
        return locked;
    int err = rc_secret_box_create(registry->options.key_text, key_file, is_new, &registry->box, error);
    if (err == RC_OK)
        err = registry->options.is_reader ? open_to_read(registry, error) : open_database(registry, error);
    err = err ? err : check_key(registry, key_file, error);
    if (registry->options.is_reader)
        return err;
    err = err ? err : rc_registry_open_reader(registry, key_file, error);
    return err ? err : rc_registry_open_keeper(registry, error);
}

struct rc_registry *rc_registry_make(const struct rc_registry_options *options, const char *thread,
                                     struct rc_error *error)
{
    struct rc_registry *registry = rc_new(struct rc_registry);
    registry->options = *options;
    rc_list_init(&registry->done);
    registry->lock_fd = -1;
    registry->catalog = rc_catalog_create();
    registry->declared = rc_catalog_create();
    int err = rc_loop_create(thread, &registry->loop);
    if (err == RC_OK)
        return registry;
    rc_error_set(error, err, "the registry's loop: %s", rc_err_text(err));
    rc_registry_close(registry);
    return NULL;
}

int rc_registry_open(const struct rc_registry_options *options, struct rc_registry **ret,
                     struct rc_error *error)
{
    struct rc_registry *registry = rc_registry_make(options, "rc-registry", error);
    if (registry == NULL)
        return RC_ERR_IO;
    registry->hook.run = rc_registry_on_turn;
    rc_loop_add_hook(registry->loop, &registry->hook);
    int err = open_all(registry, error);
    if (err != RC_OK) {
        rc_registry_close(registry);
        return err;
    }
    registry->options.path = registry->options.key_file = registry->options.key_text =
        NULL; /* the caller's */
    *ret = registry;
    return RC_OK;
}

void rc_registry_close(struct rc_registry *registry)
{
    if (registry == NULL)
        return;
    rc_registry_close(registry->reader);
    rc_registry_close_keeper(registry->keeper);
    rc_loop_destroy(registry->loop); /* what came after the stop is answered RC_ERR_CLOSED */
    rc_sql_free(&registry->sql);
    sqlite3_close(registry->sql.db);
    rc_secret_box_free(registry->box);
    if (registry->lock_fd != -1)
        close(registry->lock_fd);
    rc_catalog_unref(registry->next);
    rc_catalog_unref(registry->catalog);
    rc_catalog_unref(registry->declared);
    free(registry);
}

/* ---- the thread ---- */

int rc_registry_start(struct rc_registry *registry, struct rc_error *error)
{
    if (registry->reader != NULL && rc_registry_start(registry->reader, error) != RC_OK)
        return RC_ERR_IO;
    registry->is_started = true;
    int err = rc_registry_start_keeper(registry->keeper);
    err = err ? err : rc_loop_start_thread(registry->loop);
    if (err != RC_OK)
        registry->is_started = false;
    return err ? rc_error_set(error, err, "the registry's thread: %s", rc_err_text(err)) : RC_OK;
}

static void on_stop(struct rc_mail *mail, struct rc_loop *loop)
{
    rc_loop_stop(loop);
}

void rc_registry_stop(struct rc_registry *registry)
{
    if (registry == NULL)
        return;
    struct rc_mail letter = {.deliver = on_stop};
    if (registry->is_started) {
        rc_loop_post(registry->loop, &letter);
        rc_loop_join_thread(registry->loop);
        registry->is_started = false;
    }
    rc_registry_stop_keeper(registry->keeper);
    rc_registry_stop(registry->reader);
}

static int post(struct rc_registry *registry, struct rc_registry_job *job, uint32_t max)
{
    if (atomic_fetch_add_explicit(&registry->waiting, 1, memory_order_relaxed) >= max) {
        atomic_fetch_sub_explicit(&registry->waiting, 1, memory_order_relaxed);
        return RC_ERR_FULL;
    }
    job->registry = registry;
    job->err = RC_OK;
    job->error = (struct rc_error){0};
    job->mail.deliver = rc_registry_on_job;
    job->posted_ns = rc_clock_mono_ns();
    job->has_changed = false;
    rc_loop_post(registry->loop, &job->mail);
    return RC_OK;
}

int rc_registry_post(struct rc_registry *registry, struct rc_registry_job *job)
{
    return post(registry, job, RC_REGISTRY_JOBS_MAX);
}

int rc_registry_post_read(struct rc_registry *registry, struct rc_registry_job *job)
{
    return post(registry->reader, job, RC_REGISTRY_READS_MAX);
}

/* A job whose poster waits. */
struct waiting_job {
    struct rc_registry_job job;
    struct rc_registry_job *inner;
    sem_t is_done;
};

static int run_inner(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct waiting_job *waiting = rc_container_of(job, struct waiting_job, job);
    return waiting->inner->run(registry, waiting->inner);
}

static void on_inner_done(struct rc_registry_job *job)
{
    sem_post(&rc_container_of(job, struct waiting_job, job)->is_done);
}

int rc_registry_call(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct waiting_job waiting = {.job = {.run = run_inner, .on_done = on_inner_done}, .inner = job};
    sem_init(&waiting.is_done, 0, 0);
    job->registry = registry;
    job->error = (struct rc_error){0};
    job->err = rc_registry_post(registry, &waiting.job);
    if (job->err == RC_OK) {
        while (sem_wait(&waiting.is_done) != 0)
            ; /* a signal */
        job->err = waiting.job.err;
        if (job->error.text[0] == '\0')
            job->error = waiting.job.error;
    }
    sem_destroy(&waiting.is_done);
    return job->err;
}

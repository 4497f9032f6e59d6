/*
 * What commits wrote to the write-ahead log is carried over into the database itself by a thread and a
 * connection of its own: to write a thousand pages here and there and to wait for the disk takes as long as
 * it takes, and on the registry's thread every change waited for it. Commits go on meanwhile, so amid a
 * stream of them a rest remains, and the log begins anew only when there is none: once the rest is small, the
 * registry's thread carries it over itself. So the log stays small, and is written in place: a file that
 * grows makes each commit wait for what else the file system has to write.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "registry/private.h"
#include "registry/schema.h"

#include <stdio.h>
#include <sys/stat.h>

enum {
    RC_KEEPER_PAGES = 1000,     /* of the log that are carried over in one go */
    RC_KEEPER_REST = 128,       /* that changes may wait for */
    RC_KEEPER_PAGES_MAX = 8192, /* above it they wait for whatever is left: 32 MiB */
    RC_KEEPER_ROOM = 6 << 20,   /* bytes that the log gets soon after the start */
    RC_KEEPER_ROOM_AFTER_MS = 1000,
};

struct rc_registry_keeper {
    struct rc_loop *loop;
    struct rc_sql sql;
    struct rc_timer room_timer;
    struct rc_mail mail;
    atomic_bool is_under_way; /* the mail */
    atomic_uint kept;         /* pages of the log that were carried over */
    atomic_uint_fast64_t turns;
    uint32_t pages, asked;       /* the registry's thread's: in the log; when this one was asked last */
    atomic_uint_fast64_t in_way; /* times that changes waited for the rest */
    bool has_failed;
};

/* PASSIVE: waits for nobody. Readers of an older moment leave a rest for later. SQLITE_BUSY: the other thread
 * is at it. */
static int carry_over(struct rc_registry_keeper *keeper, sqlite3 *db)
{
    int pages = 0, kept = 0;
    int code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &kept);
    if (code == SQLITE_OK && kept >= 0)
        atomic_store(&keeper->kept, (unsigned)kept);
    return code;
}

static void on_mail(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_registry_keeper *keeper = rc_container_of(mail, struct rc_registry_keeper, mail);
    int code = carry_over(keeper, keeper->sql.db);
    if (code == SQLITE_BUSY)
        code = SQLITE_OK;
    if (code != SQLITE_OK && !keeper->has_failed)
        rc_log_error("registry", "the write-ahead log cannot be carried over, and grows: %s",
                     sqlite3_errstr(code));
    keeper->has_failed = code != SQLITE_OK;
    atomic_fetch_add_explicit(&keeper->turns, 1, memory_order_relaxed);
    atomic_store(&keeper->is_under_way, false);
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    ((struct rc_registry_keeper *)arg)->pages = (uint32_t)pages;
    return SQLITE_OK;
}

/*
 * The log gets its size, by pages that do not fit into a small cache and are taken back. Not at the start,
 * which would take 20 ms longer; a change of that moment waits. Without room on the disk it grows with the
 * commits.
 */
static void make_room(struct rc_timer *timer)
{
    sqlite3 *db = rc_container_of(timer, struct rc_registry_keeper, room_timer)->sql.db;
    struct stat log;
    if (stat(sqlite3_filename_wal(sqlite3_db_filename(db, "main")), &log) == 0 &&
        log.st_size >= RC_KEEPER_ROOM)
        return; /* commits have been faster */
    char text[128];
    snprintf(text, sizeof(text),
             "BEGIN; CREATE TABLE room (bytes BLOB); INSERT INTO room VALUES (zeroblob(%d))", RC_KEEPER_ROOM);
    sqlite3_exec(db, "PRAGMA cache_size = 16", NULL, NULL, NULL);
    sqlite3_exec(db, text, NULL, NULL, NULL);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

int rc_registry_open_keeper(struct rc_registry *registry, struct rc_error *error)
{
    struct rc_registry_keeper *keeper = rc_new(struct rc_registry_keeper);
    registry->keeper = keeper;
    keeper->mail.deliver = on_mail;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int err = rc_loop_create("rc-reg-keeper", &keeper->loop);
    if (err != RC_OK)
        return rc_error_set(error, err, "the registry's loop: %s", rc_err_text(err));
    int code = sqlite3_open_v2(registry->options.path, &keeper->sql.db, flags, NULL);
    if (code != SQLITE_OK)
        return rc_sql_error(&keeper->sql, code, error);
    sqlite3_wal_hook(registry->sql.db, on_commit, keeper); /* in the place of SQLite's own checkpoints */
    keeper->room_timer.on_due = make_room;
    return rc_schema_prepare(&keeper->sql, error);
}

int rc_registry_start_keeper(struct rc_registry_keeper *keeper)
{
    if (keeper == NULL)
        return RC_OK;
    rc_timer_start(keeper->loop, &keeper->room_timer, RC_KEEPER_ROOM_AFTER_MS);
    return rc_loop_start_thread(keeper->loop);
}

void rc_registry_stop_keeper(struct rc_registry_keeper *keeper)
{
    if (keeper == NULL)
        return;
    rc_loop_stop(keeper->loop);
    rc_loop_join_thread(keeper->loop);
}

void rc_registry_close_keeper(struct rc_registry_keeper *keeper)
{
    if (keeper == NULL)
        return;
    rc_loop_destroy(keeper->loop);
    sqlite3_close(keeper->sql.db);
    free(keeper);
}

/* The rest, in the way of changes. With a reader of an older moment it stays for now. */
static void finish(struct rc_registry *registry, uint32_t kept)
{
    struct rc_registry_keeper *keeper = registry->keeper;
    if (carry_over(keeper, registry->sql.db) == SQLITE_OK && atomic_load(&keeper->kept) > kept)
        atomic_fetch_add_explicit(&keeper->in_way, 1, memory_order_relaxed);
}

void rc_registry_keep(struct rc_registry *registry)
{
    struct rc_registry_keeper *keeper = registry->keeper;
    if (atomic_load(&keeper->is_under_way))
        return;
    uint32_t kept = atomic_load(&keeper->kept), pages = keeper->pages;
    if (kept > pages || keeper->asked > pages) { /* the log has begun anew */
        atomic_store(&keeper->kept, 0);
        keeper->asked = kept = 0;
    }
    uint32_t rest = pages - kept;
    bool is_long = rest >= RC_KEEPER_PAGES || (kept > 0 && rest > RC_KEEPER_REST);
    if (pages > RC_KEEPER_PAGES_MAX || (kept > 0 && rest > 0 && !is_long)) {
        finish(registry, kept);
    } else if (is_long &&
               pages - keeper->asked > RC_KEEPER_REST) { /* one that got no further is not asked at once */
        keeper->asked = pages;
        atomic_store(&keeper->is_under_way, true);
        rc_loop_post(keeper->loop, &keeper->mail);
    }
}

void rc_registry_keeper_stats(const struct rc_registry_keeper *keeper, struct rc_registry_stats *ret)
{
    if (keeper == NULL)
        return;
    ret->checkpoints = atomic_load_explicit(&keeper->turns, memory_order_relaxed);
    ret->checkpoints_in_way = atomic_load_explicit(&keeper->in_way, memory_order_relaxed);
}

#include "auth/password_pool.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum { MARK_LEN = 16, SECRET_LEN = 32 };

struct worker {
    struct rc_loop *loop;
    uint8_t (*remembered)[MARK_LEN]; /* of passwords that were right; by their own first bytes */
};

struct rc_password_pool {
    uint32_t threads;
    atomic_uint waiting;
    atomic_bool is_stopping;
    uint8_t secret[SECRET_LEN];
    struct worker workers[RC_PASSWORD_POOL_THREADS_MAX];
    struct rc_login_guard guard;
};

static struct worker *worker_of(struct rc_password_pool *pool, struct rc_slice entry)
{
    return &pool->workers[rc_hash(entry) % pool->threads]; /* the one that may remember it */
}

/* What a right password is remembered by: HMAC-SHA256 of entry, NUL and password, its first half. */
static bool make_mark(const struct rc_password_pool *pool, const struct rc_password_job *job,
                      uint8_t ret[MARK_LEN])
{
    uint8_t text[RC_PASSWORD_ENTRY_MAX + RC_PASSWORD_POOL_PASSWORD_MAX], digest[EVP_MAX_MD_SIZE];
    size_t len = job->entry.len + 1 + job->password.len;
    if (job->entry.len >= RC_PASSWORD_ENTRY_MAX || len > sizeof(text))
        return false;
    memcpy(text, job->entry.ptr, job->entry.len);
    text[job->entry.len] = 0;
    if (job->password.len > 0)
        memcpy(text + job->entry.len + 1, job->password.ptr, job->password.len);
    bool is_made = HMAC(EVP_sha256(), pool->secret, SECRET_LEN, text, len, digest, NULL) != NULL;
    memcpy(ret, digest, MARK_LEN);
    OPENSSL_cleanse(text, len);
    return is_made;
}

static bool verify(struct rc_password_pool *pool, const struct rc_password_job *job)
{
    uint8_t mark[MARK_LEN];
    if (job->password.len > RC_PASSWORD_POOL_PASSWORD_MAX)
        return false;
    if (!make_mark(pool, job, mark))
        return rc_password_verify(job->entry, job->password);
    uint32_t slot;
    memcpy(&slot, mark, sizeof(slot));
    uint8_t *remembered = worker_of(pool, job->entry)->remembered[slot % RC_PASSWORD_POOL_REMEMBERED];
    if (CRYPTO_memcmp(remembered, mark, MARK_LEN) == 0)
        return true;
    bool is_right = rc_password_verify(job->entry, job->password);
    if (is_right)
        memcpy(remembered, mark, MARK_LEN);
    return is_right;
}

static void on_answer(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_password_job *job = rc_container_of(mail, struct rc_password_job, mail);
    job->on_answer(job);
}

static void on_job(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_password_job *job = rc_container_of(mail, struct rc_password_job, mail);
    struct rc_password_pool *pool = job->pool;
    bool is_needed = !atomic_load_explicit(&pool->is_stopping, memory_order_relaxed) &&
                     !atomic_load_explicit(&job->is_cancelled, memory_order_relaxed);
    job->is_right = is_needed && verify(pool, job);
    if (job->password.len > 0)
        OPENSSL_cleanse((uint8_t *)job->password.ptr, job->password.len);
    atomic_fetch_sub_explicit(&pool->waiting, 1, memory_order_relaxed);
    job->mail.deliver = on_answer;
    rc_loop_post(job->reply_to, &job->mail);
}

int rc_password_pool_post(struct rc_password_pool *pool, struct rc_password_job *job)
{
    if (atomic_fetch_add_explicit(&pool->waiting, 1, memory_order_relaxed) >= RC_PASSWORD_POOL_WAITING_MAX) {
        atomic_fetch_sub_explicit(&pool->waiting, 1, memory_order_relaxed);
        return RC_ERR_FULL;
    }
    job->pool = pool;
    job->mail.deliver = on_job;
    rc_loop_post(worker_of(pool, job->entry)->loop, &job->mail);
    return RC_OK;
}

int rc_password_pool_create(uint32_t threads, struct rc_password_pool **ret)
{
    struct rc_password_pool *pool = rc_new(struct rc_password_pool);
    pool->threads = threads == 0                             ? 1
                    : threads > RC_PASSWORD_POOL_THREADS_MAX ? RC_PASSWORD_POOL_THREADS_MAX
                                                             : threads;
    int err = RAND_bytes(pool->secret, SECRET_LEN) == 1 ? RC_OK : RC_ERR_IO;
    for (uint32_t i = 0; i < pool->threads && err == RC_OK; i++) {
        struct worker *worker = &pool->workers[i];
        worker->remembered = rc_calloc(RC_PASSWORD_POOL_REMEMBERED, MARK_LEN);
        err = rc_loop_create("rc-password", &worker->loop);
        err = err ? err : rc_loop_start_thread(worker->loop);
    }
    if (err != RC_OK) {
        rc_password_pool_destroy(pool);
        return err;
    }
    *ret = pool;
    return RC_OK;
}

void rc_password_pool_destroy(struct rc_password_pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store(&pool->is_stopping, true);
    for (uint32_t i = 0; i < pool->threads; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->loop != NULL) {
            rc_loop_stop(worker->loop);
            rc_loop_join_thread(worker->loop);
            rc_loop_destroy(worker->loop);
        }
        free(worker->remembered);
    }
    OPENSSL_cleanse(pool->secret, SECRET_LEN);
    free(pool);
}

struct rc_login_guard *rc_password_pool_guard(struct rc_password_pool *pool)
{
    return &pool->guard;
}

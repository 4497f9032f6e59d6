/*
 * Threads that verify passwords, so that no shard waits for a hash. Jobs are mail, and so are the answers.
 * A password found right is remembered, keyed with a secret of this process, so that a fleet that comes back
 * is not hashed again; a changed entry is another key.
 */
#ifndef RC_AUTH_PASSWORD_POOL_H
#define RC_AUTH_PASSWORD_POOL_H

#include "auth/login_guard.h"
#include "auth/password.h"
#include "loop/loop.h"

enum {
    RC_PASSWORD_POOL_THREADS_MAX = 4,
    RC_PASSWORD_POOL_WAITING_MAX = 4096,  /* jobs under way, in all */
    RC_PASSWORD_POOL_PASSWORD_MAX = 1024, /* bytes of a password; a longer one is wrong */
    RC_PASSWORD_POOL_REMEMBERED = 65536,  /* passwords, of each thread */
};

struct rc_password_pool;

/* Owned by the asker, who may not touch it before the answer. */
struct rc_password_job {
    struct rc_mail mail;
    struct rc_loop *reply_to;
    /* On reply_to's thread; owns the job from then on. */
    void (*on_answer)(struct rc_password_job *job);
    bool is_right;
    atomic_bool is_cancelled;        /* by the asker: the answer does not matter any more, "wrong" will do */
    struct rc_slice entry, password; /* live until the answer; the password is wiped then */
    struct rc_password_pool *pool;
};

/* 0 or a negative rc_err. */
int rc_password_pool_create(uint32_t threads, struct rc_password_pool **ret);
/* What waits is answered "wrong". The loops that it answers to must still be there. NULL is fine. */
void rc_password_pool_destroy(struct rc_password_pool *pool);

/* Any thread, does not wait: 0, or RC_ERR_FULL (the job is still the caller's). */
int rc_password_pool_post(struct rc_password_pool *pool, struct rc_password_job *job);

/* The counts of wrong passwords that go with it. */
struct rc_login_guard *rc_password_pool_guard(struct rc_password_pool *pool);

#endif

/*
 * target_check.h while the server runs: each trial has a thread of its own, as it waits for others, and how
 * many there are at once is bounded by whoever starts them.
 */
#ifndef RC_RULES_TARGET_TRIAL_H
#define RC_RULES_TARGET_TRIAL_H

#include "loop/loop.h"
#include "rules/target_check.h"

#include <pthread.h>

enum { RC_TARGET_TRIAL_MS = 15000 };

struct rc_target_trial {
    struct rc_mail mail;
    pthread_t thread;
    /* The asker's; what it points to lives until on_done. Its limit_ms is RC_TARGET_TRIAL_MS at most. */
    struct rc_target_question question;
    struct rc_loop *reply_to;
    void (*on_done)(
        struct rc_target_trial *trial); /* on reply_to's thread; the memory is the asker's again */
    void *owner;                        /* the asker's */
    int err;
    struct rc_error error;
    struct rc_target_found found;
};

/* 0, or RC_ERR_IO: there is no thread. */
int rc_target_trial_start(struct rc_target_trial *trial);

#endif

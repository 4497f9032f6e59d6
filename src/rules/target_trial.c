#include "rules/target_trial.h"

/* The thread has nothing left to do but to end. */
static void on_answer(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_target_trial *trial = rc_container_of(mail, struct rc_target_trial, mail);
    pthread_join(trial->thread, NULL);
    trial->on_done(trial);
}

static void *thread_main(void *arg)
{
    struct rc_target_trial *trial = arg;
    trial->err = rc_target_check(&trial->question, &trial->found, &trial->error);
    trial->mail.deliver = on_answer;
    rc_loop_post(trial->reply_to, &trial->mail);
    return NULL;
}

int rc_target_trial_start(struct rc_target_trial *trial)
{
    uint32_t limit_ms = trial->question.limit_ms;
    if (limit_ms == 0 || limit_ms > RC_TARGET_TRIAL_MS)
        trial->question.limit_ms = RC_TARGET_TRIAL_MS;
    return pthread_create(&trial->thread, NULL, thread_main, trial) == 0 ? RC_OK : RC_ERR_IO;
}

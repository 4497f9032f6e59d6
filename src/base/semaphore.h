/* Waiting for a semaphore, but not for ever. */
#ifndef RC_BASE_SEMAPHORE_H
#define RC_BASE_SEMAPHORE_H

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

/* Takes it within `ms`, or returns false. An interruption counts as the end of the time. */
bool rc_semaphore_wait(sem_t *semaphore, uint32_t ms);

#endif

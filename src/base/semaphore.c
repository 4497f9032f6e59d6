#include "base/semaphore.h"

#include <time.h>

bool rc_semaphore_wait(sem_t *semaphore, uint32_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until); /* sem_timedwait knows no other clock */
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    return sem_timedwait(semaphore, &until) == 0;
}

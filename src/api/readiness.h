/* Whether the registry answers and takes changes, asked every now and then, for /readyz. On the API's thread.
 */
#ifndef RC_API_READINESS_H
#define RC_API_READINESS_H

#include "registry/registry.h"

struct rc_api;

enum {
    RC_READINESS_EACH_MS = 2000,
    RC_READINESS_LATE_MS = 15000, /* an answer that takes longer: it does not answer */
};

struct rc_readiness {
    struct rc_timer timer;
    struct rc_registry_job job;
    struct rc_api *api;
    uint64_t asked_ms;
    int err;           /* the last answer */
    bool is_under_way; /* a question */
};

/* Before the loop runs, or on it. Asks from then on; harmless without a registry. */
void rc_readiness_start(struct rc_readiness *readiness, struct rc_api *api);
/* Asks no more; what is under way counts among the API's questions. */
void rc_readiness_stop(struct rc_readiness *readiness);
/* NULL, or a sentence that says why not. */
const char *rc_readiness_problem(const struct rc_readiness *readiness);

#endif

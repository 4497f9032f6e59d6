/* What /metrics tells of rules. */
#ifndef RC_API_METRICS_RULES_H
#define RC_API_METRICS_RULES_H

#include "api/api_private.h"

/* All of it together; rules that do not fit are counted (rollcall_rules_left_out). */
enum { RC_METRICS_RULES_MAX = 7 << 20 };

/* On the API's thread. */
void rc_metrics_put_rules(const struct rc_api *api, struct rc_buf *out);

#endif

/* From the configuration to what listeners go by. Main thread only: it reads the certificates' files. */
#ifndef RC_CONTROL_CONTROL_TRANSPORTS_H
#define RC_CONTROL_CONTROL_TRANSPORTS_H

#include "control/config.h"

struct rc_tls;
struct rc_transport;

/* One reference to a transport for each MQTT listener of the configuration, in its order; and to HTTPS'. */
struct rc_transports {
    struct rc_transport **items;
    uint32_t count;
    struct rc_tls *https; /* NULL without HTTPS */
};

/*
 * False after adding to `errors` what is wrong: names that are twice, TLS without certificates, files that
 * cannot be read, keys of other certificates, certificates that are not valid now. The admissions are NULL.
 */
bool rc_control_build_transports(const struct rc_config *config, struct rc_transports *ret,
                                 struct rc_config_errors *errors);
void rc_transports_free(struct rc_transports *transports); /* drops the references; harmless when empty */

#endif

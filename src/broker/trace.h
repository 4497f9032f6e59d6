/*
 * Traces of messages and of refused logins, for those instances that ask for them: each step is a record of
 * the log's system topic RC_TRACE_TOPIC, staged with the events of the turn. A trace is worth less than what
 * it tells of: when the log is behind or more steps come than may be kept they are dropped and counted
 * (traces_dropped). On the broker's loop.
 *
 * A record: body = client id (empty: nobody's), KEYS = the message's id and the client id as events have it,
 * RC_PROP_TRACE = the step's name, RC_PROP_INSTANCE, RC_PROP_TRACE_MESSAGE = the message's id, born_ms =
 * when.
 */
#ifndef RC_BROKER_TRACE_H
#define RC_BROKER_TRACE_H

#include "base/buf.h"
#include "broker/publication.h"

struct rc_broker;
struct rc_instance;
struct rc_session;

#define RC_PROP_TRACE "rcTrace"
#define RC_PROP_TRACE_MESSAGE "rcMessage"

enum {
    RC_TRACE_ID_LEN = 16, /* of a message: bytes; RC_TRACE_HEX_LEN upper-case hex digits as it is told */
    RC_TRACE_HEX_LEN = 32,
    RC_TRACE_UNDER_WAY_MAX =
        2048, /* records of the shard on their way to the log, above which none is added */
};

#define RC_TRACE_STEP_MAP(X)                                                                                 \
    X(RC_TRACE_PUB_MQTT, "pub_mqtt")         /* a client has published it */                                 \
    X(RC_TRACE_PUB_MQ, "pub_mq")             /* it came from RocketMQ or through the API */                  \
    X(RC_TRACE_SUB, "sub")                   /* it was sent to a client */                                   \
    X(RC_TRACE_PUSH_OFFLINE, "push_offline") /* likewise, after it had waited for its coming */              \
    X(RC_TRACE_ACK, "ack")                   /* the client has acknowledged it */                            \
    X(RC_TRACE_REFUSED, "refused")           /* a login that was not authorized */

enum rc_trace_step {
#define X(name, text) name,
    RC_TRACE_STEP_MAP(X)
#undef X
};

struct rc_tracer {
    struct rc_buf props;
    uint64_t window_ms; /* when the second began in which `in_window` were kept */
    uint32_t in_window;
};

/* As rc_publication_create, traced where the instance asks for it; `id` NULL: it is given one. */
struct rc_publication *rc_trace_publication(struct rc_broker *broker, const struct rc_instance *instance,
                                            const struct rc_mqtt_publish *publish, uint64_t from,
                                            const uint8_t *id);
/* A message was taken: `from` NULL for one that no client published. Only for a traced publication. */
void rc_trace_published(struct rc_broker *broker, struct rc_slice instance,
                        const struct rc_publication *publication, const struct rc_session *from);
/* It has reached a client. */
void rc_trace_keep_step(struct rc_broker *broker, const struct rc_session *session,
                        const struct rc_publication *publication, enum rc_trace_step step);
/* The same, of any publication: few are traced. */
static inline void rc_trace_step(struct rc_broker *broker, const struct rc_session *session,
                                 const struct rc_publication *publication, enum rc_trace_step step)
{
    if (publication != NULL && publication->is_traced)
        rc_trace_keep_step(broker, session, publication, step);
}
/* A login at that instance was refused; NULL, or an instance without traces: nothing is kept. */
void rc_trace_refused(struct rc_broker *broker, const struct rc_instance *instance,
                      struct rc_slice client_id);
void rc_tracer_free(struct rc_tracer *tracer);

#endif

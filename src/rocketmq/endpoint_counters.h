/* What the endpoint counts: written by its thread, read by any (relaxed). */
#ifndef RC_ROCKETMQ_ENDPOINT_COUNTERS_H
#define RC_ROCKETMQ_ENDPOINT_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define RC_ENDPOINT_COUNTER_MAP(X)                                                                           \
    X(peers, "connections open now")                                                                         \
    X(accepted, "connections accepted")                                                                      \
    X(refused, "connections refused: the limit")                                                             \
    X(protocol_errors, "connections closed: a frame made no sense")                                          \
    X(slow_peers, "connections closed: too many bytes waiting for them")                                     \
    X(idle_peers, "connections closed: silent for two minutes")                                              \
    X(strangers, "connections closed: no request of them was signed")                                        \
    X(requests, "requests")                                                                                  \
    X(denied, "requests refused: signature")                                                                 \
    X(unsupported, "requests with a code that is not served")                                                \
    X(pulls, "pull requests")                                                                                \
    X(pulls_held, "pull requests waiting now")                                                               \
    X(messages_out, "messages pulled")                                                                       \
    X(bytes_out, "bytes of messages pulled")                                                                 \
    X(messages_in, "messages sent by producers")                                                             \
    X(sent_back, "messages sent back to be retried")                                                         \
    X(dead_letters, "messages given up")                                                                     \
    X(dead_letters_resent, "dead letters sent again")                                                        \
    X(delayed_delivered, "delayed messages delivered")                                                       \
    X(limits_hit, "requests refused: a limit of this endpoint")

struct rc_endpoint_counters {
#define X(name, text) atomic_uint_fast64_t name;
    RC_ENDPOINT_COUNTER_MAP(X)
#undef X
};

#endif

/* What a broker counts: written by its thread, read by any (relaxed). */
#ifndef RC_BROKER_COUNTERS_H
#define RC_BROKER_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define RC_BROKER_COUNTER_MAP(X)                                                                             \
    X(connections, "connections open now")                                                                   \
    X(clients, "clients online now")                                                                         \
    X(sessions, "sessions, those of absent clients included")                                                \
    X(sessions_persistent, "sessions that survive the end of the server")                                    \
    X(refused_store, "messages and clients refused: the session store takes no more")                        \
    X(subscriptions, "subscriptions")                                                                        \
    X(accepted, "connections accepted from the network")                                                     \
    X(moved, "connections handed to the shard that owns their client")                                       \
    X(connects, "clients accepted")                                                                          \
    X(refused_auth, "CONNECTs refused: credentials, group or client id")                                     \
    X(refused_guard, "CONNECTs refused: too many wrong passwords came from there")                           \
    X(refused_protocol, "CONNECTs refused: malformed or an unsupported version")                             \
    X(refused_log, "CONNECTs refused: the log takes no more")                                                \
    X(refused_limit, "connections refused: the limit on connections")                                        \
    X(dropped_connecting, "connections closed: too many without CONNECT")                                    \
    X(openings_failed, "connections closed before MQTT: PROXY header, TLS, WebSocket")                       \
    X(throttled, "times that reading from a client rested: more than it may send in a second")               \
    X(connect_timeouts, "connections closed: no CONNECT in time")                                            \
    X(disconnects, "clients that left with DISCONNECT")                                                      \
    X(connection_lost, "clients whose connection was lost")                                                  \
    X(keep_alive_timeouts, "clients closed: silent for 1.5 times their keep-alive")                          \
    X(takeovers, "clients closed: a newer connection of the same client id")                                 \
    X(protocol_errors, "clients closed: they broke the protocol")                                            \
    X(not_authorized, "clients closed: a topic they may not use")                                            \
    X(revoked, "clients closed: a reload took their right")                                                  \
    X(tokens_ended, "clients closed: a token of theirs expired, was revoked, or was wrong")                  \
    X(slow_consumers, "clients closed: too many bytes waiting for them")                                     \
    X(sys_subscriptions, "subscriptions to $SYS")                                                            \
    X(bytes_received, "bytes received from clients")                                                         \
    X(bytes_sent, "bytes sent to clients")                                                                   \
    X(publish_bytes_received, "bytes of payload received")                                                   \
    X(publish_bytes_sent, "bytes of payload sent")                                                           \
    X(packets_sent, "MQTT packets sent")                                                                     \
    X(dropped_notices, "messages about clients below $SYS dropped: too many in one turn")                    \
    X(packets_received, "MQTT packets received")                                                             \
    X(publishes_received, "PUBLISH packets received")                                                        \
    X(publishes_sent, "PUBLISH packets sent")                                                                \
    X(dropped_qos0, "QoS 0 messages dropped: the client reads too slowly")                                   \
    X(dropped_queue, "messages dropped: the session's queue, or all of them, were full")                     \
    X(dropped_expired, "messages dropped: expired before they could be sent")                                \
    X(dropped_revoked, "messages dropped: their receiver lost the right to read them while it was away")     \
    X(dropped_too_large, "messages dropped: larger than the client takes")                                   \
    X(retained_expired, "retained messages that have expired")                                               \
    X(retained_refused, "messages refused: no room for another retained one")                                \
    X(publishes_refused, "PUBLISH packets refused: not authorized")                                          \
    X(payload_too_large, "clients closed: a payload above the limit")                                        \
    X(shared_groups, "groups of shared subscriptions")                                                       \
    X(dropped_shared, "messages dropped: no member of a shared subscription could take them")                \
    X(dropped_forward, "QoS 0 messages dropped: another shard was too far behind")                           \
    X(refused_forward, "QoS 1 and 2 messages refused: another shard was too far behind")                     \
    X(subscriptions_refused, "subscriptions refused: the limit of the client, or an invalid filter")         \
    X(sessions_dropped, "sessions of absent clients dropped: the limit")                                     \
    X(sessions_expired, "sessions of absent clients that have expired")                                      \
    X(refused_will, "CONNECTs refused: there is no room for the will")                                       \
    X(wills_sent, "wills published")                                                                         \
    X(outflow_refused, "messages refused: the log takes nothing now, or not such a message")                 \
    X(inflow_refused, "messages from RocketMQ that cannot be published")                                     \
    X(traces, "steps of messages, and refused logins, kept as traces")                                       \
    X(traces_dropped,                                                                                        \
      "steps of messages, and refused logins, not kept: too many in a second, or the log is behind")         \
    X(wills_ignored, "wills ignored: the instance has none")

struct rc_broker_counters {
#define X(name, text) atomic_uint_fast64_t name;
    RC_BROKER_COUNTER_MAP(X)
#undef X
};

/* A load and a store: nobody else writes, so the bus need not be locked, which costs more than many a step of
 * a message's way. */
#define RC_COUNT_ADD(counters, name, n)                                                                      \
    atomic_store_explicit(&(counters)->name,                                                                 \
                          atomic_load_explicit(&(counters)->name, memory_order_relaxed) +                    \
                              (uint_fast64_t)(n),                                                            \
                          memory_order_relaxed)
#define RC_COUNT(counters, name) RC_COUNT_ADD(counters, name, 1)
#define RC_COUNT_DOWN(counters, name) RC_COUNT_ADD(counters, name, -1)

#endif

/* Messages that the server's operator publishes, from other threads. */
#ifndef RC_BROKER_SEND_H
#define RC_BROKER_SEND_H

#include "broker/broker.h"

/* Owned by the sender, who may not touch it until it is answered. */
struct rc_broker_message {
    struct rc_mail mail;
    struct rc_slice instance, topic, payload; /* live until the answer; a valid topic name */
    uint8_t qos;
    uint8_t id[16]; /* names it in its trace */
    struct rc_loop *reply_to;
    void (*on_done)(struct rc_broker_message *message); /* on reply_to's thread: it is on its way */
    void *owner;
    struct rc_broker *broker; /* the broker's own */
};

/* Any thread: publishes it to the subscribers of all shards, or to the client whom a P2P topic names. */
void rc_broker_send(struct rc_broker *broker, struct rc_broker_message *message);

#endif

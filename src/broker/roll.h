/*
 * The roll: asking a shard who is online. A question is mail; its owner shard answers from its own table, so
 * the answer agrees with the events: what the asker may have seen in the log before it asked is in the
 * answer. (A shard learns a moment after the log's readers that a record was written; a question waits for
 * that.)
 */
#ifndef RC_BROKER_ROLL_H
#define RC_BROKER_ROLL_H

#include "base/buf.h"
#include "broker/broker.h"

enum {
    RC_ROLL_CLIENTS_MAX = 1000, /* in one question or one page */
    RC_ROLL_WAITING_MAX = 4096, /* questions of a shard that wait for the log; more are answered at once */
    RC_ROLL_TEXT_MAX = (RC_CLIENT_ID_MAX + 256) * RC_ROLL_CLIENTS_MAX + 128 * 1024,
};

enum rc_roll_kind {
    RC_ROLL_LOOK_UP, /* the clients named in `clients` */
    RC_ROLL_PAGE,    /* online clients of an instance, and group where one is named, from `cursor` on */
    RC_ROLL_COUNT,   /* how many of those there are */
    RC_ROLL_CLOSE,   /* closes the connections of the clients named in `clients` */
    /* Tells the `connect` of the online clients of an instance, and group, once more (rc_presence_announce):
     * at most RC_ROLL_CLIENTS_MAX from `cursor` on, then it is asked again. A full log: `cursor` stays. */
    RC_ROLL_ANNOUNCE,
};

struct rc_roll_client {
    struct rc_slice client_id;
    bool is_online;
    /* of an online client: */
    uint8_t channel_id[RC_CHANNEL_ID_LEN];
    int64_t since_ms, last_active_ms; /* wall clock */
    const char *protocol;             /* a literal */
    char client_ip[RC_CLIENT_IP_MAX]; /* "ip:port" */
};

/* Owned by the asker, who may not touch it until it is answered. */
struct rc_roll_question {
    struct rc_mail mail;
    enum rc_roll_kind kind;
    struct rc_slice instance;       /* live until the answer */
    struct rc_slice group;          /* PAGE, COUNT, ANNOUNCE: empty for all groups */
    struct rc_roll_client *clients; /* the asker's: named (LOOK_UP, CLOSE), or room for a page */
    uint32_t clients_count;         /* named, or the most that a page takes; then how many it holds */
    uint64_t cursor;    /* PAGE, ANNOUNCE: 0 at first; in the answer where to go on, 0 at the end */
    struct rc_buf text; /* PAGE: holds the client ids of the answer; the asker frees it */
    struct rc_loop *reply_to;
    void (*on_answer)(struct rc_roll_question *question); /* on reply_to's thread */
    void *owner;
    /* The answer. */
    uint64_t count;    /* COUNT: online; LOOK_UP and CLOSE: of those named; ANNOUNCE: told */
    uint64_t position; /* events of this shard's clients before this place in the log are in the answer */
    /* The shard's own. */
    struct rc_broker *broker;
    struct rc_list node;
    uint64_t ticket;
};

/* Any thread. Named clients must be this broker's (rc_broker_shard_of). Answered always, in order per asker.
 */
void rc_roll_ask(struct rc_broker *broker, struct rc_roll_question *question);

#endif

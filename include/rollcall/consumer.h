/*
 * A RocketMQ push consumer, against Rollcall or any Apache RocketMQ 4.x/5.x: shares the queues of a topic
 * with the other consumers of its group (or, broadcasting, reads all of them), calls back for each message,
 * commits what was consumed, and sends back what was not.
 *
 * The consumer has a thread of its own; callbacks run on it, one at a time, so messages of one queue come in
 * order. While one runs nothing else happens: let it take seconds, not minutes, or the broker takes the
 * consumer for dead (120 s) and gives its queues to others. At least once: after a crash, or when queues
 * change hands, a message may come again. When an administrator sets the group's offsets, the consumer goes
 * on from there at once.
 */
#ifndef ROLLCALL_CONSUMER_H
#define ROLLCALL_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct rc_consumer;

enum rc_consume_result {
    RC_CONSUME_COMMIT, /* done with it */
    RC_CONSUME_LATER,  /* bring it again: after 10 s, then later and later, in the end to %DLQ%<group> */
    RC_CONSUME_STOP,   /* not done with it, and rc_consumer_stop is about to be called: it comes to whoever
                          reads the queue next, and until then nothing else does */
};

/* Views that live until the callback returns. Texts end in NUL. */
struct rc_consumer_message {
    const char *topic; /* the one it was first sent to, also when it is a retry */
    const char *tags;  /* "" when it has none */
    const char *keys;
    const char *message_id; /* the same for each delivery */
    const void *body;
    size_t body_len;
    uint32_t queue_id;
    uint64_t queue_offset;
    int64_t born_ms, store_ms;
    uint32_t reconsume_times;
    const void *properties; /* for rc_consumer_property */
    size_t properties_len;
};

/* The value of a property copied into `out` (cut at `size`): its length, or -1 when it is absent. */
int rc_consumer_property(const struct rc_consumer_message *message, const char *name, char *out, size_t size);

struct rc_consumer_options {
    const char *namesrv; /* host:port, several parted by ; */
    const char *group;
    const char *topic;
    const char *tags;       /* "a||b"; NULL or "*": all */
    const char *access_key; /* NULL: requests are not signed */
    const char *secret_key;
    bool broadcasting;       /* all queues, offsets not committed: starts anew with each start, unless: */
    const char *offset_file; /* broadcasting: goes on where this file says, which is written every 5 s and at
                                the stop. One consumer at a time. NULL: none */
    bool from_first;         /* a group without an offset starts at the beginning instead of the end */
    int64_t from_ms; /* > 0: it starts at the first message stored at or after this time (since the epoch) */
    enum rc_consume_result (*on_message)(const struct rc_consumer_message *message, void *arg);
    void (*on_error)(const char *text, void *arg); /* in words, at most one a second; may be NULL */
    /*
     * So many messages were passed over and will never come to on_message: the broker had deleted them
     * before they were read, or they are damaged. In words, each time; may be NULL.
     */
    void (*on_lost)(uint64_t messages, const char *text, void *arg);
    void *arg;
};

/* The options are copied. 0, or a negative code with a sentence in `error` (of `error_size` bytes). */
int rc_consumer_start(const struct rc_consumer_options *options, struct rc_consumer **ret, char *error,
                      size_t error_size);
/* Begins what rc_consumer_stop does, and does not wait: for who stops several. NULL is fine. */
void rc_consumer_begin_stop(struct rc_consumer *consumer);
/*
 * Commits, leaves the group, ends the thread: waits up to 3 s for brokers that are connected and do not
 * answer. Not from a callback. NULL is fine.
 */
void rc_consumer_stop(struct rc_consumer *consumer);

/* Any thread: queues that this consumer reads now (0 until it has found its topic and group). */
uint32_t rc_consumer_queues(const struct rc_consumer *consumer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif

/*
 * The measurements of `rollcall bench` on the RocketMQ side: producers on the project's own codec, consumers
 * of librollcall, against Rollcall's endpoint or a broker of Apache. One thread; a loop runs it, and each
 * consumer has a thread of its own.
 */
#ifndef RC_CLI_BENCH_ROCKETMQ_H
#define RC_CLI_BENCH_ROCKETMQ_H

#include "cli/bench_run.h"

enum {
    RC_BENCH_STAMP_BYTES = 16, /* of a payload: when it was due, and which run it is of */
    RC_BENCH_CONSUMERS_MAX = 256,
};

struct rc_bench_rocketmq_options {
    const char *namesrv;                 /* host:port */
    const char *group;                   /* of consumers */
    const char *access_key, *secret_key; /* NULL: nothing is signed */
};

struct rc_bench_rocketmq;

/*
 * What `run` says: RC_BENCH_PRODUCE: `publishers` send, a latency is from due to the broker's answer.
 * RC_BENCH_CONSUME: `subscribers` consume as well, a latency is from due to the callback; without publishers
 * they take the `count` oldest messages that the topic has. The texts are not copied. `on_done` is called
 * once, on the loop's thread.
 */
struct rc_bench_rocketmq *rc_bench_rocketmq_create(struct rc_loop *loop, const struct rc_bench_options *run,
                                                   const struct rc_bench_rocketmq_options *options,
                                                   void (*on_done)(void *arg), void *arg);
/* 0 or a negative rc_err. */
int rc_bench_rocketmq_start(struct rc_bench_rocketmq *bench);
/* Ends it soon, with what there is. */
void rc_bench_rocketmq_finish(struct rc_bench_rocketmq *bench);
/* So far. */
const struct rc_bench_result *rc_bench_rocketmq_result(struct rc_bench_rocketmq *bench);
/* What went wrong last, "" for nothing. */
const char *rc_bench_rocketmq_error(struct rc_bench_rocketmq *bench);
void rc_bench_rocketmq_free(struct rc_bench_rocketmq *bench); /* NULL is harmless */

#endif

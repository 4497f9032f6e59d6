/*
 * One measurement of `rollcall bench`: brings clients up, lets them work, counts, and looks at the server's
 * process. One thread; a loop runs it.
 */
#ifndef RC_CLI_BENCH_RUN_H
#define RC_CLI_BENCH_RUN_H

#include "base/histogram.h"
#include "cli/bench_client.h"
#include "cli/sim_stats.h"

enum { RC_BENCH_TOPIC_MAX = 512 };

/* The last two are of RocketMQ: cli/bench_rocketmq.h. */
enum rc_bench_pattern {
    RC_BENCH_HOLD,
    RC_BENCH_CHURN,
    RC_BENCH_PUBLISH,
    RC_BENCH_PRODUCE,
    RC_BENCH_CONSUME,
};

struct rc_bench_options {
    enum rc_bench_pattern pattern;
    uint32_t clients;       /* hold */
    uint32_t subscriptions; /* hold: for each client */
    uint32_t at_once;       /* connections in the making; with churn: that come and go together */
    uint64_t count;         /* churn: connections; publish: messages, 0: until duration_ms have passed */
    uint64_t duration_ms;   /* hold: of staying; publish: see count */
    double rate;            /* connects or messages a second whatever the server does; 0: as it keeps up */
    uint32_t publishers, subscribers, topics;
    bool is_absent; /* publish: the subscribers have left and come back for what waits */
    uint8_t qos;
    uint32_t size;      /* of a payload */
    uint32_t window;    /* rate 0: messages of a publisher that have not come to all their subscribers */
    uint32_t inflight;  /* QoS > 0: own packets of a publisher that are not acknowledged */
    uint64_t wait_ms;   /* without progress: it ends */
    uint64_t settle_ms; /* before the memory is looked at */
    uint64_t pid;       /* the server's, 0: not known */
    uint32_t batch;     /* produce, consume: messages in one request */
    const char *topic;  /* prefix */
};

enum rc_bench_phase {
    RC_BENCH_CONNECTING,
    RC_BENCH_SETTLING, /* all are up; memory is looked at behind it */
    RC_BENCH_WORKING,
    RC_BENCH_RETURNING, /* is_absent: the subscribers come back and get what waits */
    RC_BENCH_DONE,
};

struct rc_bench_result {
    uint64_t started, up, ended, failed; /* connections */
    uint64_t sent, acked, received, expected;
    uint64_t connect_ns, work_ns, return_ns;              /* how long the phases took */
    struct rc_sim_usage before, connected, worked, after; /* of the server */
    struct rc_histogram connect_us;                       /* due to CONNACK */
    struct rc_histogram latency_us;                       /* due to received */
    struct rc_histogram late_us; /* due to sent: how far this program was behind its own schedule */
};

struct rc_bench_run;

/* `net` has been filled but for loop and events. `on_done` is called once, on the loop's thread. */
struct rc_bench_run *rc_bench_run_create(struct rc_loop *loop, const struct rc_bench_options *options,
                                         struct rc_bench_net *net, void (*on_done)(void *arg), void *arg);
/* 0 or a negative rc_err. */
int rc_bench_run_start(struct rc_bench_run *run);
/* Ends it soon, with what there is. */
void rc_bench_run_finish(struct rc_bench_run *run);
enum rc_bench_phase rc_bench_run_phase(const struct rc_bench_run *run);
const struct rc_bench_result *rc_bench_run_result(const struct rc_bench_run *run);
void rc_bench_run_free(struct rc_bench_run *run); /* NULL is harmless */

#endif

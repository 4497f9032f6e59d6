/* Which process of this machine serves a port. */
#ifndef RC_CLI_BENCH_PID_H
#define RC_CLI_BENCH_PID_H

#include <stdint.h>

/* The process that listens on this TCP port; 0 when there is none or it may not be looked at. */
uint64_t rc_bench_pid_of_port(uint16_t port);

#endif

/* What `rollcall bench` prints in the end. */
#ifndef RC_CLI_BENCH_REPORT_H
#define RC_CLI_BENCH_REPORT_H

#include "cli/bench_run.h"

/* To standard output: lines for people, or one JSON object. */
void rc_bench_report(const struct rc_bench_options *options, const struct rc_bench_result *result,
                     bool is_json);

#endif

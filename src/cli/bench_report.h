/* What `rollcall bench` prints in the end. */
#ifndef RC_CLI_BENCH_REPORT_H
#define RC_CLI_BENCH_REPORT_H

#include "cli/bench_run.h"

const char *rc_bench_pattern_name(enum rc_bench_pattern pattern);
bool rc_bench_pattern_parse(const char *name, enum rc_bench_pattern *ret);

/* To standard output: lines for people, or one JSON object. */
void rc_bench_report(const struct rc_bench_options *options, const struct rc_bench_result *result,
                     bool is_json);

#endif

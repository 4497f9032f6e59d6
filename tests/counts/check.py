#!/usr/bin/env python3
"""Instructions of fixed work, counted by valgrind's callgrind, beside the stored figures: noise cannot break it.

Usage: check.py <counts binary> [--update]     fails when any workload needs 5 % more than stored
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FIGURES = pathlib.Path(__file__).with_name("figures.json")
REPETITIONS = 2048
MARGIN = 0.05
# The C library chooses its copy and compare loops by the processor; these are the ones that all of them have.
TUNABLES = "glibc.cpu.hwcaps=-AVX2,-AVX,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM"
WORKLOADS = ("mqtt-connect", "mqtt-publish", "rocketmq-pull", "routing", "routing-again", "append", "key-index")


def count(binary, workload, home):
    command = ["valgrind", "--tool=callgrind", "--toggle-collect=rc_counted", f"--callgrind-out-file={home}/{workload}",
               binary, workload, str(REPETITIONS)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "GLIBC_TUNABLES": TUNABLES},
                          timeout=300)
    for line in done.stdout.splitlines():
        if line.startswith("/tmp/rollcall-counts-"):
            shutil.rmtree(line)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"counts: {workload} failed:\n{done.stdout}{done.stderr}")
    return round(int(found.group(1)) / REPETITIONS, 1)


def main():
    binary = sys.argv[1]
    with tempfile.TemporaryDirectory() as home, concurrent.futures.ThreadPoolExecutor(2) as pool:
        now = dict(zip(WORKLOADS, pool.map(lambda workload: count(binary, workload, home), WORKLOADS)))
    if "--update" in sys.argv:
        FIGURES.write_text(json.dumps({"instructions": now}, indent=2) + "\n")
    stored = json.loads(FIGURES.read_text())["instructions"]
    failed = 0
    for workload, value in now.items():
        change = value / stored[workload] - 1 if workload in stored else float("inf")
        failed += change > MARGIN
        verdict = "FAIL " if change > MARGIN else "ok   "
        hint = "  (less: ./dev counts --update keeps it so)" if change < -MARGIN else ""
        print(f"{verdict} {workload:14} {value:10.1f} instructions each, {change:+.1%} to the stored figure{hint}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

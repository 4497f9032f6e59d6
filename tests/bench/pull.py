#!/usr/bin/env python3
"""What the server's side of pulling costs: CPU a message, and memory, of Rollcall's endpoint and an Apache 4.9.8 broker.

A backlog is sent while the consumer (ons-client 1.8.5.Final, one JVM for both) is away; the server's CPU time is taken
from its return until it has all. Both go in turns, after rounds that nobody counts (the broker's JVM compiles what it
uses; it runs with its default compilers). Prints one JSON object.

Usage: pull.py [--messages N] [--rounds N]     needs what tests/run-e2e sets up; ROLLCALL names the server's binary
"""

import argparse
import json
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness.jvm import Driver  # noqa: E402
from harness.procs import wait_until  # noqa: E402
from harness.rollcall import AK, SK, Rollcall  # noqa: E402
from servers import FullJvmCluster, cpu_seconds, resident_bytes  # noqa: E402

TOPIC = "backlog"
KEYS = {"ak": AK, "sk": SK}
WARM_UPS = 2


class Side:
    def __init__(self, name, namesrv, pid, consumer, sender):
        self.name, self.namesrv, self.pid, self.consumer, self.sender = name, namesrv, pid, consumer, sender
        sender.call("producer", name=name, group="GID_bench", namesrv=namesrv, **KEYS)
        self.flood(1)
        self.come()

        def taken():  # until it has its queues
            self.flood(4)
            return len(consumer.messages(name)) >= 4
        wait_until(f"the consumer of {name}", taken, 60, pause=1)
        self.go()

    def flood(self, count):
        self.sender.call("flood", name=self.name, topic=TOPIC, tags="x", count=count, rate=1e6, timeout=120)

    def come(self):
        self.consumer.call("push", name=self.name, group="GID_backlog", topic=TOPIC, tags="*", namesrv=self.namesrv, **KEYS)

    def go(self):
        time.sleep(6)  # it commits its offsets every 5 s
        self.consumer.call("stop", name=self.name)
        self.consumer.lines.items.clear()

    def round(self, messages):
        self.flood(messages)
        time.sleep(2)
        before = cpu_seconds(self.pid)
        self.come()
        self.consumer.wait_messages(f"the backlog of {self.name}", self.name,
                                    lambda lines: lines if len(lines) >= messages else None, 120)
        used = cpu_seconds(self.pid) - before
        self.go()
        return used * 1e6 / messages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        server = Rollcall(home / "rollcall", segment="64MiB", queue_entries=300000, shards=0).start()
        cluster = FullJvmCluster(home / "apache", 49).start()
        consumer, sender = Driver("ons", home / "consumer"), Driver("ons", home / "sender")
        try:
            sides = [Side("rollcall", server.namesrv, server.process.pid, consumer, sender),
                     Side("apache", cluster.namesrv, cluster.broker.pid, consumer, sender)]
            values = {side.name: [] for side in sides}
            for number in range(WARM_UPS + options.rounds):
                for side in sides:
                    cost = side.round(options.messages)
                    if number >= WARM_UPS:
                        values[side.name].append(cost)
            print(json.dumps({"messages": options.messages, "us_each": values,
                              "resident_bytes": {side.name: resident_bytes(side.pid) for side in sides}}))
        finally:
            consumer.close()
            sender.close()
            cluster.stop()
            server.stop()


if __name__ == "__main__":
    main()

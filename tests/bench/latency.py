#!/usr/bin/env python3
"""How long an event takes to the Java consumer's callback: percentiles, with the official ons-client 1.8.5.Final.

In one run, by turns, with one consumer JVM: from a client's TCP close to the callback with Rollcall, and from the
begin of a producer's send to the callback with Rollcall and with an Apache 4.9.8 broker. All clocks are the machine's
monotonic one.

Usage: latency.py [--events N] [--rates PER_SECOND ...] [--rounds N]
Needs what tests/run-e2e sets up (run it once); ROLLCALL names the server's binary.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.apache import RealCluster  # noqa: E402
from harness.jvm import Driver  # noqa: E402
from harness.procs import wait_until  # noqa: E402
from harness.rollcall import AK, SK, TOPIC, Device, Rollcall  # noqa: E402

KEYS = {"ak": AK, "sk": SK}


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def collect(consumer, name, count, begun):
    """(ms, ...) of each event; begun(line, body) is when it began, in ns."""
    lines = consumer.wait_messages(f"all events of {name}", name, lambda lines: lines if len(lines) >= count else None, 120)
    values = [(line["mono"] - begun(json.loads(line["message"]["body"]))) / 1e6 for line in lines]
    consumer.lines.items.clear()
    return values


def closes(server, consumer, count, rate):
    devices = {}
    closed = {}
    for i in range(count):
        device = Device(server, f"l{i}")
        devices[device.client_id] = device
    time.sleep(1)
    begun = time.monotonic()
    for i, (client, device) in enumerate(devices.items()):
        time.sleep(max(0, begun + i / rate - time.monotonic()))
        closed[client] = time.monotonic_ns()
        device.cut()
    return collect(consumer, "rollcall", count, lambda body: closed[body["clientId"]])


def sends(sender, consumer, where, count, rate):
    sender.call("flood", name=where, topic=TOPIC if where == "apache" else "sent", tags="tcpclean", count=count,
                rate=rate, timeout=120)
    return collect(consumer, "apache" if where == "apache" else "sent", count, lambda body: body["mono"])


def open_ways(server, cluster, consumer, sender):
    """What is measured: name -> function(count, rate)."""
    sender.call("producer", name="apache", group="GID_bench", namesrv=cluster.namesrv, **KEYS)
    sender.call("producer", name="rollcall", group="GID_bench", namesrv=server.namesrv, **KEYS)
    sender.call("flood", name="apache", topic=TOPIC, tags="first", count=1, rate=1)
    sender.call("flood", name="rollcall", topic="sent", tags="first", count=1, rate=1)
    for name, topic, namesrv in (("rollcall", TOPIC, server.namesrv), ("sent", "sent", server.namesrv),
                                 ("apache", TOPIC, cluster.namesrv)):
        consumer.call("push", name=name, group=f"GID_bench_{name}", topic=topic, tags="tcpclean", namesrv=namesrv, **KEYS)
    ways = {
        "rollcall, TCP close to callback": lambda count, rate: closes(server, consumer, count, rate),
        "rollcall, send to callback": lambda count, rate: sends(sender, consumer, "rollcall", count, rate),
        "apache 4.9.8, send to callback": lambda count, rate: sends(sender, consumer, "apache", count, rate),
    }
    for name, topic, producer in (("sent", "sent", "rollcall"), ("apache", TOPIC, "apache")):
        def taken():  # until each consumer has its queues
            sender.call("flood", name=producer, topic=topic, tags="tcpclean", count=8, rate=1000)
            return len(consumer.messages(name)) >= 8
        wait_until(f"the consumer {name}", taken, 60, pause=1)
    time.sleep(2)
    consumer.lines.items.clear()
    for way in ways.values():  # the JVMs compile what they use
        way(1500, 1000)
    return ways


def measure(ways, options):
    for rate in options.rates:
        values = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                values[name] += way(options.events // options.rounds, rate)
        for name, all_ in values.items():
            print(json.dumps({"what": name, "rate": rate, "events": len(all_), "p50_ms": round(percentile(all_, 0.5), 2),
                              "p99_ms": round(percentile(all_, 0.99), 2), "max_ms": round(max(all_), 2)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=6000)
    parser.add_argument("--rates", type=float, nargs="+", default=[500, 1000])
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        server = Rollcall(home / "rollcall", segment="64MiB", queue_entries=300000, shards=0).start()
        cluster = RealCluster(home / "apache", 49).start()
        consumer, sender = Driver("ons", home / "consumer"), Driver("ons", home / "sender")
        try:
            measure(open_ways(server, cluster, consumer, sender), options)
        finally:
            consumer.close()
            sender.close()
            cluster.stop()
            server.stop()


if __name__ == "__main__":
    main()

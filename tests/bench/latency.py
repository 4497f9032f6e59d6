#!/usr/bin/env python3
"""From a client's TCP close to the Java consumer's callback: percentiles, with the official ons-client 1.8.5.Final.

Both clocks are the machine's monotonic one. Usage: latency.py [--clients N] [--rate PER_SECOND]
Needs what tests/run-e2e sets up (run it once); ROLLCALL names the server's binary.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.jvm import Driver  # noqa: E402
from harness.rollcall import AK, GROUP, SK, TOPIC, Device, Rollcall  # noqa: E402


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def run(server, driver, clients, rate):
    devices = {}
    closed = {}
    for i in range(clients):
        device = Device(server, f"l{i}")
        devices[device.client_id] = device
    time.sleep(2)
    begun = time.monotonic()
    for i, (client, device) in enumerate(devices.items()):
        time.sleep(max(0, begun + i / rate - time.monotonic()))
        closed[client] = time.monotonic_ns()
        device.cut()
    lines = driver.wait_messages("every tcpclean", "latency", lambda lines: lines if len(lines) >= clients else None, 60)
    return [(line["mono"] - closed[json.loads(line["message"]["body"])["clientId"]]) / 1e6 for line in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        server = Rollcall(pathlib.Path(home) / "rollcall", segment="64MiB").start()
        driver = Driver("ons", pathlib.Path(home) / "ons")
        driver.call("push", name="latency", group="GID_latency", topic=TOPIC, tags="tcpclean", namesrv=server.namesrv,
                    ak=AK, sk=SK)
        for i in range(300):  # the JVM compiles what it uses
            Device(server, f"warm{i}").cut()
        driver.wait_messages("the warm-up", "latency", lambda lines: len(lines) >= 300, 60)
        driver.lines.items.clear()
        values = run(server, driver, options.clients, options.rate)
        driver.close()
        server.stop()
    print(json.dumps({"group": GROUP, "events": len(values), "rate": options.rate,
                      "p50_ms": round(percentile(values, 0.5), 2), "p99_ms": round(percentile(values, 0.99), 2),
                      "max_ms": round(max(values), 2)}))


if __name__ == "__main__":
    main()

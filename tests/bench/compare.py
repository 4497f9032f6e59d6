#!/usr/bin/env python3
"""Rollcall beside mosquitto and others, in alternating rounds of one run: CPU time and memory of the servers.

Usage: compare.py [--rounds N] [--quick] [--only ROW,...] [--other NAME:PORT:COMMAND]... [--out FILE.json]
Writes the JSON; report.py makes docs/benchmarks.md of it. ROLLCALL names the server's binary.
"""

import argparse
import contextlib
import json
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness.certificates import Authority  # noqa: E402
from harness.rollcall import BINARY  # noqa: E402
from servers import (Bare, Broker, FullJvmCluster, KilledServer, Mosquitto, Other, RollcallServer,  # noqa: E402
                     resident_bytes, thread_seconds)

FILES_BESIDE = 1000  # of the limit of open files: what a server needs for itself


def rounds_of(servers, rounds, measure):
    """{server: [value a round]}; rounds alternate, so that what the machine does beside hits all alike."""
    values = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            values[server.name].append(measure(server))
    return values


def each_us(figures):
    return figures["server"]["cpuNsEach"] / 1000


class Bench:
    def __init__(self, options, home):
        self.options, self.home = options, home
        self.authority = Authority(home / "ca")
        self.cluster = None
        self.servers = [RollcallServer(home, authority=self.authority), Mosquitto(home, self.authority), *(Other(home, text) for text in options.other)]
        self.bare = Bare(home)
        self.quick = 4 if options.quick else 1
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.most = min(19000, limit - FILES_BESIDE) // self.quick

    def stop(self):
        for server in [*self.servers, self.bare]:
            server.stop()
        if self.cluster:
            self.cluster.stop()

    # each row: {"unit", "values": {server: [..]}, "settings"}, and "goals": [[what, value, the most it may be], ...]
    # where they are not shares of a peer's (report.py has those)

    def row_churn(self):
        count = 12000 // self.quick
        return {"unit": "us of CPU a connect + CONNACK + DISCONNECT + close", "settings": f"{count} a round, 64 at once",
                "values": rounds_of([*self.servers, self.bare], self.options.rounds, lambda server: each_us(
                    server.load("--pattern", "churn", "--count", count)))}

    @contextlib.contextmanager
    def _just_started(self, name, **options):
        """Rollcall and mosquitto that have done nothing yet, in a folder of that name."""
        fresh = []
        try:
            for kind in (RollcallServer, Mosquitto):
                fresh.append(kind(self.home / name, **options))
            yield fresh
        finally:
            for server in fresh:
                server.stop()

    def _idle(self, subscriptions):
        def measure(server):
            figures = server.load("--pattern", "hold", "--clients", self.most, "--subscriptions", subscriptions, "--settle", "2s")
            time.sleep(1)
            return figures["server"]["bytesEach"]
        with self._just_started(f"idle{subscriptions}") as fresh:
            return {"unit": "resident bytes an idle connection", "values": rounds_of(fresh + self.servers[2:], 1, measure),
                    "settings": f"{self.most} connections, {subscriptions} subscriptions each, a server just started"}

    def row_idle(self):
        return self._idle(0)

    def row_idle_subscribed(self):
        return self._idle(1)

    # ---- TLS and WebSocket ----

    def _churn_over(self, listener, count):
        return {"unit": "us of CPU a connect + CONNACK + DISCONNECT + close", "settings": f"{count} a round, 16 at once; "
                "ECDSA P-256, TLS 1.3, no resumption", "values": rounds_of(self.servers[:2], self.options.rounds, lambda s: each_us(
                    s.load_over(listener, self.authority, "--pattern", "churn", "--count", count, "--at-once", 16)))}

    def row_tls_churn(self):
        return self._churn_over("tls", 2000 // self.quick)

    def row_wss_churn(self):
        return self._churn_over("wss", 2000 // self.quick)

    def _idle_over(self, listener):
        count = 4000 // self.quick

        def measure(server):
            server.load_over(listener, self.authority, "--pattern", "churn", "--count", 200)  # what is made at the first use
            return server.load_over(listener, self.authority, "--pattern", "hold", "--clients", count)["server"]["bytesEach"]
        with self._just_started(f"idle-{listener}", authority=self.authority) as fresh:
            values = rounds_of(fresh, 1, measure)
        return {"unit": "resident bytes an idle connection", "values": values, "settings": f"{count} connections, TLS 1.3, "
                "ECDSA P-256, a server just started", "goals": [["bytes a connection", values["rollcall"][0], 16384]]}

    def row_tls_idle(self):
        return self._idle_over("tls")

    def row_mutual_idle(self):
        return self._idle_over("mutual")

    def row_wss_idle(self):
        return self._idle_over("wss")

    def _publish_over(self, listener, count):
        return {"unit": "us of CPU a QoS 0 message", "settings": f"64 B, 4 publishers, 1 subscriber, {count} a round",
                "values": rounds_of(self.servers[:2], self.options.rounds, lambda server: each_us(
                    server.load_over(listener, self.authority, "--pattern", "publish", "--count", count)))}

    def row_ws_qos0(self):
        return self._publish_over("ws", 20000 // self.quick)

    def row_wss_qos0(self):
        return self._publish_over("wss", 20000 // self.quick)

    def _publish(self, count, *options, divide=1):
        def measure(server):
            return each_us(server.load("--pattern", "publish", "--count", count, *options)) / divide
        return rounds_of(self.servers, self.options.rounds, measure)

    def row_qos0(self):
        count = 40000 // self.quick
        return {"unit": "us of CPU a QoS 0 message", "settings": f"64 B, 4 publishers, 1 subscriber, {count} a round",
                "values": self._publish(count)}

    def row_qos1(self):
        count = 16000 // self.quick
        return {"unit": "us of CPU a QoS 1 message", "settings": f"64 B, 4 publishers, 1 subscriber, {count} a round",
                "values": self._publish(count, "--qos", 1, "--window", 20)}

    def row_qos2(self):
        count = 8000 // self.quick
        return {"unit": "us of CPU a QoS 2 message", "settings": f"64 B, 4 publishers, 1 subscriber, {count} a round",
                "values": self._publish(count, "--qos", 2, "--window", 20)}

    def row_fan_out(self):
        count = 100 // self.quick
        return {"unit": "us of CPU a delivery", "settings": f"64 B, QoS 0, 1 publisher, 1000 subscribers, {count} a round",
                "values": self._publish(count, "--publishers", 1, "--subscribers", 1000, "--window", 5, divide=1000)}

    def row_pairs_v5(self):
        count = 16000 // self.quick
        return {"unit": "us of CPU a QoS 1 message of MQTT 5.0", "values": self._publish(
            count, "--qos", 1, "--publishers", 50, "--subscribers", 50, "--topics", 50, "--mqtt-version", 5, "--window", 10),
            "settings": f"64 B, 50 pairs, {count} a round"}

    def row_absent(self):
        count = 800 // self.quick  # the product's limit is 1,000 that wait

        def measure(server):
            figures = server.load("--pattern", "publish", "--count", count, "--qos", 1, "--absent", "--subscribers", 10)
            server_figures = figures["server"]
            return (server_figures["cpuMs"] + server_figures["cpuReturnMs"]) * 1000 / max(1, figures["received"])
        return {"unit": "us of CPU a message that waits for its subscriber", "values": rounds_of(
            self.servers, self.options.rounds, measure), "settings": f"QoS 1, 10 absent subscribers, {count} messages a round"}

    def row_latency(self):
        full = self.servers[1].load("--pattern", "publish", "--count", 40000 // self.quick)
        rate = full["sent"] * 1e9 / max(1, full["workNs"]) / 2
        seen = {}

        def measure(server):
            figures = server.load("--pattern", "publish", "--count", 0, "--duration", "2s", "--rate", f"{rate:.0f}/s",
                                  check=False)
            seen.setdefault(server.name, []).append({**figures["latencyUs"], "programLateP99": figures["lateUs"]["p99"],
                                                     "cpuUs": each_us(figures)})
            return figures["latencyUs"]["p99"] / 1000
        values = rounds_of(self.servers, self.options.rounds, measure)
        return {"unit": "ms, p99 from due to received", "values": values, "percentiles": seen,
                "settings": f"QoS 0, 64 B, 4 publishers, 1 subscriber, {rate:.0f} messages/s for 2 s: half of what mosquitto "
                            "carried just before; load and server share the machine, so this is of the machine too"}

    def row_start(self):
        values, memory = {}, {}
        for _ in range(self.options.rounds):
            for kind in (RollcallServer, Mosquitto):
                server = kind(pathlib.Path(tempfile.mkdtemp(dir=self.home)))
                values.setdefault(server.name, []).append(server.start_s * 1000)
                memory.setdefault(server.name, []).append(resident_bytes(server.pid))
                server.stop()
        return {"unit": "ms from exec until ready", "values": values, "memory_when_ready": memory,
                "goals": [["ms until ready", statistics.median(values["rollcall"]), 50],
                          ["resident bytes when ready", statistics.median(memory["rollcall"]), 8 << 20]],
                "settings": "an empty store; a process polled every 2 ms"}

    def row_append(self):
        values, fdatasyncs = {}, {}
        for flush in ("async", "sync"):
            server = RollcallServer(self.home / f"append-{flush}", store=f", flush: {flush}", name=f"flush: {flush}")
            for _ in range(self.options.rounds):
                before = thread_seconds(server.pid, "rc-log")
                server.load("--pattern", "churn", "--count", 4000 // self.quick)
                used = thread_seconds(server.pid, "rc-log") - before
                values.setdefault(server.name, []).append(used * 1e6 / (3 * (4000 // self.quick)))
            fdatasyncs[server.name] = server.fdatasyncs()
            server.stop()
        return {"unit": "us of CPU of the log's thread a record", "values": values, "fdatasyncs": fdatasyncs,
                "goals": [["us a record with flush: sync", statistics.median(values["flush: sync"]), 2]],
                "settings": f"{3 * (4000 // self.quick)} events a round, from connections that come and go 64 at once: the "
                            "thread's wake-ups are in it"}

    def row_restart(self):
        """A log as a kill -9 leaves it, with all those channels open; clients that come while it starts."""
        channels = 1000000 // self.quick
        listening, told, accepted = [], [], []
        for number in range(min(3, self.options.rounds)):
            server = KilledServer(self.home / f"killed{number}", channels)
            listening.append(server.listening_s)
            told.append(server.start_s)
            accepted.append(server.accepted_s)
            server.stop()
        return {"unit": "seconds from exec", "settings": f"{channels} open channels in the log, each of one client; a client "
                "that comes as soon as the port is open is accepted when all is told",
                "values": {"listening": listening, "ready: all tcpclean in the log": told, "such a client's CONNACK": accepted},
                "goals": [["s until listening", statistics.median(listening), 2], ["s until all tcpclean are in the log",
                                                                                   statistics.median(told), 10]]}

    # ---- RocketMQ ----

    def _brokers(self):
        """Rollcall's endpoint, and an Apache broker whose JVM has compiled what it uses."""
        ours = self.servers[0]
        brokers = [Broker("rollcall", ours.rollcall.namesrv, ours.pid)]
        warm_ups = 1
        if not self.cluster:
            self.cluster = FullJvmCluster(self.home / "apache", 49, settings={"mappedFileSizeCommitLog": 1 << 30}).start()
            warm_ups = 3
        brokers.append(Broker("apache", self.cluster.namesrv, self.cluster.broker.pid))
        for broker in brokers:
            for _ in range(warm_ups):
                broker.load("--pattern", "produce", "--count", 20000 // self.quick, "--topic", "warm")
                broker.load("--pattern", "consume", "--count", 5000 // self.quick, "--topic", "warm")
        return brokers

    def _rocketmq(self, unit, settings, *options):
        values = rounds_of(self._brokers(), self.options.rounds, lambda broker: each_us(broker.load(*options)))
        return {"unit": unit, "values": values, "settings": f"{settings}; load by rollcall bench; Apache's broker is 4.9.8 with "
                "all compilers of its JVM, warmed up, heap 32 - 512 MiB"}

    def row_produce(self):
        count = 20000 // self.quick
        return self._rocketmq("us of CPU a message produced", f"{count} a round of 64 B, 4 producers with 20 requests under way",
                              "--pattern", "produce", "--count", count)

    def row_produce_batch(self):
        count = 100000 // self.quick
        return self._rocketmq("us of CPU a message produced", f"{count} a round of 64 B, 32 in a request, 4 producers",
                              "--pattern", "produce", "--count", count, "--batch", 32)

    def row_consume(self):
        count = 20000 // self.quick
        for broker in self._brokers():
            broker.load("--pattern", "produce", "--count", count, "--batch", 32, "--topic", "backlog")
        return self._rocketmq("us of CPU a message consumed", f"{count} a round, 64 B, from a backlog, 1 consumer of librollcall",
                              "--pattern", "consume", "--publishers", 0, "--count", count, "--topic", "backlog")

    def row_produce_to_consume(self):
        seen = {}

        def measure(broker):
            figures = broker.load("--pattern", "consume", "--topic", "warm", "--count", 0, "--duration", "3s", "--rate", "1000/s")
            seen.setdefault(broker.name, []).append({**figures["latencyUs"], "programLateP99": figures["lateUs"]["p99"],
                                                     "cpuUs": each_us(figures)})
            return figures["latencyUs"]["p99"] / 1000
        return {"unit": "ms, p99 from due to the consumer's callback", "percentiles": seen, "settings": "1,000 messages/s for 3 s, "
                "64 B, 4 producers, 1 consumer; load and broker share the machine",
                "values": rounds_of(self._brokers(), self.options.rounds, measure)}

    @staticmethod
    def _java(program, *options):
        """A program of this folder that prints one JSON object a line."""
        done = subprocess.run([sys.executable, pathlib.Path(__file__).with_name(program), *map(str, options)],
                              stdout=subprocess.PIPE, text=True, timeout=900, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def row_callback(self):
        lines = self._java("latency.py", "--events", 4000 // self.quick, "--rates", 1000)
        return {"unit": "ms to the callback of an ons-client 1.8.5, p50", "percentiles": lines,
                "values": {line["what"]: [line["p50_ms"]] for line in lines},
                "settings": f"{4000 // self.quick} events at 1000/s, rounds alternate, one consumer JVM"}

    def row_pull(self):
        line = self._java("pull.py", "--messages", 8000 // self.quick, "--rounds", self.options.rounds)[0]
        return {"unit": "us of the server's CPU a message pulled from a backlog", "values": line["us_each"],
                "memory_when_ready": line["resident_bytes"], "settings": f"{line['messages']} messages a round, "
                "ons-client 1.8.5.Final; Apache's broker is 4.9.8 with all compilers of its JVM, warmed up, heap 32 - 512 MiB"}

    def _with_held(self, server, held, subscriptions, measure):
        """Measures while `held` other clients stand there."""
        command = server.command("--pattern", "hold", "--clients", held, "--subscriptions", subscriptions, "--prefix",
                                 "held-", "--topic", "sensors/held", "--duration", "10m", "--settle", "0ms")
        process = subprocess.Popen(command, env=server.env(), stdout=subprocess.DEVNULL)
        before = resident_bytes(server.pid)
        try:
            deadline = time.monotonic() + 60
            while self._sockets(server.pid) < held and time.monotonic() < deadline:
                time.sleep(0.2)
            time.sleep(2)
            each = (resident_bytes(server.pid) - before) / held
            return measure(server), each
        finally:
            process.kill()
            process.wait()
            time.sleep(3)

    @staticmethod
    def _sockets(pid):
        return sum(1 for _ in pathlib.Path(f"/proc/{pid}/fd").iterdir())

    def row_scale_connections(self):
        values, memory = {}, {}
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = 200000 if limit >= 200000 + FILES_BESIDE else self.most * self.quick - 500
        for held in (1000, 10000, min(18500, most), *([most] if most > 18500 else [])):
            held //= self.quick
            with self._just_started(f"held{held}") as fresh:
                for server in fresh:
                    server.load("--pattern", "churn", "--count", 200)  # what is made at the first use
                    cost, each = self._with_held(server, held, 0, lambda server: [
                        each_us(server.load("--pattern", "churn", "--count", 3000)),
                        each_us(server.load("--pattern", "publish", "--count", 10000))])
                    values[f"{server.name}, {held} held"] = cost
                    memory[f"{server.name}, {held} held"] = each
        return {"unit": "us of CPU [a connection that comes and goes, a QoS 0 message]", "values": values,
                "bytes_each": memory, "settings": "while so many other connections stand there; a server just started" + (
                    "" if most == 200000 else f"; 200,000 need a limit of {200000 + FILES_BESIDE} open files, here it is {limit}")}

    def row_scale_subscriptions(self):
        values = {}
        for clients, each in ((10, 1), (100, 10), (4000 // self.quick, 25)):
            for server in self.servers[:2]:
                cost, _ = self._with_held(server, clients, each, lambda server: [
                    each_us(server.load("--pattern", "publish", "--count", 10000))])
                values[f"{server.name}, {clients * each} subscriptions"] = cost
        return {"unit": "us of CPU a QoS 0 message", "values": values, "settings": "while so many subscriptions to other topics stand"}


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).splitlines()[0]
    except (OSError, IndexError):
        return "?"


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "cores": len(__import__("os").sched_getaffinity(0)),
            "memory_gib": round(int(memory.group(1)) / 1048576, 1), "kernel": platform.release(),
            "rollcall": first_line([BINARY, "--version"]), "mosquitto": first_line(["mosquitto", "-h"]),
            "load_at_start": pathlib.Path("/proc/loadavg").read_text().split()[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a quarter of the work, for a first look")
    parser.add_argument("--only", default="", help="rows, separated by commas")
    parser.add_argument("--other", action="append", default=[], metavar="NAME:PORT:COMMAND")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names = [name[4:] for name in vars(Bench) if name.startswith("row_")]
    wanted = options.only.split(",") if options.only else names
    out = pathlib.Path(options.out)
    result = json.loads(out.read_text()) if out.exists() and options.only else {"rows": {}}
    result["machine"] = machine()
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(options, pathlib.Path(home))
        try:
            for name in wanted:
                row = getattr(bench, f"row_{name}")()
                row["rounds"] = options.rounds
                result["rows"][name] = row
                medians = {server: statistics.median(values) for server, values in row["values"].items()}
                print(f"{name}: {row['unit']}: " + ", ".join(f"{k} {v:.2f}" for k, v in medians.items()), flush=True)
                out.write_text(json.dumps(result, indent=1) + "\n")
        finally:
            bench.stop()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What a connection costs the server: CPU for connect + CONNACK + DISCONNECT + close, and memory while idle.

Rollcall (as it ships: authentication, events and log on), mosquitto and a bare epoll server, in alternating rounds of
one run. The load comes from here; only the servers' own CPU time and resident memory are counted.

Usage: connections.py [--rounds N] [--connects N] [--idle N]     (ROLLCALL names the server's binary)
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.rollcall import Rollcall, password, user  # noqa: E402
from harness.procs import Process, free_port, port_answers, wait_until  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
DISCONNECT = b"\xe0\x00"
WORKERS = 4


def connect_packet(name):
    client_id = f"GID_test@@@{name}"
    fields = [client_id, user(), password(client_id)]
    body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + b"".join(struct.pack(">H", len(f)) + f.encode() for f in fields)
    assert len(body) < 16384
    return bytes([0x10, len(body) % 128 | (128 if len(body) > 127 else 0)]) + \
        (bytes([len(body) // 128]) if len(body) > 127 else b"") + body


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith(("RssAnon", "RssShmem")))


def open_client(port, packet, source="127.0.0.1"):
    client = socket.socket()
    client.bind((source, 0)) if source != "127.0.0.1" else None
    client.connect(("127.0.0.1", port))
    client.sendall(packet)
    assert client.recv(4)[3] == 0
    return client


def churn(port, worker, count, at_once):
    """Comes and goes `count` times, `at_once` clients together: each step for all of them before the next."""
    packets = [connect_packet(f"w{worker}n{i}") for i in range(at_once)]
    for _ in range(count // at_once):
        clients = []
        for packet in packets:
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(packet)
            clients.append(client)
        for client in clients:
            assert client.recv(4)[3] == 0
            client.sendall(DISCONNECT)
        for client in clients:
            client.recv(1)  # until the server has closed
            client.close()


def measure_churn(server, connects, at_once):
    before = cpu_seconds(server["pid"])
    workers = [multiprocessing.Process(target=churn, args=(server["port"], w, connects // WORKERS, at_once))
               for w in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    time.sleep(0.3)
    return (cpu_seconds(server["pid"]) - before) / connects * 1e6


def measure_idle(server, count):
    before = resident_kib(server["pid"])
    clients = [open_client(server["port"], connect_packet(f"idle{i}")) for i in range(count)]
    time.sleep(1)
    used = resident_kib(server["pid"]) - before
    for client in clients:
        client.close()
    time.sleep(1)
    return used * 1024 / count


def start_servers(home):
    root = pathlib.Path(__file__).resolve().parents[2]
    rollcall = Rollcall(home / "rollcall", segment="256MiB", queue_entries=300000).start()
    mosquitto_port, bare_port = free_port(), free_port()
    conf = home / "mosquitto.conf"
    conf.write_text(f"listener {mosquitto_port} 127.0.0.1\nallow_anonymous true\nmax_connections -1\nlog_dest none\n")
    mosquitto = Process(["mosquitto", "-c", conf], home / "mosquitto")
    binary = home / "bare_epoll"
    subprocess.run(["cc", "-O2", "-o", binary, root / "tests/bench/bare_epoll.c"], check=True)
    bare = Process([binary, str(bare_port)], home / "bare")
    for port in (mosquitto_port, bare_port):
        wait_until(f"port {port}", lambda: port_answers(port))
    return {"rollcall": {"pid": rollcall.process.pid, "port": rollcall.mqtt_port, "stop": rollcall.stop},
            "mosquitto": {"pid": mosquitto.pid, "port": mosquitto_port, "stop": mosquitto.kill},
            "bare": {"pid": bare.pid, "port": bare_port, "stop": bare.kill}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connects", type=int, default=8000)
    parser.add_argument("--at-once", type=int, default=64, help="clients that come and go together, a worker (4 of them)")
    parser.add_argument("--idle", type=int, default=19000)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as home:
        servers = start_servers(pathlib.Path(home))
        costs = {name: [] for name in servers}
        for _ in range(options.rounds):
            for name, server in servers.items():
                costs[name].append(measure_churn(server, options.connects, options.at_once))
        idle = {name: measure_idle(servers[name], min(options.idle, hard - 100)) for name in ("rollcall", "mosquitto")}
        result = {name: {"us_per_connect": round(statistics.median(values), 1), "rounds": [round(v, 1) for v in values]}
                  for name, values in costs.items()}
        for name, value in idle.items():
            result[name]["bytes_per_idle_connection"] = round(value)
        for other in ("mosquitto", "bare"):
            ratios = [a / b for a, b in zip(costs["rollcall"], costs[other])]
            result[f"rollcall/{other}"] = round(statistics.median(ratios), 2)
        for server in servers.values():
            server["stop"]()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What a TLS connection costs the server: CPU for connect + CONNACK + DISCONNECT + close, and memory while idle.

Rollcall (as it ships) and mosquitto, in alternating rounds of one run, with the same certificate (ECDSA P-256) and TLS
1.3, without and with a certificate of the client. Only the servers' own CPU time and resident memory are counted.

Usage: tls.py [--rounds N] [--connects N] [--idle N]     (ROLLCALL names the server's binary)
"""

import argparse
import json
import os
import pathlib
import resource
import socket
import ssl
import statistics
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.certificates import Authority  # noqa: E402
from harness.procs import Process, free_port, port_answers, wait_until  # noqa: E402
from harness.rollcall import Rollcall, password, user  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
DISCONNECT = b"\xe0\x00"


def connect_packet(name):
    client_id = f"GID_test@@@{name}"
    body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + b"".join(
        struct.pack(">H", len(f)) + f.encode() for f in (client_id, user(), password(client_id)))
    length = [len(body)] if len(body) < 128 else [len(body) & 127 | 128, len(body) >> 7]
    return bytes([0x10, *length]) + body


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith(("RssAnon", "RssShmem")))


def start_rollcall(home, files, authority):
    server = Rollcall(home)
    plain, mutual = free_port(), free_port()
    tls = f"certificates: [{{certificate: {files[0]}, key: {files[1]}}}]"
    text = server.config.read_text()
    old = next(line for line in text.splitlines() if line.startswith("mqtt:"))
    server.config.write_text(text.replace(old, f"""mqtt:
  listeners:
    - {{name: tls, transport: tls, bind: "127.0.0.1:{plain}", tls: {{{tls}}}}}
    - {{name: mutual, transport: tls, bind: "127.0.0.1:{mutual}",
       tls: {{{tls}, client_ca: {authority.ca}, client_certificate: required}}}}"""))
    server.start()
    return server.process, {"tls": plain, "mutual": mutual}


def start_mosquitto(home, files, authority):
    ports = {"tls": free_port(), "mutual": free_port()}
    home.mkdir()
    common = f"cafile {authority.ca}\ncertfile {files[0]}\nkeyfile {files[1]}\n"
    conf = home / "mosquitto.conf"
    conf.write_text(f"user root\nallow_anonymous true\nlog_dest none\nmax_connections -1\n"
                    f"listener {ports['tls']} 127.0.0.1\n{common}"
                    f"listener {ports['mutual']} 127.0.0.1\n{common}require_certificate true\n")
    process = Process(["mosquitto", "-c", conf], home / "mosquitto")
    wait_until("mosquitto", lambda: all(port_answers(port) for port in ports.values()))
    return process, ports


def open_client(context, port, packet):
    client = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
    client.sendall(packet)
    assert client.recv(4)[3] == 0
    return client


def measure_cpu(process, port, context, count):
    before = cpu_seconds(process.pid)
    for i in range(count):
        client = open_client(context, port, connect_packet(f"t{i}"))
        client.sendall(DISCONNECT)
        client.close()
    return (cpu_seconds(process.pid) - before) / count * 1e6


def measure_memory(process, port, context, count):
    before = resident_kib(process.pid)
    clients = [open_client(context, port, connect_packet(f"i{i}")) for i in range(count)]
    grown = resident_kib(process.pid) - before
    for client in clients:
        client.close()
    return grown * 1024 / count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connects", type=int, default=500)
    parser.add_argument("--idle", type=int, default=2000)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as directory:
        home = pathlib.Path(directory)
        authority = Authority(home / "ca")
        files = authority.make("server", "localhost", "DNS:localhost")
        device = authority.make("device", "dev1")
        contexts = {"tls": ssl.create_default_context(cafile=authority.ca),
                    "mutual": ssl.create_default_context(cafile=authority.ca)}
        contexts["mutual"].load_cert_chain(*device)
        cpu, memory = {}, {}
        for start in (start_rollcall, start_mosquitto):
            name = start.__name__[6:]
            for kind in contexts:
                process, ports = start(home / f"{name}-{kind}", files, authority)
                measure_cpu(process, ports[kind], contexts[kind], 50)  # what is made at the first use
                memory[f"{name} {kind}"] = round(measure_memory(process, ports[kind], contexts[kind], options.idle))
                process.kill()
        servers = {f.__name__[6:]: f(home / f"{f.__name__[6:]}-cpu", files, authority)
                   for f in (start_rollcall, start_mosquitto)}
        for _ in range(options.rounds):
            for name, (process, ports) in servers.items():
                for kind, context in contexts.items():
                    cpu.setdefault(f"{name} {kind}", []).append(
                        measure_cpu(process, ports[kind], context, options.connects))
        for process, _ in servers.values():
            process.kill()
    print(json.dumps({"bytes_per_idle_connection": memory,
                      "cpu_us_per_connect": {name: round(statistics.median(values)) for name, values in cpu.items()}},
                     indent=2))


if __name__ == "__main__":
    main()

"""The servers that are measured beside each other, each a process with a port, and the load of `rollcall bench`."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import threading
import time
import urllib.request

from harness.apache import RealCluster
from harness.procs import BUILD, Process, free_port, port_answers, wait_until
from harness.rollcall import AK, BINARY, GROUP, INSTANCE, SK, Device, Rollcall

OPEN_CHANNELS = BUILD / "release/tests/bench/open_channels"
ROOT = pathlib.Path(__file__).resolve().parents[2]


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return 1024 * sum(int(line.split()[1]) for line in status.splitlines() if line.startswith(("RssAnon", "RssShmem")))


def cpu_seconds(pid):
    return time.clock_gettime(~pid << 3 | 2)  # the process's own clock, as clock_getcpuclockid names it


def thread_seconds(pid, name):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int((task / "schedstat").read_text().split()[0]) / 1e9
    return None


class Server:
    """What all have: name, port, pid, and the seconds from the start of the process until it is ready."""

    has_mqtt = True
    options = ()

    def __init__(self, name, home):
        self.name, self.home = name, pathlib.Path(home) / name
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()

    def launch(self, command):
        begun = time.monotonic()
        self.process = Process(command, self.home / "log")
        wait_until(f"{self.name} to be ready", self.is_ready, pause=0.002)
        self.start_s = time.monotonic() - begun
        self.pid = self.process.pid

    def is_ready(self):
        return port_answers(self.port)

    def stop(self):
        self.process.kill()

    def load(self, *options, check=True):
        """One run of rollcall bench against this server; its figures."""
        return self.run_bench(self.command(*options), *options, check=check)

    def run_bench(self, command, *options, check=True):
        done = subprocess.run(command, env=self.env(), capture_output=True, text=True, timeout=600)
        if check and done.returncode != 0:
            print(f"  {self.name}: {' '.join(map(str, options))}: not all came: {done.stdout[:300]}{done.stderr[:300]}")
        return json.loads(done.stdout)

    def load_over(self, listener, authority, *options):
        """The same over another of its listeners: tls, mutual, ws, wss."""
        transport = {"mutual": "tls"}.get(listener, listener)
        more = ["--transport", transport] + (["--ca", authority.ca] if transport in ("tls", "wss") else [])
        if listener == "mutual":
            certificate, key = authority.make("device", "dev1")
            more += ["--certificate", certificate, "--key", key]
        return self.run_bench(self.command(*more, *options, port=self.ports[listener]), listener, *options)

    def command(self, *options, port=None):
        return [BINARY, "bench", "--json", "--server", f"127.0.0.1:{port or self.port}", "--pid", str(self.pid),
                *self.options, *map(str, options)]

    def env(self):
        return {**os.environ, "ROLLCALL_ACCESS_KEY": AK, "ROLLCALL_SECRET_KEY": SK}


class RollcallServer(Server):
    """As it ships: signatures checked, three events a connection in the log, default sizes of the log's files."""

    options = ("--instance", INSTANCE, "--group", GROUP)

    def __init__(self, home, store="", name="rollcall", authority=None, open_channels=0):
        super().__init__(name, home)
        self.rollcall = Rollcall(self.home, segment="1GiB", queue_entries=300000, store=store, shards=0)
        self.ports = self.rollcall.listen_beside(authority) if authority else {}
        self.port = self.rollcall.mqtt_port
        if open_channels:
            self.rollcall.store.mkdir()
            subprocess.run([OPEN_CHANNELS, self.rollcall.store, str(open_channels)], check=True)
        self.launch([BINARY, "serve", "-c", self.rollcall.config])

    def is_ready(self):
        """The port opens a moment before; connections wait there until it says this."""
        return " serve: ready:" in self.process.output()

    def fdatasyncs(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rollcall.http_port}/metrics", timeout=10) as answer:
            return int(re.search(r"log_fdatasyncs(?:_total)? (\d+)", answer.read().decode()).group(1))

    def stop(self):
        self.process.stop()


class Mosquitto(Server):
    def __init__(self, home, authority=None):
        super().__init__("mosquitto", home)
        conf = self.home / "mosquitto.conf"
        conf.write_text("user root\nallow_anonymous true\nlog_dest none\nmax_queued_messages 0\n"
                        f"listener {self.port} 127.0.0.1\nmax_connections -1\n"
                        + (self._listen_beside(authority) if authority else ""))
        self.launch(["mosquitto", "-c", conf])

    def _listen_beside(self, authority):
        certificate, key = authority.make("server", "localhost", "DNS:localhost,IP:127.0.0.1")
        self.ports = {name: free_port() for name in ("tls", "mutual", "ws", "wss")}
        pair = f"certfile {certificate}\nkeyfile {key}\n"
        more = {"tls": pair, "mutual": f"{pair}cafile {authority.ca}\nrequire_certificate true\n",
                "ws": "protocol websockets\n", "wss": f"protocol websockets\n{pair}"}
        return "".join(f"listener {port} 127.0.0.1\nmax_connections -1\n{more[name]}" for name, port in self.ports.items())


class Bare(Server):
    """The floor of a connection's cost: tests/bench/bare_epoll.c."""

    has_mqtt = False

    def __init__(self, home):
        super().__init__("bare epoll server", home)
        binary = self.home / "bare_epoll"
        subprocess.run(["cc", "-O2", "-o", binary, ROOT / "tests/bench/bare_epoll.c"], check=True)
        self.launch([binary, str(self.port)])


class FullJvmCluster(RealCluster):
    """With all of the JVM's compilers and room to breathe: as one would run it."""

    def _java(self, main, config, heap, *options):
        return [part for part in super()._java(main, config, 512, *options) if part != "-XX:TieredStopAtLevel=1"]


class KilledServer(RollcallServer):
    """Started on what a killed one left: when it listened, and when it accepted a client that came at once."""

    def __init__(self, home, channels):
        super().__init__(home, name="killed", open_channels=channels)

    def launch(self, command):
        begun = time.monotonic()
        clients = []

        def come():
            wait_until("the port", lambda: port_answers(self.port), 60, pause=0.005)
            self.listening_s = time.monotonic() - begun
            clients.append(Device(self.rollcall, "open-7"))
            self.accepted_s = time.monotonic() - begun
            self.told_before = "have got their tcpclean" in self.process.output()
        client = threading.Thread(target=come)
        client.start()
        super().launch(command)
        client.join()
        assert clients[0].code == 0 and self.told_before, self.process.output()
        clients[0].cut()


class Broker:
    """The RocketMQ side: an Apache broker of 4.9.8, or Rollcall's endpoint."""

    def __init__(self, name, namesrv, pid):
        self.name, self.namesrv, self.pid = name, namesrv, pid

    def load(self, *options):
        command = [BINARY, "bench", "--json", "--server", self.namesrv, "--pid", self.pid, *options]
        env = {**os.environ, "ROLLCALL_ACCESS_KEY": AK, "ROLLCALL_SECRET_KEY": SK}
        done = subprocess.run([*map(str, command)], env=env, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            print(f"  {self.name}: {' '.join(map(str, options))}: {done.stdout[:300]}{done.stderr[:300]}")
        return json.loads(done.stdout)


class Other(Server):
    """Any other broker that takes anonymous clients: "name:port:command line"."""

    def __init__(self, home, text):
        name, port, command = text.split(":", 2)
        super().__init__(name, home)
        self.port = int(port)
        self.launch(shlex.split(command))

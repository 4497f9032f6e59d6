"""The servers that are measured beside each other, each a process with a port, and the load of `rollcall bench`."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import time
import urllib.request

from harness.procs import Process, free_port, port_answers, wait_until
from harness.rollcall import AK, BINARY, GROUP, INSTANCE, SK, Rollcall

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
        done = subprocess.run(self.command(*options), env=self.env(), capture_output=True, text=True, timeout=600)
        if check and done.returncode != 0:
            print(f"  {self.name}: {' '.join(map(str, options))}: not all came: {done.stdout[:300]}{done.stderr[:300]}")
        return json.loads(done.stdout)

    def command(self, *options):
        return [BINARY, "bench", "--json", "--server", f"127.0.0.1:{self.port}", "--pid", str(self.pid), *self.options,
                *map(str, options)]

    def env(self):
        return {**os.environ, "ROLLCALL_ACCESS_KEY": AK, "ROLLCALL_SECRET_KEY": SK}


class RollcallServer(Server):
    """As it ships: signatures checked, three events a connection in the log, default sizes of the log's files."""

    options = ("--instance", INSTANCE, "--group", GROUP)

    def __init__(self, home, store="", name="rollcall"):
        super().__init__(name, home)
        self.rollcall = Rollcall(self.home, segment="1GiB", queue_entries=300000, store=store)
        self.port = self.rollcall.mqtt_port
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
    def __init__(self, home):
        super().__init__("mosquitto", home)
        conf = self.home / "mosquitto.conf"
        conf.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_connections -1\nlog_dest none\n"
                        "max_queued_messages 0\n")
        self.launch(["mosquitto", "-c", conf])


class Bare(Server):
    """The floor of a connection's cost: tests/bench/bare_epoll.c."""

    has_mqtt = False

    def __init__(self, home):
        super().__init__("bare epoll server", home)
        binary = self.home / "bare_epoll"
        subprocess.run(["cc", "-O2", "-o", binary, ROOT / "tests/bench/bare_epoll.c"], check=True)
        self.launch([binary, str(self.port)])


class Other(Server):
    """Any other broker that takes anonymous clients: "name:port:command line"."""

    def __init__(self, home, text):
        name, port, command = text.split(":", 2)
        super().__init__(name, home)
        self.port = int(port)
        self.launch(shlex.split(command))

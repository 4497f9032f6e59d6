"""Processes with their output in files, free ports, and waiting with a deadline."""

import itertools
import os
import pathlib
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("ROLLCALL_BUILD", ROOT / "build"))
# A busy machine stretches every wait: ROLLCALL_TEST_PATIENCE=3 multiplies all deadlines by three.
PATIENCE = float(os.environ.get("ROLLCALL_TEST_PATIENCE", "1"))


def wait_until(what, condition, timeout=20.0, pause=0.05):
    """The first true value of condition(), or an AssertionError that says what was waited for."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout * PATIENCE:.0f} s for: {what() if callable(what) else what}")
        time.sleep(pause)


def _can_bind(port):
    """Whether a server may listen on this port, be it on every address: one that listens on another 127.0.0.x counts."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def _ports_in_turn():
    """Ports for listeners, each once before any comes again: one that was handed out may not be bound yet.

    Below the range that the kernel hands out to outgoing connections, so that none of those takes it meanwhile; from a
    random place on, because another run may go on beside this one. Parallel workers (pytest-xdist) have their own."""
    lowest_outgoing = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(12000, max(13000, min(31000, lowest_outgoing)))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = len(ports) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = ports[worker * share:(worker + 1) * share]
    start = int.from_bytes(os.urandom(2), "big")
    return (ports[(start + turn) % len(ports)] for turn in itertools.count())


_ports = _ports_in_turn()


def free_port(before=0, behind=0):
    """A port that is free now, as are as many before and behind it; none of them is handed out to another meanwhile."""
    for _ in range(2000):
        taken = [next(_ports) for _ in range(before + 1 + behind)]
        if taken == list(range(taken[0], taken[0] + len(taken))) and all(_can_bind(port) for port in taken):
            return taken[before]
    raise AssertionError("no free port")


def port_answers(port):
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A child process; standard output and error go to <log>.out and <log>.err unless taken over."""

    def __init__(self, command, log, env=None, stdin=subprocess.DEVNULL, stdout=None, cwd=None):
        self.log = pathlib.Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.command = [str(part) for part in command]
        with open(f"{log}.out", "ab") as out, open(f"{log}.err", "ab") as err:
            self.child = subprocess.Popen(self.command, stdin=stdin, stdout=stdout or out, stderr=err, cwd=cwd,
                                          env={**os.environ, **(env or {})})

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child.poll() is None

    def output(self):
        parts = [pathlib.Path(f"{self.log}{end}") for end in (".out", ".err")]
        return "".join(p.read_text(errors="replace") for p in parts if p.exists())

    def signal(self, number):
        if self.running():
            self.child.send_signal(number)

    def wait(self, timeout=20):
        return self.child.wait(timeout * PATIENCE)

    def stop(self, timeout=20):
        """SIGTERM, then, when that is not enough, SIGKILL and an error."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.command[0]} did not stop on SIGTERM within {timeout} s\n{self.output()[-3000:]}")

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

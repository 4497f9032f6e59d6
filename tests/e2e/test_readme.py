"""What README tells a newcomer to type, in a fresh copy of the repository, word for word but for the ports."""

import json
import re
import shlex
import shutil
import signal
import subprocess

import pytest

from harness.procs import ROOT, Process, free_port, wait_until
from harness.rollcall import BINARY


def commands(text):
    """The indented lines of a page, those that end in a backslash joined with the next."""
    lines = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    return lines.replace("\\\n", " ").splitlines()


class Newcomer:
    """A copy of what a clone has and ./dev run has built; ports of its own, since the usual ones may be taken."""

    def __init__(self, home, page):
        self.home = home
        files = subprocess.run(["git", "ls-files", "*.md", "examples"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in files.stdout.split():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, home / name)
        (home / "build/release").mkdir(parents=True)
        (home / "build/release/rollcall").symlink_to(BINARY)
        self.ports = {"1883": str(free_port()), "9876": str(free_port()), "18083": str(free_port())}
        config = home / "examples/quickstart.yaml"
        config.write_text(self.own_ports(config.read_text()) + f"http: {{bind: '127.0.0.1:{self.ports['18083']}'}}\n")
        self.commands = [self.own_ports(line) for line in commands((home / page).read_text())]

    def own_ports(self, text):
        return re.sub(r"\b(1883|9876)\b", lambda match: self.ports[match[0]], text)

    def run(self, name, command):
        return Process(command, self.home / name, cwd=self.home)

    def say(self, start, more=()):
        """Runs the command of the page that begins so."""
        line = next(line for line in self.commands if line.startswith(start))
        return self.run(start.split("/")[-1].split()[-1], [*shlex.split(line), *more])


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_its_commands_show_a_device_come_and_go(tmp_path, page):
    newcomer = Newcomer(tmp_path, page)
    assert any(line.startswith("./dev run ") for line in newcomer.commands)
    # This is what ./dev run does when it has built.
    server = newcomer.run("server", ["build/release/rollcall", "serve", "-c", "examples/quickstart.yaml"])
    started = []
    try:
        wait_until("the hints", lambda: "mosquitto_pub" in server.output())
        watch = newcomer.say("build/release/rollcall watch", ["--endpoint", f"127.0.0.1:{newcomer.ports['9876']}"])
        started.append(watch)
        wait_until("the watch to read", lambda: "reading GID_quick_MQTT" in watch.output())
        device = newcomer.say("mosquitto_sub")
        started.append(device)
        wait_until("the device online", lambda: "connect " in watch.output() and "ClientStatus :true" in watch.output())
        device.signal(signal.SIGINT)
        wait_until("the device offline", lambda: "tcpclean " in watch.output() and "ClientStatus :false" in watch.output())
    finally:
        for process in started:
            process.stop()
        assert server.stop() == 0


def test_its_example_of_an_event_is_one():
    text = (ROOT / "README.md").read_text()
    example = re.search(r"    (\{\"clientId\".*?\})\n", text, re.S)[1]
    assert set(json.loads(example)) == {"clientId", "time", "eventType", "channelId", "clientIp"}


def test_the_programs_that_it_names_exist():
    text = (ROOT / "README.md").read_text() + (ROOT / "README.zh-CN.md").read_text()
    verbs = subprocess.run([ROOT / "dev"], capture_output=True, text=True, check=True).stdout
    for verb in set(re.findall(r"\./dev (\w+)", text)):
        assert re.search(rf"^  {verb}\b", verbs, re.M), verb
    program = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
    for command in set(re.findall(r"`?rollcall (serve|sign|watch|sim|store|[a-z]+)\b[^`\n]*`", text)):
        assert re.search(rf"^  {command}\b", program, re.M), command

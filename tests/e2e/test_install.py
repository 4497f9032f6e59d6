"""What cmake --install puts in place: the program, its manual pages, and librollcall for a C program of somebody else."""

import os
import pathlib
import re
import shutil
import subprocess

from harness.lines import Lines
from harness.procs import Process
from harness.rollcall import AK, BINARY, GROUP, SK, TOPIC, Device, Rollcall

import pytest

PROGRAM = r"""
#include <rollcall/client_status.h>
#include <rollcall/consumer.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum rc_consume_result on_message(const struct rc_consumer_message *message, void *arg)
{
    struct rc_client_event event;
    rc_client_status_add_json(arg, message->body, message->body_len, &event);
    printf("%s %d\n", event.client_id, rc_client_status_is_online(arg, event.client_id));
    fflush(stdout);
    return RC_CONSUME_COMMIT;
}

int main(int argc, char **argv)
{
    char error[256];
    struct rc_consumer *consumer;
    struct rc_client_status *status = rc_client_status_create(NULL);
    struct rc_consumer_options options = {.namesrv = argv[1], .group = "GID_own", .topic = argv[2], .access_key = argv[3],
                                          .secret_key = argv[4], .from_first = true, .on_message = on_message,
                                          .arg = status};
    if (rc_consumer_start(&options, &consumer, error, sizeof(error)) != 0)
        return fprintf(stderr, "%s\n", error), 1;
    getchar();
    rc_consumer_stop(consumer);
    rc_client_status_destroy(status);
}
"""

MACROS = {"TH", "SH", "SS", "PP", "TP", "B", "I", "BR", "RS", "RE", "nf", "fi", "br", "nh", "ad"}


@pytest.fixture
def prefix(tmp_path):
    build = pathlib.Path(BINARY).parent
    if not (build / "cmake_install.cmake").exists():
        pytest.skip(f"{build} is not where the server was built")
    subprocess.run(["cmake", "--install", build, "--prefix", tmp_path / "usr"], check=True, capture_output=True)
    return tmp_path / "usr"


def test_a_program_of_somebody_else_uses_the_library(prefix, tmp_path):
    assert subprocess.run([prefix / "bin/rollcall", "--version"], capture_output=True).returncode == 0
    library = next(prefix.glob("lib/**/librollcall.so"))
    exported = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1] for line in exported.splitlines()}
    assert "rc_consumer_start" in names
    assert all(name.startswith(("rc_consumer_", "rc_client_status_")) for name in names), names
    env = {**os.environ, "PKG_CONFIG_PATH": str(library.parent / "pkgconfig")}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "rollcall"], env=env, capture_output=True, text=True, check=True)
    (tmp_path / "own.c").write_text(PROGRAM)
    subprocess.run(["cc", "-Wall", "-Werror", "-o", tmp_path / "own", tmp_path / "own.c", *flags.stdout.split()], check=True)
    server = Rollcall(tmp_path / "rollcall").start()
    own = Process([tmp_path / "own", server.namesrv, TOPIC, AK, SK], tmp_path / "own", stdin=subprocess.PIPE,
                  stdout=subprocess.PIPE, env={"LD_LIBRARY_PATH": str(library.parent)})
    lines = Lines(own.child.stdout)
    device = Device(server, "d")
    lines.wait("online", lambda items: f"{GROUP}@@@d 1" in items)
    device.disconnect()
    lines.wait("offline", lambda items: f"{GROUP}@@@d 0" in items)
    own.child.stdin.write(b"\n")
    own.child.stdin.close()
    assert own.child.wait(20) == 0
    server.stop()


def page_of(prefix, section, name):
    """What a page says, without fonts and escapes; it must be one that readers of man(7) know all commands of."""
    path = prefix / f"share/man/man{section}/{name}.{section}"
    text = path.read_text(encoding="ascii")
    assert text.startswith(f".TH {name} {section} ")
    assert {line[1:].split()[0] for line in text.splitlines() if line.startswith((".", "'"))} <= MACROS
    assert text.count("\n.nf\n") == text.count("\n.fi\n")
    if shutil.which("man"):
        shown = subprocess.run(["man", "--warnings", "-l", path], capture_output=True, text=True, check=True)
        assert shown.stderr == "" and name in shown.stdout
    return re.sub(r"\\f[BIR]", "", text).replace("\\-", "-").replace("\\&", "")


def help_of(*words):
    return subprocess.run([BINARY, *words, "--help"], capture_output=True, text=True, check=True).stdout


def options_of(text):
    return set(re.findall(r"^  --([a-z-]+)", text, re.MULTILINE)) - {"help"}


def test_the_manual_page_tells_all_that_help_tells(prefix):
    page = page_of(prefix, 1, "rollcall")
    sections = dict(re.findall(r"^\.SH (.*)\n((?:.*\n(?!\.SH))*)", page, re.MULTILINE))
    commands = subprocess.run([BINARY, "--complete"], capture_output=True, text=True, check=True).stdout.split()
    verbs = {"store": ["check", "dump"], "rule": ["list", "test", "drop"], "registry": ["export", "import"]}
    calls = [[command, *verb] for command in commands for verb in ([[v] for v in verbs.get(command, [])] or [[]])]
    for call in calls:
        section = sections["rollcall " + " ".join(call)]
        told = set(re.findall(r"^(?:-[a-z], )?--([a-z-]+)", section, re.MULTILINE))
        assert options_of(help_of(*call)) <= told, call
    for resource in ("rule create", "consumer resend"):
        row = re.search(rf"\n\.TP\n{resource} .*\n((?:.*\n)*?)\.RE\n", sections["rollcall ctl"])[1]
        own = options_of(help_of("ctl", *resource.split())) - options_of(help_of("ctl", "group", "list"))
        assert own == set(re.findall(r"^--([a-z-]+)", row, re.MULTILINE))
    assert "--man" not in page and "--complete" not in page


def test_the_manual_page_of_the_configuration_has_every_key(prefix):
    page = page_of(prefix, 5, "rollcall.yaml")
    reference = subprocess.run([BINARY, "serve", "--print-reference"], capture_output=True, text=True, check=True).stdout
    keys = re.findall(r"^- \*\*`(.*)`\*\*", reference, re.MULTILINE)
    assert len(keys) > 100 and keys == re.findall(r"^\.TP\n(.*)$", page, re.MULTILINE)

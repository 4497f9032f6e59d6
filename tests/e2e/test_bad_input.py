"""Bad input from many at once: the right answer or a closed connection, few log lines, memory that stays."""

import socket

import pytest

from harness.procs import wait_until
from harness.rollcall import GROUP, Device, Rollcall

STORM = 1500
NONSENSE = {
    "no protocol at all": b"GET / HTTP/1.1\r\n\r\n",
    "a frame without an end": b"\x10\xff\xff\xff\xff\x01" + b"\x7f" * 50,
    "a length of four gigabytes": b"\xff" * 64,
    "TLS where there is none": b"\x16\x03\x01\x02\x00\x01\x00" + b"\x01" * 60,
    "JSON that is none": b"\x00\x00\x00\x10\x00\x00\x00\x0c{{{{{{{{{{{{",
}


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall").start()
    yield server
    server.stop()


def resident_kib(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return sum(int(line.split()[1]) for line in status if line.startswith(("RssAnon", "RssShmem")))


def say(port, data):
    """Sends, and waits until the server has closed."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.settimeout(20)
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
        except ConnectionError:
            pass


@pytest.mark.parametrize("what", NONSENSE)
@pytest.mark.parametrize("door", ["mqtt_port", "rocketmq_port"])
def test_nonsense_from_many_changes_nothing(server, door, what):
    friend = Device(server, "friend")
    for _ in range(100):
        say(getattr(server, door), NONSENSE[what])
    lines, memory = server.log().count("\n"), resident_kib(server)
    for _ in range(STORM // 5):
        say(getattr(server, door), NONSENSE[what])
    assert resident_kib(server) - memory < 2048
    assert server.log().count("\n") - lines < 60
    friend.send(0xC0, b"")
    assert friend.receive()[0] == 0xD0
    friend.disconnect()


def test_wrong_passwords_from_many_are_answered_counted_and_told_now_and_then(server):
    codes = [Device(server, f"thief{i}", secret="gu3ssed").code for i in range(STORM)]
    assert set(codes[:300]) <= {4, 5} and set(codes) <= {3, 4, 5}  # beyond mqtt.login_failures_per_address: unseen
    assert 0 < server.log().count(" warn ") < 200
    assert "gu3ssed" not in server.log()
    friend = Device(server, "friend")  # from the same address: he signs right
    assert friend.code == 0
    friend.disconnect()
    wait_until("the friend's events", lambda: len(server.events(f"{GROUP}@@@friend")) == 3)
    assert {m["properties"]["KEYS"] for m in server.dump()} == {f"{GROUP}@@@friend"}

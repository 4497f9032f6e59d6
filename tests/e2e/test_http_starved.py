"""One address that does its worst by HTTP and HTTPS keeps no other address from being answered."""

import base64
import http.client
import resource
import socket
import ssl
import time

import pytest

from harness.certificates import Authority
from harness.procs import PATIENCE, free_port
from harness.rollcall import AK, INSTANCE, SK, Rollcall

ATTACKER, EACH, SOON_S = "127.0.0.2", 160, 2 * PATIENCE
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
UNREAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 40


@pytest.fixture
def server(tmp_path):
    certificate, key = Authority(tmp_path / "ca").make("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    port = free_port()
    pair = f'{{certificate: "{certificate}", key: "{key}"}}'
    server = Rollcall(tmp_path / "rollcall",
                      http_more=f', tls_bind: "127.0.0.1:{port}", tls: {{certificates: [{pair}]}}').start()
    server.https_port = port
    yield server
    server.stop()


def trusting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def connect(port, source=ATTACKER):
    return socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))


def secure(port):
    """A TLS connection, or None where none is given any more."""
    try:
        return trusting().wrap_socket(connect(port))
    except OSError:
        return None


def say(stream, data):
    """Whether it could be said, as far as it is taken at once."""
    stream.settimeout(0.2)
    try:
        stream.sendall(data)
    except TimeoutError:
        pass
    except OSError:
        return False
    return True


def answers(server):
    """How long each of what a well-behaved client asks took, in seconds."""
    key = base64.b64encode(f"{AK}:{SK}".encode()).decode()
    took = []
    for secured in (False, True):
        for path in ("/healthz", f"/v1/instances/{INSTANCE}/clients"):
            began = time.monotonic()
            one = http.client.HTTPSConnection("127.0.0.1", server.https_port, timeout=SOON_S, context=trusting()) \
                if secured else http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=SOON_S)
            one.request("GET", path, headers={"Authorization": "Basic " + key})
            assert one.getresponse().status == 200
            one.close()
            took.append(time.monotonic() - began)
    return took


def metric(server, name):
    one = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=SOON_S)
    one.request("GET", "/metrics")
    lines = one.getresponse().read().decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"rollcall_{name} "))


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("first", ["plain", "tls"])
def test_an_attacker_with_all_kinds_of_slow_connections_keeps_nobody_out(server, many_files, first):
    held = []
    if first == "tls":  # more than all places, and no byte of a handshake
        held += [connect(server.https_port) for _ in range(1200)]
        assert max(answers(server)) < SOON_S
    for data in (b"", b"GET /healthz HTTP/1.1\r\nHost: ", HEAD + b"x" * 900_000, UNREAD):
        streams = [connect(server.http_port) for _ in range(EACH)]
        held += streams
        for stream in streams[:40 if len(data) > 1000 else EACH]:
            say(stream, data)
        assert max(answers(server)) < SOON_S, f"while {data[:30]} was sent slowly"
    for data in (b"\x16\x03\x01", b"GET /healthz HTTP/1.1\r\nHost: ", HEAD + b"x" * 900_000, UNREAD):
        streams = [connect(server.https_port) if data[:1] == b"\x16" else secure(server.https_port) for _ in range(20)]
        held += streams
        for stream in filter(None, streams):
            say(stream, data)
        assert max(answers(server)) < SOON_S, f"while {data[:30]} was sent slowly over TLS"
    assert metric(server, "http_refused_connections_of_address_total") > 0
    assert metric(server, "http_connections") <= 256 + 8
    assert metric(server, "http_held_bytes") <= 32 << 20
    for stream in filter(None, held):
        stream.close()

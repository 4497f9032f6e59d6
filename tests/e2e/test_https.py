"""HTTPS: the same as over HTTP, by OpenSSL, with certificates that SIGHUP reads again."""

import http.client
import pathlib
import signal
import socket
import ssl
import struct
import time

import pytest

from harness.certificates import Authority
from harness.procs import free_port, wait_until
from harness.rollcall import INSTANCE, Rollcall
from test_api import HERE, sdk


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


@pytest.fixture
def server(tmp_path, authority):
    certificate, key = authority.make("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    port = free_port()
    more = f', tls_bind: "127.0.0.1:{port}", tls: {{certificates: [{{certificate: "{certificate}", key: "{key}"}}]}}'
    server = Rollcall(tmp_path / "rollcall", http_more=more).start()
    server.https_port = port
    yield server
    server.stop()


def connect(server, authority):
    context = ssl.create_default_context(cafile=authority.ca)
    return http.client.HTTPSConnection("127.0.0.1", server.https_port, timeout=20, context=context)


def ask(connection, method, path, body=None):
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def serial(server, authority):
    connection = connect(server, authority)
    connection.connect()
    number = connection.sock.getpeercert()["serialNumber"]
    connection.close()
    return number


def test_what_is_served_over_http_is_served_over_https(server, authority):
    connection = connect(server, authority)
    assert ask(connection, "GET", "/healthz") == (200, b"ok\n")
    status, text = ask(connection, "GET", "/metrics")  # the same connection, a longer answer
    assert status == 200 and b"rollcall_mqtt_clients 0" in text
    assert ask(connection, "GET", "/nothing")[0] == 404
    assert f" https=127.0.0.1:{server.https_port}" in server.log()


def test_the_sdk_calls_over_https(server, authority, monkeypatch):
    from alibabacloud_onsmqtt20200420 import models
    from alibabacloud_onsmqtt20200420.client import Client
    from alibabacloud_tea_openapi.models import Config
    from harness.rollcall import AK, SK
    client = Client(Config(access_key_id=AK, access_key_secret=SK, protocol="HTTPS", ca=str(authority.ca),
                           endpoint=f"localhost:{server.https_port}"))
    request = models.QuerySessionByClientIdRequest(client_id=HERE, instance_id=INSTANCE)
    assert client.query_session_by_client_id(request).body.online_status is False
    assert sdk(server).query_session_by_client_id(request).body.online_status is False  # and plain, beside it


def test_large_bodies_pass_whole_and_oversized_ones_are_refused(server, authority):
    connection = connect(server, authority)
    form = "&".join(f"Name{i}=" + "x" * 100_000 for i in range(5))
    connection.request("POST", "/", form, {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    assert answer.status == 400 and b"MissingAccessKeyId" in answer.read()
    connection.close()
    connection = connect(server, authority)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", str((1 << 20) + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_sighup_reads_the_certificates_again(server, authority):
    before = connect(server, authority)
    assert ask(before, "GET", "/healthz")[0] == 200
    first = serial(server, authority)
    authority.make("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    server.process.child.send_signal(signal.SIGHUP)
    wait_until("the new certificate", lambda: serial(server, authority) != first)
    assert ask(before, "GET", "/healthz")[0] == 200  # a connection that stood goes on
    (authority.home / "server.key").write_text("nonsense")
    second = serial(server, authority)
    server.process.child.send_signal(signal.SIGHUP)
    wait_until("the refusal", lambda: "http.tls.certificates[0].key" in server.log())
    assert serial(server, authority) == second


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_strangers_do_not_harm(server, authority):
    silent = [socket.create_connection(("127.0.0.1", server.https_port), 5) for _ in range(20)]
    plain = socket.create_connection(("127.0.0.1", server.https_port), 5)
    plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    plain.settimeout(20)
    try:
        assert b"200" not in plain.recv(1000)  # an alert, or nothing
    except ConnectionResetError:
        pass
    assert ask(connect(server, authority), "GET", "/healthz")[0] == 200
    for one in silent:
        one.close()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(socket.create_connection(("127.0.0.1", server.https_port), 5))


def open_tls(server, authority):
    context = ssl.create_default_context(cafile=authority.ca)
    stream = context.wrap_socket(socket.create_connection(("127.0.0.1", server.https_port), 10),
                                 server_hostname="127.0.0.1")
    stream.settimeout(30)
    return stream


def test_a_slow_reader_gets_all_of_many_answers(server, authority):
    """Far more than socket buffers hold is asked for before anything is read."""
    count = 60
    stream = open_tls(server, authority)
    stream.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * (count - 1) +
                   b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert ask(connect(server, authority), "GET", "/healthz")[0] == 200  # others are served meanwhile
    data = b""
    while piece := stream.recv(65536):
        data += piece
    assert data.count(b"HTTP/1.1 200 OK") == count and data.count(b'"openapi":"3.0.3"') == count
    assert len(data) > 1_000_000


def test_connections_that_break_leave_nothing_behind(server, authority):
    before = len(list(pathlib.Path(f"/proc/{server.process.child.pid}/fd").iterdir()))
    for i in range(60):
        stream = open_tls(server, authority)
        stream.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"[:7 + i])
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.close()
    wait_until("their descriptors to be closed",
               lambda: len(list(pathlib.Path(f"/proc/{server.process.child.pid}/fd").iterdir())) <= before + 2)
    assert ask(connect(server, authority), "GET", "/healthz")[0] == 200


@pytest.mark.parametrize("part", [b"GET /healthz HTTP/1.1\r\nHo", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b""])
def test_a_client_that_ends_with_its_last_bytes_is_let_go_at_once(server, authority, part):
    for _ in range(40):
        stream = open_tls(server, authority)
        stream.sendall(part)
        socket.socket.shutdown(stream, socket.SHUT_WR)
        began, said = time.monotonic(), b""
        while piece := stream.recv(4096):
            said += piece
        assert (b"200 OK" in said) == part.endswith(b"\r\n\r\n")
        assert time.monotonic() - began < 15  # what is only silent is closed after 30 s


def test_an_address_has_only_so_many_connections(server, authority):
    streams = [open_tls(server, authority) for _ in range(256)]
    with pytest.raises((ConnectionError, ssl.SSLError)):  # before the handshake
        open_tls(server, authority)
    for stream in streams:
        stream.close()
    wait_until("room", lambda: ask_safely(server, authority) == 200)


def ask_safely(server, authority):
    try:
        return ask(connect(server, authority), "GET", "/healthz")[0]
    except (OSError, http.client.HTTPException):
        return None

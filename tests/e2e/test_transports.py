"""Every transport with clients that others wrote; certificates, limits, slow peers, and whose address a client has."""

import json
import os
import queue
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from harness.certificates import Authority
from harness.procs import PATIENCE, ROOT, free_port, wait_until
from harness.rollcall import BINARY, GROUP, Rollcall, password, user

STANDARD = """
  - id: home
    profile: standard
    group: GID_home
    anonymous: true
"""
TLS = "tls: {{certificates: [{{certificate: {a}, key: {a_key}}}, {{certificate: {b}, key: {b_key}}}]{more}}}"


class Server(Rollcall):
    """With a listener for every transport; `more` are further ones as YAML, `mqtt` further keys of that section."""

    NAMES = ("tcp", "six", "tls", "mutual", "ws", "wss", "proxied", "tlsproxied", "wssmutual")

    def __init__(self, home, authority, more="", mqtt_more="", bind="127.0.0.1"):
        super().__init__(home)
        self.authority = authority
        self.ports = {name: free_port() for name in self.NAMES}
        self.ports["tcp"] = self.mqtt_port
        self.unix = self.home / "mqtt.sock"
        a, a_key = authority.make("a", "localhost", "DNS:localhost,IP:127.0.0.1")
        b, b_key = authority.make("b", "b.example", "DNS:b.example,DNS:*.wild.example")
        files = {"a": a, "a_key": a_key, "b": b, "b_key": b_key}
        tls = TLS.format(more="", **files)
        mutual = TLS.format(more=f", client_ca: {authority.ca}, client_certificate: required", **files)
        trusted = "proxy_protocol: {trusted: [127.0.0.1/32]}"
        listeners = f"""
    - {{name: tcp, bind: "{bind}:{self.ports['tcp']}"}}
    - {{name: six, bind: "[::]:{self.ports['six']}"}}
    - {{name: unix, bind: "unix:{self.unix}"}}
    - {{name: tls, transport: tls, bind: "{bind}:{self.ports['tls']}", {tls}}}
    - {{name: mutual, transport: tls, bind: "{bind}:{self.ports['mutual']}", {mutual}}}
    - {{name: ws, transport: ws, bind: "{bind}:{self.ports['ws']}"}}
    - {{name: wss, transport: wss, bind: "{bind}:{self.ports['wss']}", websocket: {{path: /other}}, {tls}}}
    - {{name: wssmutual, transport: wss, bind: "{bind}:{self.ports['wssmutual']}", {mutual}}}
    - {{name: proxied, bind: "{bind}:{self.ports['proxied']}", {trusted}}}
    - {{name: tlsproxied, transport: tls, bind: "{bind}:{self.ports['tlsproxied']}", {tls}, {trusted}}}
{more}"""
        text = self.config.read_text()
        old = next(line for line in text.splitlines() if line.startswith("mqtt:"))
        self.config.write_text(text.replace(old, f"mqtt:\n  connect_timeout: 3s\n{mqtt_more}  listeners:{listeners}")
                               + STANDARD)

    def reload(self, outcome):
        before = self.log().count(outcome)
        self.process.signal(signal.SIGHUP)
        wait_until(lambda: f"'{outcome}' in\n{self.log()[-2000:]}", lambda: self.log().count(outcome) > before)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, authority):
    server = Server(tmp_path_factory.mktemp("server"), authority).start()
    yield server
    server.stop()


# ---- clients of others ----

ROUTES = [("tcp", "tcp", None), ("six", "tcp", None), ("unix", "unix", None), ("tls", "tcp", "tls"),
          ("ws", "websockets", None), ("wss", "websockets", "tls")]


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
@pytest.mark.parametrize("listener,transport,tls", ROUTES, ids=[route[0] for route in ROUTES])
def test_paho_python_on_each_transport(server, listener, transport, tls, version):
    # Several clients, so that some are served by the shard that accepted them and some move.
    for number in range(4):
        client = mqtt.Client(CallbackAPIVersion.VERSION2, f"py-{listener}-{version}-{number}", transport=transport,
                             protocol=version)
        if transport == "websockets":
            client.ws_set_options(path="/other" if listener == "wss" else "/mqtt")
        if tls:
            client.tls_set(str(server.authority.ca))
        messages = queue.Queue()
        client.on_connect = lambda c, u, flags, reason, props: c.subscribe(f"py/{listener}", 1)
        client.on_subscribe = lambda c, u, mid, reasons, props: [
            c.publish(f"py/{listener}", bytes([qos]) * 70000, qos) for qos in (0, 1, 2)]
        client.on_message = lambda c, u, message: messages.put(message.payload)
        if transport == "unix":
            client.connect(str(server.unix), 1)
        else:
            client.connect("::1" if listener == "six" and number % 2 else "localhost", server.ports[listener])
        client.loop_start()
        got = {messages.get(timeout=10 * PATIENCE) for _ in range(3)}
        assert got == {bytes([qos]) * 70000 for qos in (0, 1, 2)}
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("listener,transport,tls", ROUTES, ids=[route[0] for route in ROUTES])
def test_the_last_word_arrives_on_each_transport(server, listener, transport, tls):
    ends = queue.Queue()
    clients = []
    for number in range(2):
        client = mqtt.Client(CallbackAPIVersion.VERSION2, f"last-{listener}", transport=transport, protocol=mqtt.MQTTv5)
        client.reconnect_delay_set(3600, 3600)
        if transport == "websockets":
            client.ws_set_options(path="/other" if listener == "wss" else "/mqtt")
        if tls:
            client.tls_set(str(server.authority.ca))
        online = threading.Event()
        client.on_connect = lambda c, u, flags, reason, props, online=online: online.set()
        if number == 0:
            client.on_disconnect = lambda c, u, flags, reason, props: ends.put(reason.value)
        if transport == "unix":
            client.connect(str(server.unix), 1)
        else:
            client.connect("localhost", server.ports[listener])
        client.loop_start()
        clients.append(client)
        assert online.wait(10 * PATIENCE)
    assert ends.get(timeout=10 * PATIENCE) == 0x8E
    for client in clients:
        client.disconnect()
        client.loop_stop()


def mosquitto_pub(server, listener, *more):
    command = ["mosquitto_pub", "-h", "localhost", "-p", str(server.ports[listener]), "-t", "m/x", "-m", "hi", "-q", "1",
               "--cafile", server.authority.ca, *more]
    return subprocess.run(command, capture_output=True, timeout=20 * PATIENCE).returncode


def test_mosquitto_over_tls_and_mutual_tls(server, authority):
    device, key = authority.make("device", "dev1")
    assert mosquitto_pub(server, "tls", "--tls-version", "tlsv1.2") == 0
    assert mosquitto_pub(server, "tls", "--tls-version", "tlsv1.3") == 0
    assert mosquitto_pub(server, "mutual") != 0
    assert mosquitto_pub(server, "mutual", "--cert", device, "--key", key) == 0
    other = Authority(server.home / "other")
    stranger, stranger_key = other.make("device", "dev1")
    assert mosquitto_pub(server, "mutual", "--cert", stranger, "--key", stranger_key) != 0
    assert "did not return a certificate listener=mutual" in server.log()


def test_class_15_a_certificate_is_required_over_websocket_too(server, authority):
    """Peers' class 15: the check that was made for MQTT over TLS and forgotten for WebSocket."""
    device, key = authority.make("device", "dev1")

    def answer(with_certificate):
        context = ssl.create_default_context(cafile=authority.ca)
        if with_certificate:
            context.load_cert_chain(device, key)
        plain = socket.create_connection(("127.0.0.1", server.ports["wssmutual"]), 10 * PATIENCE)
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as stream:
                stream.sendall(REQUEST.format(path="/mqtt", more=PROTOCOL).encode())
                return stream.recv(13)
        except (ssl.SSLError, ConnectionError):
            return None
    assert answer(True) == b"HTTP/1.1 101 "
    assert answer(False) is None


# ---- certificates ----

def shown_certificate(server, name, listener="tls"):
    """(subject, serial) of the certificate that a client gets who asks for that name."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.ports[listener]}", "-CAfile", server.authority.ca]
    command += ["-servername", name] if name else ["-noservername"]
    out = subprocess.run(command, input="", capture_output=True, text=True, timeout=20 * PATIENCE).stdout
    assert "Verify return code: 0 (ok)" in out, out
    text = subprocess.run(["openssl", "x509", "-noout", "-subject", "-serial"], input=out, capture_output=True, text=True,
                          check=True).stdout
    subject, serial = text.splitlines()
    return subject.split("CN = ")[1], serial


def test_the_certificate_is_chosen_by_name(server):
    for name, expected in (("localhost", "localhost"), ("b.example", "b.example"), ("x.wild.example", "b.example"),
                           ("wild.example", "localhost"), ("unknown.example", "localhost"), (None, "localhost")):
        assert shown_certificate(server, name)[0] == expected


def test_certificates_are_reloaded_and_connections_stay(server, authority):
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "stays")
    client.tls_set(str(authority.ca))
    connected, ended, acknowledged = threading.Event(), threading.Event(), threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.on_disconnect = lambda *_: ended.set()
    client.on_publish = lambda *_: acknowledged.set()
    client.connect("localhost", server.ports["tls"])
    client.loop_start()
    assert connected.wait(10 * PATIENCE)
    before = shown_certificate(server, "b.example")
    authority.make("b", "b.example", "DNS:b.example,DNS:*.wild.example")
    assert shown_certificate(server, "b.example") == before  # not before it is asked to
    server.reload(" config: reloaded:")
    after = shown_certificate(server, "b.example")
    assert after[0] == "b.example" and after[1] != before[1]
    assert "takes effect at the next start" not in server.log()
    # A key of another certificate changes nothing.
    key = authority.home / "b.key"
    right = key.read_bytes()
    key.write_bytes((authority.home / "a.key").read_bytes())
    server.reload("the configuration was not reloaded, the old one stays")
    assert f"the private key {key} does not belong to the certificate" in server.log()
    assert shown_certificate(server, "b.example") == after
    key.write_bytes(right)
    client.publish("r/x", "still here", 1)
    assert acknowledged.wait(10 * PATIENCE) and not ended.is_set()
    client.disconnect()
    client.loop_stop()


@pytest.mark.parametrize("fault,told", [
    ("missing", "cannot be read: No such file or directory"), ("expired", "has expired on"),
    ("mismatched", "does not belong to the certificate"), ("garbage", "is no certificate in PEM form")])
def test_a_wrong_certificate_is_told_with_its_place(tmp_path, authority, fault, told):
    certificate, key = authority.make(f"wrong-{fault}", "x", days=-1 if fault == "expired" else 1)
    if fault == "missing":
        certificate.unlink()
    elif fault == "mismatched":
        key = authority.home / "ca.key"
    elif fault == "garbage":
        certificate.write_text("no certificate\n")
    config = tmp_path / "rollcall.yaml"
    config.write_text(f"""mqtt:
  listeners:
    - name: secure
      transport: tls
      tls:
        certificates:
          - certificate: {certificate}
            key: {key}
""")
    done = subprocess.run([BINARY, "serve", "-c", config, "--test-config"], capture_output=True, text=True)
    assert done.returncode == 2
    line, column = (8, 18) if fault == "mismatched" else (7, 26)
    part = "key" if fault == "mismatched" else "certificate"
    assert f"rollcall.yaml:{line}:{column}: mqtt.listeners[0].tls.certificates[0].{part}: " in done.stderr
    assert told in done.stderr


def test_the_example_of_all_transports_is_right(tmp_path):
    example = ROOT / "examples/tls.yaml"
    making = example.read_text().split("#   mkdir", 1)[1].split("# Then:", 1)[0].replace("\\\n#", "")
    subprocess.run(f"mkdir {making}", shell=True, cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run([BINARY, "serve", "-c", example, "--test-config"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- whose address ----

def connect_packet(name):
    client = f"{GROUP}@@@{name}"
    fields = b"".join(struct.pack(">H", len(f)) + f.encode() for f in (client, user(), password(client)))
    body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + fields
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 127 | 128, len(body) >> 7])
    return b"\x10" + length + body


def v2(command, family, addresses, extra=b""):
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, family]) + struct.pack(">H", len(addresses) + len(extra)) + addresses + extra


V4 = socket.inet_aton("203.0.113.7") + socket.inet_aton("192.0.2.1") + struct.pack(">HH", 4242, 1883)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "::1") + struct.pack(">HH", 4243, 1883)
HEADERS = {
    "v1-tcp4": (b"PROXY TCP4 203.0.113.9 192.0.2.1 4241 1883\r\n", "203.0.113.9:4241"),
    "v1-tcp6": (b"PROXY TCP6 2001:db8::9 2001:db8::1 4240 1883\r\n", "[2001:db8::9]:4240"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", None),
    "v2-tcp4": (v2(0x21, 0x11, V4), "203.0.113.7:4242"),
    "v2-extras": (v2(0x21, 0x11, V4, b"\x02\x00\x05a.com\x20\x00\x05\x01\x00\x00\x00\x00"), "203.0.113.7:4242"),
    "v2-tcp6": (v2(0x21, 0x21, V6), "[2001:db8::7]:4243"),
    "v2-local": (v2(0x20, 0x00, b""), None),
}


def is_accepted(stream):
    stream.settimeout(10 * PATIENCE)
    try:
        return stream.recv(4) == b"\x20\x02\x00\x00"
    except ConnectionResetError:
        return False


def test_the_clients_address_is_the_one_that_the_balancer_names(tmp_path, authority):
    server = Server(tmp_path, authority).start()
    expected = {}
    for listener in ("proxied", "tlsproxied"):
        for name, (header, address) in HEADERS.items():
            for pieces in (1, 7):
                client = f"{listener}-{name}-{pieces}"
                plain = socket.create_connection(("127.0.0.1", server.ports[listener]))
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                size = -(-len(header) // pieces)
                for at in range(0, len(header), size):
                    plain.sendall(header[at:at + size])
                expected[f"{GROUP}@@@{client}"] = address or "127.0.0.1:%d" % plain.getsockname()[1]
                stream = plain
                if listener == "tlsproxied":
                    stream = ssl.create_default_context(cafile=authority.ca).wrap_socket(plain, server_hostname="localhost")
                stream.sendall(connect_packet(client))
                assert is_accepted(stream), server.log()[-2000:]
                stream.sendall(b"\xe0\x00")
                stream.close()
    server.stop()
    shown = {}
    for message in server.dump():
        if message["topic"].startswith(GROUP):
            body = json.loads(message["body"])
            shown.setdefault(body["clientId"], set()).add(body["clientIp"])
    assert shown == {client: {address} for client, address in expected.items()}


@pytest.mark.parametrize("header", [b"", b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", b"PROXY TCP4 1.1.1.1 1.1.1.1 1 99999\r\n",
                                    b"PROXY" + b" x" * 60, v2(0x22, 0x11, V4), v2(0x21, 0x11, V4[:8]), v2(0x21, 0x12, V4)])
def test_class_17_a_trusted_peer_without_a_right_header_is_closed(server, header):
    with socket.create_connection(("127.0.0.1", server.ports["proxied"])) as stream:
        stream.sendall(header + connect_packet("nobody"))
        assert not is_accepted(stream)


def test_class_17_a_header_from_elsewhere_is_not_believed(server):
    with socket.create_connection(("127.0.0.1", server.ports["tcp"])) as stream:
        stream.sendall(HEADERS["v1-tcp4"][0] + connect_packet("nobody"))
        assert not is_accepted(stream)
    # On the same listener, an address that is not trusted goes in without a header.
    with socket.create_connection(("127.0.0.1", server.ports["proxied"]), source_address=("127.0.0.2", 0)) as stream:
        stream.sendall(connect_packet("direct"))
        assert is_accepted(stream)


# ---- WebSocket, by hand ----

REQUEST = ("GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n")
PROTOCOL = "Sec-WebSocket-Protocol: mqtt\r\n"


def upgrade(server, path="/mqtt", more=PROTOCOL):
    stream = socket.create_connection(("127.0.0.1", server.ports["ws"]))
    stream.settimeout(10 * PATIENCE)
    stream.sendall(REQUEST.format(path=path, more=more).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        if not byte:
            raise ConnectionError("closed without an answer")
        head += byte
    return stream, head.decode()


def frame(first, payload):
    key = os.urandom(4)
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
    return bytes([first]) + length + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


def receive_all(stream):
    data = b""
    try:
        while piece := stream.recv(4096):
            data += piece
    except ConnectionResetError:
        pass
    return data


def test_frames_need_not_be_packets(server):
    stream, head = upgrade(server)
    assert head.startswith("HTTP/1.1 101 ") and "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    packet = connect_packet("frames")
    stream.sendall(frame(0x02, packet[:5]) + frame(0x89, b"ping") + frame(0x00, packet[5:20]) + frame(0x80, packet[20:]))
    assert stream.recv(6, socket.MSG_WAITALL) == b"\x8a\x04ping"
    assert stream.recv(6, socket.MSG_WAITALL) == b"\x82\x04\x20\x02\x00\x00"
    stream.sendall(frame(0x82, b"\xc0\x00\xc0\x00") + frame(0x88, b"\x03\xe8"))
    assert receive_all(stream) == b"\x82\x02\xd0\x00\x82\x02\xd0\x00\x88\x02\x03\xe8"


def test_a_text_frame_ends_the_connection(server):
    stream, _ = upgrade(server)
    stream.sendall(frame(0x82, connect_packet("texts")))
    assert stream.recv(6, socket.MSG_WAITALL) == b"\x82\x04\x20\x02\x00\x00"
    stream.sendall(frame(0x81, b"\xc0\x00"))
    assert receive_all(stream) == b"\x88\x02\x03\xeb"


@pytest.mark.parametrize("path,more,status", [("/", PROTOCOL, 404), ("/mqtt", "", 400),
                                              ("/mqtt", "Sec-WebSocket-Protocol: chat\r\n", 400)])
def test_another_request_is_refused(server, path, more, status):
    stream, head = upgrade(server, path, more)
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert receive_all(stream) == b""


# ---- limits and slow peers ----

LIMITED = """
    - {{name: few, bind: "127.0.0.1:{few}", limits: {{connections: 2}}}}
    - {{name: slow, bind: "127.0.0.1:{slow}", limits: {{connections_per_second: 10}}}}
    - {{name: narrow, bind: "127.0.0.1:{narrow}", limits: {{bytes_per_second: 100KiB}}}}
    - {{name: shy, transport: ws, bind: "127.0.0.1:{shy}", limits: {{handshakes: 4}}}}
"""


@pytest.fixture(scope="module")
def limited(tmp_path_factory, authority):
    ports = {name: free_port() for name in ("few", "slow", "narrow", "shy")}
    server = Server(tmp_path_factory.mktemp("limited"), authority, more=LIMITED.format(**ports))
    server.ports.update(ports)
    yield server.start()
    server.stop()


def log_in(server, listener, name):
    stream = socket.create_connection(("127.0.0.1", server.ports[listener]))
    try:
        stream.sendall(connect_packet(name))
    except ConnectionError:
        return stream, False
    return stream, is_accepted(stream)


def test_a_listener_has_so_many_connections(limited):
    first, second, third = (log_in(limited, "few", f"few{i}") for i in range(3))
    assert (first[1], second[1], third[1]) == (True, True, False)
    assert log_in(limited, "tcp", "elsewhere")[1]
    first[0].sendall(b"\xe0\x00")
    assert receive_all(first[0]) == b""
    wait_until("room for another", lambda: log_in(limited, "few", "few3")[1])


def test_new_connections_wait_for_their_turn(limited):
    begun = time.monotonic()
    for i in range(20):
        assert log_in(limited, "slow", f"slow{i}")[1]
    assert time.monotonic() - begun > 0.7  # 10 at once, 10 more in a second


def test_a_fast_client_is_slowed_down_and_not_closed(limited):
    stream, accepted = log_in(limited, "narrow", "narrow")
    assert accepted
    begun = time.monotonic()
    publish = b"\x30\x80\x80\x02" + b"\x00\x09sensors/x" + b"x" * (32768 - 11)
    for _ in range(12):  # 384 KiB: 100 at once, 100 a second
        stream.sendall(publish)
    stream.sendall(b"\xc0\x00")
    assert stream.recv(2, socket.MSG_WAITALL) == b"\xd0\x00"
    assert 2.0 < time.monotonic() - begun
    stream.close()


def test_silent_peers_hold_nobody_up_and_are_closed(limited):
    silent = [socket.create_connection(("127.0.0.1", limited.ports[listener]))
              for listener in ("tcp", "tls", "ws", "wss", "proxied", "mutual") for _ in range(10)]
    for number, stream in enumerate(silent):
        stream.sendall([b"\x10", b"\x16\x03\x01", b"GET /", b"\x16", b"PROXY", b"\x16\x03"][number // 10])
    begun = time.monotonic()
    assert log_in(limited, "tcp", "quick")[1]
    assert mosquitto_pub(limited, "tls") == 0
    for stream in silent:
        stream.settimeout(20 * PATIENCE)
        receive_all(stream)  # until it is closed: connect_timeout counts all that stands before CONNECT
    assert time.monotonic() - begun < 10 * PATIENCE


def test_a_new_handshake_takes_the_place_of_the_oldest(limited):
    silent = [socket.create_connection(("127.0.0.1", limited.ports["shy"])) for _ in range(16)]
    port, limited.ports["ws"] = limited.ports["ws"], limited.ports["shy"]
    try:
        # Both shards accept; a shard that has none to drop refuses, so it may take a few tries.
        def gets_in():
            try:
                return upgrade(limited)[1].startswith("HTTP/1.1 101 ")
            except (ConnectionError, IndexError, TimeoutError):
                return False
        wait_until("an upgrade among silent ones", gets_in, 2.5)
    finally:
        limited.ports["ws"] = port
        for stream in silent:
            stream.close()
    assert "handshakes under way (limits.handshakes)" in limited.log()


def test_the_limit_of_the_server_is_one_for_all_shards(tmp_path, authority):
    server = Server(tmp_path, authority, mqtt_more="  max_connections: 8\n").start()
    accepted = [log_in(server, "tcp", f"m{i}") for i in range(12)]
    assert [ok for _, ok in accepted] == [True] * 8 + [False] * 4
    for stream, _ in accepted:
        stream.close()
    wait_until("room again", lambda: log_in(server, "ws", "x") is not None and log_in(server, "tcp", "again")[1])
    server.stop()

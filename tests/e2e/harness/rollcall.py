"""A Rollcall server in a directory of its own, its devices, and rollcall watch."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import socket
import struct
import subprocess

from .lines import Lines, json_line
from .procs import BUILD, PATIENCE, Process, free_port, wait_until
from .sockets import read_exactly

BINARY = os.environ.get("ROLLCALL", str(BUILD / "release" / "rollcall"))
AK, SK = "TestAccessKey", "TestSecretKey"
INSTANCE, GROUP, TOPIC, PARENT = "rc-test", "GID_test", "GID_test_MQTT", "sensors"

CONFIG = """
node: rollcall-1
shards: {shards}
store: {{dir: "{dir}", segment_size: {segment}, queue_file_entries: {queue_entries}{store}}}
mqtt: {{listeners: [{{name: mqtt, bind: "127.0.0.1:{mqtt}"}}]}}
rocketmq: {{bind: "127.0.0.1:{rocketmq}", auto_create_topics: true{rocketmq_more}}}
http: {{bind: "127.0.0.1:{http}"{http_more}}}
instances:
  - id: rc-test
    keys: [{{access_key: TestAccessKey, secret_key: TestSecretKey}}]
    groups: [GID_test, GID_other]
    topics: [sensors]
    rules: [{{id: status-1, type: status-notice, group: GID_test, topic: GID_test_MQTT, queues: 4}}]
"""


def run(*args, timeout=20):
    """One run of the program to its end."""
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=timeout)


class Rollcall:
    """`store`, `rocketmq_more` and `http_more` are further keys of those sections, each beginning with a comma. Two shards,
    whatever the machine has; 0 for as many as it ships with."""

    def __init__(self, home, segment="16MiB", store="", rocketmq_more="", queue_entries=300, http_more="",
                 shards=2):
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.store = self.home / "store"
        self.mqtt_port, self.rocketmq_port, self.http_port = free_port(), free_port(), free_port()
        self.namesrv = f"127.0.0.1:{self.rocketmq_port}"
        self.config = self.home / "rollcall.yaml"
        self.config.write_text(CONFIG.format(dir=self.store, segment=segment, store=store, queue_entries=queue_entries,
                                             mqtt=self.mqtt_port, http=self.http_port, rocketmq=self.rocketmq_port,
                                             rocketmq_more=rocketmq_more, http_more=http_more, shards=shards))
        self.process = None

    def listen_beside(self, authority):
        """Listeners tls, mutual, ws and wss beside the plain one: {name: port}. For a server not yet started."""
        certificate, key = authority.make("server", "localhost", "DNS:localhost,IP:127.0.0.1")
        ports = {name: free_port() for name in ("tls", "mutual", "ws", "wss")}
        pair = f"certificates: [{{certificate: {certificate}, key: {key}}}]"
        more = {"tls": f"transport: tls, tls: {{{pair}}}", "ws": "transport: ws", "wss": f"transport: wss, tls: {{{pair}}}",
                "mutual": f"transport: tls, tls: {{{pair}, client_ca: {authority.ca}, client_certificate: required}}"}
        plain = f'{{name: mqtt, bind: "127.0.0.1:{self.mqtt_port}"}}'
        beside = "".join(f', {{name: {name}, bind: "127.0.0.1:{ports[name]}", {text}}}' for name, text in more.items())
        text = self.config.read_text()
        assert plain in text
        self.config.write_text(text.replace(plain, plain + beside))
        return ports

    def start(self):
        log = self.home / "rollcall.err"
        before = log.read_text(errors="replace").count(" serve: ready:") if log.exists() else 0
        self.process = Process([BINARY, "serve", "-c", self.config], self.home / "rollcall")

        def ready():
            assert self.process.running(), f"rollcall ended:\n{self.process.output()[-3000:]}"
            return self.process.output().count(" serve: ready:") > before
        wait_until("rollcall to be ready", ready)
        return self

    def stop(self):
        if self.process and self.process.running():
            assert self.process.stop() == 0, self.process.output()[-3000:]

    def kill(self):
        self.process.kill()

    def log(self):
        return self.process.output()

    def dump(self):
        """Every message of the (stopped) log, as rollcall store dump prints it."""
        out = subprocess.run([BINARY, "store", "dump", self.store, "--json"], capture_output=True, check=True, text=True)
        return [json.loads(line) for line in out.stdout.splitlines()]

    def check(self):
        subprocess.run([BINARY, "store", "check", self.store], check=True, capture_output=True)

    def events(self, client):
        """(type, channel, time) of a client's events in the (stopped) log, in order."""
        bodies = [json.loads(m["body"]) for m in self.dump() if m["topic"] == TOPIC]
        return [(b["eventType"], b["channelId"], b["time"]) for b in bodies if b["clientId"] == client]


def password(client_id, secret=SK):
    return base64.b64encode(hmac.new(secret.encode(), client_id.encode(), hashlib.sha1).digest()).decode()


def user():
    return f"Signature|{AK}|{INSTANCE}"


class Device:
    """A device on a bare socket, MQTT 3.1.1: does just what a test says, also what is wrong."""

    def __init__(self, server, name, group=GROUP, keep_alive=60, secret=SK, clean=True):
        self.client_id = f"{group}@@@{name}"
        self.socket = socket.create_connection(("127.0.0.1", server.mqtt_port), 5)
        self.socket.settimeout(10 * PATIENCE)
        fields = [self.client_id, user(), password(self.client_id, secret)]
        payload = b"".join(struct.pack(">H", len(f)) + f.encode() for f in fields)
        flags = 0xC2 if clean else 0xC0
        variable = b"\x00\x04MQTT\x04" + bytes([flags]) + struct.pack(">H", keep_alive)
        self.send(0x10, variable + payload)
        self.code = self.receive()[1][1]

    def send(self, first, body):
        length, more = b"", len(body)
        while True:
            byte, more = more % 128, more // 128
            length += bytes([byte | (0x80 if more else 0)])
            if not more:
                break
        self.socket.sendall(bytes([first]) + length + body)

    def receive(self):
        """(first byte, body) of the next packet; ConnectionError when the server closed."""
        first = read_exactly(self.socket, 1)[0]
        shift = length = 0
        while True:
            byte = read_exactly(self.socket, 1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                return first, read_exactly(self.socket, length)

    def disconnect(self):
        self.send(0xE0, b"")
        self.socket.close()

    def cut(self):
        """Gone without a word: the peer's kernel gets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Watch:
    """rollcall watch --json; items are its events."""

    def __init__(self, server, home, group="GID_watch", topic=TOPIC):
        env = {"ROLLCALL_ACCESS_KEY": AK, "ROLLCALL_SECRET_KEY": SK}
        self.process = Process([BINARY, "watch", "--endpoint", server.namesrv, "--topic", topic, "--group", group,
                                "--from-first", "--json"], pathlib.Path(home) / "watch", env=env,
                               stdout=subprocess.PIPE)
        self.lines = Lines(self.process.child.stdout, json_line)

    def wait(self, what, condition, timeout=20):
        return self.lines.wait(what, condition, timeout)

    def online(self, client):
        """The status that its last line about the client says; None when there is none."""
        seen = [line["online"] for line in self.lines.snapshot() if line["clientId"] == client]
        return seen[-1] if seen else None

    def close(self):
        self.process.stop()

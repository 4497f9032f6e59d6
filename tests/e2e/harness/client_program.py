"""Clients that others wrote, each behind the same commands: a process that reads lines of words between tabs and
answers each with `ok` and words, or `error` and why. tests/js, tests/c and tests/java have one each; paho for Python is
spoken to here. The commands:

    open name version uri ca id clean will   (will: a topic, or -; clean 0 keeps the session)
                          -> session present: 1, 0, - where the library does not tell
    subscribe name filter qos
    unsubscribe name filter
    publish name topic qos retain size byte with_properties
    take name             the next message -> topic qos retain size byte properties; byte is - in a mixed payload
    end name              waits for the server's end of the connection -> its reason in version 5, - without one
    close name            says goodbye
"""

import queue
import subprocess
import urllib.parse

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .lines import Lines
from .procs import PATIENCE, Process

WAIT = 20 * PATIENCE
# As `take` writes what `publish` with_properties sets: format, type, response topic, correlation data, user properties.
PROPERTIES = "1|text|answers|c-1|b=1,a=2,b=3"


class Program:
    def __init__(self, command, log, env=None):
        self.process = Process(command, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self.lines, self.answered = Lines(self.process.child.stdout, str.strip), 0

    def call(self, *words):
        self.process.child.stdin.write("\t".join(map(str, words)).encode() + b"\n")
        self.process.child.stdin.flush()
        self.answered += 1
        answer = self.lines.wait(f"{words}", lambda lines: lines[self.answered - 1:], WAIT)[0].split("\t")
        assert answer[0] == "ok", f"{words}: {answer}\n{self.process.output()[-2000:]}"
        return answer[1:]

    def stop(self):
        self.process.child.stdin.close()
        self.process.wait()


class _Paho:
    def __init__(self, version, uri, ca, id, clean, will):
        url = urllib.parse.urlsplit(uri)
        is_web = url.scheme in ("ws", "wss")
        more = {} if version == 5 else {"clean_session": clean}
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, id, protocol=version, reconnect_on_failure=False,
                                transport="websockets" if is_web else "unix" if url.scheme == "unix" else "tcp", **more)
        self.messages, self.ends, self.answers = queue.Queue(), queue.Queue(), queue.Queue()
        if is_web:
            self.paho.ws_set_options(path=url.path)
        if url.scheme in ("ssl", "wss"):
            self.paho.tls_set(ca)
        if will:
            self.paho.will_set(will, "gone", 1)
        self.paho.on_connect = lambda c, u, flags, reason, props: self.answers.put((reason.value, flags.session_present))
        self.paho.on_subscribe = lambda c, u, mid, reasons, props: self.answers.put(reasons[0].value)
        self.paho.on_unsubscribe = lambda c, u, mid, reasons, props: self.answers.put(0)
        self.paho.on_publish = lambda c, u, mid, reason, props: self.answers.put(reason.value)
        self.paho.on_message = lambda c, u, message: self.messages.put(message)
        self.paho.on_disconnect = lambda c, u, flags, reason, props: self.ends.put((flags, reason))
        start = {}
        if version == 5:
            start = {"clean_start": clean, "properties": Properties(PacketTypes.CONNECT)}
            start["properties"].SessionExpiryInterval = 0 if clean else 300
        self.version = version
        self.paho.connect(url.path if url.scheme == "unix" else url.hostname, url.port or 1, **start)
        self.paho.loop_start()
        reason, self.present = self.answers.get(timeout=WAIT)
        assert reason == 0, reason

    def properties(self):
        props = Properties(PacketTypes.PUBLISH)
        props.PayloadFormatIndicator, props.ContentType = 1, "text"
        props.ResponseTopic, props.CorrelationData = "answers", b"c-1"
        props.UserProperty = [("b", "1"), ("a", "2"), ("b", "3")]
        return props


class PahoPython:
    """The same commands, in this process."""

    def __init__(self):
        self.clients = {}

    def call(self, command, name, *words):
        return [str(word) for word in getattr(self, command)(name, *words)]

    def open(self, name, version, uri, ca, id, clean, will):
        self.clients[name] = _Paho(version, uri, ca, id, bool(clean), None if will == "-" else will)
        return [int(self.clients[name].present)]

    def subscribe(self, name, filter, qos):
        self.clients[name].paho.subscribe(filter, qos)
        assert self.clients[name].answers.get(timeout=WAIT) < 0x80
        return []

    def unsubscribe(self, name, filter):
        self.clients[name].paho.unsubscribe(filter)
        self.clients[name].answers.get(timeout=WAIT)
        return []

    def publish(self, name, topic, qos, retain, size, byte, with_properties):
        client = self.clients[name]
        client.paho.publish(topic, bytes([byte]) * size, qos, bool(retain),
                            client.properties() if with_properties else None)
        assert client.answers.get(timeout=WAIT) < 0x80
        return []

    def take(self, name):
        message = self.clients[name].messages.get(timeout=WAIT)
        payload, props = message.payload, getattr(message, "properties", None)
        told = "-"
        if props and hasattr(props, "ContentType"):
            told = "|".join([str(props.PayloadFormatIndicator), props.ContentType, props.ResponseTopic,
                             props.CorrelationData.decode(), ",".join("=".join(pair) for pair in props.UserProperty)])
        byte = "-" if len(set(payload)) > 1 else payload[0] if payload else 0
        return [message.topic, message.qos, int(message.retain), len(payload), byte, told]

    def end(self, name):
        flags, reason = self.clients[name].ends.get(timeout=WAIT)
        self.clients.pop(name).paho.loop_stop()
        return [reason.value if flags.is_disconnect_packet_from_server else "-"]

    def close(self, name):
        client = self.clients.pop(name)
        client.paho.disconnect()
        client.ends.get(timeout=WAIT)
        client.paho.loop_stop()
        return []

    def stop(self):
        for client in self.clients.values():
            client.paho.loop_stop()

"""Clients that others wrote, each through one scenario on every transport that it has and in every version: MQTT.js, paho
for Python, Java and C. What they do is written here once; harness/client_program.py tells how they are spoken to."""

import pytest

from harness.certificates import Authority
from harness.client_program import PROPERTIES, PahoPython, Program
from harness.procs import BUILD, ROOT
from test_transports import Server

LARGE = 200000
# Listener: (scheme of MQTT.js, scheme of the others, path)
ROUTES = {"tcp": ("mqtt", "tcp", ""), "tls": ("mqtts", "ssl", ""), "ws": ("ws", "ws", "/mqtt"), "wss": ("wss", "wss", "/other")}
TAKEN_OVER = 0x8E


def javascript(log):
    return Program(["node", ROOT / "tests/js/client.mjs"], log, {"NODE_MODULES": str(BUILD / "js" / "node_modules")})


def java(log):
    paho = BUILD / "java" / "paho"
    return Program(["java", "-XX:TieredStopAtLevel=1", "-Xmx64m", "-cp", f"{paho}/classes:{paho}/lib/*", "rollcall.e2e.PahoDriver"],
                   log)


def c(log):
    return Program([BUILD / "c" / "client"], log)


LIBRARIES = {"mqtt.js": javascript, "paho-java": java, "paho-c": c, "paho-python": lambda log: PahoPython()}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), Authority(tmp_path_factory.mktemp("authority")))
    server.config.write_text(server.config.read_text().replace("connect_timeout: 3s", "connect_timeout: 30s"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def library(request, tmp_path_factory):
    program = LIBRARIES[request.param](tmp_path_factory.mktemp(request.param) / "program")
    program.name = request.param
    yield program
    program.stop()


def uri_of(server, name, listener):
    if listener == "unix":
        return f"unix:{server.unix}"
    if listener == "six":
        return f"tcp://[::1]:{server.ports['six']}"
    javascript_scheme, scheme, path = ROUTES[listener]
    return f"{javascript_scheme if name == 'mqtt.js' else scheme}://localhost:{server.ports[listener]}{path}"


class Stage:
    """The scenario's words for the commands, with topics below one of its own."""

    def __init__(self, program, server, listener, version):
        self.call, self.version = program.call, version
        self.uri, self.ca = uri_of(server, program.name, listener), server.authority.ca
        self.top = f"{program.name}-{listener}-{version}"

    def open(self, name, id, clean=1, will="-"):
        return self.call("open", name, self.version, self.uri, self.ca, f"{self.top}-{id}", clean, will)[0]

    def publish(self, name, topic, qos, retain=0, size=10, byte=65, props=0):
        self.call("publish", name, f"{self.top}/{topic}", qos, retain, size, byte, props)

    def expect(self, name, topic, qos, retain=0, size=10, byte=65, props="-"):
        assert self.call("take", name) == [f"{self.top}/{topic}", *map(str, (qos, retain, size, byte)), props]

    def subscribe(self, name, filter, qos, before=""):
        self.call("subscribe", name, f"{before}{self.top}/{filter}", qos)


def every_quality_both_ways(stage):
    for qos in (0, 1, 2):
        stage.publish("one", f"a/{qos}", qos, size=LARGE if qos else 10, byte=65 + qos)
        stage.expect("one", f"a/{qos}", qos, size=LARGE if qos else 10, byte=65 + qos)


def a_retained_message(stage):
    stage.publish("other", "kept", 1, retain=1)
    stage.subscribe("one", "kept", 1)
    stage.expect("one", "kept", 1, retain=1)
    stage.publish("other", "kept", 1, retain=1, size=0, byte=0)
    stage.expect("one", "kept", 1, size=0, byte=0)


def shared(stage):
    for name in ("one", "other"):
        stage.subscribe(name, "s/+", 1, before=f"$share/{stage.top}/")
    for _ in range(4):
        stage.publish("other", "s/x", 1)
    for name in ("one", "one", "other", "other"):
        stage.expect(name, "s/x", 1)


def properties(stage):
    for qos in (0, 1, 2):
        stage.publish("other", "a/p", qos, props=1)
        stage.expect("one", "a/p", qos, props=PROPERTIES)


def unsubscribed(stage):
    stage.call("unsubscribe", "one", f"{stage.top}/a/#")
    stage.publish("other", "a/x", 1)
    stage.publish("other", "kept", 1)
    stage.expect("one", "kept", 1)


def taken_over(stage):
    stage.subscribe("other", "will", 1)
    assert stage.open("second", "one", clean=0) in "1-" or stage.version == 3  # which has no word for it
    assert stage.call("end", "one") == [str(TAKEN_OVER) if stage.version == 5 else "-"]
    stage.expect("other", "will", 1, size=4, byte="-")
    stage.call("close", "second")


def queued_while_away(stage):
    for qos in (1, 2, 1):
        stage.publish("other", "q/x", qos, byte=70 + qos)
    stage.open("third", "one", clean=0)
    taken = sorted(stage.call("take", "third")[1:] for _ in range(3))  # QoS 2 may be handed over later than it came
    assert taken == [[str(qos), "0", "10", str(70 + qos), "-"] for qos in (1, 1, 2)]
    stage.call("close", "third")


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("library,listener", [(name, route) for name in LIBRARIES for route in
                                              [*ROUTES, *(["six", "unix"] if name == "paho-python" else [])]],
                         indirect=["library"])
def test_a_client_of_others_does_all_that_it_can(server, library, listener, version):
    stage = Stage(library, server, listener, version)
    stage.open("one", "one")  # an old session's end
    stage.call("close", "one")
    assert stage.open("one", "one", clean=0, will=f"{stage.top}/will") != "1"
    stage.subscribe("one", "a/#", 2)
    stage.subscribe("one", "q/#", 2)
    stage.open("other", "other")
    every_quality_both_ways(stage)
    a_retained_message(stage)
    shared(stage)
    if version == 5:
        properties(stage)
    unsubscribed(stage)
    taken_over(stage)
    queued_while_away(stage)
    stage.call("close", "other")

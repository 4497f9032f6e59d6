"""The same sessions, packet by packet, against Rollcall (standard profile) and mosquitto: what both answer is the same,
but for the differences that stand in DIFFERENT, each with its reason (docs/mqtt.md tells them to users)."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import mqtt_wire as wire
from harness.mqtt_wire import PUBACK, PUBCOMP, PUBREC, PUBREL, Wire
from harness.procs import Process, free_port, port_answers, wait_until
from harness.rollcall import Rollcall

# What each server says about itself in CONNACK is its own.
OWN = {"receive_maximum", "alias_maximum", "maximum_packet", "server_keep_alive", "assigned_client_id",
       "retain_available", "wildcards_available", "ids_available", "shared_available", "maximum_qos", "reason_string"}

RECEIVE_MAXIMUM = 20  # of both servers; no scenario but one has as many under way


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    home = tmp_path_factory.mktemp("both")
    ours = Rollcall(home / "rollcall")
    ours.config.write_text(ours.config.read_text().replace("shards: 2", "shards: 1") +
                           "  - id: home\n    profile: standard\n    anonymous: true\n"
                           f"    limits: {{receive_maximum: {RECEIVE_MAXIMUM}}}\n")
    ours.start()
    port = free_port()
    conf = home / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n"
                    f"max_inflight_messages {RECEIVE_MAXIMUM}\n")
    theirs = Process(["mosquitto", "-c", conf], home / "mosquitto")
    wait_until("mosquitto", lambda: port_answers(port))
    yield {"rollcall": ours.mqtt_port, "mosquitto": port}
    ours.stop()
    theirs.kill()


class Play:
    """One server's side of a scenario: clients by name, and what came to them."""

    def __init__(self, port, version):
        self.port, self.version, self.clients, self.script = port, version, {}, []

    def client(self, name, **connect):
        made = self.clients[name] = Wire(self.port, connect.pop("version", self.version))
        answer = made.connect(connect.pop("id", name), **connect)
        self.note(name, [answer])
        return made

    def note(self, name, packets):
        self.script += [(name,) + self.plain(packet) for packet in packets]

    def plain(self, packet):
        return tuple([field for field in part if field[0] not in OWN] if isinstance(part, list) and part and
                     isinstance(part[0], tuple) else part for part in packet)

    def settle(self, *names):
        """What has come to these clients, in this order of them."""
        for name in names:
            self.note(name, self.clients[name].until_quiet())

    def end(self):
        for client in self.clients.values():
            client.close()


# ---- scenarios: a docstring each, the last word on what is compared ----

def quality(play, sent, asked):
    subscriber, publisher = play.client("s"), play.client("p")
    subscriber.subscribe(("q/+", asked))
    play.settle("s")
    publisher.publish("q/x", "hello", sent, id=7)
    if sent == 2:
        play.note("p", [publisher.read()])
        publisher.ack(PUBREL, 7)
    play.settle("p", "s")
    if min(sent, asked) == 2:
        got = [entry for entry in play.script if entry[1] == "PUBLISH"][-1]
        subscriber.ack(PUBREC, got[7])
        play.settle("s")
        subscriber.ack(PUBCOMP, got[7])
    play.settle("s")


def retained(play):
    publisher = play.client("p")
    for topic, payload in (("r/a", "1"), ("r/b", "2"), ("r/a", "3"), ("r/b", ""), ("r/c/d", "4")):
        publisher.publish(topic, payload, 1, retain=True, id=9)
        play.settle("p")
    for i, filter in enumerate(("r/a", "r/+", "r/#", "+/a", "r/b")):
        late = play.client(f"l{i}")
        late.subscribe((filter, 1))
        packets = [one[:6] + one[7:] if one[0] == "PUBLISH" else one for one in late.until_quiet()]
        play.note(f"l{i}", sorted(packets, key=str))  # in any order, so their packet ids differ
    for topic in ("r/a", "r/c/d"):
        publisher.publish(topic, "", 1, retain=True, id=9)
    play.settle("p")


def will(play, how):
    watcher = play.client("w")
    watcher.subscribe(("will/#", 2))
    play.settle("w")
    client = play.client("c", will=("will/c", "gone", 1, False))
    if how == "cut":
        client.close()
        play.note("w", [watcher.read()])
    elif how == "bad packet":
        client.send(b"\xf0\0" if play.version != 5 else b"\x00\0")
        play.note("w", [watcher.read()])
    elif how == "taken over":
        play.client("c", will=("will/c", "gone again", 1, False))
        play.note("w", [watcher.read()])
    elif how == "with will":
        client.disconnect(4)
        play.note("w", [watcher.read()])
    else:
        client.disconnect()
        client.read()
    play.settle("w")


def session(play, qos):
    kept = {"clean": False, "props": [("session_expiry", 100)]} if play.version == 5 else {"clean": False}
    first = play.client("s", **kept)
    first.subscribe(("k/#", qos))
    play.settle("s")
    first.disconnect()
    first.read()
    publisher = play.client("p")
    for i in range(5):
        publisher.publish("k/x", f"{i}", qos, id=i + 1)
        if qos == 2:
            play.note("p", [publisher.read()])
            publisher.ack(PUBREL, i + 1)
        play.settle("p")
    second = play.client("s", **kept)
    play.settle("s")
    second.close()
    play.client("s", **kept)  # nothing was acknowledged: all come again
    play.settle("s")
    third = play.client("s", clean=True)
    play.settle("s")
    assert third


def overlapping(play):
    subscriber, publisher = play.client("s"), play.client("p")
    subscriber.subscribe(("o/#", 0), ("o/x", 2), ("o/+", 1))
    play.settle("s")
    publisher.publish("o/x", "once", 1, id=3)
    play.settle("p", "s")


def unsubscribing(play):
    subscriber, publisher = play.client("s"), play.client("p")
    subscriber.subscribe(("u/x", 1), ("u/y", 1))
    subscriber.unsubscribe("u/x", "never", id=5)
    play.settle("s")
    publisher.publish("u/x", "no", 1)
    publisher.publish("u/y", "yes", 1, id=2)
    play.settle("p", "s")


def dollar(play):
    subscriber, publisher = play.client("s"), play.client("p")
    subscriber.subscribe(("#", 1), ("+/x", 1))
    publisher.publish("$own/x", "hidden", 1)
    publisher.publish("own/x", "shown", 1, id=2)
    play.settle("p", "s")


def takeover(play):
    play.client("c")
    play.client("other")
    first = play.clients["c"]
    play.client("c")
    play.note("first", [first.read()])


def level_by_level(play):
    """Empty levels are levels."""
    subscriber, publisher = play.client("s"), play.client("p")
    subscriber.subscribe(("/+", 0), ("a//b", 0), ("+/+/+", 0), ("x/#", 0))
    play.settle("s")
    for topic in ("/a", "a//b", "//", "x", "x/", "x/y/z", "a/b"):
        publisher.publish(topic, topic)
        play.settle("p", "s")


def twice_at_quality_2(play):
    subscriber, publisher = play.client("s"), play.client("p")
    subscriber.subscribe(("t", 0))
    play.settle("s")
    for dup in (False, True, True):
        publisher.publish("t", "once", 2, id=4, dup=dup)
        play.settle("p")
    publisher.ack(PUBREL, 4)
    play.settle("p")
    publisher.ack(PUBREL, 4)
    play.settle("p")
    publisher.publish("t", "again", 2, id=4)
    play.settle("p", "s")


# ---- version 5 alone ----

def properties_of_messages(play):
    subscriber, publisher = play.client("s"), play.client("p")
    subscriber.subscribe(("m/#", 1), props=[("subscription_id", 12)])
    play.settle("s")
    publisher.publish("m/x", "text", 1, props=[("payload_format", 1), ("content_type", "t"), ("user", ("b", "1")),
                                               ("response_topic", "r/t"), ("user", ("a", "2")),
                                               ("correlation_data", b"\0\1"), ("user", ("b", "3"))])
    play.settle("p")
    name, *fields, props = play.clients["s"].until_quiet()[0]
    play.note("s", [(name, *fields, [one for one in props if one[0] == "user"]), tuple(sorted(map(str, props)))])


def options_of_subscriptions(play):
    one, other = play.client("one"), play.client("other")
    one.publish("n/kept", "kept", 1, retain=True)
    one.subscribe(("n/x", 1 | 4), ("n/kept", 1 | 0x10))
    one.subscribe(("n/kept", 1 | 0x10), id=2)
    one.subscribe(("n/kept", 1 | 0x20), id=3)
    other.subscribe(("n/x", 1 | 8))
    play.settle("one", "other")
    one.publish("n/x", "mine", 1, retain=True)
    play.settle("one", "other")
    other.publish("n/x", "yours", 1, retain=True)
    play.settle("other", "one")
    for topic in ("n/x", "n/kept"):
        one.publish(topic, "", 1, retain=True)
    play.settle("one")


def order_of_user_properties(play, way):
    props = [("user", pair) for pair in (("b", "1"), ("a", "2"), ("", ""), ("b", "1"), ("a", "1"))]
    subscriber = play.client("s")
    if way == "retained":
        play.client("p").publish("up/x", "1", 1, retain=True, props=props)
        play.settle("p")
        subscriber.subscribe(("up/x", 1))
    else:
        subscriber.subscribe(("up/x", 1))
        play.settle("s")
        play.client("p", will=("up/x", "1", 1, False, props))
        play.clients["p"].close()
        play.note("s", [subscriber.read()])
    play.settle("s")
    if way == "retained":
        play.clients["p"].publish("up/x", "", 1, retain=True)
        play.settle("p")


def request_and_response(play):
    asker, answerer = play.client("a", props=[("request_response", 1)]), play.client("b")
    asker.subscribe(("rr/answers", 1))
    answerer.subscribe(("rr/questions", 1))
    play.settle("a", "b")
    asker.publish("rr/questions", "?", 1, props=[("response_topic", "rr/answers"), ("correlation_data", b"\0\xff")])
    play.settle("a")
    *_, props = play.clients["b"].until_quiet()[0]
    told = dict(props)
    play.script.append(tuple(sorted(map(str, props))))
    answerer.publish(told["response_topic"].decode(), "!", 1, props=[("correlation_data", told["correlation_data"])])
    play.settle("b", "a")


def shared(play):
    """Each message comes to one member, whoever does not share gets all, and members who leave get none."""
    first, second, other = play.client("one"), play.client("two"), play.client("other")
    publisher = play.client("p")
    publisher.publish("sh/x", "kept", 1, retain=True)
    play.settle("p")
    for member in (first, second):
        member.subscribe(("$share/g/sh/+", 1))
    other.subscribe(("$share/h/sh/#", 1))
    play.settle("one", "two", "other")  # nothing retained
    for number in range(6):
        publisher.publish("sh/x", f"{number}", 1, id=number + 1)
    play.settle("p")
    got = [[one[2] for one in client.until_quiet()] for client in (first, second)]
    play.script.append(("shared", [len(payloads) for payloads in got], sorted(got[0] + got[1])))
    play.settle("other")
    first.unsubscribe("$share/g/sh/+")
    second.disconnect()
    second.read()
    publisher.publish("sh/x", "last", 1)
    play.settle("one", "p", "other")
    publisher.publish("sh/x", "", 1, retain=True)
    play.settle("p", "other")


def a_member_leaves(play):
    """What it did not acknowledge goes to another."""
    first = play.client("one")
    first.subscribe(("$share/l/le/+", 1))
    play.settle("one")
    publisher = play.client("p")
    publisher.publish("le/x", "1", 1)
    play.settle("p", "one")
    play.client("two").subscribe(("$share/l/le/+", 1))
    play.settle("two")
    first.disconnect()
    first.read()
    play.settle("two")


def will_delay(play, how):
    watcher = play.client("w")
    watcher.subscribe(("wd/#", 1))
    play.settle("w")
    delay, expiry = {"the delay first": (1, 100), "the session first": (100, 1), "no delay": (0, 100)}.get(how, (2, 100))
    kept = {"clean": False, "props": [("session_expiry", expiry)]}
    client = play.client("c", will=("wd/c", "gone", 1, False, [("will_delay", delay)]), **kept)
    began = time.monotonic()
    client.close()
    if how in ("the client first", "the client first, anew"):
        play.client("c", **{**kept, "clean": how.endswith("anew")})
        time.sleep(0.1 if how.endswith("anew") else 2.8)
    else:
        play.note("w", [watcher.read()])
        play.script.append(("after a second", time.monotonic() - began > 0.7))
    play.settle("w")


def expiring(play, what):
    """A message that expires before its client comes, one that does not, and its time that has become less."""
    kept = {"clean": False, "props": [("session_expiry", 100)]}
    if what == "queued":
        client = play.client("s", **kept)
        client.subscribe(("ex/#", 1))
        play.settle("s")
        client.disconnect()
        client.read()
    publisher = play.client("p")
    for number, seconds in enumerate((1, 60, None)):
        publisher.publish(f"ex/{number}", "x", 1, retain=what == "retained",
                          props=[] if seconds is None else [("message_expiry", seconds)])
    play.settle("p")
    time.sleep(2.2)
    client = play.client("s", **kept)
    if what == "retained":
        client.subscribe(("ex/#", 1))
    packets = [one for one in client.until_quiet() if one[0] == "PUBLISH"]
    play.script.append(sorted((one[1], 50 < dict(one[7]).get("message_expiry", 55) < 60) for one in packets))
    client.unsubscribe("ex/#")
    for number in range(3):
        publisher.publish(f"ex/{number}", "", 1, retain=what == "retained")
    play.settle("s", "p")


def sessions_that_expire(play):
    def come(clean, expiry):
        return play.client("s", clean=clean, props=[("session_expiry", expiry)])
    for first, at_goodbye, pause in ((0, None, 0), (1, None, 2.2), (100, None, 0), (1, 100, 2.2), (100, 0, 0)):
        client = come(True, first)
        client.subscribe(("se/x", 1))
        play.settle("s")
        client.disconnect(*([] if at_goodbye is None else [0]),
                          props=[] if at_goodbye is None else [("session_expiry", at_goodbye)])
        client.read()
        time.sleep(pause)
        come(False, 0).close()


def flow_control(play, qos):
    """No more under way to a client than it takes; what it acknowledges makes room."""
    client, publisher = play.client("s", props=[("receive_maximum", 2)]), play.client("p")
    client.subscribe(("fc/x", qos))
    play.settle("s")
    for number in range(4):
        publisher.publish("fc/x", f"{number}", qos, id=number + 1)
        if qos == 2:
            publisher.ack(PUBREL, number + 1)
    play.settle("p")
    for _ in range(5):
        packets = client.until_quiet()
        play.note("s", packets)
        for one in packets:
            if one[0] == "PUBLISH":
                client.ack(PUBACK if qos == 1 else PUBREC, one[6])
            elif one[0] == "PUBREL":
                client.ack(PUBCOMP, one[1])
    play.settle("s")


def too_many_under_way(play):
    client = play.client("c")
    for number in range(RECEIVE_MAXIMUM + 1):
        client.publish("tm/x", "x", 2, id=number + 1)
    packets = client.until_quiet()
    play.script.append(len([one for one in packets if one[0] == "PUBREC"]))
    play.note("c", packets[-1:])


def aliases_of_the_client(play):
    client, subscriber = play.client("c"), play.client("s")
    subscriber.subscribe(("al/+", 0))
    play.settle("s")
    for topic, alias in (("al/1", 1), ("", 1), ("al/2", 2), ("", 1), ("al/3", 1), ("", 1), ("", 2)):
        client.publish(topic, "x", 0, props=[("topic_alias", alias)])
    play.settle("c", "s")
    client.disconnect()
    client.read()
    client = play.client("c")
    client.publish("", "x", 1, props=[("topic_alias", 1)])
    play.settle("c")


def aliases_of_the_server(play, most):
    client, publisher = play.client("s", props=[("alias_maximum", most)] if most else []), play.client("p")
    client.subscribe(("as/+", 0))
    play.settle("s")
    for topic in ("as/1", "as/1", "as/2", "as/1"):
        publisher.publish(topic, "x")
        play.settle("p", "s")


def maximum_packet(play):
    client, publisher = play.client("s", props=[("maximum_packet", 30)]), play.client("p")
    client.subscribe(("mp/x", 1))
    play.settle("s")
    for size in (10, 40, 11):
        publisher.publish("mp/x", "." * size, 1)
        play.settle("p")
        play.script += [(one[0], one[2]) for one in client.until_quiet()]


def identifiers(play):
    """Of one subscription: set, replaced, taken away; with a retained message."""
    client = play.client("s")
    client.publish("id/x", "kept", 0, retain=True)
    for id in (7, 268435455, None):
        client.subscribe(("id/x", 0), props=[] if id is None else [("subscription_id", id)])
        play.settle("s")
        client.publish("id/x", "1")
        play.settle("s")
    client.publish("id/x", "", 0, retain=True)
    play.settle("s")


def merged_identifiers(play):
    subscriber, publisher = play.client("s"), play.client("p")
    subscriber.subscribe(("mi/#", 0), props=[("subscription_id", 1)])
    subscriber.subscribe(("mi/x", 0), props=[("subscription_id", 2)])
    subscriber.subscribe(("+/x", 0))
    play.settle("s")
    publisher.publish("mi/x", "1")
    play.settle("p", "s")


def handling_of_retained(play, handling):
    """Sent at the first subscription, at the second, at one with another QoS, and after it was taken back."""
    client = play.client("s")
    client.publish("rh/x", "kept", 1, retain=True)
    play.settle("s")
    for qos in (1, 1, 2):
        client.subscribe(("rh/x", qos | handling << 4))
        packets = client.until_quiet()
        play.note("s", [one[:6] + one[7:] if one[0] == "PUBLISH" else one for one in packets])
        for one in packets:
            if one[0] == "PUBLISH":
                client.ack(PUBACK if one[3] == 1 else PUBREC, one[6])
        play.settle("s")
    client.unsubscribe("rh/x")
    client.subscribe(("rh/x", handling << 4))
    play.settle("s")
    client.publish("rh/x", "", 0, retain=True)
    play.settle("s")


def words_of_acknowledgements(play):
    """Nobody there, nothing to take back, nothing under way."""
    client = play.client("c")
    for qos in (1, 2):
        client.publish("nobody/x", "1", qos, id=qos)
        play.settle("c")
    client.ack(PUBREL, 2)
    client.unsubscribe("never")
    for kind in (PUBACK, PUBREC, PUBCOMP):
        client.ack(kind, 99)
    play.settle("c")


def refused_by_protocol(play, which):
    client = play.client("c")
    if which == "no local, shared":
        client.subscribe(("$share/g/x", 5))
    elif which == "alias too large":
        client.publish("x", "1", 1, props=[("topic_alias", 60000)])
    elif which == "unknown alias":
        client.publish("", "1", 1, props=[("topic_alias", 1)])
    elif which == "second connect":
        client.connect("c")
    elif which == "identifier in publish":
        client.publish("x", "1", 1, props=[("subscription_id", 1)])
    elif which == "expiry raised from nothing":
        client.disconnect(0, props=[("session_expiry", 10)])
    elif which == "auth":
        client.send(wire.packet(wire.AUTH, 0, b"\x18" + wire.properties([("auth_method", "x")])))
    last = client.read()
    play.note("c", [last if last[0] != "CONNACK" else ("CLOSED",)])


def refused(play, data):
    """A malformed packet ends the connection; of version 5 with a last word."""
    client = play.client("c")
    client.send(data(play.version) if callable(data) else bytes.fromhex(data.replace(" ", "")))
    play.note("c", to_the_end(client))


def to_the_end(client):
    """What the server says of it, up to the end or to the answer to what comes behind it."""
    client.send(b"\xc0\0")
    packets = [client.read()]
    while packets[-1][0] not in ("CLOSED", "PINGRESP", "SUBACK"):
        packets.append(client.read())
    return [one for one in packets if one[0] in ("CLOSED", "DISCONNECT", "CONNACK", "SUBACK")]


MALFORMED = {
    "a fifth length byte": "c0 80 80 80 80 00",
    "packet type 0": "00 00",
    "flags of SUBSCRIBE": "80 06 00 01 00 01 61 00",
    "flags of PUBREL": "60 02 00 01",
    "SUBSCRIBE without filters": "82 02 00 01",
    "UNSUBSCRIBE without filters": "a2 02 00 01",
    "SUBSCRIBE with packet id 0": "82 06 00 00 00 01 61 00",
    "SUBSCRIBE at QoS 3": "82 06 00 01 00 01 61 03",
    "# in the middle": "82 08 00 01 00 03 23 2f 61 00",
    "an empty filter": "82 05 00 01 00 00 00",
    "PUBLISH at QoS 3": "36 06 00 01 61 00 01 78",
    "PUBLISH to a wildcard": "30 04 00 01 2b 78",
    "PUBLISH with packet id 0": "32 06 00 01 61 00 00 78",
    "PUBLISH with a NUL in its topic": "30 05 00 02 61 00 78",
    "PUBLISH with bad UTF-8 in its topic": "30 05 00 02 c3 28 78",
    "a string longer than its packet": "30 04 00 10 61 78",
    "a CONNACK from a client": "20 02 00 00",
}

# What mosquitto 2.0.11 says where Rollcall ends the connection with a reason.
SAME, OTHER, SILENT, PASSES = "the same", "another reason", "no reason", "nothing: it goes on"

# Of version 5, by class: the packet, Rollcall's reason, and mosquitto beside it.
MALFORMED_5 = {
    "frame: a fifth length byte": ("c0 80 80 80 80 00", 0x81, SILENT),
    "frame: packet type 0": ("00 00", 0x81, OTHER),
    "frame: PINGREQ with a body": ("c0 01 00", 0x81, PASSES),
    "flags: SUBSCRIBE": ("80 07 00 01 00 00 01 61 00", 0x81, SAME),
    "flags: UNSUBSCRIBE": ("a0 06 00 01 00 00 01 61", 0x81, SAME),
    "flags: PUBREL": ("60 02 00 01", 0x81, SILENT),
    "flags: PUBACK": ("41 02 00 01", 0x81, PASSES),
    "flags: DISCONNECT": ("e1 00", 0x81, SILENT),
    "flags: PINGREQ": ("c1 00", 0x81, PASSES),
    "direction: CONNACK": ("20 03 00 00 00", 0x82, SILENT),
    "direction: SUBACK": ("90 04 00 01 00 00", 0x82, PASSES),
    "direction: UNSUBACK": ("b0 04 00 01 00 00", 0x82, PASSES),
    "direction: PINGRESP": ("d0 00", 0x82, PASSES),
    "count: SUBSCRIBE without filters": ("82 03 00 01 00", 0x82, OTHER),
    "count: UNSUBSCRIBE without filters": ("a2 03 00 01 00", 0x82, OTHER),
    "id: SUBSCRIBE with 0": ("82 07 00 00 00 00 01 61 00", 0x82, OTHER),
    "id: UNSUBSCRIBE with 0": ("a2 06 00 00 00 00 01 61", 0x82, OTHER),
    "id: PUBLISH with 0": ("32 07 00 01 61 00 00 00 78", 0x82, SAME),
    "id: PUBACK with 0": ("40 02 00 00", 0x82, SILENT),
    "id: PUBREL with 0": ("62 02 00 00", 0x82, SILENT),
    "quality: PUBLISH at 3": ("36 07 00 01 61 00 01 00 78", 0x81, SAME),
    "quality: PUBLISH at 0 again": ("38 05 00 01 61 00 78", 0x81, PASSES),
    "quality: SUBSCRIBE at 3": ("82 07 00 01 00 00 01 61 03", 0x82, OTHER),
    "options: a reserved bit": ("82 07 00 01 00 00 01 61 40", 0x81, SAME),
    "options: Retain Handling 3": ("82 07 00 01 00 00 01 61 30", 0x82, OTHER),
    "text: NUL in a topic": ("30 06 00 02 61 00 00 78", 0x81, SAME),
    "text: bad UTF-8 in a topic": ("30 06 00 02 c3 28 00 78", 0x81, SAME),
    "text: a surrogate in a topic": ("30 07 00 03 ed a0 80 00 78", 0x81, SAME),
    "text: overlong UTF-8 in a topic": ("30 06 00 02 c0 af 00 78", 0x81, SAME),
    "text: bad UTF-8 in a filter": ("82 08 00 01 00 00 02 c3 28 00", 0x81, SAME),
    "text: longer than its packet": ("30 05 00 10 61 00 78", 0x81, SAME),
    "text: bad UTF-8 in a user property": ("30 0c 00 01 61 07 26 00 02 c3 28 00 00 78", 0x81, SILENT),
    "topic: a wildcard": ("30 05 00 01 2b 00 78", 0x90, OTHER),
    "topic: none and no alias": ("30 04 00 00 00 78", 0x82, SAME),
    "topic: a wildcard in the response topic": ("30 09 00 01 61 04 08 00 01 23 78", 0x82, PASSES),
    "filter: empty": ("82 06 00 01 00 00 00 00", 0x81, SAME),
    "filter: # in the middle": ("82 09 00 01 00 00 03 23 2f 61 00", 0x8F, OTHER),
    "filter: + beside a letter": ("82 08 00 01 00 00 02 61 2b 00", 0x8F, OTHER),
    "properties: longer than the packet": ("30 05 00 01 61 7f 78", 0x81, SAME),
    "properties: their length in five bytes": ("30 09 00 01 61 80 80 80 80 00 78", 0x81, SAME),
    "properties: an unknown one": ("30 07 00 01 61 02 7e 00 78", 0x81, SAME),
    "properties: cut off": ("30 07 00 01 61 02 02 00 78", 0x81, SAME),
    "properties: one of CONNECT in PUBLISH": ("30 0a 00 01 61 05 11 00 00 00 01 78", 0x81, SAME),
    "properties: one twice": ("30 09 00 01 61 04 01 00 01 00 78", 0x82, SILENT),
    "properties: two subscription identifiers": ("82 0b 00 01 04 0b 01 0b 02 00 01 61 00", 0x82, SILENT),
    "value: subscription identifier 0": ("82 09 00 01 02 0b 00 00 01 61 00", 0x82, OTHER),
    "value: topic alias 0": ("30 08 00 01 61 03 23 00 00 78", 0x94, OTHER),
    "value: a payload format of 2": ("30 07 00 01 61 02 01 02 78", 0x82, PASSES),
    "reason: PUBACK with 0x55": ("40 03 00 01 55", 0x82, PASSES),
    "reason: PUBREL with 0x55": ("62 03 00 01 55", 0x82, PASSES),
    "reason: DISCONNECT with 0x55": ("e0 01 55", 0x82, SILENT),
    "length: PUBACK of three bytes and more": ("40 06 00 01 00 00 00 00", 0x81, PASSES),
    "length: a PUBLISH that ends in its topic": ("30 02 00 05", 0x81, SAME),
}


def connect(name=b"\0\4MQTT", level=b"\5", flags=b"\2", keep_alive=b"\0\x3c", props=b"\0", rest=b"\0\1i"):
    return name, level, flags, keep_alive, props, rest


# The same for CONNACK; None: none.
MALFORMED_CONNECTS = {
    "another name": (connect(name=b"\0\4MQTX"), None, SAME),
    "the name of 3.1": (connect(name=b"\0\6MQIsdp"), 0x1, SAME),
    "level 6": (connect(level=b"\6"), 0x84, OTHER),
    "the reserved flag": (connect(flags=b"\3"), 0x81, SILENT),
    "a will at quality 3": (connect(flags=b"\x1e", rest=b"\0\1i\0\0\1t\0\1x"), 0x81, SILENT),
    "the quality of no will": (connect(flags=b"\x0a"), 0x81, SILENT),
    "no will to retain": (connect(flags=b"\x22"), 0x81, SILENT),
    "a will to a wildcard": (connect(flags=b"\6", rest=b"\0\1i\0\0\1#\0\1x"), 0x90, SILENT),
    "no client id": (connect(rest=b""), 0x81, SILENT),
    "bad UTF-8 in the client id": (connect(rest=b"\0\2\xc3\x28"), 0x81, SILENT),
    "more than there should be": (connect(rest=b"\0\1ixx"), 0x81, SILENT),
    "a user name that is not there": (connect(flags=b"\x82"), 0x81, SILENT),
    "no properties": (connect(props=b"", rest=b""), 0x81, SILENT),
    "a property twice": (connect(props=b"\6\x21\0\1\x21\0\1"), 0x82, SILENT),
    "a property of PUBLISH": (connect(props=b"\2\1\0"), 0x81, SILENT),
    "Receive Maximum 0": (connect(props=b"\3\x21\0\0"), 0x82, SILENT),
    "Maximum Packet Size 0": (connect(props=b"\5\x27\0\0\0\0"), 0x82, SILENT),
    "Request Problem Information 2": (connect(props=b"\2\x17\2"), 0x82, SILENT),
    "Request Response Information 2": (connect(props=b"\2\x19\2"), 0x82, SILENT),
    "authentication data without a method": (connect(props=b"\4\x16\0\1x"), 0x82, PASSES),
    "an authentication method": (connect(props=b"\4\x15\0\1x"), 0x8C, SAME),
    "a packet before CONNECT": (b"\xc0\0", None, SAME),
    "flags of CONNECT": (b"\x11\x0e" + b"".join(connect()), None, SAME),
}

SCENARIOS = {}
for sent in (0, 1, 2):
    for asked in (0, 1, 2):
        SCENARIOS[f"quality {sent} for {asked}"] = ((4, 5), quality, (sent, asked))
for how in ("cut", "bad packet", "taken over", "goodbye"):
    SCENARIOS[f"will: {how}"] = ((3, 4, 5), will, (how,))
SCENARIOS["will: with will"] = ((5,), will, ("with will",))
for qos in (1, 2):
    SCENARIOS[f"session at quality {qos}"] = ((3, 4, 5), session, (qos,))
for one in (retained, overlapping, unsubscribing, dollar, takeover, level_by_level, twice_at_quality_2):
    SCENARIOS[one.__name__.replace("_", " ")] = ((3, 4, 5), one, ())
for one in (properties_of_messages, options_of_subscriptions):
    SCENARIOS[one.__name__.replace("_", " ")] = ((5,), one, ())
for which in ("no local, shared", "alias too large", "unknown alias", "second connect", "identifier in publish",
              "expiry raised from nothing", "auth"):
    SCENARIOS[f"refused: {which}"] = ((5,), refused_by_protocol, (which,))
for which, data in MALFORMED.items():
    SCENARIOS[f"malformed: {which}"] = ((4,), refused, (data,))
for filter in ("$share/g", "$share/g/", "$share//x", "$share/g+/x", "$share/g#/x", "$share/g/x#"):
    SCENARIOS[f"filter {filter}"] = ((4, 5), refused, (
        lambda version, filter=filter: wire.packet(8, 2, b"\0\1" + b"\0" * (version == 5) + wire.text(filter) + b"\1"),))
for one in (shared, a_member_leaves):
    SCENARIOS[one.__name__.replace("_", " ")] = ((4, 5), one, ())
for how in ("the delay first", "the session first", "no delay", "the client first", "the client first, anew"):
    SCENARIOS[f"will delay: {how}"] = ((5,), will_delay, (how,))
for what in ("queued", "retained"):
    SCENARIOS[f"expiring: {what}"] = ((5,), expiring, (what,))
for way in ("retained", "will"):
    SCENARIOS[f"order of user properties: {way}"] = ((5,), order_of_user_properties, (way,))
for qos in (1, 2):
    SCENARIOS[f"flow control at quality {qos}"] = ((5,), flow_control, (qos,))
for most in (0, 1, 2):
    SCENARIOS[f"aliases of the server: {most}"] = ((5,), aliases_of_the_server, (most,))
for handling in (0, 1, 2):
    SCENARIOS[f"handling of retained: {handling}"] = ((5,), handling_of_retained, (handling,))
for one in (request_and_response, sessions_that_expire, too_many_under_way, aliases_of_the_client, maximum_packet,
            identifiers, merged_identifiers, words_of_acknowledgements):
    SCENARIOS[one.__name__.replace("_", " ")] = ((5,), one, ())

ONE_COPY = "of overlapping subscriptions Rollcall sends one copy, at the highest QoS; mosquitto one for each in version 5"
LAST_WORD = "Rollcall says why it closes; mosquitto 2.0.11 only closes"
AGAIN = "mosquitto 2.0.11 closes the connection that sends a QoS 2 message again; Rollcall answers PUBREC again"
NO_GROUP = "a $share filter that is not well formed; mosquitto 2.0.11 takes it for an ordinary one, or closes"
NOT_RETAINED = "retained messages are not for shared subscriptions (3.8.4); mosquitto 2.0.11 sends them"
HANDED_ON = "what a member left unacknowledged goes to another; mosquitto 2.0.11 drops it"
ENDED = "a clean start ends the session, and with it the wait of its will (3.1.3.2.2); mosquitto 2.0.11 forgets the will"
ALIASES = "mosquitto 2.0.11 uses no aliases of its own"
TOO_MANY = "DISCONNECT 0x93 for more than the Receive Maximum; mosquitto 2.0.11 lets them wait"
UNKNOWN = "a PUBREC for nothing is answered 0x92; mosquitto 2.0.11 goes on with PUBREL"
STRICT = "the specification calls it a protocol error (3.8.3-4, 3.3.4-6); mosquitto 2.0.11 lets it pass"
DIFFERENT = {
    ("overlapping", 5): ONE_COPY,
    ("dollar", 5): ONE_COPY,
    ("level by level", 5): ONE_COPY,
    ("takeover", 5): LAST_WORD,
    ("refused: auth", 5): LAST_WORD,
    ("twice at quality 2", 3): AGAIN,
    ("twice at quality 2", 4): AGAIN,
    ("twice at quality 2", 5): AGAIN,
    ("refused: no local, shared", 5): STRICT,
    ("refused: identifier in publish", 5): STRICT,
    ("merged identifiers", 5): ONE_COPY,
    **{(f"filter {name}", version): NO_GROUP for name in ("$share/g", "$share/g/", "$share//x") for version in (4, 5)},
    **{(f"filter {name}", 5): NO_GROUP for name in ("$share/g+/x", "$share/g#/x", "$share/g/x#")},
    **{("shared", version): NOT_RETAINED for version in (4, 5)},
    **{("a member leaves", version): HANDED_ON for version in (4, 5)},
    ("will delay: the client first, anew", 5): ENDED,
    **{(f"aliases of the server: {most}", 5): ALIASES for most in (1, 2)},
    ("too many under way", 5): TOO_MANY,
    ("words of acknowledgements", 5): UNKNOWN,
}


def play(port, scenario, version):
    made = Play(port, version)
    _, run, args = SCENARIOS[scenario]
    try:
        run(made, *args)
    except TimeoutError:
        made.script.append(("nothing more came",))
    finally:
        made.end()
    return made.script


@pytest.mark.parametrize("scenario, version", [(name, version) for name, (versions, *_) in SCENARIOS.items()
                                               for version in versions])
def test_both_servers_say_the_same(servers, scenario, version):
    with ThreadPoolExecutor(2) as both:
        ours, theirs = both.map(lambda name: play(servers[name], scenario, version), ("rollcall", "mosquitto"))
    if (scenario, version) in DIFFERENT:
        assert ours != theirs, "they agree now: its line in DIFFERENT and in docs/mqtt.md can go"
    else:
        assert ours == theirs


def last_word(client):
    """The reason that the server ended the connection with, None without one, PASSES when it did not."""
    packets = to_the_end(client)
    client.close()
    if ("CLOSED",) not in packets:
        return PASSES
    said = [one for one in packets if one[0] in ("DISCONNECT", "CONNACK")]
    return said[0][1 if said[0][0] == "DISCONNECT" else 2] if said else None


def beside(ours, theirs):
    return SAME if ours == theirs else SILENT if theirs is None else PASSES if theirs == PASSES else OTHER


@pytest.mark.parametrize("which", MALFORMED_5)
def test_a_malformed_packet_of_version_5(servers, which):
    data, reason, relation = MALFORMED_5[which]
    words = []
    for port in (servers["rollcall"], servers["mosquitto"]):
        client = Wire(port, 5)
        client.connect("c")
        client.send(bytes.fromhex(data.replace(" ", "")))
        words.append(last_word(client))
    assert (words[0], beside(*words)) == (reason, relation)


@pytest.mark.parametrize("which", MALFORMED_CONNECTS)
def test_a_malformed_connect_of_version_5(servers, which):
    parts, reason, relation = MALFORMED_CONNECTS[which]
    words = []
    for port in (servers["rollcall"], servers["mosquitto"]):
        client = Wire(port, 5)
        client.send(parts if isinstance(parts, bytes) else wire.packet(1, 0, b"".join(parts)))
        words.append(last_word(client))
    assert (words[0], beside(*words)) == (reason, relation)

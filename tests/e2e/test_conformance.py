"""examples/conformance.yaml as it is shipped, beside what public suites ask of a broker: the interoperability tests of
Eclipse Paho for 3.1.1 and 5.0 case by case, and the features that HiveMQ's mqtt-cli looks for. All cases run at the
same time, each with topics and clients of its own, because most of them wait."""

import concurrent.futures
import time

import pytest

from harness.mqtt_party import Party
from harness.mqtt_wire import PUBACK, Wire, packet, text
from harness.procs import PATIENCE, ROOT
from harness.rollcall import Rollcall

V311, V5 = 4, 5
USERS = [("user", ("a", "2")), ("user", ("c", "3"))]
CASES = {}


def case(*versions):
    def add(function):
        for version in versions:
            CASES[f"{function.__name__} {version}".replace("_", " ")] = (version, function)
        return function
    return add


class Ground:
    """What a case plays on: topics below `top`, and clients of its own that are closed behind it."""

    def __init__(self, port, version, top):
        self.port, self.version, self.top, self.parties = port, version, top, []
        self.topics = [f"{top}/{name}" for name in ("A", "A/B", "C/C", "A/C", "/A")]

    def client(self, name="a", **more):
        self.parties.append(Party(self.port, more.pop("version", self.version), f"{self.top}-{name}", **more))
        assert self.parties[-1].connack[1] == 0
        return self.parties[-1]

    def lasting(self, name="a", seconds=99999, **more):
        """A client whose session stays when it goes."""
        props = [("session_expiry", seconds)] if self.version == V5 else []
        return self.client(name, **{"clean": False, "props": props, **more})

    def end(self):
        for party in self.parties:
            party.drop()


def every_quality(party, topic, payload="x", **more):
    for qos in (0, 1, 2):
        assert party.publish(topic, payload, qos, **more) in (0, 0x10)


def prop(message, name):
    values = [value for key, value in message.props if key == name]
    assert len(values) == 1, message
    return values[0]


# ---- both versions ----

@case(V311, V5)
def basics(at):
    at.client().leave()
    one = at.client()
    assert one.subscribe((at.topics[0], 2)) == [2]
    every_quality(one, at.topics[0])
    assert sorted(message.qos for message in one.take(3)) == [0, 1, 2]
    one.wire.send(packet(1, 0, text("MQTT") + bytes([at.version, 2, 0, 60]) + (b"\0" if at.version == V5 else b"") + text("x")))
    assert one.until_closed() == (0x82 if at.version == V5 else None)


@case(V311, V5)
def a_protocol_of_another_name_is_refused(at):
    wire = Wire(at.port, at.version)
    wire.send(packet(1, 0, text("hj") + bytes([at.version, 2, 0, 60]) + (b"\0" if at.version == V5 else b"") + text("x")))
    answer = wire.read()
    assert answer == ("CLOSED",) or answer[0] == "CONNACK" and answer[2] != 0
    wire.close()


@case(V311, V5)
def retained_messages_come_late_and_can_be_taken_back(at):
    one = at.client()
    props = USERS if at.version == V5 else ()
    for qos in (0, 1, 2):
        one.publish(at.topics[qos + 1], f"{qos}", qos, retain=True, props=props)
    time.sleep(0.3)
    one.subscribe((f"{at.top}/+/+", 2))
    got = one.take(3)
    assert sorted((message.qos, message.retain) for message in got) == [(0, True), (1, True), (2, True)]
    assert all(message.props == list(props) for message in got)
    one.leave()
    one = at.client()
    for qos in (0, 1, 2):
        one.publish(at.topics[qos + 1], "", qos, retain=True)
    time.sleep(0.3)
    one.subscribe((f"{at.top}/+/+", 2))
    one.take(0)


@case(V311, V5)
def a_will_is_published_when_its_client_is_cut_off(at):
    will = (at.topics[2], "gone", 0, False, [("will_delay", 0), *USERS])
    one, other = at.client(keep_alive=2, will=will), at.lasting("b")
    other.subscribe((at.topics[2], 2))
    one.drop()
    message = other.take(1)[0]
    assert message.payload == b"gone" and (at.version != V5 or message.props == USERS)


@case(V311, V5)
def a_client_without_an_id_may_come_to_a_new_session(at):
    for clean in (True, False):
        name, _, reason, props = Wire(at.port, at.version).connect("", clean=clean)
        assert name == "CONNACK" and reason == (0 if clean or at.version == V5 else 2)
        assert (at.version == V5) == bool(dict(props).get("assigned_client_id"))


@case(V311, V5)
def messages_wait_for_an_absent_client(at):
    one = at.lasting()
    one.subscribe((f"{at.top}/+/+", 2))
    one.leave()
    other = at.client("b")
    for qos in (0, 1, 2):
        other.publish(at.topics[qos + 1], f"{qos}", qos)
    one = at.lasting()
    assert one.connack[0] == 1
    assert [message.qos for message in one.take(2)] == [1, 2]  # QoS 0 is not held


@case(V311, V5)
def overlapping_subscriptions_bring_one_copy_at_the_highest_quality(at):
    one = at.client()
    one.subscribe((f"{at.top}/A/#", 2), (f"{at.top}/A/+", 1))
    one.publish(at.topics[3], "once", 2)
    assert [message.qos for message in one.take(1)] == [2]


@case(V311, V5)
def a_silent_client_is_cut_off_after_its_keep_alive(at):
    other = at.client("b", keep_alive=0)
    other.subscribe((at.topics[4], 2))
    began = time.monotonic()
    at.client(keep_alive=2, will=(at.topics[4], "silent", 1, False))
    other.take(1)
    assert 2.9 < time.monotonic() - began < 6 * PATIENCE


@case(V311, V5)
def what_was_not_acknowledged_comes_again_on_reconnect(at):
    one = at.lasting(is_paused=True)
    one.subscribe((f"{at.top}/A/#", 2))
    other = at.client("b")
    other.publish(at.topics[1], "", 1)
    other.publish(at.topics[3], "", 2)
    first = one.take(2)
    one.drop()
    again = at.lasting().take(2)
    assert [(message.id, message.qos) for message in again] == [(message.id, message.qos) for message in first]
    assert all(message.dup for message in again)


@case(V311, V5)
def a_subscription_can_be_refused(at):
    one = at.client()
    assert one.subscribe(("test/nosubscribe", 2)) == [0x80]
    assert one.subscribe(("nosubscribe", 2)) == [0x80]
    assert one.subscribe(("#", 0), ("+/+", 1)) == [0, 1]  # suites clear away retained messages with it
    assert one.publish("test/nosubscribe", at.top, 1) in (0, 0x10)
    assert one.publish(at.topics[0], at.top, 1) == 0
    assert one.pump(lambda: any(message.topic == at.topics[0] for message in one.messages))
    assert "test/nosubscribe" not in [message.topic for message in one.messages]


@case(V311, V5)
def wildcards_take_no_topic_that_begins_with_a_dollar(at):
    one = at.client(keep_alive=0)
    one.subscribe(("+/+", 2), ("#", 0), ("$TopicA/#", 1))
    payload = at.top
    assert one.publish("$TopicA/B", payload, 1) == 0
    time.sleep(0.5)
    one.pump(lambda: False, 0.3)
    assert [message.topic for message in one.messages if message.payload == payload.encode()] == ["$TopicA/B"]


@case(V311, V5)
def an_unsubscribed_topic_is_not_delivered(at):
    one, other = at.client(), at.client("b")
    for topic in at.topics[:3]:
        one.subscribe((topic, 2))
    codes = one.unsubscribe(at.topics[0])
    assert codes == ([0] if at.version == V5 else [])
    for topic in at.topics[:3]:
        other.publish(topic, "x", 1)
    assert [message.topic for message in one.take(2)] == at.topics[1:3]


@case(V311, V5)
def a_clean_session_ends_the_one_that_was_there(at):
    one = at.lasting()
    one.subscribe((at.topics[0], 1))
    one.leave()
    one = at.client(clean=True)
    assert one.connack[0] == 0
    one.publish(at.topics[0], "nobody", 1)
    one.take(0)
    one.leave()
    assert at.lasting().connack[0] == 0


@case(V311, V5)
def another_connection_of_a_client_ends_the_first(at):
    one = at.client()
    at.client()
    assert one.until_closed() == (0x8E if at.version == V5 else None)


# ---- 5.0 ----

@case(V5)
def sessions_expire(at):
    def come(seconds, clean=False, present=False):
        one = at.client(clean=clean, props=[("session_expiry", seconds)])
        assert one.connack[0] == present
        return one
    one = come(0, clean=True)
    one.subscribe((at.topics[0], 2))
    one.leave()
    come(0).leave()  # ended with its connection
    one = come(3, clean=True)
    one.subscribe((at.topics[0], 2))
    one.leave()
    time.sleep(1)
    come(3, present=True).leave()
    time.sleep(4.5)
    come(3).leave()
    one = come(1, clean=True)
    one.subscribe((at.topics[0], 2))
    one.leave(0, props=[("session_expiry", 5)])  # DISCONNECT may change it
    time.sleep(2.5)
    come(1, present=True).leave(0, props=[("session_expiry", 0)])
    come(1)


@case(V5)
def user_properties_pass(at):
    one = at.client()
    one.subscribe((at.topics[0], 2))
    props = [("user", ("c", "3")), *USERS, ("user", ("a", "1"))]
    every_quality(one, at.topics[0], props=props)
    assert all(message.props == props for message in one.take(3))


@case(V5)
def the_payloads_format_and_type_pass(at):
    one = at.client()
    one.subscribe((at.topics[0], 2))
    every_quality(one, at.topics[0], props=[("payload_format", 1), ("content_type", "My name")])
    for message in one.take(3):
        assert prop(message, "payload_format") == 1 and prop(message, "content_type") == b"My name"


@case(V5)
def messages_expire_while_they_wait(at):
    one = at.lasting()
    one.subscribe((at.topics[0], 2))
    one.leave(0, props=[("session_expiry", 999999999)])
    other = at.client("b")
    for seconds in (1, 60):
        for qos in (1, 2):
            other.publish(at.topics[0], f"{seconds}", qos, props=[("message_expiry", seconds)])
    time.sleep(3)
    got = at.lasting().take(2)
    assert [message.payload for message in got] == [b"60", b"60"]
    assert all(0 < prop(message, "message_expiry") <= 58 for message in got)


@case(V5)
def no_local_keeps_a_clients_own_messages_from_it(at):
    one, other = at.client(), at.client("b")
    for party in (one, other):
        party.subscribe((at.topics[0], 2 | 4))
    one.publish(at.topics[0], "x", 1)
    other.take(1)
    one.take(0)


@case(V5)
def retain_is_as_published_when_that_is_asked(at):
    one = at.client()
    one.subscribe((at.topics[0], 2 | 8))
    for retain in (False, True):
        one.publish(at.topics[0], "x", 1, retain=retain)
    assert [message.retain for message in one.take(2)] == [False, True]


@case(V5)
def retain_handling(at):
    one = at.client()
    for qos in (0, 1, 2):
        one.publish(at.topics[qos + 1], f"{qos}", qos, retain=True)
    time.sleep(0.3)
    for handling, counts in ((1, (3, 0)), (2, (0, 0)), (0, (3, 3))):
        one = at.client()
        for count in counts:
            one.subscribe((f"{at.top}/+/+", 2 | handling << 4))
            assert sorted(message.qos for message in one.take(count)) == list(range(count))
        one.leave()


@case(V5)
def subscription_identifiers_come_merged(at):
    one, other = at.client(), at.client("b")
    one.subscribe((at.topics[0], 2), props=[("subscription_id", 456789)])
    other.subscribe((at.topics[0], 2), props=[("subscription_id", 2)])
    other.subscribe((f"{at.topics[0]}/#", 2), props=[("subscription_id", 3)])
    other.publish(at.topics[0], "x", 1)
    assert prop(one.take(1)[0], "subscription_id") == 456789
    assert sorted(other.take(1)[0].props) == [("subscription_id", 2), ("subscription_id", 3)]


@case(V5)
def a_request_is_answered(at):
    one, other = at.client(), at.client("b")
    for party in (one, other):
        party.subscribe((at.topics[0], 2 | 4))
    one.publish(at.topics[0], "?", 1, props=[("response_topic", at.topics[0]), ("correlation_data", b"334")])
    request = other.take(1)[0]
    assert prop(request, "correlation_data") == b"334"
    other.publish(prop(request, "response_topic"), "!", 1, props=request.props)
    assert prop(one.take(1)[0], "correlation_data") == b"334"


@case(V5)
def a_clients_topic_aliases_live_as_long_as_its_connection(at):
    one = at.client()
    one.wire.publish(at.topics[0], "x", 1, props=[("topic_alias", 0)])
    assert one.until_closed() == 0x94
    one = at.lasting(clean=True)
    assert one.connack[2].get("alias_maximum", 0) > 0
    one.subscribe((at.topics[0], 2))
    one.publish(at.topics[0], "1", 1, props=[("topic_alias", 1)])
    one.publish("", "2", 1, props=[("topic_alias", 1)])
    assert [(message.topic, message.payload) for message in one.take(2)] == [(at.topics[0], b"1"), (at.topics[0], b"2")]
    one.leave()
    one = at.lasting()
    one.publish(at.topics[0], "3", 1)
    one.take(1)
    one.wire.publish("", "4", 1, id=9, props=[("topic_alias", 1)])
    assert one.until_closed() in (0x82, 0x94)


@case(V5)
def the_servers_topic_aliases_are_used_where_they_may_be(at):
    for props, topics in (([("alias_maximum", 1)], [at.topics[0], "", ""]), ([], [at.topics[0]] * 3),
                          ([("alias_maximum", 0)], [at.topics[0]] * 3)):
        one = at.client(props=props)
        one.subscribe((at.topics[0], 2))
        for qos in (0, 1, 2):
            one.publish(at.topics[0], "x", qos)
        got = one.take(3)
        assert [message.topic for message in got] == topics
        assert [[value for name, value in message.props if name == "topic_alias"] for message in got] == \
            ([[1]] * 3 if props == [("alias_maximum", 1)] else [[]] * 3)
        one.leave()


@case(V5)
def the_maximum_packet_size_binds_both_sides(at):
    one = at.client(props=[("maximum_packet", 64)])
    one.subscribe((at.topics[0], 2))
    room = 64 - 2 - 2 - len(at.topics[0]) - 1
    for size in (room, room + 1):
        at.client("b").publish(at.topics[0], "." * size, 0)
    assert len(one.take(1)[0].payload) == room
    one.publish(at.topics[0], "." * 64, 1)
    one.take(0)
    largest = one.connack[2].get("maximum_packet", (1 << 28) - 1)
    assert largest >= 100000  # what suites send to try
    one.wire.publish(at.topics[0], b"." * largest, 0)
    assert one.until_closed() == 0x95


@case(V5)
def the_server_tells_of_its_keep_alive(at):
    assert at.client(keep_alive=120).connack[2]["server_keep_alive"] == 60
    assert at.client("b", keep_alive=0).connack[2]["server_keep_alive"] == 60
    assert "server_keep_alive" not in at.client("c", keep_alive=30).connack[2]


@case(V5)
def the_clients_receive_maximum_is_kept(at):
    one = at.client(is_paused=True, props=[("receive_maximum", 2)])
    one.subscribe((at.topics[0], 2))
    other = at.client("b")
    for number in range(3):
        other.publish(at.topics[0], f"{number}", 1)
    first = one.take(2)
    one.wire.ack(PUBACK, first[0].id)
    assert one.take(1)[0].payload == b"2"


@case(V5)
def the_servers_receive_maximum_is_watched(at):
    one = at.client(is_paused=True)
    for number in range(one.connack[2].get("receive_maximum", 65535) + 1):
        one.wire.publish(at.topics[0], "x", 2, id=number + 1)
    assert one.until_closed() == 0x93


@case(V5)
def wills_wait_for_their_delay_or_the_sessions_end(at):
    for number, (delay, expiry, due) in enumerate(((2, 5, 2), (4, 0, 0), (4, 1, 1))):
        topic = f"{at.topics[0]}/{number}"
        one = at.client(f"w{number}", props=[("session_expiry", expiry)],
                        will=(topic, "gone", 0, False, [("will_delay", delay)]))
        other = at.client("b")
        other.subscribe((topic, 2))
        one.drop()
        began = time.monotonic()
        other.take(1, more_within=0)
        assert due - 0.1 <= time.monotonic() - began < due + 1 + PATIENCE
    one = at.lasting("back", will=(f"{at.topics[0]}/back", "gone", 0, False, [("will_delay", 2)]))
    other.subscribe((f"{at.topics[0]}/back", 2))
    one.drop()
    at.lasting("back")  # in time: nothing is said
    other.take(0, more_within=3)


@case(V5)
def shared_subscriptions_bring_a_message_to_one_member(at):
    parties = [at.client("a"), at.client("b")]
    for party in parties:
        assert party.subscribe((f"$share/{at.top}/{at.topics[1]}", 2), (at.topics[0], 2)) == [2, 2]
    parties[1].publish(at.topics[0], "all", 1)
    for party in parties:
        party.take(1)
    for _ in range(4):
        parties[1].publish(at.topics[1], "one", 1)
    assert parties[0].pump(lambda: False, 0.5) is False and parties[1].pump(lambda: False, 0.5) is False
    assert [len(party.messages) for party in parties] == [2, 2]


@case(V5)
def enhanced_authentication_is_refused(at):
    name, _, reason, _ = Wire(at.port, V5).connect(f"{at.top}-x", props=[("auth_method", "GS2-KRB5")])
    assert (name, reason) == ("CONNACK", 0x8C)


# ---- what mqtt-cli's `test` looks for ----

@case(V311, V5)
def every_quality_ten_times(at):
    one, other = at.client(), at.client("b")
    for qos in (0, 1, 2):
        one.subscribe((f"{at.top}/{qos}", qos))
        for _ in range(10):
            other.publish(f"{at.top}/{qos}", f"{qos}", qos)
        assert [message.qos for message in one.take(10)] == [qos] * 10


@case(V311, V5)
def wildcards_behind_a_topic(at):
    one, other = at.client(), at.client("b")
    one.subscribe((f"{at.top}/p/+", 1), (f"{at.top}/h/#", 1))
    other.publish(f"{at.top}/p/test", "x", 1)
    other.publish(f"{at.top}/h/test/subtopic", "x", 1)
    one.take(2)


@case(V311, V5)
def topics_may_be_as_long_as_can_be(at):
    one, other = at.client(), at.client("b")
    topic = at.top + "a" * (65535 - len(at.top))
    assert one.subscribe((topic, 1)) == [1]
    other.publish(topic, topic, 1)
    message = one.take(1)[0]
    assert (message.topic, message.payload) == (topic, topic.encode())


@case(V311, V5)
def payloads_of_100000_bytes(at):
    one, other = at.client(), at.client("b")
    one.subscribe((at.topics[0], 2))
    other.publish(at.topics[0], b"a" * 100000, 2)
    assert len(one.take(1)[0].payload) == 100000


@case(V311, V5)
def client_ids(at):
    for name in (" !\"#$%&\\'()*+,-./:;<=>?@[\\\\]^_`{|}~" + at.top, at.top + "a" * (1024 - len(at.top)), "ü" + at.top):
        assert Wire(at.port, at.version).connect(name)[2] == 0
    # As far as the documentation goes and no farther.
    assert Wire(at.port, at.version).connect("a" * 1025)[2] == (0x85 if at.version == V5 else 2)


@case(V311, V5)
def shared_subscriptions_in_turn(at):
    parties = [at.client("a"), at.client("b")]
    for party in parties:
        party.subscribe((f"$share/{at.top}/{at.topics[0]}", 1))
    publisher = at.client("p")
    for _ in range(10):
        publisher.publish(at.topics[0], "x", 1)
    for party in parties:
        party.take(5)


@case(V5)
def the_connack_hides_no_feature(at):
    told = at.client().connack[2]
    for name in ("maximum_qos", "retain_available", "wildcards_available", "ids_available", "shared_available"):
        assert told.get(name, 1) != 0
    assert "maximum_qos" not in told  # it means 2


@case(V311, V5)
def any_user_name_comes_in(at):
    """Suites bring names of their own, and a stock broker asks nobody who he is."""
    assert at.client(user="testuser", password="testpassword").connack[1] == 0


# ---- the run ----

@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("conformance"))
    example = (ROOT / "examples/conformance.yaml").read_text().replace("data/conformance", str(server.store))
    example = example.replace(":1883", f":{server.mqtt_port}").replace(":9876", f":{server.rocketmq_port}")
    server.config.write_text(f"{example}\nhttp: {{bind: '127.0.0.1:{server.http_port}'}}\n")
    server.start()

    def run(number, version, function):
        ground = Ground(server.mqtt_port, version, f"top{number}")
        try:
            function(ground)
        finally:
            ground.end()
    with concurrent.futures.ThreadPoolExecutor(len(CASES)) as pool:
        yield {name: pool.submit(run, number, *CASES[name]) for number, name in enumerate(CASES)}
    server.stop()


@pytest.mark.parametrize("name", CASES)
def test_a_suite_is_content(outcomes, name):
    outcomes[name].result(60 * PATIENCE)

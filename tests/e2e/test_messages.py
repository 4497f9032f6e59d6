"""MQTT messages as clients see them: paho (3.1.1 and 5.0) on the standard profile, over two shards."""

import queue
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from harness.procs import PATIENCE
from harness.rollcall import Rollcall

V311, V5 = mqtt.MQTTv311, mqtt.MQTTv5
STANDARD = """
  - id: home
    profile: standard
    anonymous: true
"""
WAIT = 10 * PATIENCE


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("rollcall"))
    server.config.write_text(server.config.read_text() + STANDARD.lstrip("\n"))
    server.start()
    yield server
    server.stop()


def properties(packet, **values):
    made = Properties(packet)
    for name, value in values.items():
        for one in value if isinstance(value, list) and name == "UserProperty" else [value]:
            setattr(made, name, one)
    return made


class Client:
    def __init__(self, server, client_id, version=V5, clean=True, expiry=0, manual=False, will=None, **connect):
        more = {"clean_session": clean} if version != V5 else {}
        self.version = version
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=version, manual_ack=manual, **more)
        self.paho.reconnect_delay_set(3600, 3600)
        if will:
            self.paho.will_set(*will)
        self.messages, self.connacks, self.subacks, self.acks, self.ends = (self.queue() for _ in range(5))
        self.paho.on_connect = lambda c, u, flags, reason, props: self.connacks.put((flags, reason.value))
        self.paho.on_disconnect = lambda c, u, flags, reason, props: self.ends.put(reason.value)
        self.paho.on_subscribe = lambda c, u, mid, reasons, props: self.subacks.put([r.value for r in reasons])
        self.paho.on_unsubscribe = lambda c, u, mid, reasons, props: self.subacks.put([r.value for r in reasons])
        self.paho.on_publish = lambda c, u, mid, reason, props: self.acks.put(reason.value)
        self.paho.on_message = lambda c, u, message: self.messages.put(message)
        start = {}
        if version == V5:
            start = {"clean_start": clean,
                     "properties": properties(PacketTypes.CONNECT, SessionExpiryInterval=expiry, **connect)}
        self.paho.connect("127.0.0.1", server.mqtt_port, 60, **start)
        self.paho.loop_start()
        self.flags, self.code = self.connacks.get(timeout=WAIT)

    def queue(self):
        return queue.Queue()

    def subscribe(self, filter, qos=0, id=None, **options):
        if self.version == V5:
            props = properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=id) if id else None
            self.paho.subscribe(filter, options=SubscribeOptions(qos=qos, **options), properties=props)
        else:
            self.paho.subscribe(filter, qos)
        return self.subacks.get(timeout=WAIT)[0]

    def publish(self, topic, payload, qos=1, retain=False, **values):
        props = properties(PacketTypes.PUBLISH, **values) if values else None
        self.paho.publish(topic, payload, qos, retain, props)
        return self.acks.get(timeout=WAIT)

    def message(self):
        return self.messages.get(timeout=WAIT)

    def texts(self, count):
        return [self.message().payload.decode() for _ in range(count)]

    def silent(self, server, topic="fence"):
        """Nothing more has come: what is published after it to a topic of its own is the next."""
        name = f"{topic}/{time.monotonic_ns()}"
        self.subscribe(name, 1)
        fence = Client(server, "")
        fence.publish(name, "fence")
        fence.close()
        return self.message().payload == b"fence"

    def cut(self):
        self.paho.loop_stop()
        self.paho._sock_close()

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture
def clients(server):
    made = []

    def make(client_id, **more):
        made.append(Client(server, client_id, **more))
        return made[-1]
    yield make
    for client in made:
        client.close()


# ---- qualities of service ----

@pytest.mark.parametrize("version", [V311, V5])
@pytest.mark.parametrize("sent", [0, 1, 2])
@pytest.mark.parametrize("asked", [0, 1, 2])
def test_a_message_comes_at_the_lesser_quality_of_both_sides(clients, version, sent, asked):
    subscriber, publisher = clients("sub", version=version), clients("pub", version=version)
    assert subscriber.subscribe("q/+", asked) == asked
    for i in range(20):
        assert publisher.publish("q/x", f"{i}", sent) == 0
    for i in range(20):
        message = subscriber.message()
        assert (message.payload, message.qos, message.retain) == (f"{i}".encode(), min(sent, asked), False)


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("version", [V311, V5])
def test_what_was_not_acknowledged_comes_again_and_what_waited_comes_in_order(server, clients, version, qos):
    first = clients("again", version=version, clean=False, expiry=100, manual=True)
    first.subscribe("again/x", qos)
    publisher = clients("pub")
    publisher.publish("again/x", "0", qos)
    assert first.message().payload == b"0"  # not acknowledged
    first.cut()
    for i in range(1, 100):
        publisher.publish("again/x", f"{i}", qos)
    second = clients("again", version=version, clean=False, expiry=100)
    assert second.flags.session_present
    if qos == 1:  # of QoS 2 paho has acknowledged the receipt, and only the release is repeated
        message = second.message()
        assert message.payload == b"0" and message.dup
    assert second.texts(99) == [f"{i}" for i in range(1, 100)]
    second.paho.disconnect()
    third = clients("again", version=version, clean=True)
    assert not third.flags.session_present


# ---- version 5 ----

def test_properties_are_passed_on_in_order(clients):
    subscriber, publisher = clients("sub"), clients("pub")
    subscriber.subscribe("p/#", 1)
    users = [("b", "1"), ("a", "2"), ("b", "3"), ("", "")]
    publisher.publish("p/x", "text", ContentType="text/plain", ResponseTopic="answer/here", CorrelationData=b"\0\1",
                      PayloadFormatIndicator=1, UserProperty=users, MessageExpiryInterval=100)
    props = subscriber.message().properties
    assert props.UserProperty == users
    assert (props.ContentType, props.ResponseTopic, props.CorrelationData, props.PayloadFormatIndicator) == \
        ("text/plain", "answer/here", b"\0\1", 1)
    assert 99 <= props.MessageExpiryInterval <= 100


def test_overlapping_subscriptions_give_one_copy_with_all_identifiers(server, clients):
    subscriber, publisher = clients("sub"), clients("pub")
    subscriber.subscribe("o/#", 0, id=1)
    subscriber.subscribe("o/+", 2, id=268435455)
    subscriber.subscribe("o/x", 1)
    publisher.publish("o/x", "once", 2)
    message = subscriber.message()
    assert message.qos == 2 and sorted(message.properties.SubscriptionIdentifier) == [1, 268435455]
    assert subscriber.silent(server)


def test_no_local_and_retain_as_published(server, clients):
    one, other = clients("one"), clients("other")
    one.subscribe("n/x", 1, noLocal=True)
    other.subscribe("n/x", 1, retainAsPublished=True)
    one.publish("n/x", "mine", retain=True)
    other.publish("n/x", "yours", retain=True)
    assert one.message().payload == b"yours"
    assert [other.message().retain for _ in range(2)] == [True, True]
    assert one.silent(server)
    one.publish("n/x", "", retain=True)


def test_acknowledgements_tell_what_became_of_a_message(clients):
    publisher, subscriber = clients("pub"), clients("sub")
    assert subscriber.subscribe("told/x", 1) == 1
    assert publisher.publish("told/x", "1", 1) == 0
    assert publisher.publish("told/x", b"\xff", 1, PayloadFormatIndicator=1) == 0x99
    subscriber.paho.unsubscribe(["told/x", "never/subscribed"])
    assert subscriber.subacks.get(timeout=WAIT) == [0, 0x11]


def test_topic_aliases_in_both_directions(clients):
    subscriber, publisher = clients("sub", TopicAliasMaximum=3), clients("pub")
    subscriber.subscribe("alias/#", 1)
    for i in range(5):
        publisher.publish("alias/a" if i == 0 else "", f"{i}", 1, TopicAlias=1)
    seen = [subscriber.message() for _ in range(5)]
    assert [message.payload for message in seen] == [f"{i}".encode() for i in range(5)]
    assert [message.topic for message in seen] == ["alias/a", "", "", "", ""]
    assert {message.properties.TopicAlias for message in seen} == {1}
    for name in "abcdabcd":  # more topics than aliases: each reuse says its topic again
        publisher.publish(f"alias/{name}", name, 1)
    known = {1: "alias/a"}
    for name in "abcdabcd":
        message = subscriber.message()
        alias = message.properties.TopicAlias
        assert 1 <= alias <= 3
        known[alias] = message.topic or known[alias]
        assert known[alias] == f"alias/{name}" and message.payload == name.encode()


@pytest.mark.parametrize("alias", [0, 33])
def test_an_alias_out_of_range_ends_the_connection(clients, alias):
    publisher = clients("pub")
    publisher.paho.publish("x", "1", 1, properties=properties(PacketTypes.PUBLISH, TopicAlias=33)
                           if alias else alias_zero())
    assert publisher.ends.get(timeout=WAIT) == 0x94


def alias_zero():
    made = properties(PacketTypes.PUBLISH, TopicAlias=1)
    made.__dict__["TopicAlias"] = 0
    return made


def test_messages_expire_while_they_wait(clients):
    first = clients("late", clean=False, expiry=100)
    first.subscribe("expiry/x", 1)
    first.close()
    publisher = clients("pub")
    publisher.publish("expiry/x", "gone", 1, MessageExpiryInterval=1)
    publisher.publish("expiry/x", "there", 1, MessageExpiryInterval=100)
    time.sleep(1.2)
    message = clients("late", clean=False, expiry=0).message()
    assert message.payload == b"there" and 95 <= message.properties.MessageExpiryInterval <= 99


def test_the_receive_maximum_of_a_client_is_kept(clients):
    subscriber, publisher = clients("slow", manual=True, ReceiveMaximum=3), clients("pub")
    subscriber.subscribe("r/x", 1)
    for i in range(10):
        publisher.publish("r/x", f"{i}", 1)
    got = [subscriber.message() for _ in range(3)]
    time.sleep(0.3)
    assert subscriber.messages.empty()
    for i in range(10):
        subscriber.paho.ack(got[i].mid, 1)
        if len(got) < 10:
            got.append(subscriber.message())
    assert [message.payload for message in got] == [f"{i}".encode() for i in range(10)]


def test_a_message_larger_than_the_client_takes_is_left_out(server, clients):
    subscriber, publisher = clients("small", MaximumPacketSize=100), clients("pub")
    subscriber.subscribe("m/x", 1)
    publisher.publish("m/x", "x" * 200, 1)
    publisher.publish("m/x", "fits", 1)
    assert subscriber.message().payload == b"fits"


# ---- retained messages ----

def test_retained_messages_come_to_new_subscriptions_as_their_options_say(server, clients):
    publisher = clients("pub")
    for name in "abc":
        publisher.publish(f"retained/{name}", name, 1, retain=True)
    subscriber = clients("sub")
    subscriber.subscribe("retained/+", 1, id=7)
    got = [subscriber.message() for _ in range(3)]
    assert sorted(message.payload for message in got) == [b"a", b"b", b"c"]
    assert all(message.retain and message.properties.SubscriptionIdentifier == [7] for message in got)
    subscriber.subscribe("retained/+", 1, retainHandling=1)  # not new
    subscriber.subscribe("retained/#", 1, retainHandling=2)
    assert subscriber.silent(server)
    subscriber.subscribe("retained/+", 1)
    assert sorted(subscriber.texts(3)) == ["a", "b", "c"]
    publisher.publish("retained/b", "", 1, retain=True)
    late = clients("late")
    late.subscribe("retained/#", 0)
    assert sorted(late.texts(2)) == ["a", "c"]
    assert late.silent(server)
    for name in "ac":
        publisher.publish(f"retained/{name}", "", 1, retain=True)


def test_wildcards_do_not_take_topics_that_begin_with_a_dollar(server, clients):
    publisher, subscriber = clients("pub"), clients("sub")
    subscriber.subscribe("#", 1)
    subscriber.subscribe("+/x", 1)
    publisher.publish("$mine/x", "1", 1, retain=True)
    publisher.publish("mine/x", "2", 1)
    assert subscriber.message().payload == b"2"
    named = clients("named")
    named.subscribe("$mine/#", 1)
    assert named.message().payload == b"1"
    publisher.publish("$mine/x", "", 1, retain=True)


# ---- shared subscriptions ----

def share(clients, group, filter, count, qos=1, **more):
    members = [clients(f"{group}-{i}", **more) for i in range(count)]
    for member in members:
        assert member.subscribe(f"$share/{group}/{filter}", qos) == qos
    return members


def drained(members):
    return [[members[i].messages.get().payload.decode() for _ in range(members[i].messages.qsize())]
            for i in range(len(members))]


def wait_for(members, count):
    deadline = time.monotonic() + WAIT
    while sum(member.messages.qsize() for member in members) < count and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("version", [V311, V5])
def test_each_message_goes_to_one_member_and_they_share_evenly(clients, version):
    members, publisher = share(clients, f"even{version}", "shared/+", 4, version=version), clients("pub")
    plain = clients("plain")
    plain.subscribe("shared/#", 1)
    for i in range(80):
        publisher.publish(f"shared/{i % 3}", f"{i}", 1)
    wait_for(members, 80)
    time.sleep(0.1)
    got = drained(members)
    assert sorted(sum(got, []), key=int) == [f"{i}" for i in range(80)]
    assert [len(texts) for texts in got] == [20] * 4
    assert plain.texts(80) == [f"{i}" for i in range(80)]


def test_two_groups_get_each_their_copy_and_nothing_retained(server, clients):
    publisher = clients("pub")
    publisher.publish("groups/x", "kept", 1, retain=True)
    a, b = share(clients, "ga", "groups/x", 1), share(clients, "gb", "groups/x", 1)
    publisher.publish("groups/x", "new", 1)
    assert a[0].message().payload == b[0].message().payload == b"new"
    publisher.publish("groups/x", "", 1, retain=True)


def test_a_member_that_leaves_gives_back_what_it_did_not_acknowledge(clients):
    lazy = clients("lazy", manual=True, ReceiveMaximum=2)
    lazy.subscribe("$share/back/back/x", 1)
    publisher = clients("pub")
    for i in range(10):
        publisher.publish("back/x", f"{i}", 1)
    assert lazy.texts(2) == ["0", "1"]
    diligent = clients("diligent")
    diligent.subscribe("$share/back/back/x", 1)
    lazy.cut()
    assert sorted(diligent.texts(10)) == [f"{i}" for i in range(10)]


def test_absent_members_get_messages_only_when_nobody_is_there(clients):
    for i in range(2):
        member = clients(f"away-{i}", clean=False, expiry=100)
        member.subscribe("$share/away/away/x", 1)
        member.close()
    publisher = clients("pub")
    for i in range(10):
        publisher.publish("away/x", f"{i}", 1)
    back = [clients(f"away-{i}", clean=False, expiry=0) for i in range(2)]
    got = [member.texts(5) for member in back]
    assert sorted(sum(got, []), key=int) == [f"{i}" for i in range(10)]
    for i in range(10):
        publisher.publish("away/x", f"later {i}", 1)
    wait_for(back, 10)
    assert [len(texts) for texts in drained(back)] == [5, 5]


def test_no_local_is_not_for_shared_subscriptions(clients):
    client = clients("wrong")
    client.paho.subscribe("$share/g/x", options=SubscribeOptions(qos=1, noLocal=True))
    assert client.ends.get(timeout=WAIT) == 0x82

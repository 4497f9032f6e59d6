"""What a client was promised outlives kill -9: sessions, their messages, subscriptions and retained messages.

A round: publishers at QoS 1 and 2 and persistent subscribers, the server killed at a moment of its own, started again,
everybody back. The checker knows what was acknowledged. ROUNDS (./dev soak sessions) makes it long.
"""

import collections
import os
import queue
import random
import re
import threading
import time
import urllib.request

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MessageState
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.procs import PATIENCE, wait_until
from harness.rollcall import Rollcall
from test_messages import STANDARD, V311, V5, Client

ROUNDS = int(os.environ.get("PERSISTENCE_ROUNDS", "4"))
WAIT = 10 * PATIENCE


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall")
    server.config.write_text(server.config.read_text() + STANDARD.lstrip("\n") +
                             "    limits: {queued: 5000}\n")  # nothing is dropped for being too much
    server.start()
    yield server
    server.stop()


def restart(server):
    server.kill()
    server.start()


def metric(server, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics") as answer:
        return int(re.search(rf"^rollcall_mqtt_{name}_total (\d+)$", answer.read().decode(), re.M).group(1))


def restored(server):
    """What the last start says of what it found: sessions, messages, retained messages."""
    return tuple(int(n) for n in re.findall(r"restored: (\d+) sessions with (\d+) messages, (\d+) retained",
                                            server.log())[-1])


# ---- one thing at a time ----

def test_an_absent_client_gets_what_was_acknowledged_before_the_kill(server):
    subscriber = Client(server, "sub", clean=False, expiry=3600)
    subscriber.subscribe("a/#", 2)
    subscriber.close()
    publisher = Client(server, "pub")
    for i in range(50):
        assert publisher.publish("a/x", str(i), 1 + i % 2) == 0
    publisher.close()
    restart(server)
    subscriber = Client(server, "sub", clean=False, expiry=3600)
    assert subscriber.flags.session_present
    got = [subscriber.message() for _ in range(50)]
    for qos in (1, 2):  # paho hands over a message of QoS 2 later, with its PUBREL
        assert [int(m.payload) for m in got if m.qos == qos] == list(range(qos - 1, 50, 2))
    assert not any(m.dup for m in got)  # none of them was ever sent
    subscriber.close()


def test_a_subscription_lives_on_and_one_taken_back_does_not(server):
    subscriber = Client(server, "sub", version=V311, clean=False)
    assert subscriber.subscribe("kept/+", 1) == 1
    subscriber.subscribe("gone/+", 1)
    subscriber.paho.unsubscribe("gone/+")
    subscriber.subacks.get(timeout=WAIT)
    subscriber.cut()
    restart(server)
    subscriber = Client(server, "sub", version=V311, clean=False)
    assert subscriber.flags.session_present
    publisher = Client(server, "pub")
    publisher.publish("gone/1", "no")
    publisher.publish("kept/1", "yes")
    assert subscriber.message().payload == b"yes"
    subscriber.close()
    publisher.close()


def test_a_retained_message_lives_on_and_a_deleted_one_does_not(server):
    publisher = Client(server, "pub")
    publisher.publish("r/kept", "first", retain=True)
    publisher.publish("r/kept", "second", retain=True)
    publisher.publish("r/gone", "x", retain=True)
    publisher.publish("r/gone", "", retain=True)
    publisher.close()
    restart(server)
    subscriber = Client(server, "sub")
    subscriber.subscribe("r/#", 1)
    message = subscriber.message()
    assert (message.topic, message.payload, message.retain) == ("r/kept", b"second", True)
    assert subscriber.silent(server)
    subscriber.close()


def test_a_session_ends_by_the_time_since_its_client_left(server):
    for name, expiry in (("short", 2), ("long", 3600)):
        Client(server, name, clean=False, expiry=expiry).close()
    server.kill()
    time.sleep(2.2)  # the session's own time, which goes on while there is no server
    server.start()
    assert Client(server, "long", clean=False, expiry=3600).flags.session_present
    assert not Client(server, "short", clean=False, expiry=3600).flags.session_present


def test_a_clean_stop_keeps_everything_too(server):
    subscriber = Client(server, "sub", clean=False, expiry=3600)
    subscriber.subscribe("a", 1)
    subscriber.close()
    publisher = Client(server, "pub")
    publisher.publish("a", "kept")
    publisher.close()
    server.stop()
    server.start()
    subscriber = Client(server, "sub", clean=False, expiry=3600)
    assert subscriber.flags.session_present and subscriber.message().payload == b"kept"
    subscriber.close()


def test_a_damaged_store_is_refused_by_name(server):
    server.stop()
    path = server.store / "rollcall" / "sessions" / "data.mdb"
    path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(AssertionError):
        server.start()
    assert "rollcall/sessions" in server.log()


def limit_sessions(server, size):
    text = server.config.read_text()
    start, end = text.index("mqtt: {"), text.index("listeners:")
    server.config.write_text(text[:start] + f"mqtt: {{sessions: {{max_size: {size}}}, " + text[end:])


def test_a_full_store_refuses_and_keeps_what_it_took(server):
    server.stop()
    limit_sessions(server, "1MiB")
    server.start()
    Client(server, "none", clean=False, expiry=3600).close()
    subscriber = Client(server, "sub", clean=False, expiry=3600)
    subscriber.subscribe("a", 1)
    subscriber.close()
    publisher, taken = Client(server, "pub"), 0
    with pytest.raises(queue.Empty):  # the one that finds it full gets no answer: it is not known whether it will fit
        for taken in range(2000):
            publisher.paho.publish("a", f"{taken} ".ljust(2000, "x"), 1)
            assert publisher.acks.get(timeout=3 * PATIENCE) == 0
    assert 100 < taken < 1000
    assert "raise mqtt.sessions.max_size" in server.log().lower()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics") as answer:
        assert b"rollcall_session_store_blocked 1\n" in answer.read()
    publisher.close()
    late = Client(server, "late", version=V311, clean=False)  # a session that could not be kept is not opened
    assert late.code != 0
    late.cut()
    assert Client(server, "passing", version=V311).code == 0  # one that needs no store is not concerned
    server.kill()
    limit_sessions(server, "64MiB")
    server.start()
    subscriber = Client(server, "sub", clean=False, expiry=3600)
    got = [int(subscriber.message().payload.split()[0]) for _ in range(taken)]
    assert got == list(range(taken))
    subscriber.close()


def test_retained_messages_that_expired_are_gone_from_the_store(server):
    publisher = Client(server, "pub")
    publisher.publish("r/kept", "x", retain=True)
    publisher.publish("r/kept-long", "x", retain=True, MessageExpiryInterval=3600)
    publisher.publish("r/swept", "x", retain=True, MessageExpiryInterval=1)
    wait_until("the sweep", lambda: metric(server, "retained_expired") == 1)
    publisher.publish("r/skipped", "x", retain=True, MessageExpiryInterval=1)
    publisher.close()
    server.kill()
    time.sleep(1.2)  # it expires while there is no server
    for _ in range(2):
        server.start()
        assert restored(server)[2] == 2
        server.kill()
    server.start()
    subscriber = Client(server, "sub")
    subscriber.subscribe("r/#", 1)
    assert {subscriber.message().topic for _ in range(2)} == {"r/kept", "r/kept-long"}
    assert subscriber.silent(server)
    subscriber.close()


# ---- shared subscriptions ----

def test_members_that_are_away_after_a_restart_hold_what_nobody_else_can_take(server):
    names = [f"member-{i}" for i in range(40)]
    for name in names:
        member = Client(server, name, clean=False, expiry=3600)
        member.subscribe("$share/g/many", 1)
        member.close()
    restart(server)
    publisher = Client(server, "pub")
    for i in range(20):
        assert publisher.publish("many", str(i), 1) == 0
    publisher.close()
    members = [Client(server, name, clean=False, expiry=3600) for name in names]
    deadline = time.monotonic() + WAIT
    while sum(member.messages.qsize() for member in members) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    got = [int(member.messages.get().payload) for member in members for _ in range(member.messages.qsize())]
    for member in members:
        member.close()
    assert sorted(got) == list(range(20))


def test_what_an_absent_member_has_goes_to_others_when_its_session_ends_after_a_restart(server):
    absent = Client(server, "absent", clean=False, expiry=3600)
    absent.subscribe("$share/g/back", 1)
    absent.close()
    publisher = Client(server, "pub")
    for i in range(3):
        assert publisher.publish("back", str(i), 1) == 0
    publisher.close()
    restart(server)
    worker = Client(server, "worker")
    worker.subscribe("$share/g/back", 1)
    Client(server, "absent").close()  # a clean start: its session ends
    assert worker.texts(3) == ["0", "1", "2"]
    worker.close()


# ---- killed at any moment ----

VERSIONS = (V311, V5, V311)


def keep_released(client):
    """paho 2.1 takes a message for one never sent when its second attempt to connect fails, though PUBREC came and PUBREL
    went: it would publish anew what the server has done with."""
    reset = client._messages_reconnect_reset_out

    def reset_the_rest():
        released = [m for m in client._out_messages.values() if m.state == MessageState.MQTT_MS_RESEND_PUBREL]
        reset()
        for message in released:
            message.state = MessageState.MQTT_MS_RESEND_PUBREL
    client._messages_reconnect_reset_out = reset_the_rest


def paho_of(name, version):
    clean = {"clean_session": False} if version != V5 else {}
    client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=version, **clean)
    client.reconnect_delay_set(1, 1)
    keep_released(client)
    return client


def connect(client, server, version):
    options = {}
    if version == V5:
        options["clean_start"] = False
        options["properties"] = Properties(PacketTypes.CONNECT)
        options["properties"].SessionExpiryInterval = 3600
    client.connect("127.0.0.1", server.mqtt_port, 60, **options)
    client.loop_start()


class Publisher:
    """One topic, numbers in order; knows which were acknowledged. Comes back by itself with its session. Waits for
    readers who are far behind: the bound on a session's queue is not what this is about."""

    def __init__(self, server, name, qos, version, readers):
        self.topic, self.qos, self.readers = f"t/{name}", qos, readers
        self.sent, self.acknowledged, self.pending, self.done = 0, set(), {}, collections.deque()
        self.sent_again = set()  # not acknowledged when a connection ended or began
        self.stopping, self.is_settled, self.lock = threading.Event(), False, threading.Lock()
        self.paho = paho_of(name, version)
        self.paho.max_inflight_messages_set(20)
        self.paho.on_connect = self.on_connect
        self.paho.on_disconnect = lambda *args: setattr(self, "is_settled", False)
        self.paho.on_publish = self.on_publish
        connect(self.paho, server, version)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    # Until the first acknowledgement paho may be about to send again what is not acknowledged; whatever is published
    # meanwhile would go before that.
    def on_connect(self, *args):
        self.note_unacknowledged()
        self.settle()
        self.is_settled = not self.pending

    def on_publish(self, client, user_data, mid, reason, props):
        self.done.append(mid)
        self.is_settled = True

    def settle(self):
        with self.lock:
            while self.done and self.done[0] in self.pending:
                self.acknowledged.add(self.pending.pop(self.done.popleft()))

    def run(self):
        while not self.stopping.wait(0.002):
            self.settle()
            ahead = self.sent - min(len(reader.got[self.topic]) for reader in self.readers)
            if self.is_settled and len(self.pending) < 100 and ahead < 1000:
                self.pending[self.paho.publish(self.topic, str(self.sent), self.qos).mid] = self.sent
                self.sent += 1

    def note_unacknowledged(self):
        self.sent_again.update(list(self.pending.values()))
        self.sent_again.add(self.sent)  # perhaps on its way, and not yet noted

    def all_acknowledged(self):
        self.settle()
        return not self.pending

    def finish(self):
        self.stopping.set()
        self.thread.join()
        wait_until(f"{self.topic} to be acknowledged", self.all_acknowledged, WAIT)
        self.paho.disconnect()
        self.paho.loop_stop()


class Subscriber:
    """A persistent session that notes what comes, and with it whether DUP was set."""

    def __init__(self, server, name, qos, version):
        self.name, self.qos, self.presents = name, qos, []
        self.got = collections.defaultdict(list)
        self.subscribed = threading.Event()
        self.paho = paho_of(name, version)
        self.paho.on_connect = lambda c, u, flags, reason, props: self.presents.append(flags.session_present)
        self.paho.on_subscribe = lambda *args: self.subscribed.set()
        self.paho.on_message = lambda c, u, m: self.got[m.topic].append((int(m.payload), m.dup))
        connect(self.paho, server, version)
        self.paho.subscribe("t/#", qos)
        assert self.subscribed.wait(WAIT)

    def missing(self, publisher):
        return sorted(publisher.acknowledged - {n for n, _ in self.got[publisher.topic]})

    def check(self, publisher):
        seen, last = set(), -1
        exactly_once = min(self.qos, publisher.qos) == 2
        for number, dup in self.got[publisher.topic]:
            if number in seen:
                assert not exactly_once, f"{self.name}: {publisher.topic} {number} came twice"
                assert dup or number in publisher.sent_again, \
                    f"{self.name}: {publisher.topic} {number} came twice, the second time not marked as such"
                continue
            assert number > last, f"{self.name}: {publisher.topic} {number} after {last}"
            seen.add(number)
            last = number
        assert seen >= publisher.acknowledged, \
            f"{self.name}: lost of {publisher.topic}: {sorted(publisher.acknowledged - seen)[:10]}"

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.mark.timeout(240 + 5 * ROUNDS)
def test_what_was_acknowledged_survives_kills_at_any_moment(server):
    seed = int(os.environ.get("PERSISTENCE_SEED", time.time_ns() & 0xffff))
    print(f"seed {seed}")
    chance = random.Random(seed)
    subscribers = [Subscriber(server, f"sub-{i}", qos, VERSIONS[i]) for i, qos in enumerate((1, 2, 2))]
    publishers = [Publisher(server, f"pub-{i}", qos, VERSIONS[i], subscribers)
                  for i, qos in enumerate((1, 2, 2))]
    for _ in range(ROUNDS):
        count = sum(len(p.acknowledged) for p in publishers)
        wait_until("messages to flow", lambda c=count: sum(len(p.acknowledged) for p in publishers) > c + 30, WAIT)
        time.sleep(chance.random() * 0.3)
        server.kill()
        for publisher in publishers:
            publisher.note_unacknowledged()
        server.start()
    for publisher in publishers:
        publisher.finish()
    for subscriber in subscribers:
        for publisher in publishers:
            wait_until(lambda s=subscriber, p=publisher: f"{s.name} to have of {p.topic} {len(s.missing(p))}: {s.missing(p)[:20]}",
                       lambda s=subscriber, p=publisher: not s.missing(p), 3 * WAIT)
    time.sleep(0.5)  # whatever may come twice
    for subscriber in subscribers:
        subscriber.close()
        assert all(subscriber.presents[1:]), subscriber.presents
        for publisher in publishers:
            subscriber.check(publisher)
    total = sum(p.sent for p in publishers)
    received = sum(len(numbers) for s in subscribers for numbers in s.got.values())
    print(f"{ROUNDS} kills, {total} messages published, {received} received")

"""What was acknowledged outlives kill -9 at any moment, beyond messages of plain subscriptions (test_persistence.py):
retained messages, subscriptions made and taken back, shared subscriptions, wills, expiry.

Each round does things at random until the server is killed, and starts it again. The checker knows of each thing what
it may be: what was acknowledged last, or what was on its way when the server died. ROUNDS (./dev soak sessions) makes
it long.
"""

import os
import queue
import random
import threading
import time

import pytest

from harness.procs import PATIENCE, wait_until
from harness.rollcall import Rollcall
from test_messages import STANDARD, Client

ROUNDS = int(os.environ.get("PERSISTENCE_ROUNDS", "4"))
WAIT = 10 * PATIENCE
SHORT = 1  # seconds: the expiry of messages that must not arrive later
BASE = "base"  # a member of the group that is away until the check: it is never empty
MEMBERS = ("m0", "m1", "m2")


class Killed(Exception):
    pass


class Mortal(Client):
    """A client that does not wait for a server that was killed."""

    def __init__(self, world, name, **more):
        self.world, self.name = world, name
        world.mortals.append(self)
        try:
            super().__init__(world.server, name, **more)
        except OSError as error:
            raise Killed from error

    def queue(self):
        world = self.world

        class Queue(queue.Queue):
            def get(self, block=True, timeout=None):
                while not world.killed.is_set():
                    try:
                        return super().get(timeout=0.02)
                    except queue.Empty:
                        continue
                time.sleep(0.05)  # the last that came
                try:
                    return super().get(block=False)
                except queue.Empty:
                    raise Killed from None
        return Queue()


class World:
    """The server, and of everything that was promised what it may be now."""

    def __init__(self, server, chance):
        self.server, self.chance, self.number = server, chance, 0
        self.killed, self.mortals = threading.Event(), []
        self.retained = {f"r/{i}": {""} for i in range(6)}  # "": none
        self.ends = {}  # of retained payloads that expire: when
        self.filters = {f"s/{i}": {False} for i in range(6)}
        self.long, self.short, self.short_until = set(), set(), 0
        self.work, self.done, self.wills, self.members = set(), [], set(), {}

    def next(self):
        self.number += 1
        return str(self.number)

    # ---- until it is killed ----

    def start(self):
        self.killed.clear()
        self.pub = Mortal(self, "pub")
        self.keeper = Mortal(self, "keeper", clean=False, expiry=3600)
        self.members = {}
        for name in MEMBERS:
            self.toggle(name)

    def publish(self, topic, payload, **more):
        assert self.pub.publish(topic, payload, 1, **more) in (0, 16)

    def do_retained(self):
        topic = self.chance.choice(sorted(self.retained))
        payload = self.chance.choice(["", self.next(), self.next()])
        more = {"MessageExpiryInterval": SHORT} if payload and self.chance.random() < 0.3 else {}
        self.retained[topic].add(payload)
        if more:
            self.ends[payload] = time.monotonic() + 3600
        self.publish(topic, payload, retain=True, **more)
        if more:
            self.ends[payload] = time.monotonic() + SHORT
        self.retained[topic] = {payload}

    def do_filter(self):
        filter, wanted = self.chance.choice(sorted(self.filters)), self.chance.random() < 0.5
        self.filters[filter] = {True, False}
        if wanted:
            self.keeper.subscribe(filter, 1)
        else:
            self.keeper.paho.unsubscribe(filter)
            self.keeper.subacks.get()
        self.filters[filter] = {wanted}

    def do_expiry(self):
        payload, is_short = self.next(), self.chance.random() < 0.5
        if is_short:
            self.short.add(payload)
        self.publish("e/x", payload, MessageExpiryInterval=SHORT if is_short else 3600)
        if is_short:
            self.short_until = time.monotonic() + SHORT
        else:
            self.long.add(payload)

    def do_work(self):
        for _ in range(self.chance.randrange(1, 5)):
            payload = self.next()
            self.publish("q/x", payload)
            self.work.add(payload)

    def toggle(self, name):
        """A member comes, or goes: for a while, or its session ends and it joins anew."""
        if name in self.members:
            member = self.members.pop(name)
            member.close()
            self.drain(member)
        if self.chance.random() < 0.7:
            member = Mortal(self, name, clean=self.chance.random() < 0.2, expiry=3600)
            self.members[name] = member
            member.subscribe("$share/g/q/+", 1)

    def do_member(self):
        self.toggle(self.chance.choice(MEMBERS))

    def do_will(self):
        payload = self.next()
        Mortal(self, f"will-{payload}", expiry=3600, will=("w/x", payload, 1))
        self.wills.add(payload)

    def act(self):
        acts = [self.do_retained, self.do_filter, self.do_expiry, self.do_work, self.do_work, self.do_member]
        try:
            self.start()
            self.do_will()
            while True:
                self.chance.choice(acts)()
        except Killed:
            pass

    def bury(self):
        for mortal in self.mortals:
            mortal.cut()
            if mortal.name in MEMBERS:
                self.drain(mortal)
        self.mortals.clear()

    def drain(self, member):
        while member.messages.qsize():
            self.done.append(queue.Queue.get(member.messages).payload.decode())

    # ---- after the restart ----

    def collect(self, client, fence):
        """What has come to this client up to a message of its own."""
        client.subscribe(fence, 1)
        pub, end = Client(self.server, ""), f"end {time.monotonic_ns()}"
        pub.publish(fence, end)
        pub.close()
        got = []
        while not got or got[-1].payload.decode() != end:
            got.append(client.message())
        return got[:-1]

    def check_retained(self):
        client = Client(self.server, "")
        client.subscribe("r/#", 1)
        got = {m.topic: m.payload.decode() for m in self.collect(client, "fence/r") if m.topic.startswith("r/")}
        client.close()
        for topic, may_be in self.retained.items():
            is_over = {payload for payload in may_be if payload in self.ends}
            gone = {payload for payload in is_over if time.monotonic() > self.ends[payload] + 1}
            may_be = (may_be - gone) | ({""} if is_over else set())
            assert got.get(topic, "") in may_be, f"{topic}: {got.get(topic)!r} is none of {may_be}"
            self.retained[topic] = {got.get(topic, "")}

    def check_filters(self):
        keeper = Client(self.server, "keeper", clean=False, expiry=3600)
        assert keeper.flags.session_present
        pub = Client(self.server, "")
        for filter in self.filters:
            pub.publish(filter, "probe")
        pub.close()
        got = {message.topic for message in self.collect(keeper, "fence/s")}
        keeper.close()
        for filter, may_be in self.filters.items():
            assert (filter in got) in may_be, f"{filter}: subscribed {filter in got}, but not as acknowledged"
            self.filters[filter] = {filter in got}

    def check_sleeper(self):
        """It is there for the check alone: expiry, and wills."""
        time.sleep(max(0, self.short_until - time.monotonic()) + 0.1)
        sleeper = Client(self.server, "sleeper", clean=False, expiry=3600)
        sleeper.subscribe("e/+", 1)
        sleeper.subscribe("w/+", 1)
        got, deadline = self.collect(sleeper, "fence/e"), time.monotonic() + WAIT
        while not self.wills <= texts(got, "w/x") and time.monotonic() < deadline:
            got += self.collect(sleeper, "fence/e")
        sleeper.close()
        assert self.long <= texts(got, "e/x"), f"lost: {sorted(self.long - texts(got, 'e/x'))}"
        assert not self.short & texts(got, "e/x"), f"expired, and came: {self.short & texts(got, 'e/x')}"
        assert self.wills <= texts(got, "w/x"), f"wills lost: {self.wills - texts(got, 'w/x')}"
        self.long, self.short, self.wills = set(), set(), set()

    def check_work(self):
        members = [Client(self.server, name, clean=False, expiry=3600) for name in (BASE, *MEMBERS)]
        members[0].subscribe("$share/g/q/+", 1)

        def all_there():
            for member in members:
                self.drain(member)
            return self.work <= set(self.done)
        wait_until(lambda: f"the members to have {sorted(self.work - set(self.done))[:10]}", all_there, WAIT)
        for member in members:
            member.close()
            self.drain(member)

    def check(self):
        self.bury()
        self.check_retained()
        self.check_filters()
        self.check_sleeper()
        self.check_work()


def texts(messages, topic):
    return {message.payload.decode() for message in messages if message.topic == topic}


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall")
    server.config.write_text(server.config.read_text() + STANDARD.lstrip("\n") + "    limits: {queued: 5000}\n")
    server.start()
    yield server
    server.stop()


@pytest.mark.timeout(240 + 20 * ROUNDS)
def test_all_kinds_of_promises_survive_kills_at_any_moment(server):
    seed = int(os.environ.get("PERSISTENCE_SEED", time.time_ns() & 0xffff))
    print(f"seed {seed}")
    world = World(server, random.Random(seed))
    Client(server, "keeper", clean=False, expiry=3600).close()
    world.check()
    for number in range(ROUNDS):
        actor = threading.Thread(target=world.act)
        actor.start()
        time.sleep(0.3 + world.chance.random() * PATIENCE)
        server.kill()
        world.killed.set()
        actor.join(WAIT)
        assert not actor.is_alive()
        server.start()
        world.check()
        if ROUNDS > 20:
            print(f"round {number + 1}: {world.number} things, {len(world.done)} of work", flush=True)
    print(f"{ROUNDS} kills, {world.number} promises, {len(world.work)} of work, {len(world.done)} received")

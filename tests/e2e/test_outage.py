"""Clients come and go while the cluster that a status rule leads to, and Rollcall itself, die and come back.

What is in the way at a time is one of STEPS: with each version of RocketMQ half of them, or all of them as often as
ROLLCALL_OUTAGE_ROUNDS says (./dev outage). At the end what
consumers were given must hold each visit's two events, in order for each client, and each repetition with its first
key. What the log says is not asked: retention takes of it what was sent."""

import itertools
import os
import signal
import threading
import time

import pytest

from harness.apache import RealCluster
from harness.procs import wait_until
from harness.rollcall import GROUP, Device, Watch
from test_rules import lost, make_server, make_topic, metrics, retarget

ROUNDS = int(os.environ.get("ROLLCALL_OUTAGE_ROUNDS", "0"))
CLIENTS = int(os.environ.get("ROLLCALL_OUTAGE_CLIENTS", "40"))
STAYING = max(1, CLIENTS // 20)  # connections that each thread keeps open
MOMENT = 3
TOPIC, OTHER_TOPIC, SYSTEM_TOPIC = "GID_outage", "GID_outage_other", "ROLLCALL_PRESENCE"
THREADS = 4
WHOLE = (["connect", "tcpclean"], ["connect", "disconnect", "tcpclean"])


class Visitors:
    """Clients that come, stay a while and go; some come again before they went.

    `accepted`: how often each was let in; `uncertain`: how often the server was gone before it said; `refused`: in all."""

    def __init__(self, server):
        self.server, self.accepted, self.uncertain, self.refused = server, {}, {}, 0
        self.history = []  # (when, client, what was seen)
        self.pause = 0.02
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def _run(self, first):
        visits, staying = 0, []
        while not self._stop.is_set():
            for i in range(first, CLIENTS, THREADS):
                visits += 1
                for _ in range(2 if visits % 7 == 0 else 1):  # twice: the second takes over
                    device = self._come(f"v{i}")
                    if device:
                        staying.append(device)
                if len(staying) > STAYING:
                    self._go(staying.pop(0), visits % 3)
                time.sleep(self.pause)
        while staying:
            self._go(staying.pop(), 0)

    def _come(self, name):
        try:
            device = Device(self.server, name)
            self.history.append((time.time(), name, f"CONNACK {device.code}"))
            if device.code == 0:
                self.accepted[name] = self.accepted.get(name, 0) + 1
                return device
            self.refused += 1
            device.socket.close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        except OSError as error:
            self.history.append((time.time(), name, repr(error)))
            self.uncertain[name] = self.uncertain.get(name, 0) + 1
        return None

    @staticmethod
    def _go(device, manner):
        try:
            device.disconnect() if manner == 0 else device.cut()
        except OSError:
            pass  # the server went first

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def reload(server, target):
    before = server.log().count(" reloaded:")
    retarget(server, target)
    server.process.child.send_signal(signal.SIGHUP)
    wait_until("the reload", lambda: server.log().count(" reloaded:") > before)


def goal(topic, more=""):
    return f"target: {{instance: apache, topic: {topic}}}{more}"


def broker_stalls(cluster, server, visitors):
    cluster.broker.child.send_signal(signal.SIGSTOP)
    time.sleep(2 * MOMENT)
    cluster.broker.child.send_signal(signal.SIGCONT)


def broker_dies(cluster, server, visitors):
    cluster.broker.kill()
    time.sleep(MOMENT)
    cluster.start_broker()


def name_server_dies(cluster, server, visitors):
    cluster.namesrv_process.kill()
    time.sleep(MOMENT)
    cluster.start_namesrv()


def rollcall_dies(cluster, server, visitors):
    server.kill()
    server.start()


def rollcall_dies_while_the_broker_is_away(cluster, server, visitors):
    """Meanwhile the rule leads elsewhere, is disabled, and leads to where it led before."""
    cluster.broker.kill()
    reload(server, goal(OTHER_TOPIC))
    time.sleep(1)
    reload(server, goal(OTHER_TOPIC, ", enabled: false"))
    server.kill()
    server.start()
    time.sleep(1)
    reload(server, goal(TOPIC))
    time.sleep(1)
    cluster.start_broker()


def the_quota_is_hit(cluster, server, visitors):
    cluster.broker.child.send_signal(signal.SIGSTOP)
    refused, visitors.pause = visitors.refused, 0
    wait_until("a client to be refused", lambda: visitors.refused > refused, 120)
    server.kill()  # with the log full
    server.start()
    visitors.pause = 0.02
    cluster.broker.child.send_signal(signal.SIGCONT)
    accepted = sum(visitors.accepted.values())
    wait_until("clients to be let in", lambda: sum(visitors.accepted.values()) > accepted + 20, 60)


STEPS = {49: [broker_stalls, rollcall_dies, rollcall_dies_while_the_broker_is_away],
         53: [broker_dies, name_server_dies, the_quota_is_hit]}


class Record:
    """What a consumer was given: each client's events by their first occurrence, and the keys that each came with."""

    def __init__(self, watch):
        self.watch, self.read, self.clients, self.keys = watch, 0, {}, {}
        self.refused_late = set()  # channels whose connect had been staged when the log turned out to be full

    def update(self):
        lines = self.watch.lines.snapshot()
        for line in lines[self.read:]:
            event = (line["eventType"], line["channelId"])
            if line["reason"] == "log-blocked":
                self.refused_late.add(line["channelId"])
            if event not in self.keys:
                self.clients.setdefault(line["clientId"], []).append((line["time"], *event))
            self.keys.setdefault(event, set()).add(line["messageId"])
        self.read = len(lines)
        return sum(kind == "tcpclean" for kind, _ in self.keys)


def check(records, visitors):
    """Every visit has a channel with its connect and its end, in order, in one topic; and nothing else is told."""
    events, refused_late = {}, set().union(*(record.refused_late for record in records))
    for record in records:
        assert all(len(keys) == 1 for keys in record.keys.values()), "a repetition with another key"
        for client, told in record.clients.items():
            assert told == sorted(told), f"{client}: out of order"
            connects = [channel for _, kind, channel in told if kind == "connect"]
            ends = [channel for _, kind, channel in told if kind == "tcpclean"]
            assert sorted(connects) == sorted(ends), f"{client}: a channel half told in a topic"
            events.setdefault(client, []).extend(told)
    for client, told in events.items():
        told.sort()
        assert len({moment for moment, *_ in told}) == len(told), f"{client}: two events at one time"
        # One channel after the other: whoever comes again has ended before.
        channels = [[kind for _, kind, _ in events] for _, events in itertools.groupby(told, lambda event: event[2])]
        assert all(kinds in WHOLE for kinds in channels), f"{client}: a ghost"
        name = client.removeprefix(f"{GROUP}@@@")
        visits = len({channel for _, _, channel in told} - refused_late)
        accepted, uncertain = visitors.accepted.get(name, 0), visitors.uncertain.get(name, 0)
        if not accepted <= visits <= accepted + uncertain:
            for line in sorted([(moment, *event) for moment, *event in told] +
                               [(int(1000 * when), *seen) for when, who, *seen in visitors.history if who == name]):
                print(*line)
        assert accepted <= visits <= accepted + uncertain, (client, accepted, uncertain, visits)
    assert len(events) == len(visitors.accepted) == CLIENTS
    return sum(map(len, events.values())), len(refused_late)


def wait_until_told(records, visitors):
    accepted = sum(visitors.accepted.values())

    def ended():
        return sum(record.update() for record in records)
    wait_until(lambda: f"the ends of {accepted} visits, got {ended()}", lambda: ended() >= accepted, 120)
    previous = -1
    while previous != ended():  # those that were never answered may still come
        previous = ended()
        time.sleep(1)


@pytest.mark.timeout(240 + 180 * ROUNDS)
@pytest.mark.parametrize("version", [49, 53])
def test_nothing_is_lost_or_reordered_through_the_death_of_either_side(version, rmq49, tmp_path):
    cluster = RealCluster(tmp_path / "apache", version).start()
    server = make_server(tmp_path, cluster, TOPIC, store=", retain_size: 256KiB, quota: 2MiB", segment="256KiB")
    watches = []
    try:
        for topic in (TOPIC, OTHER_TOPIC):
            make_topic(rmq49, cluster, topic)
        server.start()
        watches = [Watch(cluster, tmp_path / "one", group="GID_one", topic=TOPIC),
                   Watch(cluster, tmp_path / "two", group="GID_two", topic=OTHER_TOPIC),
                   Watch(server, tmp_path / "system", topic=SYSTEM_TOPIC)]
        records = [Record(watch) for watch in watches]
        visitors = Visitors(server)
        began = time.monotonic()
        for step in (STEPS[49] + STEPS[53]) * ROUNDS or STEPS[version]:
            time.sleep(1)
            step(cluster, server, visitors)
        time.sleep(1)
        visitors.stop()
        wait_until("the rule to have sent all", lambda: metrics(server)["waiting"] == 0, 120)
        wait_until_told(records, visitors)
        events, refused_late = check(records, visitors)
        assert lost(server) == 0
        server.stop()
        print(f"\noutage: RocketMQ {version}, {CLIENTS} clients, {time.monotonic() - began:.0f} s: events={events} "
              f"lines={sum(record.read for record in records)} by_topic={[len(record.keys) for record in records]} "
              f"refused={visitors.refused} refused_late={refused_late} uncertain={sum(visitors.uncertain.values())}")
    finally:
        for watch in watches:
            watch.process.kill()
        if server.process and server.process.running():
            server.kill()
        cluster.stop()

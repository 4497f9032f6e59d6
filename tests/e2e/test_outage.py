"""Clients come and go while the cluster that a status rule leads to, and Rollcall itself, die and come back.

What is in the way at a time is one of STEPS; ROLLCALL_OUTAGE_ROUNDS (1 by default) repeats them all. At the end the
consumer's record must hold each channel's events, in order for each client, and each repetition with its first key."""

import os
import signal
import threading
import time

import pytest

from harness.apache import RealCluster
from harness.rollcall import GROUP, Device, Watch
from test_rules import make_server, make_topic, told

ROUNDS = int(os.environ.get("ROLLCALL_OUTAGE_ROUNDS", "1"))
CLIENTS = int(os.environ.get("ROLLCALL_OUTAGE_CLIENTS", "40"))
MOMENT = 3
TOPIC = "GID_outage"


class Visitors:
    """Clients that come and go one after the other; `accepted`: each one's CONNACKs, `uncertain`: what ended before."""

    def __init__(self, server):
        self.server, self.accepted, self.uncertain = server, {}, {}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(4)]
        for thread in self._threads:
            thread.start()

    def _run(self, first):
        visit = 0
        while not self._stop.is_set():
            for i in range(first, CLIENTS, 4):
                visit += 1
                self._visit(f"v{i}", visit % 3)
            time.sleep(0.4)

    def _visit(self, name, manner):
        counts = self.accepted
        try:
            device = Device(self.server, name)
            if device.code != 0:
                return
            counts[name] = counts.get(name, 0) + 1
            device.disconnect() if manner == 0 else device.cut()
        except ConnectionRefusedError:
            time.sleep(0.1)
        except OSError:
            self.uncertain[name] = self.uncertain.get(name, 0) + 1

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def broker_stalls(cluster, server):
    cluster.broker.child.send_signal(signal.SIGSTOP)
    time.sleep(2 * MOMENT)
    cluster.broker.child.send_signal(signal.SIGCONT)


def broker_dies(cluster, server):
    cluster.broker.kill()
    time.sleep(MOMENT)
    cluster.start_broker()


def name_server_dies(cluster, server):
    cluster.namesrv_process.kill()
    time.sleep(MOMENT)
    cluster.start_namesrv()


def rollcall_dies(cluster, server):
    server.kill()
    server.start()


def rollcall_dies_while_the_broker_is_away(cluster, server):
    cluster.broker.kill()
    time.sleep(1)
    server.kill()
    server.start()
    time.sleep(1)
    cluster.start_broker()


STEPS = [broker_stalls, broker_dies, rollcall_dies, name_server_dies, rollcall_dies_while_the_broker_is_away]


def check_against_visits(events, visitors):
    """Every accepted visit has a channel with its connect and its end, and nothing else is told."""
    for client, told_of_it in events.items():
        name = client.removeprefix(f"{GROUP}@@@")
        connects = [channel for kind, channel in told_of_it if kind == "connect"]
        ends = [channel for kind, channel in told_of_it if kind == "tcpclean"]
        assert connects == ends, f"{client}: a channel half told, or out of order"
        accepted, uncertain = visitors.accepted.get(name, 0), visitors.uncertain.get(name, 0)
        assert accepted <= len(connects) <= accepted + uncertain, (client, accepted, uncertain, len(connects))
    assert len(events) == CLIENTS


class Record:
    """What a consumer has got: each client's events by their first occurrence, and all keys that each came with."""

    def __init__(self):
        self.read, self.clients, self.keys = 0, {}, {}

    def count(self, lines):
        for line in lines[self.read:]:
            event = (line["eventType"], line["channelId"])
            if event not in self.keys:
                self.clients.setdefault(line["clientId"], []).append(event)
            self.keys.setdefault(event, set()).add(line["messageId"])
        self.read = len(lines)
        return len(self.keys)


@pytest.mark.parametrize("version", [49, 53])
def test_nothing_is_lost_or_reordered_through_the_death_of_either_side(version, rmq49, tmp_path):
    cluster = RealCluster(tmp_path / "apache", version).start()
    server = make_server(tmp_path, cluster, TOPIC)
    try:
        make_topic(rmq49, cluster, TOPIC)
        server.start()
        watch = Watch(cluster, tmp_path, topic=TOPIC)
        visitors = Visitors(server)
        for step in STEPS * ROUNDS:
            time.sleep(1)
            step(cluster, server)
        time.sleep(1)
        visitors.stop()
        server.stop()
        in_log = told(server)
        check_against_visits(in_log, visitors)
        server.start()  # it may have stopped before all was sent
        record, events = Record(), sum(map(len, in_log.values()))
        watch.wait("all that is in the log", lambda lines: record.count(lines) >= events, 90)
        assert record.clients == in_log
        assert all(len(keys) == 1 for keys in record.keys.values()), "a repetition with another key"
        watch.close()
        server.stop()
        print(f"outage: {version}: events={events} lines={record.read}")
    finally:
        if server.process and server.process.running():
            server.kill()
        cluster.stop()

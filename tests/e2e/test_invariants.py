"""Tries to break what must never be: docs/architecture.md has the whole list and what else tests it."""

import json
import threading

from harness.procs import wait_until
from harness.rollcall import AK, GROUP, SK, TOPIC, Device, Rollcall, Watch


def events_of(server):
    """client -> its events in the (stopped) log, in order."""
    clients = {}
    for message in server.dump():
        if message["topic"] == TOPIC and "rcNode" in message["properties"]:
            event = json.loads(message["body"])
            clients.setdefault(event["clientId"], []).append(event)
    return clients


def check_channels(clients):
    """Every channel has its connect and, in the end, one tcpclean; nobody has two open ones; times grow."""
    for client, events in clients.items():
        assert all(a["time"] < b["time"] for a, b in zip(events, events[1:])), client
        open_channels, ended = set(), set()
        for event in events:
            channel = event["channelId"]
            if event["eventType"] == "connect":
                assert not open_channels and channel not in ended, client
                open_channels.add(channel)
            else:
                assert channel in open_channels, (client, event)
            if event["eventType"] == "tcpclean":
                open_channels.remove(channel)
                ended.add(channel)
        assert not open_channels, client


def connect_until_dead(server, name, accepted):
    """Comes again and again, each time while the last connection is still there; keeps who was accepted."""
    devices = []
    try:
        for i in range(100_000):
            device = Device(server, f"{name}-{i % 7}")
            devices.append(device)
            assert device.code == 0
            accepted.append(device.client_id)
            if i % 3 == 0:
                device.disconnect()
    except (ConnectionError, TimeoutError, OSError):
        return


def test_what_was_told_is_in_the_log_when_the_server_is_killed(tmp_path):
    server = Rollcall(tmp_path / "rollcall").start()
    watch = Watch(server, tmp_path)
    accepted = [[] for _ in range(4)]
    workers = [threading.Thread(target=connect_until_dead, args=(server, f"w{i}", accepted[i])) for i in range(4)]
    for worker in workers:
        worker.start()
    watch.wait("many events", lambda lines: len(lines) > 500, 60)
    server.kill()
    for worker in workers:
        worker.join()
    watch.close()
    told = {(line["clientId"], line["channelId"], line["eventType"], line["time"]) for line in watch.lines.snapshot()}
    before = events_of(server)
    logged = {(event["clientId"], event["channelId"], event["eventType"], event["time"])
              for events in before.values() for event in events}
    assert len(told) > 500 and told <= logged
    for client in {client for some in accepted for client in some}:
        count = sum(some.count(client) for some in accepted)
        assert sum(event["eventType"] == "connect" for event in before[client]) >= count
    server.start()
    server.stop()
    after = events_of(server)
    assert all(after[client][:len(events)] == events for client, events in before.items())
    check_channels(after)
    server.check()


def test_a_channel_older_than_the_log_still_ends_when_the_server_is_killed(tmp_path):
    server = Rollcall(tmp_path / "rollcall", segment="64KiB", store=", retain_size: 128KiB, quota: 256KiB").start()
    old = Device(server, "old")
    assert old.code == 0
    for i in range(2000):  # full, then retention makes room
        try:
            Device(server, f"new{i}").disconnect()
        except (ConnectionError, TimeoutError):
            pass
        if "retention: the log now starts at" in server.log():
            break
    wait_until("room in the log", lambda: Device(server, "room").code == 0, 30)
    old.send(0xC0, b"")
    assert old.receive()[0] == 0xD0
    server.kill()
    assert f"{GROUP}@@@old" not in events_of(server), "its connect is gone"
    server.start()
    server.stop()
    assert [event["eventType"] for event in events_of(server)[f"{GROUP}@@@old"]] == ["tcpclean"]


def test_a_retry_is_the_same_record_but_for_what_says_that_it_is_one(tmp_path, rmq49):
    server = Rollcall(tmp_path / "rollcall").start()
    rmq49.call("push", name="retried", group="GID_retried", topic=TOPIC, namesrv=server.namesrv, answer="later-first",
               delayLevel=1, ak=AK, sk=SK, **{"from": "first"})
    Device(server, "again").disconnect()

    def twice(lines):
        return lines if len([1 for line in lines if line["message"]["reconsumeTimes"] > 0]) >= 3 else None
    messages = [line["message"] for line in rmq49.wait_messages("the retries", "retried", twice, 60)]
    rmq49.call("stop", name="retried")
    server.stop()
    first = {message["msgId"]: message for message in messages if message["reconsumeTimes"] == 0}
    retries = {message["msgId"]: message for message in messages if message["reconsumeTimes"] > 0}
    assert len(first) == 3 and first.keys() == retries.keys()
    for key, message in first.items():
        own = {name: value for name, value in message["properties"].items()
               if name in ("KEYS", "TAGS", "UNIQ_KEY") or name.startswith("rc")}
        assert own.items() <= retries[key]["properties"].items() and {"KEYS", "TAGS", "UNIQ_KEY", "rcSequence"} <= own.keys()
        assert (retries[key]["body"], retries[key]["bornTimestamp"]) == (message["body"], message["bornTimestamp"])

"""rollcall watch, and so the consumer of librollcall, on real Apache brokers."""

import json
import time

import pytest

from harness.apache import RealCluster, ask
from harness.procs import wait_until
from harness.rollcall import AK, GROUP, SK, TOPIC, Watch


def event(client, kind, channel, time_ms, **more):
    return json.dumps({"clientId": f"{GROUP}@@@{client}", "time": time_ms, "eventType": kind,
                       "channelId": channel, "clientIp": "192.0.2.1:1", **more})


class Sender:
    def __init__(self, driver, cluster, **keys):
        self.driver, self.name = driver, f"watch-{cluster.broker_port}-{time.monotonic_ns()}"
        driver.call("producer", name=self.name, namesrv=cluster.namesrv, **keys)

    def send(self, body, tags):
        self.driver.call("send", name=self.name, topic=TOPIC, tags=tags, body=body)

    def come_and_go(self, client, time_ms=1700000000000):
        self.send(event(client, "connect", f"{client}-1", time_ms), "connect")
        self.send(event(client, "tcpclean", f"{client}-1", time_ms + 5), "tcpclean")

    def close(self):
        self.driver.call("stopProducer", name=self.name)


def names(lines):
    return {line["clientId"].split("@@@")[1] for line in lines}


@pytest.fixture(params=["cluster49", "cluster53"])
def cluster(request):
    return request.getfixturevalue(request.param)


def test_watch_reads_compressed_ones_skips_nonsense_and_goes_on_after_a_restart(cluster, rmq49, tmp_path):
    sender = Sender(rmq49, cluster)
    group = f"GID_restarted_{cluster.version}"
    sender.come_and_go("first")
    sender.send("no JSON", "connect")
    sender.send(event("large", "connect", "large-1", 1700000000000, more="x" * 20000), "connect")
    sender.send(event("other", "connect", "other-1", 1700000000000), "something-else")
    watch = Watch(cluster, tmp_path, group=group)
    watch.wait("the first events", lambda lines: {"first", "large"} <= names(lines) and len(lines) >= 3, 60)
    assert watch.online(f"{GROUP}@@@first") is False
    assert watch.online(f"{GROUP}@@@large") is True
    watch.close()
    sender.come_and_go("second")
    watch = Watch(cluster, tmp_path, group=group)
    watch.wait("the second client's events", lambda lines: len([1 for it in lines if "second" in it["clientId"]]) == 2, 60)
    assert names(watch.lines.snapshot()) == {"second"}
    watch.close()
    sender.close()


def test_two_watches_share_and_the_one_left_takes_all(cluster, rmq49, tmp_path):
    sender = Sender(rmq49, cluster)
    sender.come_and_go("before")
    group = f"GID_shared_{cluster.version}"
    one, two = Watch(cluster, tmp_path / "one", group=group), Watch(cluster, tmp_path / "two", group=group)

    def both_get_some():
        for i in range(8):
            sender.come_and_go(f"p{time.monotonic_ns()}-{i}")
        time.sleep(1)
        return [len(watch.lines.snapshot()) for watch in (one, two)]
    deadline = time.monotonic() + 60
    before, after = [0, 0], both_get_some()
    while not all(now > was for now, was in zip(after, before)):
        assert time.monotonic() < deadline, f"one gets nothing: {before} {after}"
        before, after = after, both_get_some()
    two.close()
    for i in range(8):
        sender.come_and_go(f"last{i}")
    one.wait("all that came after", lambda lines: {f"last{i}" for i in range(8)} <= names(lines), 60)
    one.close()
    sender.close()


def test_an_administrator_sets_a_watch_back_while_it_runs(cluster, rmq49, tmp_path):
    """As mqadmin resetOffsetByTime asks brokers; each version has a way of its own to tell its consumers."""
    sender = Sender(rmq49, cluster)
    group = f"GID_set_back_{cluster.version}"
    sender.come_and_go("again")
    watch = Watch(cluster, tmp_path, group=group)

    def seen(lines):
        return sum(line["clientId"].endswith("@@@again") for line in lines)
    watch.wait("its events", lambda lines: seen(lines) == 2, 60)
    wait_until("it to have committed, as a group has to", lambda: ask(
        cluster.broker_port, 222, topic=TOPIC, group=group, timestamp="0", isForce="true", queueId="-1")[0] == 0)
    for i in range(8):  # 5.x tells it in the answer to the next pull: these end the ones that are held
        sender.come_and_go(f"next{i}")
    watch.wait("its events once more", lambda lines: seen(lines) == 4, 30)
    watch.close()
    sender.close()


def test_watch_signs_its_requests_and_survives_the_broker(rmq49, tmp_path):
    cluster = RealCluster(tmp_path / "apache", 49, acl=(AK, SK)).start()
    try:
        sender = Sender(rmq49, cluster, ak=AK, sk=SK)
        sender.come_and_go("before")
        watch = Watch(cluster, tmp_path)
        watch.wait("the first events", lambda lines: "before" in names(lines), 60)
        cluster.stop_broker()
        cluster.start_broker()
        sender.come_and_go("after")
        watch.wait("the events after the broker's restart", lambda lines: "after" in names(lines), 60)
        watch.close()
        sender.close()
    finally:
        cluster.stop()

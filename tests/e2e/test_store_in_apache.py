"""A real Apache RocketMQ broker, 4.9.8 and 5.3, on a copy of Rollcall's store serves every message of it."""

import concurrent.futures
import json
import subprocess

import pytest

from harness.apache import RealCluster
from harness.procs import wait_until
from harness.rollcall import GROUP, TOPIC, Device, Rollcall

KEYS = {"ak": "TestAccessKey", "sk": "TestSecretKey"}
CLIENTS = 60

# What a broker must be told of file sizes: bytes of a log file, entries of a queue's file.
SMALL = {"segment": ("16MiB", 16 << 20), "entries": 300}
APACHES_DEFAULT = {"segment": ("1GiB", 1 << 30), "entries": 300_000}
TINY = {"segment": ("64KiB", 64 << 10), "entries": 64}  # rolls, the log and each queue
CASES = {
    "stopped": ("stop", SMALL, ""),
    "killed": ("kill", SMALL, ""),
    "default sizes": ("kill", APACHES_DEFAULT, ""),
    "rolled": ("kill", TINY, ""),
    # The log fills its quota, and retention makes room: it does so at once then.
    "retained": ("stop", TINY, ', retain_size: "256KiB", quota: "512KiB"'),
}


def come_and_go(server, count, prefix):
    for i in range(count):
        device = Device(server, f"{prefix}{i}")
        device.disconnect() if i % 2 else device.cut()


def begin_at_first(driver, server, group):
    """Commits the first offset of each queue that is still there.

    By itself a Java consumer begins at 0 and takes half a minute to find its way from there."""
    name = f"begin {group}"
    driver.call("admin", name=name, group=group, namesrv=server.namesrv, **KEYS)
    for queue in driver.call("queues", name=name, topic=TOPIC):
        first = driver.call("offsets", name=name, queue=queue)["min"]
        driver.call("commit", name=name, queue=queue, offset=first)
        assert driver.call("committed", name=name, queue=queue) == first
    driver.call("stopAdmin", name=name)


def leave_retries(server, driver, name):
    """Events of many clients, and retries of each second one that wait for their delay."""
    come_and_go(server, CLIENTS, "s")
    begin_at_first(driver, server, "GID_later")
    driver.call("push", name=name, group="GID_later", topic=TOPIC, tags="disconnect", namesrv=server.namesrv,
                answer="later", delayLevel=2, **KEYS)

    def all_taken(lines):
        return {f"{GROUP}@@@s{i}" for i in range(1, CLIENTS, 2)} <= clients(lines)
    driver.wait_messages("messages to send back", name, all_taken, 60)
    driver.call("stop", name=name)


def fill_until_retention(server):
    """More than the log may hold. While it is full, who comes is refused."""
    def has_room():
        return "retention: the log now starts at" in server.log() and server.log().count("works again") > 0
    for i in range(1000):
        device = Device(server, f"old{i}")
        device.cut()
        if device.code == 3:
            break
    wait_until("retention", has_room, 30)
    wait_until("room in the log", lambda: Device(server, "room").code == 0, 30)


def clients(lines):
    return {json.loads(line["message"]["body"])["clientId"] for line in lines}


def read_all(driver, cluster, count, is_whole):
    """Every message, by its unique key: a push consumer's; a pull consumer's when the first ones are gone."""
    name = f"all-{cluster.broker_port}"
    group = {"group": f"G{cluster.broker_port}", "namesrv": cluster.namesrv}
    if not is_whole:
        driver.call("admin", name=name, **group)
        return {message["msgId"]: message for message in driver.call("drain", name=name, topic=TOPIC)}
    driver.call("push", name=name, topic=TOPIC, **group, **{"from": "first"})

    def all_there(lines):
        return lines if len({line["message"]["msgId"] for line in lines}) >= count else None
    lines = driver.wait_messages(f"{count} messages\n{cluster.log()[-1500:]}", name, all_there, 90)
    driver.call("stop", name=name)
    return {line["message"]["msgId"]: line["message"] for line in lines}


def check_messages(ours, theirs):
    assert len(theirs) == len(ours)
    for message in ours:
        other = theirs[message["properties"]["UNIQ_KEY"]]
        for field in ("body", "queueId", "queueOffset", "bornTimestamp", "storeTimestamp"):
            assert other[field] == message[field]
        for key, value in message["properties"].items():
            assert other["properties"][key] == value


def check_retries(driver, cluster):
    name = f"retries-{cluster.broker_port}"
    driver.call("push", name=name, group="GID_later", topic=TOPIC, tags="disconnect", namesrv=cluster.namesrv)

    def retried(lines):
        back = clients([line for line in lines if line["message"]["reconsumeTimes"] > 0])
        return {f"{GROUP}@@@s{i}" for i in range(1, CLIENTS, 2)} <= back
    driver.wait_messages("the delayed retries", name, retried, 90)
    driver.call("stop", name=name)


@pytest.mark.parametrize("case", CASES)
def test_apache_serves_every_message(tmp_path, rmq49, case):
    end, sizes, store = CASES[case]
    server = Rollcall(tmp_path / "rollcall", segment=sizes["segment"][0], queue_entries=sizes["entries"], store=store).start()
    if case == "retained":
        fill_until_retention(server)
    elif case == "rolled":
        come_and_go(server, 120, "more")
    leave_retries(server, rmq49, f"later {case}")
    getattr(server, end)()
    ours = [m for m in server.dump() if m["topic"] == TOPIC]
    assert len(ours) >= CLIENTS * 2.5
    files = len(list((server.store / "commitlog").iterdir()))
    assert (files > 2) == (sizes is TINY)
    assert (min(m["queueOffset"] for m in ours) > 0) == (case == "retained")

    def start(version):
        copy = tmp_path / f"copy{version}"
        subprocess.run(["cp", "-a", "--sparse=always", server.store, copy], check=True)
        settings = {"mappedFileSizeCommitLog": sizes["segment"][1], "mappedFileSizeConsumeQueue": 20 * sizes["entries"]}
        cluster = RealCluster(tmp_path / f"apache{version}", version, store=copy, settings=settings)
        try:
            return cluster.start()
        except BaseException:
            cluster.stop()
            raise
    with concurrent.futures.ThreadPoolExecutor() as pool:
        starts = [pool.submit(start, version) for version in (49, 53)]
    try:
        for cluster in [started.result() for started in starts]:
            check_messages(ours, read_all(rmq49, cluster, len(ours), case != "retained"))
            check_retries(rmq49, cluster)
    finally:
        for started in starts:
            if started.exception() is None:
                started.result().stop()

"""A real Apache RocketMQ broker on a copy of Rollcall's store serves every message of it."""

import json
import shutil

import pytest

from harness.apache import RealCluster
from harness.rollcall import GROUP, TOPIC, Device, Rollcall

KEYS = {"ak": "TestAccessKey", "sk": "TestSecretKey"}
CLIENTS = 60


def fill(server, driver):
    """Events of many clients, and a retry that waits for its delay."""
    for i in range(CLIENTS):
        device = Device(server, f"s{i}")
        device.disconnect() if i % 2 else device.cut()
    name = f"later-{id(server)}"
    driver.call("push", name=name, group="GID_later", topic=TOPIC, tags="disconnect", namesrv=server.namesrv,
                answer="later", **KEYS)
    driver.wait_messages("a message to send back", name, lambda lines: len(lines) >= CLIENTS // 2, 60)
    driver.call("stop", name=name)


def read_all(driver, cluster, count):
    name = f"all-{cluster.broker_port}"
    driver.call("push", name=name, group=f"G{cluster.broker_port}", topic=TOPIC, namesrv=cluster.namesrv,
                **{"from": "first"})

    def all_there(lines):
        return lines if len({line["message"]["msgId"] for line in lines}) >= count else None
    lines = driver.wait_messages(f"{count} messages\n{cluster.log()[-1500:]}", name, all_there, 90)
    driver.call("stop", name=name)
    return {line["message"]["msgId"]: line["message"] for line in lines}


@pytest.mark.parametrize("version", [49, 53])
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_apache_serves_every_message(tmp_path, rmq49, version, end):
    server = Rollcall(tmp_path / "rollcall").start()
    fill(server, rmq49)
    getattr(server, end)()
    copy = tmp_path / "copy"
    shutil.copytree(server.store, copy)
    ours = [m for m in server.dump() if m["topic"] == TOPIC]
    assert len(ours) >= CLIENTS * 2.5
    cluster = RealCluster(tmp_path / "apache", version, store=copy).start()
    try:
        theirs = read_all(rmq49, cluster, len(ours))
        assert len(theirs) == len(ours)
        for message in ours:
            other = theirs[message["properties"]["UNIQ_KEY"]]
            assert other["body"] == message["body"]
            assert other["queueId"] == message["queueId"]
            assert other["queueOffset"] == message["queueOffset"]
            assert other["bornTimestamp"] == message["bornTimestamp"]
            assert other["storeTimestamp"] == message["storeTimestamp"]
            for key, value in message["properties"].items():
                assert other["properties"][key] == value
        name = f"retries-{cluster.broker_port}"
        rmq49.call("push", name=name, group="GID_later", topic=TOPIC, tags="disconnect", namesrv=cluster.namesrv)

        def retried(lines):
            back = {json.loads(line["message"]["body"])["clientId"] for line in lines
                    if line["message"]["reconsumeTimes"] > 0}
            return {f"{GROUP}@@@s{i}" for i in range(1, CLIENTS, 2)} <= back
        rmq49.wait_messages("the delayed retries", name, retried, 90)
        rmq49.call("stop", name=name)
    finally:
        cluster.stop()

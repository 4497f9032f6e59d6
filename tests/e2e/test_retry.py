"""Consumers that fail, restart and share."""

import json
import time

import pytest

from harness.rollcall import GROUP, TOPIC, Device, Rollcall

KEYS = {"ak": "TestAccessKey", "sk": "TestSecretKey"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("rollcall")).start()
    yield server
    server.stop()


def come_and_go(server, name):
    Device(server, name).disconnect()


def clients(lines):
    return [json.loads(line["message"]["body"])["clientId"] for line in lines]


@pytest.mark.parametrize("driver_name", ["ons", "rmq49", "rmq53"])
def test_a_message_that_failed_once_comes_back_after_its_delay(request, server, driver_name):
    driver = request.getfixturevalue(driver_name)
    name = f"retry-{driver_name}"
    come_and_go(server, name)
    driver.call("push", name=name, group=f"GID_{name}", topic=TOPIC, tags="connect", namesrv=server.namesrv,
                answer="later-first", **KEYS)
    wanted = f"{GROUP}@@@{name}"

    def twice(lines):
        mine = [line for line in lines if json.loads(line["message"]["body"])["clientId"] == wanted]
        return mine if len(mine) >= 2 else None
    first, second = driver.wait_messages("the second try", name, twice, 90)[:2]
    assert 9 < (second["mono"] - first["mono"]) / 1e9 < 60
    assert second["message"]["reconsumeTimes"] == 1
    assert second["message"]["msgId"] == first["message"]["msgId"]
    driver.call("stop", name=name)


def test_a_restarted_consumer_goes_on_where_it_was(server, rmq49):
    arguments = dict(group="GID_restart", topic=TOPIC, tags="connect", namesrv=server.namesrv, **KEYS)
    come_and_go(server, "r1")
    rmq49.call("push", name="first", **arguments)
    rmq49.wait_messages("the first event", "first", lambda lines: f"{GROUP}@@@r1" in clients(lines), 40)
    rmq49.call("stop", name="first")
    come_and_go(server, "r2")
    rmq49.call("push", name="second", **arguments)
    rmq49.wait_messages("the second event", "second", lambda lines: f"{GROUP}@@@r2" in clients(lines), 40)
    assert f"{GROUP}@@@r1" not in clients(rmq49.messages("second"))
    rmq49.call("stop", name="second")


def test_two_consumers_of_a_group_share_and_one_takes_over(server, rmq49, rmq53):
    arguments = dict(group="GID_share", topic=TOPIC, tags="connect", namesrv=server.namesrv, **KEYS)
    rmq49.call("push", name="left", **arguments)
    rmq53.call("push", name="right", **arguments)
    time.sleep(8)
    names = [f"share{i}" for i in range(24)]
    for name in names:
        come_and_go(server, name)
    wanted = {f"{GROUP}@@@{name}" for name in names}

    def got():
        return clients(rmq49.messages("left")), clients(rmq53.messages("right"))
    deadline = time.monotonic() + 40
    while not wanted <= set(sum(got(), [])) and time.monotonic() < deadline:
        time.sleep(0.2)
    left, right = got()
    assert wanted <= set(left) | set(right)
    assert set(left) & wanted and set(right) & wanted
    rmq49.call("stop", name="left")
    time.sleep(3)
    for name in names:
        come_and_go(server, name + "b")
    more = {f"{GROUP}@@@{name}b" for name in names}
    rmq53.wait_messages("all events at the one that is left", "right", lambda lines: more <= set(clients(lines)), 60)
    rmq53.call("stop", name="right")

"""The endpoint as a broker: everything that Apache's own clients can do with it, with JSON and with binary headers."""

import json
import time

import pytest
from aliyunsdkcore.acs_exception.exceptions import ServerException

from harness.apache import route
from harness.jvm import CommandFailed, Driver
from harness.procs import wait_until
from harness.rollcall import GROUP, TOPIC, Device, Rollcall
from test_api import get, old_sdk

KEYS = {"ak": "TestAccessKey", "sk": "TestSecretKey"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("rollcall")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def binary49(tmp_path_factory):
    driver = Driver("rmq49", tmp_path_factory.mktemp("binary49"), binary=True)
    yield driver
    driver.close()


@pytest.fixture(params=["rmq49", "rmq53", "binary49"])
def client(request, server):
    """A driver with a producer `p` and a pull consumer `a`, which live as long as the driver."""
    driver = request.getfixturevalue(request.param)
    driver.namesrv = server.namesrv
    if not getattr(driver, "is_equipped", False):
        driver.call("producer", name="p", namesrv=server.namesrv, **KEYS)
        driver.call("admin", name="a", group="GID_admin", namesrv=server.namesrv, **KEYS)
        driver.is_equipped = True
    return driver


@pytest.fixture
def topic(request, client):
    """A topic of this test's own, made by sending to it."""
    return "T_" + "".join(c if c.isalnum() else "_" for c in request.node.name)[-60:]


def send(client, topic, body, **more):
    return client.call("send", name="p", topic=topic, body=body, **more)


def bodies(messages):
    return [message["body"] for message in messages]


def taken(lines):
    return [line["message"]["body"] for line in lines]


def leave(client, *names):
    """Stops consumers without waiting: a 5.3 client takes three seconds for it."""
    for name in names:
        client.start("stop", name=name)


def push(client, name, topic, **more):
    client.call("push", name=name, group=f"GID_{topic[-40:]}", topic=topic, namesrv=client.namesrv, **KEYS, **more,
                **{"from": "first"})


def first_queue(client, topic):
    return next(queue for queue in client.call("queues", name="a", topic=topic) if queue["queueId"] == 0)


def test_sends_of_every_kind_arrive_with_every_field(client, topic):
    sent = send(client, topic, "sync", tags="red", keys="k1 k2", flag=7, properties={"colour": "dark red"})
    assert sent["status"] == "SEND_OK"
    at = dict(broker="rollcall-1", queueId=sent["queueId"])
    assert send(client, topic, "async", how="async")["status"] == "SEND_OK"
    send(client, topic, "oneway", how="oneway")
    again = send(client, topic, "again", tags="red", **at)
    assert (again["queueId"], again["queueOffset"] > sent["queueOffset"]) == (sent["queueId"], True)
    client.call("sendBatch", name="p", messages=[{"topic": topic, "body": f"batch {i}", "tags": "red"}
                                                 for i in range(50)])
    large = "x" * 100_000  # compressed on its way
    send(client, topic, large)
    deadline = time.monotonic() + 10
    while len(messages := client.call("drain", name="a", topic=topic)) < 55 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sorted(bodies(messages)) == sorted(["sync", "async", "oneway", "again", large]
                                              + [f"batch {i}" for i in range(50)])
    first = next(message for message in messages if message["body"] == "sync")
    assert (first["msgId"], first["offsetMsgId"]) == (sent["msgId"], sent["offsetMsgId"])
    assert (first["queueId"], first["queueOffset"]) == (sent["queueId"], sent["queueOffset"])
    assert (first["flag"], first["reconsumeTimes"]) == (7, 0)
    assert first["properties"]["colour"] == "dark red"
    assert first["properties"]["TAGS"] == "red" and first["properties"]["KEYS"] == "k1 k2"
    assert first["bornHost"].startswith("/127.0.0.1:")


def test_a_large_batch_arrives_whole(client, topic):
    messages = [{"topic": topic, "body": f"{i} " + "x" * 3900} for i in range(1000)]
    assert client.call("sendBatch", name="p", messages=messages)["status"] == "SEND_OK"
    assert len(client.call("drain", name="a", topic=topic)) == 1000


def test_a_delayed_message_comes_in_time(client, topic):
    send(client, topic, "now")
    push(client, topic, topic)
    client.wait_messages("the first", topic, lambda lines: "now" in taken(lines), 40)
    begin = time.monotonic()
    send(client, topic, "later", delay=1)
    client.wait_messages("the delayed one", topic, lambda lines: "later" in taken(lines), 20)
    assert 0.9 < time.monotonic() - begin < 5
    leave(client, topic)


def test_offsets_of_a_queue_can_be_asked_for(client, topic):
    send(client, topic, "one")
    queue = first_queue(client, topic)
    begin = client.call("offsets", name="a", queue=queue)["max"]
    for body in ("two", "three"):
        send(client, topic, body, broker="rollcall-1", queueId=0)
    second = client.call("pull", name="a", queue=queue, offset=begin + 1)["messages"][0]
    offsets = client.call("offsets", name="a", queue=queue, timestamp=second["storeTimestamp"], earliest=True)
    assert (offsets["min"], offsets["max"]) == (0, begin + 2)
    assert offsets["search"] <= begin + 1
    assert 0 < offsets["earliest"] <= second["storeTimestamp"]


def test_committed_offsets_are_kept(client, topic):
    send(client, topic, "one")
    queue = first_queue(client, topic)
    client.call("commit", name="a", queue=queue, offset=1)
    # The client commits without waiting for an answer.
    wait_until("the offset", lambda: client.call("committed", name="a", queue=queue) == 1)


def test_a_pull_takes_tags_and_waits_for_messages(client, topic):
    send(client, topic, "red", tags="red", broker="rollcall-1", queueId=0)
    send(client, topic, "blue", tags="blue", broker="rollcall-1", queueId=0)
    queue = first_queue(client, topic)
    pulled = client.call("pull", name="a", queue=queue, offset=0, tags="blue || green")
    assert (pulled["status"], bodies(pulled["messages"]), pulled["next"]) == ("FOUND", ["blue"], 2)
    assert client.call("pull", name="a", queue=queue, offset=0, tags="green")["status"] == "NO_MATCHED_MSG"
    assert client.call("pull", name="a", queue=queue, offset=99)["status"] == "OFFSET_ILLEGAL"
    waiting = client.start("pull", name="a", queue=queue, offset=2, tags="green", block=True)
    time.sleep(0.5)
    send(client, topic, "red too", tags="red", broker="rollcall-1", queueId=0)
    send(client, topic, "green", tags="green", broker="rollcall-1", queueId=0)
    assert bodies(client.finish(waiting)["messages"]) == ["green"]


def test_messages_are_found_by_key_by_unique_key_and_by_id(client, topic):
    sent = [send(client, topic, f"m{i}", keys=f"key{i % 2} all") for i in range(6)]
    found = client.call("byKey", name="a", topic=topic, key="key1", begin=0)
    assert sorted(bodies(found)) == ["m1", "m3", "m5"]
    assert len(client.call("byKey", name="a", topic=topic, key="all", begin=0, max=4)) == 4
    message = client.call("byUniqueKey", name="a", topic=topic, key=sent[2]["msgId"])
    assert message["body"] == "m2"
    message = client.call("byId", name="a", topic=topic, msgId=sent[3]["offsetMsgId"])
    assert message["body"] == "m3"
    with pytest.raises(CommandFailed):
        client.call("byKey", name="a", topic=topic, key="nobody", begin=0)


def test_the_history_of_a_device_is_found_by_its_client_id(client, server):
    Device(server, "history").disconnect()
    deadline = time.monotonic() + 10
    found = []
    while len(found) < 3 and time.monotonic() < deadline:
        try:
            found = client.call("byKey", name="a", topic=TOPIC, key=f"{GROUP}@@@history", begin=0)
        except CommandFailed:
            time.sleep(0.1)
    assert {json.loads(m["body"])["eventType"] for m in found} == {"connect", "disconnect", "tcpclean"}


def share_out(client, topic, names):
    """Sends to each queue again and again until each consumer of the group has taken something."""
    def all_have(items):
        return set(names) <= {line["consumer"] for line in items if line["kind"] == "message"}
    for round in range(40):
        for queue in range(4):
            send(client, topic, f"round {round}", broker="rollcall-1", queueId=queue)
        try:
            return client.lines.wait("a share for each consumer", all_have, 1)
        except AssertionError:
            pass
    raise AssertionError("one consumer got nothing")


@pytest.mark.parametrize("how", [{"orderly": True}, {}])
def test_consumers_of_a_group_share_orderly_or_not(client, topic, how):
    names = [topic + "one", topic + "two"]
    send(client, topic, "first")
    push(client, names[0], topic, **how)
    # An orderly consumer keeps a queue that it has messages of for 20 s after another one should have it.
    client.wait_messages("the first", names[0], lambda lines: "first" in taken(lines), 40)
    push(client, names[1], topic, **how)
    share_out(client, topic, names)
    sent = [f"{queue} {i}" for i in range(10) for queue in range(4)]
    for body in sent:
        send(client, topic, body, broker="rollcall-1", queueId=int(body[0]))

    def all_taken(items):
        lines = [line for line in items if line["kind"] == "message" and line["consumer"] in names]
        return lines if set(sent) <= set(taken(lines)) else None
    lines = client.lines.wait("all messages", all_taken, 60)
    if how:
        for queue in "0123":
            order = [body for body in taken(lines) if body.startswith(queue + " ")]
            assert order == [body for body in sent if body.startswith(queue)]
    assert {line["consumer"] for line in lines if line["message"]["body"] in sent} == set(names)
    leave(client, *names)


def test_an_orderly_consumer_that_suspends_gets_the_message_again(client, topic):
    send(client, topic, "again", broker="rollcall-1", queueId=0)
    push(client, topic, topic, orderly=True, answer="later-first")
    client.wait_messages("the second try", topic, lambda lines: taken(lines).count("again") >= 2, 60)
    leave(client, topic)


def test_everybody_gets_what_is_broadcast(client, topic):
    names = [topic + "one", topic + "two"]
    send(client, topic, "before")
    for name in names:
        push(client, name, topic, model="broadcasting")
    for name in names:
        client.wait_messages(f"the first by {name}", name, lambda lines: "before" in taken(lines), 40)
    for i in range(8):
        send(client, topic, f"m{i}")
    for name in names:
        client.wait_messages(f"all of it by {name}", name,
                             lambda lines: {f"m{i}" for i in range(8)} <= set(taken(lines)), 40)
    leave(client, *names)


def test_a_lite_pull_consumer_gets_all(client, topic):
    for i in range(8):
        send(client, topic, f"m{i}")
    client.call("lite", name=topic, group=f"GID_{topic[-40:]}", topic=topic, namesrv=client.namesrv, **KEYS,
                **{"from": "first"})
    client.wait_messages("all of it", topic, lambda lines: {f"m{i}" for i in range(8)} <= set(taken(lines)), 40)
    leave(client, topic)


def test_messages_that_fail_too_often_are_dead_letters_and_can_be_sent_again(client, topic, server):
    group = f"GID_{topic[-40:]}"

    def ask(action, **params):
        return json.loads(old_sdk(server, action, ConsumerGroup=group, **params))

    def refused(**params):
        with pytest.raises(ServerException) as error:
            ask("ResendDeadLetters", **params)
        return error.value.get_error_code(), error.value.get_error_msg()
    for body in ("dead 0", "dead 1", "dead 2"):
        send(client, topic, body, keys="k", tags="t")
    push(client, topic, topic, answer="later", maxReconsume=1, delayLevel=1)
    wait_until("dead letters", lambda: ask("ListDeadLetters")["Total"] == 3, 60)
    assert all(taken(client.messages(topic)).count(f"dead {n}") >= 2 for n in range(3))
    dead = client.call("drain", name="a", topic=f"%DLQ%{group}")
    assert sorted(bodies(dead)) == ["dead 0", "dead 1", "dead 2"]
    assert all(one["properties"]["RETRY_TOPIC"] == topic for one in dead)
    listed = {one["Body"]: one for one in ask("ListDeadLetters")["DeadLetters"]}
    assert set(listed) == {"dead 0", "dead 1", "dead 2"}
    one = listed["dead 1"]
    assert (one["Topic"], one["Keys"], one["Tags"], one["BodySize"], one["BodyCut"]) == (topic, "k", "t", 6, False)
    page = ask("ListDeadLetters", MaxResults=2)
    rest = ask("ListDeadLetters", MaxResults=2, NextToken=page["NextToken"])
    assert [len(page["DeadLetters"]), len(rest["DeadLetters"])] == [2, 1] and "NextToken" not in rest
    assert {one["Body"] for one in page["DeadLetters"] + rest["DeadLetters"]} == set(listed)
    client.call("answer", name=topic, answer="commit")
    before = taken(client.messages(topic))

    def again():
        return sorted(taken(client.messages(topic))[len(before):])
    assert ask("ResendDeadLetters", MsgIds=one["MsgId"])["Sent"] == 1
    wait_until("the one", lambda: again() == ["dead 1"])
    assert client.messages(topic)[-1]["message"]["topic"] == topic and client.messages(topic)[-1]["message"]["reconsumeTimes"] == 0
    assert ask("ResendDeadLetters", All="true")["Sent"] == 3
    wait_until("all", lambda: again() == ["dead 0", "dead 1", "dead 1", "dead 2"])
    assert ask("ResendDeadLetters", All="true", Since=str(max(one["StoreTime"] for one in listed.values()) + 1))["Sent"] == 0
    found = json.loads(old_sdk(server, "ListRocketMqTopics"))["Topics"]
    assert next(one for one in found if one["Topic"] == topic)["Messages"] == 3  # other groups get none of them again
    assert ask("ListDeadLetters")["Total"] == 3  # they stay
    assert refused()[0] == "ParameterCheckFailed"
    assert refused(All="true", MsgIds=one["MsgId"])[0] == "ParameterCheckFailed"
    assert refused(MsgIds="nothing")[0] == "ParameterCheckFailed"
    assert refused(MsgIds=",".join([one["MsgId"]] * 101)) == \
        ("ParameterCheckFailed", "A parameter is not valid. A call names at most 100 letters.")
    assert refused(MsgIds=one["OriginMsgId"])[0] == "InvalidParameter.NotFound"  # it is no letter
    assert refused(All="true", NextToken="x")[0] == "ParameterCheckFailed"
    resent = next(line for line in get(server, "/metrics").splitlines() if line.startswith("rollcall_rocketmq_dead_letters_resent_total "))
    assert int(resent.split()[1]) >= 4
    leave(client, topic)


def test_ons_producers_and_consumers_meet(ons, server, rmq49):
    topic = "T_ons"
    rmq49.call("producer", name="maker", group="GID_maker", namesrv=server.namesrv, **KEYS)
    rmq49.call("send", name="maker", topic=topic, body="makes the topic")
    ons.call("producer", name="op", group="GID_ons", namesrv=server.namesrv, **KEYS)
    ons.call("push", name="oc", group="GID_ons_consumer", topic=topic, tags="red", namesrv=server.namesrv, **KEYS)
    ons.call("push", name="oo", group="GID_ons_order", topic=topic, tags="red", namesrv=server.namesrv, orderly=True,
             **KEYS)
    time.sleep(3)
    sent = ons.call("send", name="op", topic=topic, tags="red", keys="k", body="hello")
    ons.call("send", name="op", topic=topic, tags="blue", body="not for you")
    ons.call("send", name="op", topic=topic, tags="red", body="the end")
    for name in ("oc", "oo"):
        lines = ons.wait_messages("both", name, lambda all_: all_ if "the end" in taken(all_) and "hello" in taken(all_)
                                  else None, 60)
        assert "not for you" not in taken(lines)
        hello = next(line["message"] for line in lines if line["message"]["body"] == "hello")
        assert (hello["msgId"], hello["tag"], hello["key"]) == (sent["msgId"], "red", "k")
    for name in ("oc", "oo", "op"):
        ons.call("stop", name=name)


@pytest.mark.parametrize("advertise, host, told", [("", "127.0.0.5", "127.0.0.5"), ("127.0.0.9", "127.0.0.5", "127.0.0.9")])
def test_a_route_leads_where_the_client_came_from_or_where_the_configuration_says(tmp_path, rmq49, advertise, host, told):
    server = Rollcall(tmp_path / "rollcall", rocketmq_more=", acl: false")
    more = f', advertise: "{advertise}:{server.rocketmq_port}"' if advertise else ""
    text = server.config.read_text().replace(f'bind: "{server.namesrv}"', f'bind: ":{server.rocketmq_port}"{more}')
    server.config.write_text(text)
    server.start()
    code, body = route(server.rocketmq_port, TOPIC, host)
    assert code == 0 and f'"{told}:{server.rocketmq_port}"' in body
    name = f"by-{told}"
    rmq49.call("push", name=name, group="GID_routed", topic=TOPIC, namesrv=f"{host}:{server.rocketmq_port}",
               **{"from": "first"})
    Device(server, "routed").disconnect()
    rmq49.wait_messages("the events", name, lambda lines: len(lines) == 3, 40)
    leave(rmq49, name)
    server.stop()


def test_a_client_with_a_wrong_secret_gets_nothing(rmq49, server):
    rmq49.call("producer", name="thief", group="GID_thief", namesrv=server.namesrv, ak="TestAccessKey", sk="WrongSecret")
    with pytest.raises(CommandFailed):
        rmq49.call("send", name="thief", topic=TOPIC, body="{}")
    rmq49.call("stopProducer", name="thief")
    assert "Check signature failed" in server.log()
    assert "WrongSecret" not in server.log()


def test_nobody_can_forge_an_event(rmq49, server):
    rmq49.call("producer", name="forger", group="GID_forger", namesrv=server.namesrv, **KEYS)
    with pytest.raises(CommandFailed, match="rcNode"):
        rmq49.call("send", name="forger", topic=TOPIC, body="{}", properties={"rcNode": "rollcall-1"})
    rmq49.call("stopProducer", name="forger")


def test_an_offset_that_is_set_moves_consumers_that_run(server, request):
    """Both versions at once: each waits 10 s by itself before it goes on."""
    clients = {flavour: request.getfixturevalue(flavour) for flavour in ("rmq49", "rmq53")}
    for flavour, client in clients.items():
        topic = f"T_reset_{flavour}"
        client.namesrv = server.namesrv
        if not getattr(client, "is_equipped", False):
            client.call("producer", name="p", namesrv=server.namesrv, **KEYS)
            client.call("admin", name="a", group="GID_admin", namesrv=server.namesrv, **KEYS)
            client.is_equipped = True
        for i in range(6):
            send(client, topic, f"m{i}")
        push(client, topic, topic)
    for flavour, client in clients.items():
        client.wait_messages("all", f"T_reset_{flavour}", lambda lines: len(set(taken(lines))) == 6, 40)
    for flavour in clients:
        old_sdk(server, "ResetConsumerOffset", ConsumerGroup=f"GID_T_reset_{flavour}", Topic=f"T_reset_{flavour}",
                Position="first")
    for flavour, client in clients.items():
        topic = f"T_reset_{flavour}"
        client.wait_messages("all once more", topic, lambda lines: len(taken(lines)) >= 12, 40)
        assert sorted(taken(client.messages(topic))) == sorted([f"m{i}" for i in range(6)] * 2)
        leave(client, topic)

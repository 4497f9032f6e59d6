"""The guide's two Java programs and the product's demos between MQTT and RocketMQ: the same programs against this
server's own endpoint and against real clusters that rules lead to, only their parameters differ."""

import pytest

from harness.jvm import java
from harness.procs import Process, wait_until
from harness.rollcall import AK, GROUP, INSTANCE, PARENT, SK, Rollcall, password, user

PACKAGE = "com.aliyun.openservices.lmq.example.demo"
RULES = ("{{id: status-1, type: status-notice, group: GID_test, {status}}}",
         "{{id: out-1, type: outflow, source: {{mqtt_topic: sensors}}, {out}}}",
         "{{id: in-1, type: inflow, source: {{{source}}}, target: {{mqtt_topic: sensors}}}}")


class Guide:
    """A server whose rules lead to that side, and the programs that were started."""

    def __init__(self, side, home):
        self.side, self.home, self.programs = side, home, []
        self.topics = {name: f"GID_guide_{name}_{side.version}" for name in ("status", "out", "in")}
        for topic in self.topics.values():
            side.make_topic(topic)
        self.server = Rollcall(home / "rollcall", rocketmq_more=side.more)
        rules = ", ".join(RULES).format(status=side.target(self.topics["status"]), out=side.target(self.topics["out"]),
                                        source=side.source(self.topics["in"]))
        lines = self.server.config.read_text().splitlines()
        lines[-1] = f"    rules: [{rules}]"
        self.server.config.write_text("\n".join(lines) + "\n")
        self.server.start()

    @property
    def namesrv(self):
        return self.side.namesrv(self.server)

    @property
    def mqtt(self):
        return f"127.0.0.1:{self.server.mqtt_port}"

    def start(self, program, *arguments):
        home = self.home / f"program{len(self.programs)}"
        self.programs.append(Process(java("guide", f"{PACKAGE}.{program}", home, *arguments), home / program,
                                     env={"MQTT_AK_ENV": AK, "MQTT_SK_ENV": SK}))
        return self.programs[-1]

    def start_client(self, name):
        """The guide's client program; it is online when it says so."""
        program = self.start("MQ4IoTSendMessageToMQ4IoTUseSignatureMode", INSTANCE, "127.0.0.1", f"{GROUP}@@@{name}",
                             str(self.server.mqtt_port))
        wait_until("the client program", lambda: "connect success" in program.output(), 60)
        return program

    def start_status(self, name):
        """The guide's consumer program."""
        return self.start("MQTTClientStatusNoticeProcessDemo", f"GID_status_{name}_{self.side.version}", self.namesrv,
                          self.topics["status"], f"{GROUP}@@@{name}")

    def close(self):
        for program in self.programs:
            if program.running():
                program.kill()
        self.server.stop()


@pytest.fixture
def guide(side, tmp_path):
    guide = Guide(side, tmp_path)
    yield guide
    guide.close()


def statuses(demo):
    """The statuses printed, repetitions folded."""
    folded = []
    for line in demo.output().splitlines():
        if line.startswith("ClientStatus :") and (not folded or folded[-1] != line):
            folded.append(line)
    return [line.split(":")[1] for line in folded]


def lines_with(program, begin):
    return [line for line in program.output().splitlines() if line.startswith(begin)]


def test_the_consumer_first(guide):
    demo = guide.start_status("one")
    wait_until("the first status", lambda: statuses(demo) == ["false"], 60)
    client = guide.start_client("one")
    wait_until("online", lambda: statuses(demo) == ["false", "true"], 60)
    client.kill()
    wait_until("offline again", lambda: statuses(demo) == ["false", "true", "false"], 60)


def test_the_client_first(guide):
    client = guide.start_client("two")
    demo = guide.start_status("two")
    wait_until("online", lambda: statuses(demo)[-1:] == ["true"], 60)
    client.kill()
    wait_until("offline again", lambda: statuses(demo)[-1:] == ["false"], 60)


def test_mqtt_to_rocketmq(guide):
    client_id = f"{GROUP}@@@sender"
    demo = guide.start("MQ4IoTSendMessageToRocketMQ", INSTANCE, guide.mqtt, client_id, f"{PARENT}/subTopic/1",
                       f"GID_demo_{guide.side.version}", guide.namesrv, guide.topics["out"])
    expected = {f"recv msg hello mq4Iot pub sub msg {i} of {client_id} at /subTopic/1 qos 1" for i in range(10)}
    wait_until(lambda: f"all messages:\n{demo.output()[-2000:]}", lambda: set(lines_with(demo, "recv msg")) >= expected, 90)
    assert set(lines_with(demo, "recv msg")) == expected
    assert lines_with(demo, "send msg succeed") == [f"send msg succeed topic is : {PARENT}/subTopic/1"] * 10


def subscriber(guide, clients):
    """A subscriber of the demo's topic."""
    client_id = f"{GROUP}@@@watcher"
    client = clients(guide.server, client_id, user(), password(client_id))
    assert client.subscribe(f"{PARENT}/subTopic") == 1
    return client


def test_rocketmq_to_mqtt(guide, clients):
    reader = guide.start_client("reader")
    device = f"{GROUP}@@@reader"
    watcher = subscriber(guide, clients)
    demo = guide.start("RocketMQSendMessageToMQ4IoT", f"GID_producer_{guide.side.version}", guide.namesrv, guide.topics["in"],
                       device)
    assert demo.wait(60) == 0, demo.output()[-2000:]
    assert len(lines_with(demo, "sent ")) == 20
    expected = {f"receive msg from topic {PARENT}/p2p/{device} , body is to one {i}" for i in range(10)}
    wait_until(lambda: f"what the client program got:\n{reader.output()[-2000:]}",
               lambda: set(lines_with(reader, "receive msg")) >= expected, 60)
    assert set(lines_with(reader, "receive msg")) == expected
    got = {watcher.message()[:2] for _ in range(10)}
    assert got == {(f"{PARENT}/subTopic", f"to subscribers {i}") for i in range(10)}


def test_from_client_to_client(guide):
    sender, receiver = f"{GROUP}@@@from", f"{GROUP}@@@to"
    demo = guide.start("MQTTSendP2PMessage", INSTANCE, guide.mqtt, sender, receiver, PARENT)
    expected = [f"receive msg from topic {PARENT}/p2p/{receiver} , body is hello mq4Iot p2p msg {i}" for i in range(10)]
    wait_until(lambda: f"all messages:\n{demo.output()[-2000:]}", lambda: lines_with(demo, "receive msg") == expected, 60)
    assert len(lines_with(demo, "send msg succeed")) == 10

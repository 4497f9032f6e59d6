"""The guide's own Java program, only its parameters changed: false, true, false, in whatever order things start."""

import pytest

from harness.jvm import java
from harness.procs import Process, wait_until
from harness.rollcall import AK, SK, TOPIC, Device, Rollcall

PROGRAM = "com.aliyun.openservices.lmq.example.demo.MQTTClientStatusNoticeProcessDemo"


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall").start()
    yield server
    server.stop()


def start_demo(server, home, client):
    return Process(java("guide", PROGRAM, home, "GID_backend", server.namesrv, TOPIC, client), home / "demo",
                   env={"MQTT_AK_ENV": AK, "MQTT_SK_ENV": SK})


def statuses(demo):
    """The statuses printed, repetitions folded."""
    folded = []
    for line in demo.output().splitlines():
        if line.startswith("ClientStatus :") and (not folded or folded[-1] != line):
            folded.append(line)
    return [line.split(":")[1] for line in folded]


def test_the_consumer_first(server, tmp_path):
    demo = start_demo(server, tmp_path, "GID_test@@@one")
    wait_until("the first status", lambda: statuses(demo) == ["false"], 40)
    wait_until("the consumer to pull", lambda: "GID_backend" in server.log() or statuses(demo), 10)
    device = Device(server, "one")
    wait_until("online", lambda: statuses(demo) == ["false", "true"], 40)
    device.cut()
    wait_until("offline again", lambda: statuses(demo) == ["false", "true", "false"], 40)
    demo.kill()


def test_the_device_first(server, tmp_path):
    device = Device(server, "two")
    demo = start_demo(server, tmp_path, "GID_test@@@two")
    wait_until("online", lambda: statuses(demo)[-1:] == ["true"], 60)
    device.disconnect()
    wait_until("offline again", lambda: statuses(demo)[-1:] == ["false"], 40)
    demo.kill()

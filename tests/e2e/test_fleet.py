"""rollcall sim against Rollcall: what the fleet did, and the events that came of it."""

import json
import subprocess
import threading
import time

import pytest

from harness.rollcall import AK, BINARY, GROUP, INSTANCE, SK, TOPIC, Rollcall

ENV = {"ROLLCALL_ACCESS_KEY": AK, "ROLLCALL_SECRET_KEY": SK}


def sim(server, *options, code=0):
    """Runs it; its result as JSON."""
    done = subprocess.run([BINARY, "sim", "--endpoint", server.namesrv, "--topic", TOPIC, "--json", *options],
                          env=ENV, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def fleet(server, *options, code=0):
    return sim(server, "--server", f"127.0.0.1:{server.mqtt_port}", "--instance", INSTANCE, "--group", GROUP, *options,
               code=code)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("rollcall")).start()
    yield server
    server.stop()


@pytest.mark.parametrize("pattern", ["hold", "churn", "flap", "takeover", "cut"])
def test_every_connection_has_its_events_and_no_other(server, pattern):
    result = fleet(server, "--pattern", pattern, "--prefix", pattern, "--clients", "150", "--rate", "300/s", "--stay",
                   "200ms", "--duration", "2s")
    assert result["accepted"] == result["started"] >= 150
    assert result["events"]["good"] and result["events"]["complete"] == result["accepted"]


def test_after_a_kill_every_connection_still_has_exactly_its_events(tmp_path):
    server = Rollcall(tmp_path / "rollcall").start()
    record = tmp_path / "record.jsonl"

    def kill():
        time.sleep(2)
        server.kill()
        server.start()
    killer = threading.Thread(target=kill)
    killer.start()
    # Not judged here: while the server is away the consumer has nobody to ask, and what came late is told below.
    subprocess.run([BINARY, "sim", "--server", f"127.0.0.1:{server.mqtt_port}", "--instance", INSTANCE, "--group", GROUP,
                    "--pattern", "churn", "--clients", "300", "--rate", "400/s", "--stay", "400ms", "--duration", "5s",
                    "--timeout", "2s", "--record", str(record)], env=ENV, check=True, timeout=120, capture_output=True)
    killer.join()
    verdict = sim(server, "--verify", str(record))["events"]
    assert verdict["good"]
    assert verdict["complete"] == verdict["expected"] > 800
    server.stop()

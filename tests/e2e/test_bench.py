"""rollcall bench: each pattern does what it says against a server, and its figures are those of that server."""

import json
import os
import subprocess

import pytest

from harness.rollcall import AK, BINARY, INSTANCE, SK, Rollcall


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("bench")).start()
    yield server
    server.stop()


def bench(server, *options, code=0):
    command = [BINARY, "bench", "--json", "--server", f"127.0.0.1:{server.mqtt_port}", "--instance", INSTANCE, "--group",
               "GID_test", "--settle", "10ms", *map(str, options)]
    env = {**os.environ, "ROLLCALL_ACCESS_KEY": AK, "ROLLCALL_SECRET_KEY": SK}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("version", [4, 5])
def test_churn_comes_and_goes(server, version):
    result = bench(server, "--pattern", "churn", "--count", 300, "--mqtt-version", version)
    assert (result["started"], result["up"], result["failed"]) == (300, 300, 0)
    assert result["connectUs"]["count"] == 300 and result["connectUs"]["p50"] <= result["connectUs"]["max"]
    assert result["server"]["pid"] == server.process.pid and result["server"]["cpuNsEach"] > 0


def test_hold_tells_the_memory_of_a_connection(server):
    result = bench(server, "--pattern", "hold", "--clients", 300, "--subscriptions", 2)
    assert (result["up"], result["failed"]) == (300, 0)
    assert result["server"]["memoryConnected"] > 0


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_comes_to_each_subscriber(server, version, qos):
    result = bench(server, "--pattern", "publish", "--count", 200, "--publishers", 4, "--subscribers", 4, "--topics", 2,
                   "--qos", qos, "--mqtt-version", version)
    assert (result["sent"], result["expected"], result["received"]) == (200, 400, 400)
    assert result["latencyUs"]["count"] == 400


def test_a_rate_is_kept_and_latencies_count_from_when_messages_were_due(server):
    result = bench(server, "--pattern", "publish", "--count", 0, "--duration", "1s", "--rate", "500/s")
    assert 450 <= result["sent"] <= 501 and result["received"] == result["sent"]
    assert result["latencyUs"]["max"] >= result["lateUs"]["p50"]


@pytest.mark.parametrize("version", [4, 5])
def test_absent_subscribers_come_back_for_what_waits(server, version):
    result = bench(server, "--pattern", "publish", "--count", 50, "--qos", 1, "--absent", "--subscribers", 3,
                   "--mqtt-version", version, "--prefix", f"absent{version}-")
    assert (result["sent"], result["received"], result["expected"]) == (50, 150, 150)


def test_refused_clients_are_a_failure(server):
    result = bench(server, "--pattern", "churn", "--count", 10, "--secret-key", "wrong", "--access-key", AK, code=1)
    assert (result["up"], result["failed"]) == (0, 10)

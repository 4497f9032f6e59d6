"""rollcall bench: each pattern does what it says against a server, and its figures are those of that server."""

import json
import os
import subprocess

import pytest

from harness.apache import RealCluster
from harness.certificates import Authority
from harness.procs import Process, free_port, port_answers, wait_until
from harness.rollcall import AK, BINARY, INSTANCE, SK, Rollcall


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, authority):
    server = Rollcall(tmp_path_factory.mktemp("bench"))
    server.ports = server.listen_beside(authority)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory, authority):
    """Its ports by transport."""
    home = tmp_path_factory.mktemp("mosquitto")
    certificate, key = authority.make("mosquitto", "localhost", "IP:127.0.0.1")
    ports = {name: free_port() for name in ("tls", "ws", "wss")}
    tls = f"certfile {certificate}\nkeyfile {key}\n"
    conf = home / "mosquitto.conf"
    conf.write_text(f"user root\nallow_anonymous true\nlistener {ports['tls']} 127.0.0.1\n{tls}"
                    f"listener {ports['ws']} 127.0.0.1\nprotocol websockets\n"
                    f"listener {ports['wss']} 127.0.0.1\nprotocol websockets\n{tls}")
    process = Process(["mosquitto", "-c", conf], home / "mosquitto")
    wait_until("mosquitto", lambda: all(port_answers(port) for port in ports.values()))
    yield ports
    process.kill()


@pytest.fixture(scope="module", params=["embedded", "apache"])
def rocketmq(request, tmp_path_factory):
    """(name server, pid of the broker)"""
    if request.param == "embedded":
        server = request.getfixturevalue("server")
        yield server.namesrv, server.process.pid
        return
    cluster = RealCluster(tmp_path_factory.mktemp("apache"), 49).start()
    yield cluster.namesrv, cluster.broker.pid
    cluster.stop()


def run(*options):
    env = {**os.environ, "ROLLCALL_ACCESS_KEY": AK, "ROLLCALL_SECRET_KEY": SK}
    command = [BINARY, "bench", "--json", "--settle", "10ms", *map(str, options)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def bench(server, *options, code=0, port=None):
    done = run("--server", f"127.0.0.1:{port or server.mqtt_port}", "--instance", INSTANCE, "--group", "GID_test", *options)
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


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("transport", ["tls", "ws", "wss"])
def test_each_transport_carries_connections_and_messages(server, authority, transport, version):
    options = ["--transport", transport, "--mqtt-version", version]
    options += ["--ca", authority.ca] if transport != "ws" else []
    port = server.ports[transport]
    result = bench(server, "--pattern", "churn", "--count", 60, *options, port=port)
    assert (result["started"], result["up"], result["failed"]) == (60, 60, 0)
    assert result["server"]["pid"] == server.process.pid
    result = bench(server, "--pattern", "publish", "--count", 200, "--qos", 1, "--size", 20000, *options, port=port)
    assert (result["sent"], result["received"], result["failed"]) == (200, 200, 0)


@pytest.mark.parametrize("transport", ["tls", "ws", "wss"])
def test_each_transport_reaches_a_server_of_others(mosquitto, authority, transport):
    options = ["--server", f"127.0.0.1:{mosquitto[transport]}", "--transport", transport]
    options += ["--ca", authority.ca] if transport != "ws" else []
    for pattern in (["hold", "--clients", 20, "--subscriptions", 2], ["publish", "--count", 200, "--qos", 2, "--size", 300]):
        done = run(*options, "--pattern", *pattern)
        assert done.returncode == 0, done.stdout + done.stderr
        result = json.loads(done.stdout)
        assert result["failed"] == 0 and result["received"] == result["expected"] and result["up"] > 0


def test_a_certificate_is_shown_where_one_is_asked_for(server, authority):
    certificate, key = authority.make("device", "dev1")
    options = ["--pattern", "churn", "--count", 5, "--transport", "tls", "--ca", authority.ca]
    result = bench(server, *options, "--certificate", certificate, "--key", key, port=server.ports["mutual"])
    assert (result["up"], result["failed"]) == (5, 0)
    assert bench(server, *options, code=1, port=server.ports["mutual"])["up"] == 0


def test_a_servers_certificate_is_verified_unless_told_otherwise(server, authority):
    options = ["--pattern", "churn", "--count", 5, "--transport", "tls"]
    port = server.ports["tls"]
    assert bench(server, *options, code=1, port=port)["up"] == 0
    assert bench(server, *options, "--ca", authority.ca, "--tls-name", "else.example", code=1, port=port)["up"] == 0
    assert bench(server, *options, "--ca", authority.ca, "--tls-name", "localhost", port=port)["up"] == 5
    assert bench(server, *options, "--insecure", port=port)["up"] == 5
    done = run("--server", f"127.0.0.1:{port}", *options)
    assert "certificate" in done.stderr


@pytest.mark.parametrize("options,what", [
    (["--transport", "udp"], "--transport is"), (["--transport", "tcp", "--insecure"], "--insecure"),
    (["--transport", "tls", "--key", "x"], "--certificate and --key"), (["--transport", "tls", "--ca", "/none"], "/none")])
def test_a_wrong_transport_is_told(options, what):
    done = run(*options)
    assert done.returncode == 2 and what in done.stderr


def bench_rocketmq(rocketmq, *options):
    namesrv, pid = rocketmq
    done = run("--server", namesrv, "--pid", pid, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_producers_are_answered_and_consumers_get_all(rocketmq):
    result = bench_rocketmq(rocketmq, "--pattern", "produce", "--count", 300, "--size", 200, "--publishers", 2)
    assert (result["sent"], result["acked"], result["failed"]) == (300, 300, 0)
    assert result["latencyUs"]["count"] == 300 and result["server"]["cpuNsEach"] > 0
    result = bench_rocketmq(rocketmq, "--pattern", "produce", "--count", 1000, "--batch", 32)
    assert (result["sent"], result["acked"], result["started"]) == (1000, 1000, 32)
    result = bench_rocketmq(rocketmq, "--pattern", "consume", "--count", 1300, "--publishers", 0)
    assert (result["received"], result["expected"], result["latencyUs"]["count"]) == (1300, 1300, 0)
    result = bench_rocketmq(rocketmq, "--pattern", "consume", "--count", 0, "--duration", "1s", "--rate", "200/s",
                            "--subscribers", 2)
    assert 150 <= result["sent"] <= 201 and result["received"] == result["sent"] == result["latencyUs"]["count"]


def test_a_broker_that_refuses_is_told(server):
    done = run("--server", server.namesrv, "--pattern", "produce", "--count", 10, "--secret-key", "wrong", "--access-key", AK)
    assert done.returncode == 1 and "signature" in done.stderr.lower()
    done = run("--server", server.namesrv, "--pattern", "consume", "--topic", "nowhere", "--count", 10)
    assert done.returncode == 1 and "nowhere" in done.stderr


@pytest.mark.parametrize("options,what", [
    (["--pattern", "produce", "--size", 8], "--size"), (["--pattern", "produce", "--publishers", 0], "--publishers"),
    (["--pattern", "consume", "--publishers", 0, "--count", 0], "--count"),
    (["--pattern", "consume", "--subscribers", 0], "--subscribers"), (["--pattern", "sell"], "--pattern is")])
def test_what_cannot_be_measured_is_told(options, what):
    done = run(*options)
    assert done.returncode == 2 and what in done.stderr

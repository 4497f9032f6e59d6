"""The control plane with much in it and much to do: how long a change takes until every shard acts by it.

Small by itself; `./dev scale` asks for 100,000 groups and 1,000,000 device credentials, and prints the figures."""

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import multiprocessing
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest
from aliyunsdkcore.auth.composer import rpc_signature_composer

from harness.mqtt_wire import Wire
from harness.procs import PATIENCE, wait_until
from harness.rollcall import AK, BINARY, GROUP, INSTANCE, SK, Rollcall, run
from test_api import get

GROUPS = int(os.environ.get("ROLLCALL_SCALE_GROUPS", "3000"))
CREDENTIALS = int(os.environ.get("ROLLCALL_SCALE_CREDENTIALS", "20000"))
SECONDS = float(os.environ.get("ROLLCALL_SCALE_SECONDS", "2"))
REACH_S = 0.1
CONNECTIONS = 4  # of each credential at once: with SO_REUSEPORT they fall on all shards


def say(text):
    print(text, flush=True)


# ---- what is in it ----

def name_of(number):
    """Every fifth is in one group, the largest."""
    return f"GID_g{number % GROUPS if number % 5 else 0:06}@@@device{number:07}"


def lines():
    yield json.dumps({"kind": "rollcall-registry", "version": 1})
    for number in range(GROUPS):
        yield json.dumps({"kind": "groups", "instance": INSTANCE, "id": f"GID_g{number:06}", "origin": 0, "created": 1,
                          "updated": 1})
    for number in range(CREDENTIALS):
        yield json.dumps({"kind": "credentials", "instance": INSTANCE, "client_id": name_of(number),
                          "access_key": f"DC.{number:022}", "secret": f"secret{number:026}", "created": 1, "updated": 1})


def resident(server):
    status = pathlib.Path(f"/proc/{server.process.child.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("scale")
    server = Rollcall(home).start()
    empty = resident(server)
    server.stop()
    export = home / "registry.jsonl"
    with export.open("w") as out:
        out.writelines(line + "\n" for line in lines())
    done = run("registry", "import", "-c", server.config, "-f", export, timeout=600)
    assert done.returncode == 0, done.stderr
    begun = time.monotonic()
    server.start()
    say(f"\nstarted with {GROUPS} groups and {CREDENTIALS} credentials: {time.monotonic() - begun:.1f} s, "
        f"{resident(server) - empty:.0f} MiB more than without")
    yield server
    server.stop()


# ---- those who ask and change ----

class Caller:
    """One connection to the API."""

    def __init__(self, server):
        self.http = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30 * PATIENCE)

    def __call__(self, action, **params):
        method = "GET" if action.startswith(("List", "Query")) else "POST"
        params = {"Version": "2020-04-20", "Action": action, "InstanceId": INSTANCE, **params}
        self.http.request(method, rpc_signature_composer.get_signed_url(params, AK, SK, "JSON", method, {})[0])
        answer = self.http.getresponse()
        body = answer.read()
        return answer.status, body


class Background:
    """What goes on beside, each in a process of its own, so that it does not hold up who measures."""

    def __init__(self, server):
        self.server, self.is_over, self.running = server, multiprocessing.Event(), []

    def keep(self, name, pause, do):
        """do(turn) again and again; its true results are counted."""
        count = multiprocessing.Value("i", 0)

        def go():
            for turn in itertools.count():
                if self.is_over.wait(pause):
                    return
                count.value += bool(do(turn))
        process = multiprocessing.Process(target=go)
        process.start()
        self.running.append((name, count, process))

    def keep_asking(self, name, pause, action, **params):
        """`params` may name {turn}."""
        call = Caller(self.server)
        self.keep(name, pause, lambda turn: call(
            action, **{key: str(value).format(turn=turn) for key, value in params.items()})[0] == 200)

    def stop(self):
        self.is_over.set()
        for _, _, process in self.running:
            process.join(30 * PATIENCE)
            process.kill()
        return {name: count.value for name, count, _ in self.running}


def signature(client_id, secret):
    return base64.b64encode(hmac.new(secret.encode(), client_id.encode(), hashlib.sha1).digest()).decode()


def at(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] * 1000


def show(what, values):
    say(f"{what}: {len(values)} times, median {at(values, .5):.1f} ms, 90 % {at(values, .9):.1f} ms, "
        f"99 % {at(values, .99):.1f} ms, longest {at(values, 1):.1f} ms")


def log_in(server, client_id, access_key, secret):
    """The code of each of some connections that come at once, and the connections."""
    wires = [Wire(server.mqtt_port) for _ in range(CONNECTIONS)]
    codes = [wire.connect(client_id, user=f"DeviceCredential|{access_key}|{INSTANCE}",
                          password=signature(client_id, secret))[2] for wire in wires]
    return codes, wires


def change(server, seconds):
    """Credentials that are made, used at once, taken away, and used at once; how long each answer took."""
    call, took, turn = Caller(server), [], 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        turn += 1
        client_id = f"GID_g{turn % GROUPS:06}@@@changed{turn}"
        begun = time.monotonic()
        status, body = call("RegisterDeviceCredential", ClientId=client_id)
        took.append(time.monotonic() - begun)
        assert status == 200, body
        made = json.loads(body)["DeviceCredential"]
        login = (server, client_id, made["DeviceAccessKeyId"], made["DeviceAccessKeySecret"])
        codes, wires = log_in(*login)
        assert codes == [0] * CONNECTIONS, f"{client_id} was not let in right after the answer: {codes}"
        begun = time.monotonic()
        status, body = call("UnRegisterDeviceCredential", ClientId=client_id)
        took.append(time.monotonic() - begun)
        assert status == 200, body
        codes, more = log_in(*login)
        assert 0 not in codes, f"{client_id} was let in after the answer that it is no more: {codes}"
        for wire in wires + more:
            wire.close()
        time.sleep(0.01)
    return took


def make_load(server):
    """Clients that come and go, and messages, until they are killed."""
    more = ["--server", f"127.0.0.1:{server.mqtt_port}", "--instance", INSTANCE, "--group", GROUP, "--access-key", AK,
            "--secret-key", SK]
    churn = ["--pattern", "churn", "--rate", "300", "--count", "100000"]
    publish = ["--pattern", "publish", "--rate", "5000", "--count", "0", "--duration", "300s"]
    return [subprocess.Popen([BINARY, "bench", *more, *pattern], stdout=subprocess.DEVNULL) for pattern in (churn, publish)]


def crowd(server):
    """Changes, lists, exports and reloads beside."""
    beside = Background(server)
    beside.keep_asking("changes", 0.005, "RegisterDeviceCredential", ClientId="GID_g000001@@@beside{turn}")
    beside.keep_asking("lists of all groups", 0.2, "ListGroupId")
    beside.keep_asking("pages of credentials", 0.05, "ListDeviceCredentialClientId", GroupId="GID_g000000", PageSize=100)
    beside.keep_asking("pages of identities", 0.05, "QueryCustomAuthIdentity", Size=100)
    beside.keep("exports", 0.5, lambda turn: run("registry", "export", "-c", server.config, "-f", "/dev/null",
                                               timeout=120).returncode == 0)
    beside.keep("reloads", 0.5, lambda turn: server.process.child.send_signal(signal.SIGHUP) is None)
    return beside


def test_a_change_reaches_all_shards_in_time(server):
    show("changes, nothing beside", change(server, SECONDS / 2))
    load, beside = [], None
    try:
        load, beside = make_load(server), crowd(server)
        busy = change(server, SECONDS)
    finally:
        counts = beside.stop() if beside else {}
        for process in load:
            process.kill()
            process.wait()
    show("changes under load", busy)
    say("beside them: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    assert all(counts.values()), counts
    metrics = get(server, "/metrics").splitlines()
    say("\n".join(line for line in metrics if line.startswith("rollcall_registry_")))
    reached = int(next(line for line in metrics if line.startswith("rollcall_registry_change_seconds_count")).split()[1])
    assert reached >= len(busy)
    assert at(busy, .5) < REACH_S * 1000 and at(busy, .9) < REACH_S * 1000 * PATIENCE


# ---- what was answered is so ----

def is_let_in(server, client_id, credential):
    codes, wires = log_in(server, client_id, *credential)
    for wire in wires:
        wire.close()
    answers = {code == 0 for code in codes}
    assert len(answers) == 1, f"{client_id}: shards differ: {codes}"
    return answers.pop()


def credential_of(call, client_id):
    """(access key, secret) as the API tells it, None when there is none."""
    status, body = call("GetDeviceCredential", ClientId=client_id)
    assert status in (200, 404), body
    one = json.loads(body).get("DeviceCredential")
    return one and (one["DeviceAccessKeyId"], one["DeviceAccessKeySecret"])


class Changer(threading.Thread):
    """Makes credentials and takes every other one away again, until the server is gone."""

    def __init__(self, server, name):
        super().__init__()
        self.call, self.prefix = Caller(server), f"GID_g000002@@@{name}"
        self.made, self.gone, self.under_way = {}, {}, None
        self.start()

    def run(self):
        try:
            for turn in itertools.count():
                self.under_way = f"{self.prefix}-{turn}"
                status, body = self.call("RegisterDeviceCredential", ClientId=self.under_way)
                assert status == 200, body
                one = json.loads(body)["DeviceCredential"]
                self.made[self.under_way] = one["DeviceAccessKeyId"], one["DeviceAccessKeySecret"]
                if turn % 2:
                    made = self.made.pop(self.under_way)
                    status, body = self.call("UnRegisterDeviceCredential", ClientId=self.under_way)
                    assert status == 200, body
                    self.gone[self.under_way] = made
        except (OSError, http.client.HTTPException):
            pass  # it was killed


def test_what_was_answered_outlives_a_kill_and_shards_agree_with_the_registry(server):
    for turn in range(2):
        changers = [Changer(server, f"kill{turn}{number}") for number in range(3)]
        wait_until("changes", lambda: all(len(one.gone) > 10 for one in changers), pause=0.01)
        server.kill()
        for one in changers:
            one.join()
        server.start()
        call = Caller(server)
        for one in changers:
            for client_id, credential in list(one.made.items())[-5:]:
                assert credential_of(call, client_id) == credential
                assert is_let_in(server, client_id, credential)
            for client_id, credential in list(one.gone.items())[-5:]:
                if client_id != one.under_way:
                    assert credential_of(call, client_id) is None
                    assert not is_let_in(server, client_id, credential)
            kept = credential_of(call, one.under_way)  # done or not, as a whole
            assert not kept or is_let_in(server, one.under_way, kept)


def test_of_changes_to_one_thing_at_once_the_last_one_counts_everywhere(server):
    client_id, answers = "GID_g000003@@@contested", []
    assert Caller(server)("RegisterDeviceCredential", ClientId=client_id)[0] == 200

    def refresh():
        status, body = Caller(server)("RefreshDeviceCredential", ClientId=client_id)
        assert status == 200, body
        one = json.loads(body)["DeviceCredential"]
        answers.append((one["DeviceAccessKeyId"], one["DeviceAccessKeySecret"]))
    threads = [threading.Thread(target=refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = credential_of(Caller(server), client_id)
    assert len(set(answers)) == len(threads) and last in answers
    assert is_let_in(server, client_id, last)
    for credential in set(answers) - {last}:
        assert not is_let_in(server, client_id, credential)

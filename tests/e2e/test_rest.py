"""REST: what its document says is so. Schemathesis makes the requests, right ones and wrong ones."""

import os
import subprocess

import pytest

from harness.http_api import rest as ask
from harness.procs import BUILD, wait_until
from harness.rollcall import AK, GROUP, INSTANCE, SK, Device, Rollcall

LONG = os.environ.get("ROLLCALL_SCHEMATHESIS")  # examples of each call; without it a short form
BASE = f"/v1/instances/{INSTANCE}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("rest")).start()
    yield server
    server.stop()


def test_clients_groups_topics_and_rules_by_rest(server):
    device = Device(server, "one")
    clients, token = [], ""
    while True:
        status, answer = ask(server, "GET", f"{BASE}/clients?GroupId={GROUP}&MaxResults=10&NextToken={token}")
        assert status == 200
        clients, token = clients + [one["ClientId"] for one in answer["Clients"]], answer["NextToken"]
        if not token:
            break
    assert clients == [device.client_id]
    assert ask(server, "GET", f"{BASE}/client-count")[1]["OnlineCount"] == 1
    status, answer = ask(server, "GET", f"{BASE}/clients/{device.client_id.replace('@', '%40')}")
    assert answer["Clients"][0]["OnlineStatus"] is True
    status, answer = ask(server, "POST", f"{BASE}/clients/describe", {"ClientIdList": [device.client_id, "nobody"]})
    assert sorted(one["OnlineStatus"] for one in answer["Clients"]) == [False, True]
    assert ask(server, "DELETE", f"{BASE}/clients/{device.client_id}")[0] == 200
    assert ask(server, "GET", f"{BASE}/client-count")[1]["OnlineCount"] == 0
    assert ask(server, "POST", f"{BASE}/groups", {"GroupId": "GID_rest"})[0] == 200
    assert ask(server, "POST", f"{BASE}/groups", {"GroupId": "GID_rest"})[0] == 409
    rule = {"RuleId": "rest-rule", "GroupId": "GID_rest", "Topic": "GID_rest_MQTT", "Queues": 2}
    assert ask(server, "POST", f"{BASE}/rules", rule)[0] == 200
    device = Device(server, "two", group="GID_rest")
    rules = {one["RuleId"]: one for one in ask(server, "GET", f"{BASE}/rules")[1]["Rules"]}
    assert rules["rest-rule"]["Topic"] == "GID_rest_MQTT" and rules["rest-rule"]["Delivered"] == 1
    assert ask(server, "POST", f"{BASE}/rules/rest-rule/replay")[1]["Clients"] == 1
    device.disconnect()
    assert ask(server, "DELETE", f"{BASE}/rules/rest-rule")[0] == 200
    assert ask(server, "DELETE", f"{BASE}/groups/GID_rest")[0] == 200
    assert ask(server, "DELETE", f"{BASE}/groups/GID_rest")[0] == 404


@pytest.mark.parametrize("key, status", [(None, 401), ((AK, "wrong"), 401), (("nobody", SK), 401), ((AK, ""), 401)])
def test_who_may_not(server, key, status):
    assert ask(server, "GET", f"{BASE}/groups", key=key)[0] == status


def test_what_is_wrong_is_told_by_the_status(server):
    for method, path, body, status in [
            ("GET", "/v1/instances/another/groups", None, 403), ("GET", "/v1/nothing", None, 404),
            ("DELETE", f"{BASE}/groups", None, 405), ("PATCH", f"{BASE}/groups", {}, 405),
            ("POST", f"{BASE}/groups", {}, 400), ("POST", f"{BASE}/groups", {"GroupId": 5}, 400),
            ("POST", f"{BASE}/groups", {"GroupId": "GID_x", "More": 1}, 400), ("POST", f"{BASE}/groups", [], 400),
            ("GET", f"{BASE}/clients?MaxResults=0", None, 400), ("GET", f"{BASE}/clients?Odd=1", None, 400),
            ("GET", f"{BASE}/clients?NextToken=x", None, 400), ("POST", "/v1/instances", {}, 403),
            ("POST", f"{BASE}/clients/describe", {"ClientIdList": []}, 400),
            ("POST", f"{BASE}/clients/describe", {"ClientIdList": ["x"] * 1001}, 400)]:
        got, answer = ask(server, method, path, body)
        assert got == status, (method, path, body, answer)
        assert answer["Code"] and answer["Message"]
    assert ask(server, "POST", f"{BASE}/groups", {"GroupId": "GID_csrf"}, headers=[("Sec-Fetch-Site", "cross-site")])[0] == 403


def test_guessing_keys_is_slowed_down(server):
    codes = [ask(server, "GET", "/v1/instances", key=(AK, f"guess{i}"))[0] for i in range(60)]
    assert codes[0] == 401 and 429 in codes
    # Not at once: whether a guess is right is not told either. Another address is not concerned.
    wait_until("the right key to be heard", lambda: ask(server, "GET", "/v1/instances")[0] == 200)


def test_each_call_of_the_document_has_a_name_of_its_own(server):
    paths = ask(server, "GET", "/openapi.json")[1]["paths"]
    names = [call["operationId"] for methods in paths.values() for call in methods.values()]
    assert len(names) >= 50 and len(names) == len(set(names))


def test_schemathesis_finds_nothing(server, tmp_path):
    command = [str(BUILD / "venv/bin/schemathesis"), "run", f"http://127.0.0.1:{server.http_port}/openapi.json",
               "--auth", f"{AK}:{SK}", "--max-examples", LONG or "2", "--seed", "7", "--mode", "all",
               "--phases", "examples,coverage,fuzzing" if LONG else "fuzzing", "--workers", "1", "--checks",
               "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
               "negative_data_rejection,ignored_auth",
               "--exclude-path", "/v1/instances/{InstanceId}/keys/{AccessKey}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=3000, cwd=tmp_path)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]

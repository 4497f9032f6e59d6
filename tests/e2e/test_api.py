"""The HTTP side: the cloud product's OpenAPI by its official Python SDK, unmodified but for the endpoint; metrics;
health."""

import base64
import hashlib
import hmac
import json
import re
import time
import urllib.error
import urllib.request

import pytest
from alibabacloud_onsmqtt20200420 import models
from alibabacloud_onsmqtt20200420.client import Client
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.composer import rpc_signature_composer
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from Tea.exceptions import TeaException

from harness.procs import wait_until
from harness.rollcall import AK, GROUP, INSTANCE, SK, TOPIC, Device, Rollcall, run

HERE = f"{GROUP}@@@here"


@pytest.fixture
def api(tmp_path):
    server = Rollcall(tmp_path).start()
    yield server
    server.stop()


def sdk(server, access_key=AK, secret=SK):
    return Client(Config(access_key_id=access_key, access_key_secret=secret, protocol="HTTP",
                         endpoint=f"127.0.0.1:{server.http_port}"))


def signed_query(accept, **params):
    """A signed path, as the core SDK makes it."""
    return rpc_signature_composer.get_signed_url({"Version": "2020-04-20", **params}, AK, SK, accept, "GET", {})[0]


def old_sdk(server, action, **params):
    """The older core SDK: RPC signature in the parameters."""
    request = CommonRequest(domain=f"127.0.0.1:{server.http_port}", version="2020-04-20", action_name=action)
    request.set_method("POST")
    request.set_protocol_type("http")
    for name, value in params.items():
        request.add_query_param(name, value)
    return AcsClient(AK, SK, "local").do_action_with_exception(request).decode()


def get(server, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}{path}", timeout=10) as answer:
        return answer.read().decode()


def is_online(client, client_id):
    request = models.QuerySessionByClientIdRequest(client_id=client_id, instance_id=INSTANCE)
    return client.query_session_by_client_id(request).body.online_status


# ---- sessions ----

def test_the_sdk_sees_a_client_come_and_go(api):
    client = sdk(api)
    assert is_online(client, HERE) is False
    device = Device(api, "here")
    assert is_online(client, HERE) is True
    device.disconnect()
    wait_until("the client to be offline", lambda: is_online(client, HERE) is False)


def test_a_batch_answers_for_each_client_of_every_shard(api):
    devices = [Device(api, f"d{i}") for i in range(5)]
    ids = [f"{GROUP}@@@d{i}" for i in range(9)] + ["nonsense"]
    request = models.BatchQuerySessionByClientIdsRequest(client_id_list=ids, instance_id=INSTANCE)
    answer = sdk(api).batch_query_session_by_client_ids(request).body.online_status_list
    assert {one.client_id: one.online_status for one in answer} == {name: name in ids[:5] for name in ids}
    assert all(device.code == 0 for device in devices)
    with pytest.raises(TeaException) as error:
        request.client_id_list = ids + ["one more"]
        sdk(api).batch_query_session_by_client_ids(request)
    assert error.value.code == "ParameterCheckFailed"


def test_a_connection_is_closed_on_demand_and_its_event_says_so(api):
    device = Device(api, "here")
    assert device.code == 0
    request = models.CloseConnectionRequest(client_id=HERE, instance_id=INSTANCE)
    assert sdk(api).close_connection(request).body.success is True
    assert is_online(sdk(api), HERE) is False
    api.stop()
    last = [message for message in api.dump() if message["properties"]["TAGS"] == "tcpclean"][-1]
    assert last["properties"]["rcReason"] == "closed-by-operator"


def test_groups_and_instances_are_listed(api):
    groups = sdk(api).list_group_id(models.ListGroupIdRequest(instance_id=INSTANCE)).body.data
    assert sorted(group.group_id for group in groups) == [GROUP, "GID_other"] or \
        sorted(group.group_id for group in groups) == ["GID_other", GROUP]
    instances = sdk(api).list_instances(models.ListInstancesRequest()).body.instances
    assert [instance.instance_id for instance in instances] == [INSTANCE]
    assert instances[0].expire_time > 1000 * (time.time() + 365 * 24 * 3600) and instances[0].order_id == ""


# ---- the roll ----

def test_the_roll_is_read_in_pages_and_counted(api):
    devices = [Device(api, f"d{i}") for i in range(23)]
    seen, token = {}, ""
    while True:
        page = json.loads(old_sdk(api, "ListOnlineClients", InstanceId=INSTANCE, GroupId=GROUP, MaxResults="5",
                                  NextToken=token))
        for client in page["Clients"]:
            assert client["ClientId"] not in seen
            seen[client["ClientId"]] = client
        token = page["NextToken"]
        if not token:
            break
    assert set(seen) == {f"{GROUP}@@@d{i}" for i in range(23)}
    one = seen[f"{GROUP}@@@d7"]
    assert len(one["ChannelId"]) == 32 and one["ClientIp"].startswith("127.0.0.1:")
    assert abs(one["Since"] - time.time() * 1000) < 60_000
    count = json.loads(old_sdk(api, "CountOnlineClients", InstanceId=INSTANCE))
    assert count["OnlineCount"] == 23
    devices[0].disconnect()
    wait_until("one to be gone", lambda: json.loads(
        old_sdk(api, "CountOnlineClients", InstanceId=INSTANCE, GroupId=GROUP))["OnlineCount"] == 22)
    for wrong in ("x", "0-0", "ffff-0-0", "0-0-0-0"):
        with pytest.raises(ServerException) as error:
            old_sdk(api, "ListOnlineClients", InstanceId=INSTANCE, NextToken=wrong)
        assert error.value.get_error_code() == "ParameterCheckFailed"


def test_xml_is_answered_where_it_is_asked_for(api):
    device = Device(api, "here")
    assert device.code == 0
    text = get(api, signed_query("XML", Action="QuerySessionByClientId", ClientId=HERE, InstanceId=INSTANCE))
    assert "<QuerySessionByClientIdResponse>" in text and "<OnlineStatus>true</OnlineStatus>" in text


def test_the_roll_and_the_events_behind_it_are_the_whole_truth(api):
    """A backend that starts late: what the roll says, and the events from its offsets on."""
    devices = [Device(api, f"d{i}") for i in range(30)]
    for device in devices[:10]:
        device.disconnect()
    roll = json.loads(old_sdk(api, "ListOnlineClients", InstanceId=INSTANCE, GroupId=GROUP, MaxResults="1000"))
    while roll["NextToken"]:
        page = json.loads(old_sdk(api, "ListOnlineClients", InstanceId=INSTANCE, GroupId=GROUP,
                                  NextToken=roll["NextToken"]))
        roll["Clients"] += page["Clients"]
        roll["NextToken"] = page["NextToken"]
    assert roll["Topic"] == TOPIC
    more = [Device(api, f"m{i}") for i in range(10)]
    for device in devices[10:20] + more[:5]:
        device.disconnect()
    left = {f"{GROUP}@@@d{i}" for i in range(20, 30)} | {f"{GROUP}@@@m{i}" for i in range(5, 10)}
    wait_until("the others to be gone", lambda: json.loads(
        old_sdk(api, "CountOnlineClients", InstanceId=INSTANCE, GroupId=GROUP))["OnlineCount"] == len(left))
    offsets = {queue["QueueId"]: queue["Offset"] for queue in roll["Queues"]}
    api.kill()
    online = {client["ClientId"]: client["ChannelId"] for client in roll["Clients"]}
    for message in api.dump():
        if message["topic"] != TOPIC or message["queueOffset"] < offsets[message["queueId"]]:
            continue
        event = json.loads(message["body"])
        if event["eventType"] == "connect":
            online[event["clientId"]] = event["channelId"]
        elif event["eventType"] == "tcpclean" and online.get(event["clientId"]) == event["channelId"]:
            del online[event["clientId"]]
    assert set(online) == left
    assert sum(offsets.values()) > 0  # not simply everything from the beginning
    assert [device.code for device in devices + more] == [0] * 40


# ---- who may ----

@pytest.mark.parametrize("access_key, secret, code", [
    ("NobodysKey", SK, "InvalidAccessKeyId.NotFound"), (AK, "wrong", "SignatureDoesNotMatch")])
def test_a_wrong_key_is_refused_by_both_signatures(api, access_key, secret, code):
    with pytest.raises(TeaException) as error:
        is_online(sdk(api, access_key, secret), HERE)
    assert error.value.code == code
    request = CommonRequest(domain=f"127.0.0.1:{api.http_port}", version="2020-04-20", action_name="ListInstances")
    request.set_protocol_type("http")
    with pytest.raises(ServerException) as error:
        AcsClient(access_key, secret, "local").do_action_with_exception(request)
    assert error.value.get_error_code() in (code, "InvalidAccessKeySecret")


def test_another_instance_is_refused(api):
    request = models.QuerySessionByClientIdRequest(client_id=HERE, instance_id="not-mine")
    with pytest.raises(TeaException) as error:
        sdk(api).query_session_by_client_id(request)
    assert error.value.code == "InstancePermissionCheckFailed"


def test_who_signs_wrongly_by_acs3_is_told_what_was_to_be_signed(api):
    headers = {"Authorization": f"ACS3-HMAC-SHA256 Credential={AK},SignedHeaders=host,Signature={'0' * 64}",
               "x-acs-content-sha256": hashlib.sha256(b"").hexdigest()}
    request = urllib.request.Request(f"http://127.0.0.1:{api.http_port}/?Action=ListInstances", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request)
    answer = json.loads(error.value.read())
    assert answer["Code"] == "SignatureDoesNotMatch" and "ACS3-HMAC-SHA256\n" in answer["Message"]


def test_refusals_are_counted_by_their_code(api):
    text = get(api, "/metrics")
    assert re.search(r'^rollcall_api_refusals_total\{code="MissingAccessKeyId"\} \d+$', text, re.M)
    assert re.search(r"^rollcall_registry_commits_total \d+$", text, re.M)
    assert "rollcall_registry_jobs_waiting 0" in text


def test_a_request_cannot_be_replayed(api):
    """The very bytes of a request that was answered, sent again."""
    query = signed_query("JSON", Action="ListInstances")
    assert json.loads(get(api, query))["Code"] == "200"
    with pytest.raises(urllib.error.HTTPError) as error:
        get(api, query)
    assert error.value.code == 400 and json.loads(error.value.read())["Code"] == "SignatureNonceUsed"


COVERED = ("host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version")


def acs3(server, names, query=f"InstanceId={INSTANCE}", **more):
    """The status of a call whose signature covers these headers; `more` is sent after it was made."""
    host, empty = f"127.0.0.1:{server.http_port}", hashlib.sha256(b"").hexdigest()
    headers = {"host": host, "x-acs-action": "ListGroupId", "x-acs-version": "2020-04-20", "x-acs-content-sha256": empty,
               "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "x-acs-signature-nonce": str(time.time_ns())}
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    canonical = f"POST\n/\n{query}\n{lines}\n{';'.join(names)}\n{empty}"
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(SK.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = f"ACS3-HMAC-SHA256 Credential={AK},SignedHeaders={';'.join(names)},Signature={signature}"
    request = urllib.request.Request(f"http://{host}/?{query}", b"", {**headers, **more}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20):
            return None
    except urllib.error.HTTPError as error:
        return json.loads(error.read())["Code"]


def test_an_acs3_signature_covers_what_counts(api):
    assert acs3(api, COVERED) is None
    for left_out in COVERED:
        assert acs3(api, [name for name in COVERED if name != left_out]) == "SignatureDoesNotMatch", left_out
    for header in COVERED[1:]:
        assert acs3(api, COVERED, **{header: "2026-01-02T03:04:05Z"}) == "SignatureDoesNotMatch", header


def test_wrong_keys_of_rest_are_not_tried_for_ever(api):
    def ask(secret):
        """(status, message): the action's own limit is a 429 as well."""
        request = urllib.request.Request(f"http://127.0.0.1:{api.http_port}/v1/instances/{INSTANCE}/groups")
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{AK}:{secret}".encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())["Message"]

    def is_shut(secret):
        status, message = ask(secret)
        return status == 429 and "wrong keys" in message
    assert ask(SK)[0] == 200
    assert {ask("wrong")[0] for _ in range(60)} == {401, 429}
    # The answer does not tell a right guess. One more is looked at each 50 ms, so a slow pair proves nothing.
    assert any(is_shut("wrong") and is_shut(SK) for _ in range(200))
    wait_until("the key to be heard again from there", lambda: ask(SK)[0] == 200)


def test_a_call_over_its_limit_uses_up_no_nonce(api):
    paths = iter([signed_query("JSON", Action="ListClientStatusNotifyRules", InstanceId=INSTANCE) for _ in range(500)])
    with pytest.raises(urllib.error.HTTPError) as error:
        for path in paths:
            get(api, path)
    assert error.value.code == 429
    time.sleep(1)
    assert "Rules" in get(api, path)


@pytest.mark.parametrize("off_s, code", [(-16 * 60, "InvalidTimeStamp.Expired"), (16 * 60, "InvalidTimeStamp.Expired"),
                                         (-14 * 60, None), (14 * 60, None)])
def test_a_timestamp_may_be_fifteen_minutes_off(api, monkeypatch, off_s, code):
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + off_s))
    monkeypatch.setattr(rpc_signature_composer.helper, "get_iso_8061_date", lambda: stamp)
    query = signed_query("JSON", Action="ListInstances")
    if code is None:
        assert json.loads(get(api, query))["Code"] == "200"
        return
    with pytest.raises(urllib.error.HTTPError) as error:
        get(api, query)
    assert json.loads(error.value.read())["Code"] == code


def test_an_unsigned_or_unknown_call_is_told_what_is_missing(api):
    with pytest.raises(urllib.error.HTTPError) as error:
        get(api, "/?Action=ListInstances")
    assert json.loads(error.value.read())["Code"] == "MissingAccessKeyId"
    with pytest.raises(ServerException) as error:
        old_sdk(api, "MakeCoffee")
    assert error.value.get_error_code() == "InvalidAction.NotFound"
    with pytest.raises(ServerException) as error:
        old_sdk(api, "QuerySessionByClientId", InstanceId=INSTANCE)
    assert error.value.get_error_code() == "MissingParameter"


# ---- rollcall status ----

def status(server, *args):
    return run("status", "--url", f"http://127.0.0.1:{server.http_port}/", "--key-file", server.config, *args)


def test_status_tells_of_one_client_and_of_all(api):
    device = Device(api, "here")
    assert device.code == 0
    answer = status(api, HERE)
    assert answer.returncode == 0 and answer.stdout.startswith(f"{HERE}: online\n")
    assert "127.0.0.1:" in answer.stdout and "mqtt-3.1.1" in answer.stdout
    assert status(api, f"{GROUP}@@@away").stdout == f"{GROUP}@@@away: offline\n"
    assert status(api).stdout.splitlines()[0] + "\n" == status(api, "--group", GROUP).stdout == "1 online\n"
    assert json.loads(status(api, HERE, "--json").stdout)["Clients"][0]["OnlineStatus"] is True
    wrong = status(api, "--group", "GID_nothing")
    assert wrong.returncode == 1 and "There is no group GID_nothing" in wrong.stderr
    api.stop()
    assert status(api).returncode == 1 and "is the server running" in status(api).stderr


# ---- metrics, health ----

def test_metrics_and_health(api):
    device = Device(api, "here")
    assert device.code == 0
    text = get(api, "/metrics")
    assert "\nrollcall_mqtt_clients 1\n" in text
    assert "# TYPE rollcall_log_records_total counter" in text
    assert get(api, "/healthz") == get(api, "/readyz") == "ok\n"
    with pytest.raises(urllib.error.HTTPError) as error:
        get(api, "/nothing")
    assert error.value.code == 404


@pytest.mark.parametrize("name, are_all_told", [("r", True), ("r" * 50, False)])
def test_metrics_of_ten_thousand_rules(tmp_path, name, are_all_told):
    """All of them, or as many as fit; never an answer that is cut off."""
    server = Rollcall(tmp_path)
    with server.config.open("a") as config:
        for i in range(100):
            groups = [f"GID_{i:03}_{g:03}" for g in range(100)]
            config.write(f"  - id: {name}-{i:03}\n    groups: [{', '.join(groups)}]\n    rules:\n" + "".join(
                f"      - {{id: {name}-{g}, type: status-notice, group: {g}, topic: {name}-{i:03}, queues: 1}}\n" for g in groups))
    server.start()
    device = Device(server, "one")
    text = get(server, "/metrics")
    told = {metric: text.count(f"\nrollcall_rule_{metric}{{") for metric in ("matched_total", "delivered_total", "state")}
    left_out = int(re.search(r"^rollcall_rules_left_out (\d+)$", text, re.M)[1])
    assert set(told.values()) == {10_001 - left_out} and (left_out == 0) is are_all_told
    assert len(text) < 8 << 20 and text.splitlines()[-1].startswith("rollcall_build_info{")
    if are_all_told:
        labels = f'{{instance="{INSTANCE}",rule="status-1",target="",topic="{TOPIC}",current="true"}}'
        assert f"\nrollcall_rule_delivered_total{labels} 1\n" in text and f"\nrollcall_rule_state{labels} 0\n" in text
    device.disconnect()
    server.stop()


def test_instances_are_told_where_their_clients_go(tmp_path):
    server = Rollcall(tmp_path)
    text = server.config.read_text()
    server.config.write_text(text.replace("{name: mqtt, ", "{name: mqtt, zone: vpc, domains: ['{instance}.mqtt.example.com', "
                                          "other.example.com], "))
    server.start()
    try:
        body = get(server, signed_query("JSON", Action="ListInstances"))
        endpoints = json.loads(body)["Instances"][0]["Endpoints"]
        assert [(e["Zone"], e["Transport"], e["Domain"], e["Port"]) for e in endpoints] == [
            ("vpc", "tcp", "rc-test.mqtt.example.com", server.mqtt_port), ("vpc", "tcp", "other.example.com", server.mqtt_port)]
    finally:
        server.stop()

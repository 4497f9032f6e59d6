"""The server's HTTP by hand: signed calls of the OpenAPI, REST with a key pair, and what the program says it has of both."""

import base64
import json
import pathlib
import re
import urllib.error
import urllib.request
from typing import NamedTuple

from aliyunsdkcore.auth.composer import rpc_signature_composer

from .rollcall import AK, SK

SOURCES = pathlib.Path(__file__).parents[3] / "src"
# What answers when a key pair may not do this, or not there.
CROSSING = {"InstancePermissionCheckFailed", "PermissionCheckFailed"}


class Action(NamedTuple):
    name: str
    instance: str | None  # the parameter of its instance
    writes: bool
    is_admins: bool


def actions():
    """All of them, by the table in the program itself."""
    text = (SOURCES / "api/openapi_actions.c").read_text()
    rows = re.findall(r'\{"([A-Z]\w+)",(.*?)\},\n', text, re.S)
    assert len(rows) > 70
    for name, rest in rows:
        instance = "MqttInstanceId" if "MQTT_INSTANCE" in rest else "InstanceId" if "INSTANCE" in rest else None
        yield Action(name, instance, "WRITES" in rest, "RC_ACTION_ADMIN" in rest)


def call(server, action, ak=AK, sk=SK, **params):
    """(code, answer): code None when it went well."""
    path = rpc_signature_composer.get_signed_url({"Version": "2020-04-20", "Action": action, **params}, ak, sk, "JSON",
                                                 "POST", {})[0]
    request = urllib.request.Request(f"http://127.0.0.1:{server.http_port}{path}", b"", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return None, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        answer = json.loads(error.read())
        return answer["Code"], answer


def rest(server, method, path, body=None, key=(AK, SK), headers=()):
    """(status, answer); `key` None: nobody's."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"http://127.0.0.1:{server.http_port}{path}", data, method=method)
    if key:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(key).encode()).decode())
    if data is not None:
        request.add_header("Content-Type", "application/json")
    for name, value in headers:
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")

"""RocketMQ's wire protocol by hand, signed: for what no official client would ask."""

import base64
import hashlib
import hmac
import itertools
import json
import socket
import struct

from .procs import PATIENCE
from .sockets import read_exactly


class Remoting:
    """One connection with a key pair; ask() returns (code, ext fields, remark, body)."""

    def __init__(self, port, access_key, secret_key):
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.socket.settimeout(10 * PATIENCE)
        self.access_key, self.secret_key = access_key, secret_key
        self.opaque = itertools.count(1)

    def ask(self, code, body=b"", **fields):
        fields = {name: str(value) for name, value in fields.items()}
        fields["AccessKey"] = self.access_key
        text = "".join(fields[name] for name in sorted(fields)).encode() + body
        fields["Signature"] = base64.b64encode(hmac.new(self.secret_key.encode(), text, hashlib.sha1).digest()).decode()
        header = json.dumps({"code": code, "flag": 0, "language": "JAVA", "opaque": next(self.opaque), "version": 395,
                             "serializeTypeCurrentRPC": "JSON", "extFields": fields}).encode()
        self.socket.sendall(struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body)
        while True:
            size, header_size = struct.unpack(">II", read_exactly(self.socket, 8))
            answer = json.loads(read_exactly(self.socket, header_size & 0xffffff))
            rest = read_exactly(self.socket, size - 4 - (header_size & 0xffffff))
            if answer["flag"] & 1:  # the others are the server's own requests
                return answer["code"], answer.get("extFields") or {}, answer.get("remark") or "", rest

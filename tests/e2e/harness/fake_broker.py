"""A name server and broker in one that answers batches with the codes that a test says."""

import json
import socketserver
import struct
import threading


def _json_frame(code, opaque, body=b"", **fields):
    header = json.dumps({"code": code, "flag": 1, "language": "JAVA", "opaque": opaque, "version": 409,
                         "remark": "as the test says", "extFields": fields}).encode()
    return struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body


def _read_header(kind, header):
    """(code, opaque) of either serialization."""
    if kind == 0:
        fields = json.loads(header)
        return fields["code"], fields["opaque"]
    code, _, _, opaque = struct.unpack(">hbhi", header[:9])
    return code, opaque


def _keys_of(body):
    """The UNIQ_KEYs of a batch's messages."""
    keys, at = [], 0
    while at < len(body):
        total, body_len = struct.unpack(">I12xI", body[at:at + 20])
        props = body[at + 22 + body_len:at + total].decode()
        keys.append(dict(part.split("\x01", 1) for part in props.split("\x02") if "\x01" in part)["UNIQ_KEY"])
        at += total
    return keys


class FakeBroker:
    """`answers`: codes for the batches to come, then always 0. `batches`: (code answered, keys) of each that came.

    A batch of more than `slow_above` messages is never answered (None in `batches`)."""

    def __init__(self, answers=()):
        self.answers, self.batches, self.slow_above = list(answers), [], None
        fake = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self):
                while head := self.rfile.read(8):
                    total, word = struct.unpack(">II", head)
                    header = self.rfile.read(word & 0xffffff)
                    body = self.rfile.read(total - 4 - len(header))
                    self.wfile.write(fake._answer(*_read_header(word >> 24, header), body))

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        self.namesrv = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, code, opaque, body):
        if code == 105:
            route = {"brokerDatas": [{"brokerAddrs": {"0": self.namesrv}, "brokerName": "fake", "cluster": "c"}],
                     "queueDatas": [{"brokerName": "fake", "perm": 6, "readQueueNums": 1, "writeQueueNums": 1}]}
            return _json_frame(0, opaque, json.dumps(route).encode())
        answer, keys = self.answers.pop(0) if self.answers else 0, _keys_of(body)
        if self.slow_above and len(keys) > self.slow_above:
            answer = None
        self.batches.append((answer, keys))
        if answer is None:
            return b""
        return _json_frame(answer, opaque, msgId="0", queueId="0", queueOffset="0")

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

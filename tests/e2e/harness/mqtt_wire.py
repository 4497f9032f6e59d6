"""MQTT packets by hand: what no client library lets one say, and what exactly came back."""

import socket
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, \
    PINGRESP, DISCONNECT, AUTH = range(1, 16)
NAMES = ["", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK",
         "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"]
# Property: (identifier, how it is written)
PROPERTIES = {"payload_format": (1, "B"), "message_expiry": (2, "I"), "content_type": (3, "s"),
              "response_topic": (8, "s"), "correlation_data": (9, "s"), "subscription_id": (11, "v"),
              "session_expiry": (17, "I"), "assigned_client_id": (18, "s"), "server_keep_alive": (19, "H"),
              "auth_method": (21, "s"), "auth_data": (22, "s"), "request_problem": (23, "B"), "will_delay": (24, "I"),
              "request_response": (25, "B"), "response_information": (26, "s"), "server_reference": (28, "s"),
              "reason_string": (31, "s"), "receive_maximum": (33, "H"), "alias_maximum": (34, "H"),
              "topic_alias": (35, "H"), "maximum_qos": (36, "B"), "retain_available": (37, "B"), "user": (38, "p"),
              "maximum_packet": (39, "I"), "wildcards_available": (40, "B"), "ids_available": (41, "B"),
              "shared_available": (42, "B")}
BY_ID = {number: (name, kind) for name, (number, kind) in PROPERTIES.items()}


def varint(value):
    out = b""
    while True:
        value, low = value >> 7, value & 0x7f
        out += bytes([low | (0x80 if value else 0)])
        if not value:
            return out


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def properties(values):
    """A list of (name, value)."""
    out = b""
    for name, value in values:
        number, kind = PROPERTIES[name]
        out += varint(number)
        if kind == "s":
            out += text(value)
        elif kind == "p":
            out += text(value[0]) + text(value[1])
        else:
            out += varint(value) if kind == "v" else struct.pack(">" + kind, value)
    return varint(len(out)) + out


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        assert self.at <= len(self.data)
        return self.data[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7f) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def text(self):
        return self.take(self.number(2))

    def rest(self):
        return self.take(len(self.data) - self.at)

    def properties(self):
        end = self.varint() + self.at
        out = []
        while self.at < end:
            name, kind = BY_ID[self.varint()]
            if kind == "p":
                value = (self.text().decode(), self.text().decode())
            elif kind == "s":
                value = self.text()
            else:
                value = self.varint() if kind == "v" else self.number({"B": 1, "H": 2, "I": 4}[kind])
            out.append((name, value))
        return out


class Wire:
    """One connection. `version` 3, 4 or 5; `tls`: a context for it, or None."""

    def __init__(self, port, version=4, patience=5, tls=None):
        self.version = version
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # it was closed meanwhile, which reading will tell

    def _properties(self, values):
        return properties(values) if self.version == 5 else b""

    def connect(self, client_id, clean=True, keep_alive=60, user=None, password=None, will=None, props=()):
        """`will`: (topic, payload, qos, retain, properties)."""
        flags = clean << 1
        name = "MQIsdp" if self.version == 3 else "MQTT"
        tail = text(client_id)
        if will:
            flags |= 4 | will[2] << 3 | will[3] << 5
            tail += self._properties(will[4] if len(will) > 4 else ()) + text(will[0]) + text(will[1])
        if user is not None:
            flags |= 0x80
            tail += text(user)
        if password is not None:
            flags |= 0x40
            tail += text(password)
        head = text(name) + bytes([self.version, flags]) + struct.pack(">H", keep_alive)
        self.send(packet(CONNECT, 0, head + self._properties(props) + tail))
        return self.read()

    def publish(self, topic, payload, qos=0, retain=False, id=1, dup=False, props=()):
        body = text(topic) + (struct.pack(">H", id) if qos else b"") + self._properties(props)
        body += payload.encode() if isinstance(payload, str) else payload
        self.send(packet(PUBLISH, dup << 3 | qos << 1 | retain, body))

    def subscribe(self, *filters, id=1, props=()):
        """Each filter: (filter, options)."""
        body = struct.pack(">H", id) + self._properties(props)
        self.send(packet(SUBSCRIBE, 2, body + b"".join(text(name) + bytes([options]) for name, options in filters)))

    def unsubscribe(self, *filters, id=1):
        self.send(packet(UNSUBSCRIBE, 2, struct.pack(">H", id) + self._properties(()) +
                         b"".join(text(name) for name in filters)))

    def ack(self, kind, id, reason=None):
        body = struct.pack(">H", id) + (bytes([reason]) if reason is not None else b"")
        self.send(packet(kind, 2 if kind == PUBREL else 0, body))

    def disconnect(self, reason=None, props=()):
        body = b"" if reason is None else bytes([reason]) + self._properties(props)
        self.send(packet(DISCONNECT, 0, body))

    def close(self):
        self.socket.close()

    def _fill(self):
        try:
            more = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            more = b""
        self.buffer += more
        return bool(more)

    def read(self):
        """The next packet as (name, ...fields), ("CLOSED",) at the end; TimeoutError when nothing comes."""
        while True:
            whole = self._whole()
            if whole:
                return whole
            if not self._fill():
                return ("CLOSED",)

    def _whole(self):
        length = shift = 0
        for at in range(1, min(len(self.buffer), 5)):
            length |= (self.buffer[at] & 0x7f) << shift
            shift += 7
            if not self.buffer[at] & 0x80:
                break
        else:
            return None
        if len(self.buffer) < at + 1 + length:
            return None
        first, body = self.buffer[0], self.buffer[at + 1:at + 1 + length]
        self.buffer = self.buffer[at + 1 + length:]
        return self._decode(first >> 4, first & 15, Reader(body))

    def _reason(self, reader):
        reason = reader.number(1) if reader.at < len(reader.data) else 0
        return reason, reader.properties() if self.version == 5 and reader.at < len(reader.data) else []

    def _decode(self, kind, flags, reader):
        name, v5 = NAMES[kind], self.version == 5
        if kind == CONNACK:
            present, reason = reader.number(1), reader.number(1)
            return name, present, reason, reader.properties() if v5 and reader.at < len(reader.data) else []
        if kind == PUBLISH:
            topic, qos = reader.text().decode(), flags >> 1 & 3
            id = reader.number(2) if qos else 0
            props = reader.properties() if v5 else []
            return name, topic, reader.rest(), qos, bool(flags & 1), bool(flags & 8), id, props
        if kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            return (name, reader.number(2)) + self._reason(reader)
        if kind in (SUBACK, UNSUBACK):
            id = reader.number(2)
            if v5:
                reader.properties()
            return name, id, list(reader.rest())
        if kind == DISCONNECT:
            return (name,) + self._reason(reader)
        return (name,)

    def until_quiet(self, fence=True):
        """Everything up to the answer to a ping: what was caused before it has come by then, on one server thread."""
        self.send(packet(PINGREQ, 0, b""))
        out = []
        while True:
            one = self.read()
            if one[0] in ("PINGRESP", "CLOSED"):
                return out + ([one] if one[0] == "CLOSED" else [])
            out.append(one)

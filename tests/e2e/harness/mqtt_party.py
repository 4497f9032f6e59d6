"""A client that keeps to the protocol, on top of Wire: it acknowledges, completes, and remembers what it was sent."""

import collections
import time

from .mqtt_wire import PUBACK, PUBCOMP, PUBREC, PUBREL, Wire
from .procs import PATIENCE

Message = collections.namedtuple("Message", "topic payload qos retain dup id props")
WAIT = 10 * PATIENCE


class Party:
    """`connack` is (session present, reason, {property: value}); further arguments are Wire.connect's."""

    def __init__(self, port, version, client_id, is_paused=False, **connect):
        self.wire = Wire(port, version, patience=WAIT)
        name, *self.connack = self.wire.connect(client_id, **connect)
        assert name == "CONNACK", name
        self.connack[2] = dict(self.connack[2])
        self.messages, self.is_paused, self.end_reason, self.is_closed = [], is_paused, None, False
        self._answers, self._half, self._last_id = [], {}, 0

    def _on_publish(self, message):
        if self.is_paused:
            self.messages.append(message)
        elif message.qos == 2:
            self._half.setdefault(message.id, message)
            self.wire.ack(PUBREC, message.id)
        else:
            self.messages.append(message)
            if message.qos == 1:
                self.wire.ack(PUBACK, message.id)

    def _on_packet(self, name, *fields):
        if name == "PUBLISH":
            self._on_publish(Message(*fields))
        elif name == "PUBREL":
            if fields[0] in self._half:
                self.messages.append(self._half.pop(fields[0]))
            self.wire.ack(PUBCOMP, fields[0])
        elif name == "PUBREC" and fields[1] < 0x80 and not self.is_paused:
            self.wire.ack(PUBREL, fields[0])
        elif name == "DISCONNECT":
            self.end_reason = fields[0]
        elif name == "CLOSED":
            self.is_closed = True
        else:
            self._answers.append((name, *fields))

    def pump(self, condition, within=WAIT):
        """Takes packets until the condition holds; whether it does."""
        deadline = time.monotonic() + within
        while not condition() and not self.is_closed:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.wire.socket.settimeout(left)
            try:
                packet = self.wire.read()
            except TimeoutError:
                return False
            self.wire.socket.settimeout(WAIT)
            self._on_packet(*packet)
        return condition()

    def _answer(self, name, id):
        mine = [one for one in self._answers if one[:2] == (name, id)]
        return mine[0] if mine else None

    def _await(self, names, id):
        """What follows the packet id in the first of these answers."""
        assert self.pump(lambda: any(self._answer(name, id) for name in names)), f"no {names} of {id}"
        found = next(one for one in (self._answer(name, id) for name in names) if one)
        self._answers.remove(found)
        return found[2:]

    def new_id(self):
        self._last_id += 1
        return self._last_id

    def subscribe(self, *filters, props=()):
        """The reason codes; each filter (filter, options)."""
        id = self.new_id()
        self.wire.subscribe(*filters, id=id, props=props)
        return self._await(["SUBACK"], id)[0]

    def unsubscribe(self, *filters):
        id = self.new_id()
        self.wire.unsubscribe(*filters, id=id)
        return self._await(["UNSUBACK"], id)[0]

    def publish(self, topic, payload, qos=0, **more):
        """The reason code of its last acknowledgement, 0 for QoS 0."""
        id = self.new_id() if qos else 0
        self.wire.publish(topic, payload, qos, id=id, **more)
        return self._await(["PUBACK" if qos == 1 else "PUBCOMP"], id)[0] if qos else 0

    def take(self, count, within=WAIT, more_within=0.3):
        """So many messages, and no more of them in the time behind."""
        assert self.pump(lambda: len(self.messages) >= count, within), f"{self.messages}, not {count}"
        self.pump(lambda: len(self.messages) > count, more_within)
        assert len(self.messages) == count, self.messages
        taken, self.messages = self.messages, []
        return taken

    def until_closed(self):
        """The server's reason, None when it gives none."""
        assert self.pump(lambda: self.is_closed), "it stays open"
        self.wire.close()
        return self.end_reason

    def leave(self, *reason, props=()):
        self.wire.disconnect(*reason, props=props)
        self.pump(lambda: self.is_closed)
        self.wire.close()

    def drop(self):
        """Gone without a DISCONNECT."""
        self.wire.close()

"""Lines that another program prints, as they come, to wait on."""

import json
import threading
import time

from .procs import PATIENCE


class Lines:
    """Reads a stream in a thread; items are what `parse` makes of each line (None: passed over)."""

    def __init__(self, stream, parse=None):
        self.items = []
        self.ended = False
        self._changed = threading.Condition()
        self._parse = parse or (lambda line: line)
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream):
        for raw in iter(stream.readline, b""):
            item = self._parse(raw.decode(errors="replace").rstrip("\n"))
            if item is not None:
                with self._changed:
                    self.items.append(item)
                    self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def snapshot(self):
        with self._changed:
            return list(self.items)

    def wait(self, what, condition, timeout=20.0):
        """Waits until condition(items) is true, looked at anew with each line; returns its value."""
        deadline = time.monotonic() + timeout * PATIENCE
        with self._changed:
            while True:
                value = condition(self.items)
                if value:
                    return value
                left = deadline - time.monotonic()
                if left <= 0 or self.ended:
                    tail = "\n".join(str(item)[:300] for item in self.items[-12:])
                    why = "the program ended" if self.ended else f"{timeout * PATIENCE:.0f} s"
                    raise AssertionError(f"waited in vain ({why}) for: {what}; last of {len(self.items)} lines:\n{tail}")
                self._changed.wait(min(left, 0.5))


def json_line(line):
    try:
        return json.loads(line)
    except ValueError:
        return None

"""The Java drivers (tests/java): one JVM serves many consumers and producers, by commands over its standard input."""

import itertools
import json
import subprocess

from .lines import Lines, json_line
from .procs import BUILD, Process

# The old netty inside of ons-client reaches into java.nio; Java 8 and 11, which the guide names, let it.
JVM = ["--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k",
       "-Drocketmq.client.logUseSlf4j=true", "-Djava.net.preferIPv4Stack=true", "-Dclient.logLevel=WARN",
       "-Dons.client.logLevel=WARN", "-Dfastjson.parser.safeMode=true"]


def java(module, main, home, *arguments, options=()):
    """The command that runs a main class of build/java/<module>; `home` keeps what clients write to user.home."""
    path = f"{BUILD}/java/{module}/classes:{BUILD}/java/{module}/lib/*"
    return ["java", *JVM, f"-Duser.home={home}", *options, "-cp", path, main, *arguments]


class CommandFailed(AssertionError):
    """The driver answered that the command failed; the text is the Java exception."""


class Driver:
    """A driver JVM. `flavour`: ons (ons-client 1.8.5), rmq49, rmq53, openapi (aliyun-java-sdk-core 4.5.0). `binary`: ROCKETMQ headers instead of JSON."""

    MAINS = {"openapi": ("openapi", "rollcall.e2e.OpenApiDriver"), "ons": ("guide", "rollcall.e2e.OnsDriver"),
             "rmq49": ("rmq49", "rollcall.e2e.Driver"), "rmq53": ("rmq53", "rollcall.e2e.Driver")}

    def __init__(self, flavour, home, binary=False, options=()):
        module, main = self.MAINS[flavour]
        extra = ["-Drocketmq.serialize.type=ROCKETMQ"] if binary else []
        self.flavour = flavour
        self._ids = itertools.count(1)
        self.process = Process(java(module, main, home, options=[*extra, *options]), f"{home}/{flavour}",
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = Lines(self.process.child.stdout, json_line)
        self.lines.wait(f"{flavour} ready", lambda items: any(i["kind"] == "ready" for i in items), 40)

    def start(self, op, **arguments):
        """Sends a command without waiting; its id is for finish()."""
        number = next(self._ids)
        self.process.child.stdin.write((json.dumps({"id": number, "op": op, **arguments}) + "\n").encode())
        self.process.child.stdin.flush()
        return number

    def finish(self, number, timeout=40):
        def reply(items):
            return next((i for i in items if i["kind"] == "reply" and i["id"] == number), None)
        answer = self.lines.wait(f"reply {number} of {self.flavour}", reply, timeout)
        if not answer["ok"]:
            raise CommandFailed(answer["error"])
        return answer.get("value")

    def call(self, op, timeout=40, **arguments):
        return self.finish(self.start(op, **arguments), timeout)

    def messages(self, consumer):
        """The lines of what a consumer was given so far."""
        return [i for i in self.lines.snapshot() if i["kind"] == "message" and i["consumer"] == consumer]

    def wait_messages(self, what, consumer, condition, timeout=30):
        """Waits until condition(that consumer's lines) holds; returns its value."""
        return self.lines.wait(what, lambda items: condition(
            [i for i in items if i["kind"] == "message" and i["consumer"] == consumer]), timeout)

    def close(self):
        self.process.kill()

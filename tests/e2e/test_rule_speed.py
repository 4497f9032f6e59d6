"""What a rule costs beside Apache's own Java producer in its batch mode: the same bodies, topic and broker, in one run.

ROLLCALL_SPEED_EVENTS (30,000 by default) is how many messages each of them sends; the Java one as many before, to warm
up. What counts is the CPU time of the sender: the thread rc-rules with all that it does (reading the log, finding
queues, encoding, system calls), and the whole JVM."""

import json
import os
import pathlib
import subprocess

from harness.jvm import java
from harness.procs import wait_until
from harness.rollcall import AK, BINARY, GROUP, INSTANCE, SK
from test_rules import OWN_TOPIC, make_server, make_topic, metrics

EVENTS = int(os.environ.get("ROLLCALL_SPEED_EVENTS", "30000"))
# Messages of a batch, threads: the last is the best. It alone with few events, for which the others are slow to start.
MODES = [(200, 4), (1000, 4), (1000, 1)] if EVENTS >= 100000 else [(1000, 1)]
TOPIC = "GID_speed"


def fill(server):
    """Clients that come and go: three events each."""
    command = [BINARY, "bench", "--json", "--server", f"127.0.0.1:{server.mqtt_port}", "--instance", INSTANCE, "--group",
               GROUP, "--pattern", "churn", "--count", str(EVENTS // 3), "--settle", "10ms"]
    env = {**os.environ, "ROLLCALL_ACCESS_KEY": AK, "ROLLCALL_SECRET_KEY": SK}
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=600)


def write_messages(server, path):
    with open(path, "w") as file:
        for message in server.dump():
            if message["topic"].startswith(OWN_TOPIC):
                properties = message["properties"]
                file.write(json.dumps({"tags": properties["TAGS"], "keys": properties["KEYS"], "body": message["body"]}) + "\n")


def thread_cpu_ns(server, name):
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int((task / "schedstat").read_text().split()[0])
    raise AssertionError(f"no thread {name}")


def test_a_rule_costs_less_than_apaches_producer_in_batch_mode(cluster49, rmq49, tmp_path):
    class Nobody:
        namesrv = "127.0.0.1:1"
    make_topic(rmq49, cluster49, TOPIC)
    server = make_server(tmp_path, Nobody, TOPIC, queue_entries=300000).start()
    fill(server)
    server.stop()
    write_messages(server, tmp_path / "messages.jsonl")
    server.config.write_text(server.config.read_text().replace(
        f"'{Nobody.namesrv}'", f"'{cluster49.namesrv}'"))
    server.start()
    numbers = wait_until("all to be sent", lambda: (n := metrics(server)).get("waiting") == 0 and n["matched"] > 0 and n, 120)
    ours = numbers["delivered"] * 1e9 / thread_cpu_ns(server, "rc-rules")
    server.stop()
    theirs = []
    for batch, threads in MODES:
        command = java("rmq49", "rollcall.e2e.BatchSender", tmp_path, cluster49.namesrv, TOPIC,
                       str(tmp_path / "messages.jsonl"), str(batch), str(threads), str(EVENTS), options=["-Xmx512m"])
        command = [part for part in command if part not in ("-XX:TieredStopAtLevel=1", "-Xmx128m")]
        out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
        result = json.loads(next(line for line in out.splitlines() if line.startswith('{"messages"')))  # amid its log
        assert result["failures"] == 0
        theirs.append(result["messages"] * 1e9 / result["cpuNs"])
        print(f"\nJava producer, batches of {batch}, {threads} threads: {theirs[-1]:,.0f} messages a CPU second")
    print(f"rule: {ours:,.0f} messages a CPU second; ratio to the best of them: {ours / max(theirs):.2f}")
    assert numbers["delivered"] >= EVENTS // 3 * 3 and numbers["retries"] == 0
    assert ours >= 1.5 * max(theirs)

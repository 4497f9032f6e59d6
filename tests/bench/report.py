#!/usr/bin/env python3
"""docs/benchmarks.md from the JSON of compare.py: report.py FILE.json >docs/benchmarks.md"""

import json
import pathlib
import statistics
import sys

# row: what it says, the peer that the ratio is taken with, the most that the ratio may be, and why when it is more
ROWS = {
    "churn": ("connect + CONNACK + DISCONNECT + close", "mosquitto", 0.8,
              "Rollcall checks a signature and writes three events to its log meanwhile. Seven tenths are the kernel's in "
              "the shard's thread, by the same system calls that are all of the bare server."),
    "idle": ("idle connection", "mosquitto", 0.7, "The goal itself is 0.5 KB, which is that share of mosquitto's."),
    "idle_subscribed": ("idle connection with a subscription", "mosquitto", 0.8, ""),
    "qos0": ("QoS 0, 4 publishers to 1 subscriber", "mosquitto", 0.05,
             "Of Rollcall's own it is about 1,200 instructions a message; the rest is system calls, and how many messages "
             "share one is the load's."),
    "qos1": ("QoS 1, the same", "mosquitto", 1, ""),
    "qos2": ("QoS 2, the same", "mosquitto", 1, ""),
    "fan_out": ("1 publisher to 1,000 subscribers", "mosquitto", 1, ""),
    "pairs_v5": ("50 pairs, QoS 1, MQTT 5.0", "mosquitto", 1, ""),
    "absent": ("messages that wait for absent subscribers", "mosquitto", 1, ""),
    "latency": ("p99 latency at half of mosquitto's full rate", "mosquitto", 1,
                ""),
    "start": ("start", None, None, ""),
    "append": ("append of an event", None, None,
               "A batch takes about 80 us of CPU here, most of it the fdatasync's, whatever it holds; how many records share "
               "one is the load's, 50 here. Each begins within a millisecond."),
    "tls_churn": ("connect + CONNACK + DISCONNECT + close over TLS", "mosquitto", 1, ""),
    "wss_churn": ("the same over secure WebSocket", "mosquitto", 1, ""),
    "tls_idle": ("idle TLS connection", "mosquitto", 1,
                 "Nearly all of it is OpenSSL's, the same for both; Rollcall's includes presence."),
    "mutual_idle": ("idle TLS connection with a client certificate", "mosquitto", 1,
                    "OpenSSL keeps an object for the certificate as long as the connection lives."),
    "wss_idle": ("idle connection of secure WebSocket", "mosquitto", 1, ""),
    "ws_qos0": ("QoS 0 over WebSocket, 4 publishers to 1 subscriber", "mosquitto", 1, ""),
    "wss_qos0": ("the same over secure WebSocket", "mosquitto", 1, ""),
    "restart": ("restart after kill -9", None, None, ""),
    "produce": ("producing to RocketMQ, one message a request", "apache", 1, ""),
    "produce_batch": ("producing in batches", "apache", 1, ""),
    "consume": ("consuming a backlog with librollcall", "apache", 1, ""),
    "produce_to_consume": ("from a producer to a consumer of librollcall", "apache", 1, ""),
    "callback": ("TCP close to the Java consumer's callback", None, None, ""),
    "pull": ("a message to a Java consumer", "apache", 0.25, ""),
    "scale_connections": ("growth with connections", None, None, ""),
    "scale_subscriptions": ("growth with subscriptions", None, None, ""),
}
NOT_MEASURED = """- FlashMQ, NanoMQ, EMQX and others: not in Debian; `./dev bench --other NAME:PORT:COMMAND` puts any of them beside."""


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show(values):
    if isinstance(values, list) and len(values) > 1:
        return f"{number(statistics.median(values))} ({number(min(values))} - {number(max(values))})"
    return number(values[0])


def ratio_of(row, peer):
    ours, theirs = row["values"].get("rollcall"), row["values"].get(peer)
    if not ours or not theirs:
        return None
    return statistics.median(a / b for a, b in zip(ours, theirs) if b > 0)


def print_row(name, row):
    title, peer, goal, why = ROWS.get(name, (name, None, None, ""))
    print(f"### {title[0].upper()}{title[1:]}\n\n{row['unit'][0].upper()}{row['unit'][1:]}. {row['settings'][0].upper()}"
          f"{row['settings'][1:]}. Rounds: {row['rounds']}.\n")
    scaled = name.startswith("scale")
    print("| server | " + ("measured |" if scaled else "median (least - most) |") + "\n|---|---|")
    for server, values in row["values"].items():
        print(f"| {server} | {', '.join(map(number, values)) if scaled else show(values)} |")
    for extra, what in (("memory_when_ready", "resident bytes"), ("fdatasyncs", "fdatasync calls in all"),
                        ("bytes_each", "resident bytes a connection")):
        if extra in row:
            print(f"\n{what[0].upper()}{what[1:]}: " + ", ".join(
                f"{server} {number(statistics.median(v) if isinstance(v, list) else v)}" for server, v in row[extra].items()) + ".")
    ratio = ratio_of(row, peer) if peer else None
    if ratio is not None and goal is not None:
        verdict = "reached" if ratio <= goal else f"**not reached**. {why}".rstrip()
        print(f"\nRollcall / {peer}: **{ratio:.2f}** (median of the rounds' ratios); to reach: at most {goal:g}: {verdict}")
    for what, value, most in row.get("goals", []):
        print(f"\nRollcall, {what}: **{number(value)}**; to reach: at most {number(most)}: "
              + ("reached" if value <= most else f"**not reached**. {why}".rstrip()))
    if name == "churn" and (bare := ratio_of(row, "bare epoll server")):
        print(f"\nRollcall / bare epoll server: **{bare:.2f}**; to reach: at most 1.25: "
              f"{'reached' if bare <= 1.25 else '**not reached**, as above'}")
    if name == "callback":
        print("\n| way | p50 ms | p99 ms | most ms |\n|---|---|---|---|")
        for line in row["percentiles"]:
            print(f"| {line['what']} | {line['p50_ms']} | {line['p99_ms']} | {line['max_ms']} |")
        ours, theirs = row["percentiles"][0], row["percentiles"][-1]
        print(f"\nTo reach: no worse than Apache's, p50 < 1 ms and p99 < 5 ms at 1,000 events/s: " + (
            "reached" if ours["p50_ms"] < 1 and ours["p99_ms"] < 5 and ours["p50_ms"] <= theirs["p50_ms"] else
            "**not reached** in this run: the JVMs, the clients and the servers share the machine's cores"))
    print()


def main():
    result = json.loads(pathlib.Path(sys.argv[1]).read_text())
    box = result["machine"]
    print(f"""# Benchmarks

Made by `./dev bench`; the raw figures are in [benchmarks.json](benchmarks.json). Servers take turns, round by round,
on one machine; only the servers' own CPU time and resident memory (RssAnon + RssShmem) count, since rates say more
about the machine. Rollcall runs as it ships: it checks a signature for each connection and writes three events of it to
its log. The others take anonymous clients and keep no record of who comes and goes. The load is `rollcall bench` on
the same machine.

- {box['cpu']}, {box['cores']} cores, {box['memory_gib']} GiB, Linux {box['kernel']}, load {box['load_at_start']} at the start
- {box['rollcall']}; {box['mosquitto']}

## Measured
""")
    for name in ROWS:
        if name in result["rows"]:
            print_row(name, result["rows"][name])
    missing = [f"- {ROWS[name][0]}: `./dev bench --only {name}`" for name in ROWS if name not in result["rows"]]
    print("## Not measured here\n\n" + "\n".join([*missing, NOT_MEASURED]))


if __name__ == "__main__":
    main()

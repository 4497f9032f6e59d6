#!/usr/bin/env python3
"""A shard never waits: what it runs calls nothing that may wait for a disk, a lock, a name or another thread."""
import re

from source import ROOT, c_files, report, without_comments_and_strings

ROOMS = ("loop", "net", "mqtt", "auth", "catalog", "presence", "broker")
WAITS = ("pthread_mutex_lock", "pthread_rwlock_rdlock", "pthread_rwlock_wrlock", "pthread_cond_wait",
         "pthread_cond_timedwait", "pthread_join", "sem_wait", "sem_timedwait", "rc_semaphore_wait", "rc_loop_sync",
         "rc_loop_join_thread", "fsync", "fdatasync", "sync", "msync", "flock", "lockf", "pread", "pwrite", "preadv", "pwritev", "fopen", "fread",
         "fwrite", "fflush", "getaddrinfo", "getnameinfo", "sleep", "usleep", "nanosleep", "clock_nanosleep", "poll",
         "select", "waitpid")
# What does not run on a shard.
EXEMPT = {
    "src/auth/password_pool.c": {"rc_loop_join_thread": "the main thread, at the stop"},
    "src/loop/loop.c": {name: "for other threads: rc_loop_sync, and the stop"
                        for name in ("sem_wait", "rc_loop_sync", "pthread_join", "rc_loop_join_thread")},
    "src/net/resolver.c": {"pthread_mutex_lock": "hands names to threads of its own, for moments",
                           "pthread_cond_wait": "those threads", "pthread_join": "at the stop",
                           "getaddrinfo": "those threads"},
    "src/presence/open_channels.c": {"fsync": "the snapshot's thread", "fdatasync": "the snapshot's thread"},
    "src/presence/recovery.c": {name: "the snapshot's thread, the log writer, and the start"
                                for name in ("pthread_mutex_lock", "pthread_cond_wait", "pthread_cond_timedwait",
                                             "pthread_join")},
}


def problems_of(path):
    name = str(path.relative_to(ROOT))
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(WAITS) + r")\s*\(")
    for number, line in enumerate(without_comments_and_strings(path.read_text()).splitlines(), 1):
        for match in pattern.finditer(line):
            if match.group(1) not in EXEMPT.get(name, {}):
                yield path, number, f"{match.group(1)} may wait, and {name} runs on a shard"


def is_of_a_shard(path):
    name = str(path.relative_to(ROOT))
    return any(name.startswith(f"src/{room}/") for room in ROOMS) and name.endswith(".c") and not name.endswith("_test.c")


report([problem for path in c_files() if is_of_a_shard(path) for problem in problems_of(path)])

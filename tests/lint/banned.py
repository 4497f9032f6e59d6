#!/usr/bin/env python3
"""Functions that are not used here, each with what to use."""
import re

from source import ROOT, c_files, report, without_comments_and_strings

BANNED = {
    "strcpy": "snprintf or memcpy with a checked length",
    "strncpy": "memcpy with a checked length",
    "strcat": "rc_buf_put_str", "strncat": "rc_buf_put_str",
    "sprintf": "snprintf", "vsprintf": "vsnprintf",
    "gets": "fgets", "scanf": "a parser", "sscanf": "a parser", "fscanf": "a parser",
    "atoi": "strtol with a check", "atol": "strtol with a check", "atoll": "strtoll with a check",
    "atof": "strtod with a check",
    "strtok": "slices", "alloca": "a bounded array or rc_malloc", "tmpnam": "mkstemp", "mktemp": "mkstemp",
    "system": "nothing: no shell is started", "popen": "nothing: no shell is started",
    "rand": "getrandom", "random": "getrandom", "srand": "getrandom",
    "localtime": "localtime_r", "gmtime": "gmtime_r", "ctime": "strftime", "strerror_r": "strerror",
    "gethostbyname": "getaddrinfo (never on a shard)",
}
# In src/ only, and not in unit tests.
BANNED_IN_SRC = {
    "malloc": "rc_malloc", "calloc": "rc_calloc", "realloc": "rc_realloc", "strdup": "rc_strdup",
    "strndup": "rc_strndup",
    "exit": "an error code: rooms do not end the process", "_exit": "an error code",
}
EXEMPT = {("src/base/alloc.c", name) for name in ("malloc", "calloc", "realloc")}
MAY_EXIT = "src/cli/"


def problems_of(path):
    name = str(path.relative_to(ROOT))
    banned = dict(BANNED)
    if name.startswith("src/") and not name.endswith("_test.c"):
        banned.update(BANNED_IN_SRC)
    if name.startswith(MAY_EXIT):
        banned.pop("exit", None)
        banned.pop("_exit", None)
    if name.endswith("_test.c"):
        banned.pop("strcat", None)
        banned.pop("rand", None)
        banned.pop("srand", None)
        banned.pop("random", None)
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(banned) + r")\s*\(")
    text = without_comments_and_strings(path.read_text())
    for number, line in enumerate(text.splitlines(), 1):
        for match in pattern.finditer(line):
            word = match.group(1)
            if (name, word) not in EXEMPT:
                yield path, number, f"{word} is banned, use {banned[word]}"


report([problem for path in c_files() for problem in problems_of(path)])

#!/usr/bin/env python3
"""Each room of src/ includes only headers of its own, of the rooms that its CMakeLists.txt names in DEPS, and
of the rooms below those. Arrows point down: the order of src/CMakeLists.txt is the order of the rooms."""
import re

from source import ROOT, report

PUBLIC = "rollcall"  # include/rollcall/: the library's public headers
MAY_USE_PUBLIC = {"client", "cli", "rules"}  # rules: an inflow rule is a consumer


def read_order():
    text = (ROOT / "src/CMakeLists.txt").read_text()
    return re.search(r"foreach\(room ([^)]*)\)", text).group(1).split()


def read_deps(room):
    text = (ROOT / "src" / room / "CMakeLists.txt").read_text()
    match = re.search(r"rc_library\(\s*" + room + r"\b([^)]*)\)", text)
    words = match.group(1).split() if match else []
    deps, taking = set(), False
    for word in words:
        if word.isupper():
            taking = word == "DEPS"
        elif taking:
            deps.add(word)
    return deps


def closure(room, deps, known=None):
    known = known if known is not None else set()
    for below in deps.get(room, ()):
        if below not in known:
            known.add(below)
            closure(below, deps, known)
    return known


def main():
    problems = []
    order = read_order()
    rooms = [path.name for path in sorted((ROOT / "src").iterdir()) if (path / "CMakeLists.txt").exists()]
    deps = {room: read_deps(room) for room in rooms}
    for room in rooms:
        where = ROOT / "src" / room / "CMakeLists.txt"
        if room not in order:
            problems.append((where, 1, f"room '{room}' is not listed in src/CMakeLists.txt"))
            continue
        for below in deps[room]:
            if below not in order or order.index(below) >= order.index(room):
                problems.append((where, 1, f"room '{room}' depends on '{below}', which is not below it"))
        allowed = closure(room, deps) | {room}
        for path in sorted((ROOT / "src" / room).glob("*.[ch]")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line)
                if not match:
                    continue
                name = match.group(1)
                first = name.split("/")[0]
                if name.startswith(".") or ('"' in line and "/" not in name):
                    problems.append((path, number, f'write includes from src/: "{name}"'))
                elif first in order and first not in allowed:
                    problems.append((path, number, f"room '{room}' may not include '{name}': "
                                     f"'{first}' is not among its DEPS"))
                elif first == PUBLIC and room not in MAY_USE_PUBLIC:
                    problems.append((path, number, f"room '{room}' may not include the public header '{name}'"))
    report(problems)


main()

#!/usr/bin/env python3
"""Each relative link of the documentation leads to a file that is there."""
import re

from source import ROOT, report

FOLDERS_LEFT_OUT = {"build", "data", "target", "node_modules"}


def pages():
    for path in sorted(ROOT.rglob("*.md")):
        inside = path.relative_to(ROOT).parts
        if not FOLDERS_LEFT_OUT.intersection(inside) and not inside[0].startswith("."):
            yield path


def problems_of(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            if not (path.parent / target.split("#")[0]).exists():
                yield path, number, f"the link leads nowhere: {target}"


report([problem for path in pages() for problem in problems_of(path)])

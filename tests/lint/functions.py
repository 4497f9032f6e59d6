#!/usr/bin/env python3
"""No function of src/ is longer than LINES_MAX lines, from its opening to its closing brace. The format puts
both in the first column, so counting needs no parser."""
from source import c_files, report

LINES_MAX = 80


def problems_of(path):
    start = name = None
    before = ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line == "{":
            start, name = number, before
        elif line == "}" and start is not None:
            if number - start - 1 > LINES_MAX:
                yield path, start, f"{number - start - 1} lines, at most {LINES_MAX}: {name.strip()}"
            start = None
        before = line


report([problem for path in c_files("src") for problem in problems_of(path)])

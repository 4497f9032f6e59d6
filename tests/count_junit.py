#!/usr/bin/env python3
"""Counts the test functions in ctest's JUnit file: the cmocka lines of each program's output. A program that
failed without a failing function (it crashed, a sanitizer stopped it, it timed out) counts as one failure; one
that printed no functions counts as one test."""
import re
import sys
import xml.etree.ElementTree as ElementTree


def main():
    passed = failed = skipped = 0
    for case in ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
        output = case.findtext("system-out") or ""
        ok = len(re.findall(r"^\[ +OK \]", output, re.MULTILINE))
        # Failing functions are named twice, where they fail and in the list at the end.
        bad = len(set(re.findall(r"^\[  FAILED  \] (\S+)$", output, re.MULTILINE)))
        left_out = len(re.findall(r"^\[  SKIPPED \] \S+$", output, re.MULTILINE))
        has_failed = case.find("failure") is not None or case.get("status") == "fail"
        if has_failed and bad == 0:
            bad = 1
        if not has_failed and ok + bad + left_out == 0:
            ok = 1
        passed, failed, skipped = passed + ok, failed + bad, skipped + left_out
        if has_failed:
            print(f"failed: {case.get('name')}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")


main()

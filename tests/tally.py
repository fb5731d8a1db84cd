#!/usr/bin/python3
# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Add up what the test runners of ./check wrote: `tally.py DIR` prints one last line, `N passed, N failed, N skipped`.

DIR holds meson's test logs (*.json, one JSON object a line), pytest's reports (*.xml, junit) and the verdicts of
./check itself (*.verdict, lines `pass|fail|skip NAME`).  A cmocka program counts with the claims in it; a program that
ends badly without having said which claim failed counts as one failure.  A test that runs in several builds counts in each.
"""
import json
import re
import sys
import xml.etree.ElementTree as tree
from pathlib import Path

CLAIMS = re.compile(r"\[\s+(PASSED|FAILED|SKIPPED)\s+\] (?:tests: )?(\d+) test\(s\)")


def of_meson(path):
    for line in path.read_text(errors="replace").splitlines():
        test = json.loads(line)
        output = test.get("stdout", "") + "\n" + (test.get("stderr") or "")
        said = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
        for word, number in CLAIMS.findall(output):
            said[word] += int(number)
        result = test["result"]
        if result in ("OK", "EXPECTEDFAIL"):
            yield max(said["PASSED"], 1), said["FAILED"], said["SKIPPED"], test["name"]
        elif result == "SKIP":
            yield 0, 0, 1, test["name"]
        else:
            yield said["PASSED"], max(said["FAILED"], 1), said["SKIPPED"], f"{test['name']} ({result})"


def of_pytest(path):
    for case in tree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        failed = int(bool(kinds & {"failure", "error"}))
        skipped = int(not failed and "skipped" in kinds)
        yield int(not failed and not skipped), failed, skipped, f"{case.get('classname')}.{case.get('name')}"


def of_check(path):
    for line in path.read_text().splitlines():
        word, name = line.split(" ", 1)
        yield int(word == "pass"), int(word == "fail"), int(word == "skip"), name


def main():
    passed = failed = skipped = 0
    readers = {".json": of_meson, ".xml": of_pytest, ".verdict": of_check}
    for path in sorted(Path(sys.argv[1]).iterdir()):
        for p, f, s, name in readers.get(path.suffix, lambda _: ())(path):
            passed, failed, skipped = passed + p, failed + f, skipped + s
            if f:
                print(f"failed: {path.stem}: {name}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


sys.exit(main())

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""docs/faults.md names tests that exist, and says of every fault what holds it."""
import re

import tree

PAGE = (tree.ROOT / "docs/faults.md").read_text()
ROWS = re.findall(r"^\| (\d+) \|.*?\|.*?\| (.*) \|$", PAGE, re.M)


def test_fifty_faults_each_held_or_said_to_be_not_tested():
    assert [int(number) for number, _ in ROWS] == list(range(1, 51))
    wrong = [number for number, held in ROWS if "::" not in held and "not tested" not in held]
    assert not wrong, wrong


def test_every_test_that_is_named_exists():
    names = re.findall(r"`([\w/.]+)::(\w+)`", PAGE)
    assert len(names) > 80
    wrong = []
    for file, name in names:
        path = tree.ROOT / "tests" / file
        pattern = rf"^def {name}\(" if file.endswith(".py") else rf"^static void {name}\("
        if not path.is_file() or not re.search(pattern, path.read_text(), re.M):
            wrong.append(f"{file}::{name}")
    assert not wrong, "\n".join(wrong)

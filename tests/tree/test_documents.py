# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The documents point at things that exist."""
import re

import tree


def test_links_between_documents_lead_somewhere():
    wrong = []
    for path in tree.files():
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)#\s]+)", tree.text(path)):
            if "://" not in target and not (tree.ROOT / path.parent / target).exists():
                wrong.append(f"{path}: {target}")
    assert not wrong, "\n".join(wrong)


def test_decisions_are_numbered_without_a_gap():
    numbers = [int(path.name[:4]) for path in tree.files() if path.parts[:2] == ("docs", "decisions") and path.name[:4].isdigit()]
    assert numbers == list(range(1, len(numbers) + 1))

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The documents point at things that exist."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
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


def test_the_example_of_a_document_is_what_the_program_writes(tmp_path):
    """Made anew by `signalbox doc stripe --declared -c docs/examples/shop.yaml > docs/examples/stripe.md`."""
    build = Path(os.environ.get("SIGNALBOX_BUILD", tree.ROOT / "build-check/gcc"))
    for name in ("cli/signalbox", "connectors/signalbox-payment"):  # a program finds its connectors beside itself
        if not (build / name).is_file():
            pytest.skip(f"{name} is not built here (SIGNALBOX_BUILD)")
        shutil.copy(build / name, tmp_path)
    done = subprocess.run([tmp_path / "signalbox", "doc", "stripe", "--declared", "-c", tree.ROOT / "docs/examples/shop.yaml"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tree.ROOT / "docs/examples/stripe.md").read_text()

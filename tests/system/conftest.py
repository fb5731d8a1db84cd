# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import harness  # noqa: E402

ROUNDS = int(os.environ.get("SIGNALBOX_ROUNDS", "30"))


@pytest.fixture(scope="session", autouse=True)
def programs():
    """Nothing can be tested that is not built."""
    try:
        for name in ("signalbox", "signalbox-broker", "signalbox-logger", "signalbox-gateway", "signalbox-payment", "signalbox-sandbox"):
            harness.program(name)
    except FileNotFoundError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture
def system(tmp_path):
    with harness.System(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One system for the tests of a file that leave it as it was."""
    with harness.System(tmp_path_factory.mktemp("system")) as running:
        yield running


@pytest.fixture
def rounds():
    return ROUNDS

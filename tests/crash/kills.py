# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The named kill points (lib/base/kill.def), and a system that is killed at one of them."""
import os
import pathlib
import re
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
import harness  # noqa: E402
from load import Load  # noqa: E402

BUILD = os.environ.get("SIGNALBOX_KILL_BUILD")
POINTS = re.findall(r'^KILL\((\w+), (\w+),\s*"(.*?)"\)', (ROOT / "lib/base/kill.def").read_text(), re.M)
ONCE = {"logger_fenced", "logger_renamed_segment", "broker_recovered"}  # what happens once in a process's life
AFTER_BROKER = {"logger_fenced", "broker_replays", "broker_recovered"}  # ... and that once the broker starts


def need_points():
    if not BUILD:
        pytest.skip("SIGNALBOX_KILL_BUILD names no build with -Dkill_points=true, installed")


class KilledSystem(harness.System):
    """One that is killed at the n-th hit of a point, once, and goes on."""

    def __init__(self, directory, point, n, **more):
        super().__init__(directory, build=BUILD, **more)
        self.marker = self.directory / "killed"
        self.environment = f"{point}:{n}:{self.marker}"

    def start(self, seconds=30):
        os.environ["SIGNALBOX_KILL"] = self.environment
        try:
            super().start(seconds)
        except AssertionError:
            if not self.was_killed() or self.up.poll() is None:
                raise
            super().start(seconds)  # `up` itself was killed on its way
        finally:
            del os.environ["SIGNALBOX_KILL"]

    def was_killed(self):
        return self.marker.exists()

    def revive(self):
        """`up` is started again when it was the one that was killed."""
        if self.up.poll() is not None:
            harness.wait_for("nothing is left of it", lambda: not harness.alive_below(self.home))
            self.start()


def kill_at(directory, point, n, seconds=20):
    """Load on a system until it is killed there, and a little longer; checks everything. Returns the audit."""
    with KilledSystem(directory, point, n) as system:
        with Load(system) as load:
            if point in AFTER_BROKER:
                time.sleep(0.3)
                system.kill("broker")
            end = time.monotonic() + seconds
            while not system.was_killed() and time.monotonic() < end and system.up.poll() is None:
                time.sleep(0.02)
            system.revive()
            time.sleep(0.5)
        assert system.was_killed(), f"{point} was not hit {n} times in {seconds} s"
        return load.check(system)

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The power goes: what was acknowledged is in the log, busy or idle, and the system goes on where it was."""
import random
import sys
import time
from pathlib import Path

import harness
from load import Load

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "crash"))
import faults  # noqa: E402


def cut_and_return(system, disk):
    """Cut the power under a running system, then start it again on what the disk kept."""
    disk.cut()
    system.kill_all()
    disk.unmount()
    disk.mount()
    system.start(40)


def in_the_log(system, load):
    rows = {row["id"] for row in system.log()}
    lost = [name for name, row in {**load.webhooks, **load.calls}.items() if row not in rows]
    assert not lost, f"{len(lost)} of {len(load.webhooks) + len(load.calls)} acknowledged events are gone"


def test_busy(tmp_path, rounds):
    with faults.disk(tmp_path, megabytes=256) as disk, harness.System(tmp_path, home=disk.path) as system:
        for _ in range(max(rounds // 5, 2)):
            load = Load(system)
            with load:
                time.sleep(random.uniform(0.2, 1.2))
                disk.cut()
                load.abandon()
            cut_and_return(system, disk)
            in_the_log(system, load)
        assert system.settled()["unaccounted"] == 0
        assert set(system.sandbox.effects().values()) <= {1}
        system.stop()


def test_idle_after_the_acknowledgement(tmp_path, rounds):
    with faults.disk(tmp_path, megabytes=256) as disk, harness.System(tmp_path, home=disk.path) as system:
        for _ in range(max(rounds // 5, 2)):
            with Load(system) as load:
                time.sleep(0.3)
            time.sleep(random.uniform(0, 0.3))
            cut_and_return(system, disk)
            in_the_log(system, load)
        assert system.settled()["unaccounted"] == 0
        system.stop()

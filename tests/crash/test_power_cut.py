# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""An acknowledged block outlives a power cut, whether the writer was busy or had been idle since."""
import random
import time

import faults


def cut_once(folder, disk, busy, lie=None):
    """Write, cut, mount again. Returns what was acknowledged."""
    idle = [] if busy else ["--idle-after", random.randint(1, 200)]
    env = faults.preload(disk.path / "log", lie=lie) if lie else None
    writer = faults.Program(folder, faults.DRIVER, "write", disk.path / "log", *idle, env=env)
    if busy:
        faults.wait_for("a first block", lambda: writer.lines() > 0 or writer.process.poll() is not None)
        time.sleep(random.uniform(0.0, 0.4))
    else:
        faults.wait_for("the writer is idle", lambda: "idle" in writer.said() or writer.process.poll() is not None)
    disk.cut()
    acknowledged = writer.said()  # read after the cut: whatever was said by then must hold
    writer.kill()
    disk.unmount()
    disk.mount()
    return acknowledged


def test_acknowledged_blocks_survive_power_cuts(tmp_path):
    acknowledged_blocks = 0
    with faults.disk(tmp_path, megabytes=512) as disk:
        for number in range(faults.ROUNDS):
            said = cut_once(tmp_path, disk, busy=number % 2 == 0)
            ok, found = faults.check_store(disk.path / "log", said)
            assert ok, f"cut {number}: {found}"
            acknowledged_blocks += said.count("\n")
            if number % 5 == 4:  # the disk is small
                faults.run("rm", "-rf", disk.path / "log")
    assert acknowledged_blocks > faults.ROUNDS
    print(f"{faults.ROUNDS} cuts, {acknowledged_blocks} acknowledged blocks, none lost")


def test_a_disk_that_lies_about_sync_is_found_out(tmp_path):
    """The planted fault: were the test above blind, this one would show it."""
    with faults.disk(tmp_path) as disk:
        for _ in range(5):
            said = cut_once(tmp_path, disk, busy=True, lie="sync")
            ok, _ = faults.check_store(disk.path / "log", said)
            if not ok:
                return
            faults.run("rm", "-rf", disk.path / "log")
    assert False, "five cuts with a lying disk lost nothing: this test cannot see loss"

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""`signalbox up` as the first process of a container: what is left behind by others is its to bury, and nothing of its own is."""
import ctypes
import os
import subprocess
import time
from pathlib import Path

import harness

PR_SET_CHILD_SUBREAPER = 36


class First(harness.System):
    """`up` gets orphans as the first process does, and one that lives for `seconds` from its start."""

    def adopt(self):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        if os.fork() == 0:  # a parent that goes at once, and leaves a child
            if os.fork() == 0:
                os.closerange(3, 256)  # one of them is what Popen waits on
                time.sleep(4)
            os._exit(0)
        os.wait()

    def start(self, seconds=20):
        self.up = harness.start([harness.program("signalbox", self.build), "up", "-c", str(self.home / "signalbox.yaml")], None,
                                self.directory / "up.err", stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, preexec_fn=self.adopt)
        harness.wait_for("the system is ready", self.is_ready, seconds)


def states(pid):
    """{pid: "S", "Z", ...} of a process's children."""
    return {child: Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] for child in harness.children(pid)}


def test_orphans_are_buried(tmp_path):
    with First(tmp_path) as system:
        ours = {pid for name, pid in system.pids().items() if name in ("logger", "broker", "gateway", "payment")}
        orphans = set(harness.children(system.up.pid)) - ours
        assert len(orphans) == 1, (orphans, ours)
        harness.wait_for("the orphan is buried", lambda: not orphans & set(harness.children(system.up.pid)), 10)
        system.kill("payment")
        harness.wait_for("the connector runs again", lambda: system.pids().get("payment") not in (None, *ours))
        assert "Z" not in states(system.up.pid).values()
        assert harness.wait_for("a charge succeeds", lambda: system.charge()[0] == 200)

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A group of processes with little memory, where the kernel ends who asks for more."""
import contextlib
import os
import pathlib
import secrets

import pytest

ROOTS = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]  # version 1, version 2


class Memory:
    """A new group whose processes may have `limit` bytes more than when they were put in."""

    def __init__(self, limit):
        for root, setting in ROOTS:
            self.path = pathlib.Path(root, "signalbox-test-" + secrets.token_hex(4))
            with contextlib.suppress(OSError):
                self.path.mkdir()
                (self.path / setting).write_text(str(limit))
                return
            with contextlib.suppress(OSError):
                self.path.rmdir()
        pytest.skip("no memory cgroup can be made here")

    def take(self, pid):
        (self.path / "cgroup.procs").write_text(str(pid))

    def kills(self):
        """How many the kernel has ended for want of memory; None where it does not say."""
        for name in ("memory.oom_control", "memory.events"):
            with contextlib.suppress(OSError):
                for line in (self.path / name).read_text().splitlines():
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        return None

    def remove(self):
        with contextlib.suppress(OSError):
            os.rmdir(self.path)

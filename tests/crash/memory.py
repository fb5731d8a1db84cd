# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Requests for memory that fail when a test says so (memory.c)."""
import mmap
import os
import pathlib
import struct

import faults
import pytest

LIBRARY = faults.BUILD / "tests/crash/memory.so"


def need_plain_build(program):
    """A sanitizer brings an allocator of its own, which must not be preloaded over."""
    if b"__asan_init" in pathlib.Path(program).read_bytes():
        pytest.skip("this build has an allocator of its own (a sanitizer's)")


def environment(folder):
    """What a program needs in its environment, to be given to a process and what that starts."""
    return {"LD_PRELOAD": str(LIBRARY), "MEMORY_DIR": str(folder)}


class Table:
    """The requests of every process of one program, as long as they last."""

    def __init__(self, folder, program):
        self.path = pathlib.Path(folder) / program
        self.path.write_bytes(bytes(mmap.PAGESIZE))
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def _all(self):
        return struct.unpack_from("<4Q", self.memory)

    @property
    def requests(self):
        return self._all()[0]

    @property
    def failed(self):
        return self._all()[3]

    def count_from_zero(self):
        struct.pack_into("<4Q", self.memory, 0, 0, 0, 0, 0)

    def refuse(self, after, n=1):
        """From now on the `after`-th request fails, and the n - 1 behind it."""
        first = self.requests + after
        struct.pack_into("<2Q", self.memory, 8, first, first + n)

    def refuse_none(self):
        struct.pack_into("<2Q", self.memory, 8, 0, 0)

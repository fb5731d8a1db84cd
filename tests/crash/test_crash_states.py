# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever part of what was not yet synced the disk kept, reordered or torn, each acknowledged block is in the log, and it goes on.

`disk.so` records what a program does to its disk, `crash_states` makes the states a power cut may leave and has the store open
each. The planted faults at the end show that it sees loss."""
import contextlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile

import faults
import pytest

STATES = int(os.environ.get("SIGNALBOX_STATES", "600"))
RECORD, FAILED = struct.Struct("<IIQQQQ"), 12  # struct trace_record, TRACE_FAILED
CRASH_STATES = faults.BUILD / "tests/crash/crash_states"


@contextlib.contextmanager
def memory_folder():
    """A folder on a tmpfs where there is one: thousands of states are written."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = pathlib.Path(tempfile.mkdtemp(prefix="sbx-", dir=base))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def record(folder, *flags, **more):
    """A trace of the store at work: `flags` of the driver, `more` for disk.so."""
    log, trace = folder / "log", folder / "trace"
    env = faults.preload(log, trace=trace, **more)
    subprocess.run([str(part) for part in (faults.DRIVER, "write", log, *flags)], env=env, stdout=subprocess.DEVNULL, timeout=60, check=False)
    return trace


def operations(trace):
    """The operations in a trace (trace.h), in order."""
    found, at, content = [], 0, trace.read_bytes()
    while at + RECORD.size <= len(content):
        op, payload, *_ = RECORD.unpack_from(content, at)
        found.append(op)
        at += RECORD.size + payload
    return found


def states(trace, number, seed=1):
    """(bad states, what was said) of `number` cuts."""
    folder = trace.parent / "states"
    folder.mkdir(exist_ok=True)
    done = subprocess.run([CRASH_STATES, trace, folder, str(number), str(seed)], capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 1), done.stderr
    tried, bad = re.search(r"(\d+) states of .* (\d+) bad", done.stdout).groups()
    assert int(tried) == number
    return int(bad), done.stdout


@pytest.mark.parametrize("flags, number", [
    (("--blocks", 200, "--roll", 60, "--size", 9000), STATES),       # segments change, spares are written ahead
    (("--blocks", 300, "--size", 600), STATES),                      # several blocks to a page
    (("--blocks", 40, "--size", 600000), STATES // 8),               # a segment runs full
    (("--blocks", 40, "--roll", 1, "--size", 3000), STATES),         # nothing but changes of segment
], ids=["mixed", "small", "large", "segments"])
def test_every_state_after_a_cut_holds_what_was_acknowledged(flags, number):
    with memory_folder() as folder:
        bad, said = states(record(folder, *flags), number)
        print(said)
        assert not bad, said


def test_the_logger_and_who_it_told():
    """The real logger, and a producer that says what it was told, in one trace."""
    with faults.short_folder() as folder, memory_folder() as memory:
        logger = faults.Logger(folder, data=memory / "data")
        env = faults.preload(logger.data / "log", trace=memory / "trace")
        wrapper = ["/usr/bin/env", *(f"{name}={env[name]}" for name in ("LD_PRELOAD", "DISK_DIR", "DISK_TRACE"))]
        logger.start(*wrapper).wait_ready()
        producer = faults.Program(folder, *wrapper, faults.PRODUCER, logger.endpoint, "--size", "8000")
        faults.wait_for("blocks are committed", lambda: producer.lines() > 150)
        producer.kill()
        assert logger.stop() == 0
        bad, said = states(memory / "trace", STATES)
        print(said)
        assert not bad, said


# --- calls that fail ---

@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for-ever"])
@pytest.mark.parametrize("call, error", [("write", "ENOSPC"), ("write", "EIO"), ("sync", "EIO"), ("rename", "EIO"), ("create", "ENOSPC")])
def test_whichever_call_fails_nothing_false_is_acknowledged(call, error, for_ever):
    """At the n-th call, n as far as the run goes: what was said holds, also when the power goes afterwards, for the kernel may
    throw away what a failed sync was to write."""
    for n in range(1, 400, 1 if STATES >= 5000 else 3):
        with memory_folder() as folder:
            trace = record(folder, "--blocks", 16, "--roll", 6, "--size", 5000, fail=f"{call}:{n}{'+' if for_ever else ''}:{error}")
            bad, said = states(trace, 12, seed=n)
            assert not bad, f"{call} {n}: {said}"
            if FAILED not in operations(trace):
                assert n > 3, "no such call was made"
                return
    raise AssertionError("the run did not end within 400 calls")


# --- planted: each must be found ---

@pytest.mark.parametrize("fault, flags", [
    ({"lie": "sync"}, ()),          # a disk that says yes
    ({"lie": "nosync"}, ()),        # LMDB opened with a flag that is forbidden
    ({"lie": "nometasync"}, ()),
    ({}, ("--early",)),             # acknowledged before it is committed
], ids=["lying-disk", "nosync", "nometasync", "acknowledged-early"])
def test_a_planted_fault_is_found(fault, flags):
    with memory_folder() as folder:
        bad, said = states(record(folder, "--blocks", 100, "--roll", 40, "--size", 5000, *flags, **fault), 200)
        assert bad, said

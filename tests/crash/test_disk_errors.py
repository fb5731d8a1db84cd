# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""An error of the disk ends the logger before it could acknowledge anything more; a full disk only refuses."""
import shutil
import signal
import time

import pytest

import faults


def need_strace():
    if not shutil.which("strace"):
        pytest.skip("needs strace, to inject errors")


@pytest.mark.parametrize("call", [1, 2, 3, 10, 25])
def test_failed_sync_ends_the_logger_and_acknowledges_nothing(call):
    need_strace()
    with faults.short_folder() as folder:
        logger = faults.Logger(folder)
        tail = logger.data / "log" / f"{1:020}.mdb"
        logger.start("strace", "-f", "-o", folder / "trace", "-P", tail, "-e", "trace=fdatasync",
                     "-e", f"inject=fdatasync:error=EIO:when={call}").wait_ready()
        producer = faults.Program(folder, faults.PRODUCER, logger.endpoint)
        status = logger.program.process.wait(timeout=30)
        complaint = logger.program.complained()
        assert status == faults.IO_ERROR, complaint
        assert "FATAL" in complaint
        time.sleep(0.05)
        acknowledged = producer.lines()
        syncs = [line for line in (folder / "trace").read_text().splitlines() if "fdatasync(" in line]
        assert len(syncs) == call and "INJECTED" in syncs[-1], "the failed sync is the last one ever tried"
        # A new process verifies the tail and goes on; the producer sends what is open once more.
        logger.start().wait_ready()
        faults.wait_for("blocks are taken again", lambda: producer.lines() > acknowledged + 20)
        producer.kill()
        assert logger.stop() == 0
        ok, found = faults.check_store(logger.data / "log", producer.said())
        assert ok, found


def test_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path):
    with faults.small_tmpfs(tmp_path, 64) as path:
        ballast = path / "ballast"
        ballast.write_bytes(b"\0" * (20 << 20))
        writer = faults.Program(tmp_path, faults.DRIVER, "write", path / "log", "--until-full", "--size", 60000)
        faults.wait_for("the store is full", lambda: "full" in writer.said())
        assert writer.process.poll() is None
        said = writer.said()
        assert "No space left" in said or "free" in said, said.splitlines()[-1]
        before = writer.lines()
        time.sleep(0.2)
        assert writer.lines() == before, "nothing is acknowledged while there is no room"
        ballast.unlink()
        faults.wait_for("it goes on", lambda: writer.lines() > before + 5)
        writer.kill()
        ok, found = faults.check_store(path / "log", writer.said())
        assert ok, found


def test_full_disk_leaves_the_logger_alive():
    with faults.short_folder() as folder, faults.small_tmpfs(folder, 60) as path:
        logger = faults.Logger(folder, data=path / "data").start().wait_ready()
        producer = faults.Program(folder, faults.PRODUCER, logger.endpoint, "--size", "60000")
        faults.wait_for("the log is full", lambda: "LOG_FULL" in logger.program.complained())
        # Spares and the tail are still used up to the last; then blocks are not taken any more.
        faults.wait_for("blocks are refused", lambda: "LOG_FULL block=" in logger.program.complained())
        time.sleep(0.5)
        before = producer.lines()
        time.sleep(1.0)
        assert producer.lines() == before
        assert logger.program.process.poll() is None and producer.process.poll() is None
        faults.run("mount", "-o", "remount,size=200m", path)
        faults.wait_for("it goes on", lambda: producer.lines() > before + 20)
        producer.kill()
        assert logger.stop() == 0
        ok, found = faults.check_store(logger.data / "log", producer.said())
        assert ok, found


def test_second_logger_is_refused():
    with faults.short_folder() as folder:
        logger = faults.Logger(folder).start().wait_ready()
        second = faults.Program(folder / "run", faults.LOGGER, "-c", logger.config)
        assert second.process.wait(timeout=10) == 1
        assert "another signalbox-logger (pid" in second.complained()
        assert logger.program.kill(signal.SIGTERM) == 0

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the logger under load loses nothing that was acknowledged, and the next one goes on at once."""
import random
import time

import faults


def test_killed_logger_loses_nothing():
    with faults.short_folder() as folder:
        logger = faults.Logger(folder).start().wait_ready()
        producer = faults.Program(folder, faults.PRODUCER, logger.endpoint)
        for number in range(faults.ROUNDS):
            before = producer.lines()
            faults.wait_for(f"blocks are committed before kill {number}", lambda: producer.lines() > before)
            time.sleep(random.uniform(0.0, 0.1))
            logger.program.kill()
            logger.start().wait_ready()
        before = producer.lines()
        faults.wait_for("the last one goes on", lambda: producer.lines() > before)
        assert producer.process.poll() is None, producer.complained()
        producer.kill()
        assert logger.stop() == 0
        ok, found = faults.check_store(logger.data / "log", producer.said())
        assert ok, found
        print(f"{faults.ROUNDS} kills, {found.strip()}")


def test_reader_beside_a_writer_sees_a_whole_log(tmp_path):
    writer = faults.Program(tmp_path, faults.DRIVER, "write", tmp_path / "log", "--size", 20000)
    faults.wait_for("a first block", lambda: writer.lines() > 0)
    reader = faults.Program(tmp_path, "/usr/bin/env", faults.DRIVER, "read", tmp_path / "log")
    assert reader.process.wait(timeout=60) == 0, reader.said()
    assert "read up to" in reader.said()
    writer.kill()
    ok, found = faults.check_store(tmp_path / "log", writer.said())
    assert ok, found


def test_commit_that_its_writer_could_not_note_is_found_beside_a_reader(tmp_path):
    """While readers have the file open LMDB's lock file stays as it is, and says nothing of a commit whose writer was killed in it."""
    log, second = tmp_path / "log", tmp_path / "second"
    second.mkdir()
    idle = faults.Program(tmp_path, faults.DRIVER, "write", log, "--idle-after", 3, "--size", 1000)
    faults.wait_for("a first block", lambda: "idle" in idle.said())
    idle.kill()
    reader = faults.Program(tmp_path, "/usr/bin/env", faults.DRIVER, "read", log)
    faults.wait_for("the reader has it open", lambda: faults.has_open(reader.process.pid, ".mdb-lock"))
    dying = faults.Program(second, faults.DRIVER, "write", log, "--size", 1000, env=faults.preload(log, kill=3))
    assert dying.process.wait(timeout=30) == -9, dying.complained()
    ok, found = faults.check_store(log, idle.said() + dying.said())
    assert ok, found
    assert reader.process.wait(timeout=60) == 0, reader.said()

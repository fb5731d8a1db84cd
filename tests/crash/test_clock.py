# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The wall clock jumps under a running system, for all its processes at once: order is by number, pauses are by the steady clock."""
import json
import struct
import sys
import time

import faults
import memory

sys.path.insert(0, str(faults.pathlib.Path(__file__).parents[1] / "system"))
import harness  # noqa: E402

HOUR, YEAR = 3600, 365 * 86400
LIBRARY = faults.BUILD / "tests/crash/clock.so"


class Clock:
    def __init__(self, folder, monkeypatch):
        memory.need_plain_build(harness.program("signalbox-broker"))
        self.path = folder / "clock"
        self.path.write_bytes(bytes(8))
        self.off = 0
        monkeypatch.setenv("LD_PRELOAD", str(LIBRARY))
        monkeypatch.setenv("CLOCK_FILE", str(self.path))

    def jump(self, seconds):
        """From now on the wall clock is off by so many."""
        self.off = int(seconds)
        with open(self.path, "r+b") as file:  # in place: it is mapped
            file.write(struct.pack("<q", self.off))

    def now(self):
        return time.time() + self.off


def hook(system, clock):
    """A webhook that its provider signs at this time."""
    body = harness.stripe_event(payment_status="paid")
    status, _, answer = system.webhook(body, harness.stripe_signature(body, at=clock.now()))
    return json.loads(answer)["ids"][0] if status == 200 else (status, answer)


def test_the_clock_jumps_while_it_runs(monkeypatch):
    with faults.short_folder() as folder:
        clock = Clock(folder, monkeypatch)
        to_2038 = 2**31 + 1000 - time.time()  # past what 32 bits count
        with harness.System(folder) as system:
            acknowledged = []
            for off in (0, HOUR, -HOUR, 10 * YEAR, to_2038, 0, -10 * YEAR, 0):
                clock.jump(off)
                status, answer = system.charge()
                assert status == 200, (off, answer)
                acknowledged += [answer["id"], hook(system, clock)]
                assert isinstance(acknowledged[-1], str), (off, acknowledged[-1])
            audit = system.settled()
            assert (audit["failed"], audit["unaccounted"]) == (0, 0), audit
            rows = [row["id"] for row in system.log()]
            assert all(one in rows for one in acknowledged), "an acknowledged event is not in the log"
            order = [rows.index(one) for one in acknowledged[1::2]]
            assert order == sorted(order), "the log's order is not that in which they came"
            times = [row["timestamp"] for row in system.log()]
            assert times == sorted(times), "the log's time goes back"
            assert set(system.sandbox.effects().values()) == {1}


def test_a_pause_that_runs_ends_whatever_the_clock_says(monkeypatch):
    for off in (-HOUR, HOUR):
        with faults.short_folder() as folder:
            clock = Clock(folder, monkeypatch)
            with harness.System(folder) as system:
                system.sandbox.fault(kind="429", next=1, retry_after=2)
                assert system.charge(wait="0", deadline="2h")[0] == 202
                request = system.log()[0]["id"]
                harness.wait_for("an attempt has failed", lambda: json.loads(system.cli("trace", request, "--json").stdout)["attempts"])
                clock.jump(off)
                audit = system.settled(30)
                assert (audit["failed"], audit["unaccounted"]) == (0, 0), (off, audit)


def test_a_start_at_another_time_goes_on(monkeypatch):
    with faults.short_folder() as folder:
        clock = Clock(folder, monkeypatch)
        with harness.System(folder) as system:
            kept = [hook(system, clock)]
            for off in (-YEAR, YEAR, 0):
                system.kill_all()
                clock.jump(off)
                system.start()
                kept.append(hook(system, clock))
                assert system.charge()[0] == 200
            assert system.settled()["unaccounted"] == 0
            rows = [row["id"] for row in system.log()]
            assert [rows.index(one) for one in kept] == sorted(rows.index(one) for one in kept)

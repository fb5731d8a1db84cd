# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Faults that are planted between a system and those who check it: a checker that does not see them proves nothing.

What a broken broker would do is planted in its model (tests/unit/broker/world.h), what a broken store or disk would do in
test_crash_states.py. None of it is in a product."""
import itertools
import json
import time

import campaign
import faults
import kills
import pytest

harness, Load, order = kills.harness, kills.Load, campaign.order


class Forgetful(harness.System):
    """Says 200 to every thousandth webhook and drops it. `EVERY` is smaller here, for the load is short."""
    EVERY = 50
    counter = itertools.count(1)

    def webhook(self, body, signature=None, timeout=30):
        if next(self.counter) % self.EVERY == 0:
            return 200, {}, json.dumps({"ids": ["01900000-0000-7000-8000-000000000000"]}).encode()
        return super().webhook(body, signature, timeout)


def test_an_acknowledged_event_that_is_dropped_is_missed(tmp_path):
    with Forgetful(tmp_path) as system:
        with Load(system) as load:
            harness.wait_for("enough webhooks", lambda: len(load.webhooks) > 2 * Forgetful.EVERY, 30)
        with pytest.raises(AssertionError, match="acknowledged events are not in the log"):
            load.check(system)


def test_two_swapped_events_of_a_key_are_seen(tmp_path):
    """The consumers' check of the order, given what a broker that swaps would give."""
    with harness.System(tmp_path, extra=order.GROUP) as system, order.Consumers(system, n=1) as consumers:
        for n in (0, 2, 1):
            order.publish(system, n)
        harness.wait_for("the consumers complain", lambda: consumers.errors, 30)
        assert "is given after" in consumers.errors[0]


def test_a_disk_that_lies_below_a_whole_system_is_found_out(tmp_path, monkeypatch):
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        with faults.disk(folder) as disk:
            for name, value in faults.preload(disk.path / "data/log", lie="sync").items():
                monkeypatch.setenv(name, value)
            system = harness.System(folder, home=disk.path)
            system.__enter__()
            monkeypatch.undo()
            try:
                with Load(system) as load:
                    time.sleep(1)
                    disk.cut()
                    load.abandon()
                system.kill_all()
                disk.unmount()
                disk.mount()
                system.start(40)
                rows = {row["id"] for row in system.log()}
                if set(load.webhooks.values()) - rows:
                    return
            except AssertionError:
                return  # it does not even start
            finally:
                system.stop()
    raise AssertionError("five cuts with a lying disk lost nothing: this test cannot see loss")

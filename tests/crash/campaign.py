#!/usr/bin/python3
# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Kills and power cuts of a whole system under load, as many as asked for, and one line that says what was found.

    SIGNALBOX_BUILD=build tests/crash/campaign.py --kills 1000 --cuts 200 [--points 50] [--seed 1]

Kills: one process at a random moment, several, or all with their supervisor, and again while they recover. Cuts: the ext4 below loses
its power, half of the times under load, half when all was said and done. Points: a random named kill point at a random hit
(SIGNALBOX_KILL_BUILD). The load: signed webhooks, charges under idempotency keys, and events of ordered keys, whose consumers fail
some. After each leg everything must be in the log and accounted for, charged once, and each key in order. Exit 1 when not."""
import argparse
import pathlib
import random
import sys
import tempfile
import threading
import time
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/system"), str(ROOT / "tests/crash")]
import faults  # noqa: E402
import harness  # noqa: E402
import kills  # noqa: E402
import order_survives_kill as order  # noqa: E402
from load import Load  # noqa: E402

PROCESSES = ["broker", "logger", "gateway", "payment"]
LEG_KILLS, LEG_CUTS = 100, 20
LOAD_PAUSE = 0.01  # between two requests of a sender: this is about moments, not about speed


class Orders:
    """Events of ordered keys, one after the other, and their consumers."""

    def __init__(self, system):
        self.system, self.ending, self.published = system, threading.Event(), 0
        self.consumers = order.Consumers(system, n=2)
        self.errors = []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.consumers.__enter__()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join(90)
        self.consumers.__exit__()

    def run(self):
        while not self.ending.is_set():
            try:
                order.publish(self.system, self.published)
            except Exception as error:  # noqa: BLE001: a thread that dies silently would find nothing
                self.errors.append(repr(error))
                return
            self.published += 1
            time.sleep(0.05)

    def finish(self):
        """No more of them; wait until all are handled."""
        self.ending.set()
        self.thread.join(90)
        self.system.settled(120)
        assert not self.errors + self.consumers.errors, self.errors + self.consumers.errors
        newest = set(self.consumers.newest.values())
        assert newest == {self.published - 1}, f"{self.published} events of each key were published, handled up to {newest}"


class Campaign:
    """Counts what was done and what came of it."""

    def __init__(self, seed, out=sys.stdout):
        self.random, self.out = random.Random(seed), out
        self.kills = self.cuts = self.points = self.acknowledged = self.ordered = self.charges = self.unhit = 0
        self.problems = []
        self.began = time.monotonic()

    def leg(self, what, run, *args):
        """A part with a system of its own. What it finds wrong ends it, not the campaign."""
        with tempfile.TemporaryDirectory(prefix="sbx-") as folder:
            try:
                run(pathlib.Path(folder), *args)
            except AssertionError as error:
                self.problems.append(f"{what}: {error}")
        print(f"{time.monotonic() - self.began:6.0f} s  {what}: {'; '.join(self.problems) or 'good'}", file=self.out, flush=True)

    def check(self, system, load, orders=None):
        load.stop()
        if orders:
            orders.finish()
            self.ordered += orders.published * len(order.KEYS)
        with mock.patch("builtins.print"):  # one line for each leg is enough
            load.check(system)
        self.acknowledged += len(load.webhooks) + len(load.calls)
        self.charges += len(system.sandbox.effects())

    # --- kills ---

    def kill_some(self, system):
        """One act of killing. Returns how many processes it killed."""
        dice = self.random.random()
        if dice < 0.04:
            system.kill_all()
            system.start(40)
            return len(PROCESSES) + 1
        names = self.random.sample(PROCESSES, 1 if dice < 0.85 else self.random.choice([2, 4]))
        killed = sum(1 for name in names if system.kill(name))
        if dice > 0.93:  # while they recover
            time.sleep(self.random.uniform(0, 0.2))
            killed += sum(1 for name in names if system.kill(name))
        return killed

    def kill_leg(self, folder, number):
        with harness.System(folder, extra=order.GROUP) as system:
            with Load(system, pause=LOAD_PAUSE) as load, Orders(system) as orders:
                done = 0
                while done < number:
                    time.sleep(self.random.uniform(0.02, 0.5))
                    killed = self.kill_some(system)
                    done += killed
                    self.kills += killed
                self.check(system, load, orders)

    # --- cuts ---

    def cut(self, system, disk):
        disk.cut()
        self.cuts += 1
        system.kill_all()
        disk.unmount()
        disk.mount()
        system.start(40)

    def busy_leg(self, folder, number):
        with faults.disk(folder, megabytes=384) as disk, harness.System(folder, home=disk.path, extra=order.GROUP) as system:
            with Load(system, pause=LOAD_PAUSE) as load, Orders(system) as orders:
                for _ in range(number):
                    time.sleep(self.random.uniform(0.1, 0.8))
                    self.cut(system, disk)
                self.check(system, load, orders)
            system.stop()

    def idle_leg(self, folder, number):
        with faults.disk(folder, megabytes=384) as disk, harness.System(folder, home=disk.path) as system:
            every = []
            for _ in range(number):
                with Load(system, pause=LOAD_PAUSE) as load:
                    time.sleep(0.3)
                every.append(load)
                time.sleep(self.random.uniform(0, 0.3))
                self.cut(system, disk)
            for load in every:
                self.check(system, load)
            system.stop()

    # --- named points ---

    def point_leg(self, folder, point, n):
        self.points += 1
        try:
            with mock.patch("builtins.print"):
                kills.kill_at(folder, point, n, seconds=6)
        except AssertionError as error:
            if "was not hit" not in str(error):
                raise
            self.unhit += 1

    def run(self, number_of_kills, number_of_cuts, number_of_points):
        while self.kills < number_of_kills and not self.problems:
            wanted = min(LEG_KILLS, number_of_kills - self.kills)
            self.leg(f"kills from {self.kills}", self.kill_leg, wanted)
        for first in range(0, number_of_cuts, LEG_CUTS):
            wanted = min(LEG_CUTS, number_of_cuts - first)
            is_busy = (first // LEG_CUTS) % 2 == 0
            self.leg(f"cuts from {first}, {'busy' if is_busy else 'idle'}", self.busy_leg if is_busy else self.idle_leg, wanted)
        for _ in range(number_of_points):
            point, n = self.random.choice(kills.POINTS)[0], self.random.choice([1, 2, 5, 10, 20, 50])
            self.leg(f"killed at {point}, {n}", self.point_leg, point, n)
        return not self.problems

    def summary(self):
        points = f", {self.points} at named points ({self.unhit} not reached)" if self.points else ""
        found = f"{len(self.problems)} problems: " + " | ".join(self.problems) if self.problems else \
            "0 lost, 0 unaccounted, 0 double effects, 0 order inversions"
        return (f"{self.kills} kills, {self.cuts} cuts{points}; {self.acknowledged} acknowledged, {self.charges} charges, {self.ordered} ordered events "
                f"in {time.monotonic() - self.began:.0f} s: {found}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--points", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    wanted = parser.parse_args()
    campaign = Campaign(wanted.seed)
    print(f"seed {wanted.seed}", flush=True)
    is_good = campaign.run(wanted.kills, wanted.cuts, wanted.points)
    print(campaign.summary())
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of any process at any time, and of all at once: nothing acknowledged is lost, nobody is charged twice."""
import random
import time

import harness
import pytest
from load import Load

PROCESSES = ["broker", "logger", "gateway", "payment"]


@pytest.mark.parametrize("name", PROCESSES)
def test_killed_again_and_again_under_load(system, rounds, name):
    with Load(system) as load:
        for _ in range(max(rounds // 5, 2)):
            time.sleep(random.uniform(0.05, 1.5))  # who lives for a second is started again at once
            harness.wait_for(f"{name} runs", lambda: system.kill(name))
        time.sleep(1)
    load.check(system)


def test_any_of_them_killed_in_any_order(system, rounds):
    with Load(system) as load:
        for _ in range(rounds):
            time.sleep(random.uniform(0.02, 0.4))
            for name in random.sample(PROCESSES, random.choice([1, 1, 2, 4])):
                system.kill(name)  # it may be down already
        time.sleep(1)
    load.check(system)


def test_all_killed_at_once_with_their_supervisor(system, rounds):
    with Load(system) as load:
        for _ in range(max(rounds // 5, 2)):
            time.sleep(random.uniform(0.2, 0.8))
            system.kill_all()
            system.start()
        time.sleep(0.5)
    load.check(system)

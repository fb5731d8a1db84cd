# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Rate, concurrency, breaker, budget and schedules with real processes: they hold over restarts, and the operator sees them."""
import collections
import json
import random
import threading
import time

import harness


def status(system):
    answer = json.loads(system.api("GET", "/v1/status")[2])
    return next(group for group in answer["groups"] if group["name"] == "stripe")


def calls(system):
    return system.sandbox.get("/sandbox/status")["calls"]


def submit(system, n, deadline="1h"):
    for i in range(n):
        assert system.charge(f"order-{time.monotonic_ns()}-{i}", wait="0", deadline=deadline)[0] == 202


def test_a_rate_is_kept_while_the_broker_dies(tmp_path):
    with harness.System(tmp_path, limits="timeout: 5s, rate: 5/s") as system:
        submit(system, 20)
        began, at_first, seen, killed = time.monotonic(), calls(system), [], 0
        while len(seen) == 0 or seen[-1][1] < 20:
            assert time.monotonic() - began < 60, seen[-1]
            seen.append((time.monotonic(), calls(system)))
            if killed < 2 and seen[-1][1] >= at_first + 5 * (killed + 1):
                system.kill("broker")
                killed += 1
            time.sleep(0.05)
        for t0, n0 in seen:  # no window of a second or more saw more than its share and one call saved up
            for t1, n1 in seen:
                assert t1 - t0 < 1 or n1 - n0 <= 5 * (t1 - t0 + 0.3) + 1, (n1 - n0, t1 - t0)
        assert killed == 2
        assert system.settled()["unaccounted"] == 0
        assert "limits: rate 5/s" in system.cli("status").stdout


def test_so_many_calls_run_at_one_time_and_not_one_more(tmp_path):
    with harness.System(tmp_path, limits="timeout: 5s, concurrency: 2") as system:
        system.sandbox.fault(kind="slow", rate=1, ms=300)
        began = time.monotonic()
        submit(system, 10)
        while status(system)["pending"] > 0:
            seen = calls(system)
            assert seen <= 2 * (1 + (time.monotonic() - began) / 0.3), "more calls than two at one time can make"
            time.sleep(0.02)
        assert time.monotonic() - began >= 5 * 0.3
        assert sorted(system.sandbox.effects().values()) == [1] * 10


def test_a_service_that_is_down_is_left_alone_and_tried_again(tmp_path):
    with harness.System(tmp_path, limits="timeout: 2s, attempts: 100, breaker: { failures: 3, window: 1m, pause: 2s }") as system:
        system.sandbox.fault(kind="500", rate=1)
        submit(system, 3)
        harness.wait_for("the breaker opens", lambda: status(system)["limits"]["breaker"]["state"] == "open", 30)
        shown = system.cli("status").stdout
        assert "breaker open" in shown and "3 attempts in a row failed" in shown, shown
        so_far = calls(system)
        submit(system, 20)
        system.kill("broker")  # an open breaker outlives the broker
        harness.wait_for("the broker is back", system.is_ready, 20)
        assert calls(system) <= so_far + 2  # at most one try for each pause that ended meanwhile
        system.sandbox.no_faults()
        assert system.settled(60)["unaccounted"] == 0
        assert status(system)["limits"]["breaker"]["state"] == "closed"
        assert sorted(system.sandbox.effects().values()) == [1] * 23
        assert "BREAKER_CHANGED" in system.said()


BUDGET = """    budget: { per_day: 5 USD }
    prices: { charge: 1 USD }
"""


def test_a_budget_is_not_exceeded_by_many_at_once_or_a_restart(tmp_path):
    with harness.System(tmp_path, integrations=BUDGET) as system:
        done = collections.Counter()

        def call():
            for _ in range(5):
                code, answer = system.charge(wait="20s")
                done[code] += 1
                time.sleep(0.5 if code == 503 else 0)

        threads = [threading.Thread(target=call) for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        system.kill("broker")
        for thread in threads:
            thread.join()
        harness.wait_for("the broker is back", system.is_ready, 20)
        assert system.settled()["unaccounted"] == 0
        rows = system.log("--type", "payment.charge.requested")
        refused = [row for row in rows if row["error_class"] == "budget"]
        charged = [row for row in rows if row["status"] == "Success"]
        budget = status(system)["limits"]["budget"]
        spent = sum(row["cost"]["micros"] if row["cost"] else 1000000 for row in charged)
        assert refused and charged, (done, rows)
        assert budget["spent_micros"] == spent <= 5000000, (budget, spent)
        assert budget["exceeded"] and spent + 1000000 > 5000000
        assert len(system.sandbox.effects()) == len(charged)  # those refused were not called
        assert "may spend" in refused[0]["error_msg"]
        assert "exceeded" in system.cli("status").stdout
        system.kill("broker")
        harness.wait_for("the broker is back", system.is_ready, 20)
        assert status(system)["limits"]["budget"]["spent_micros"] == spent
        assert system.charge(wait="10s")[0] == 502
        assert len(system.sandbox.effects()) == len(charged)


SCHEDULE = """    schedules:
      - { operation: events, every: 1s, missed: once }
"""


def test_every_due_time_has_one_record_whoever_is_killed(tmp_path):
    with harness.System(tmp_path, integrations=SCHEDULE) as system:
        until = time.monotonic() + 12
        while time.monotonic() < until:
            time.sleep(random.uniform(0.2, 1.2))
            system.kill(random.choice(["broker", "payment", "logger"]))
        harness.wait_for("all are back", system.is_ready, 30)
        time.sleep(2.5)
        rows = [row for row in system.log("--type", "payment.events.*") if row["type"].rsplit(".", 1)[1] in ("requested", "missed")]
        dues = [row["data"]["due"] if row["type"].endswith("requested") else row["time"] for row in rows]
        dues = sorted(due for due in dues if due.endswith(".000000Z"))  # the others are runs made up for
        count = collections.Counter(dues)
        seconds = [time.strptime(due[:19], "%Y-%m-%dT%H:%M:%S") for due in dues]
        numbers = [int(time.mktime(second)) for second in seconds]
        assert set(count.values()) == {1}, [due for due, n in count.items() if n != 1]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), dues
        assert len(numbers) >= 12
        assert sum(row["type"].endswith("requested") for row in rows) >= 4
        assert "every 1s" in system.cli("status").stdout

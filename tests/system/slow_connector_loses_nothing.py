# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A provider that is slow, a connector that hangs or is gone: the others go on, and everything ends with one outcome."""
import os
import signal
import time

import harness


def quick_webhooks(system, n=50):
    """The slowest of n webhooks, in seconds."""
    slowest = 0
    for _ in range(n):
        body = harness.stripe_event("ticket.made")
        began = time.monotonic()
        assert system.webhook(body)[0] == 200
        slowest = max(slowest, time.monotonic() - began)
    return slowest


def test_a_slow_provider_is_waited_for_only_so_long_and_charged_once(tmp_path):
    with harness.System(tmp_path, limits="timeout: 1s") as system:
        system.sandbox.fault(kind="slow", next=1, ms=2500)
        status, outcome = system.charge("order-1", wait="30s")
        assert (status, outcome["status"]) == (200, "Success"), outcome
        assert list(system.sandbox.effects().values()) == [1]


def test_many_slow_calls_do_not_slow_webhooks(system):
    system.sandbox.fault(kind="slow", rate=1, ms=1000)
    for i in range(100):
        assert system.charge(f"order-{i}", wait="0", deadline="1h")[0] == 202
    assert quick_webhooks(system) < 1
    system.sandbox.no_faults()
    assert system.settled()["unaccounted"] == 0
    assert sorted(system.sandbox.effects().values()) == [1] * 100


def test_a_connector_that_hangs_holds_up_nobody_else(system):
    pid = system.pids()["payment"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for i in range(20):
            assert system.charge(f"order-{i}", wait="0", deadline="1h")[0] == 202
        assert quick_webhooks(system) < 1
    finally:
        os.kill(pid, signal.SIGCONT)
    assert system.settled(90)["unaccounted"] == 0
    assert sorted(system.sandbox.effects().values()) == [1] * 20


def test_a_caller_who_saw_an_error_is_not_charged_an_hour_later(system):
    pid = system.pids()["payment"]
    os.kill(pid, signal.SIGSTOP)
    try:
        status, answer = system.charge("order-1", wait="1s")
        assert status in (202, 502), answer
        time.sleep(1.5)
    finally:
        os.kill(pid, signal.SIGCONT)
    system.settled(90)
    row = system.log("--type", "payment.charge.requested")[-1]
    assert (row["status"], row["error_class"]) == ("Failed", "deadline"), row
    assert system.sandbox.effects() == {}


def test_a_service_that_stays_down_is_an_exhausted_failure(tmp_path):
    with harness.System(tmp_path, limits="timeout: 1s, attempts: 3") as system:
        system.sandbox.fault(kind="500", rate=1)
        assert system.charge("order-1", wait="0", deadline="1h")[0] == 202
        assert system.settled(60)["unaccounted"] == 0
        row = system.log("--type", "payment.charge.requested")[-1]
        assert (row["status"], row["error_class"], row["attempt"]) == ("Failed", "exhausted", 3), row
        assert system.sandbox.get("/sandbox/status")["calls"] == 3


def test_a_backlog_longer_than_memory_is_worked_off_from_segments_begun_since(system):
    """90 MiB while the connector is away: more than the broker keeps, over several segments of 16 MiB."""
    pid = system.pids()["payment"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(100):
            body = harness.stripe_event(payment_status="paid", note="x" * 900_000)
            assert system.webhook(body)[0] == 200
        assert len(list((system.home / "data/log").glob("[0-9]*.mdb"))) > 4
    finally:
        os.kill(pid, signal.SIGCONT)
    audit = system.settled(60)
    assert audit["unaccounted"] == 0, audit
    assert audit["success"] >= 100, audit
    assert "LOG_BROKEN" not in system.said()

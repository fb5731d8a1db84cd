# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""However often it is asked for, answered badly or not answered at all: a payment is taken once."""
import harness


def effects_are_one(system, n):
    assert sorted(system.sandbox.effects().values()) == [1] * n


def test_the_same_call_again_is_answered_with_the_first_outcome(system):
    status, first = system.charge("order-1")
    assert status == 200 and first["status"] == "Success", first
    status, second = system.charge("order-1")
    assert (status, second["id"]) == (200, first["id"])
    effects_are_one(system, 1)


def test_the_same_key_with_another_amount_is_a_conflict(system):
    system.charge("order-1")
    status, problem = system.charge("order-1", amount=2001)
    assert (status, problem["code"]) == (409, "idempotency_conflict")
    effects_are_one(system, 1)


def test_an_answer_that_was_lost_after_the_effect_does_not_charge_again(system):
    system.sandbox.fault(kind="cut_after_effect", next=2)
    status, outcome = system.charge("order-1", wait="30s")
    assert status == 200 and outcome["status"] == "Success", outcome
    effects_are_one(system, 1)


def test_faults_before_the_effect_are_retried_until_it_is_there(system):
    for kind in ("429", "500", "garbage", "cut"):
        system.sandbox.fault(kind=kind, next=1, retry_after=1)
    status, outcome = system.charge("order-1", wait="60s", timeout=70)
    assert status == 200 and outcome["status"] == "Success", outcome
    effects_are_one(system, 1)


def test_a_decline_is_final_and_says_why(system):
    status, problem = system.charge("order-1", payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
    assert (status, problem["code"]) == (502, "call_failed")
    assert "insufficient_funds" in problem["error_msg"]
    row = next(row for row in system.log("--status", "failed") if row["id"] == problem["id"])
    assert row["error_class"] == "permanent"
    assert system.sandbox.effects() == {}
    assert system.sandbox.get("/sandbox/status")["calls"] == 1


def test_a_connector_killed_in_the_middle_of_a_charge_does_not_charge_again(system):
    system.sandbox.fault(kind="slow", next=1, ms=1500)
    status, answer = system.charge("order-1", wait="0")
    assert status == 202, answer
    harness.wait_for("the charge has begun", lambda: system.sandbox.get("/sandbox/status")["calls"] == 1)
    system.kill("payment")
    assert system.settled(90)["unaccounted"] == 0
    assert [row["status"] for row in system.log("--type", "payment.charge.requested")] == ["Success"]
    effects_are_one(system, 1)

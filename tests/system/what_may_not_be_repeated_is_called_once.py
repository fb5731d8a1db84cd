# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""An operation that may not be repeated is called once, whoever dies meanwhile: what is not known ends Failed/unknown."""
import harness
import pytest
from bank import Bank, Town

@pytest.fixture
def bank():
    running = Bank()
    yield running
    running.stop()


@pytest.fixture
def town(tmp_path, bank):
    running = Town(tmp_path, bank.port)
    yield running
    running.parts.stop()


def test_nothing_dies_and_it_succeeds(town, bank):
    row = town.ended(town.call())
    assert row["status"] == "Success", row
    assert len(bank.effects) == 1


@pytest.mark.parametrize("victims", [["connector"], ["broker"], ["connector", "broker"], ["logger", "connector", "broker"]], ids="+".join)
def test_killed_after_the_effect_and_before_the_answer(town, bank, victims):
    bank.may_answer.clear()
    event = town.call()
    assert bank.called.wait(20), "the bank was not called"
    for name in victims:
        town.kill(name)
    if "logger" in victims:
        town.parts.start_logger()
    if "broker" in victims:
        town.parts.start_broker()
    if "connector" in victims:
        town.connector()
    bank.may_answer.set()
    row = town.ended(event)
    assert len(bank.effects) == 1, f"called {len(bank.effects)} times: {row}"
    if "connector" in victims:  # nobody lives who saw the answer
        assert (row["status"], row["error_class"]) == ("Failed", "unknown"), row
    else:  # the connector has it, and its session goes on with the next broker
        assert row["status"] == "Success", row


def test_refused_before_anything_was_sent_it_is_tried_again(tmp_path):
    port = harness.free_port()
    town = Town(tmp_path, port)
    try:
        event = town.call()
        harness.wait_for("an attempt was made", lambda: "CALL_FAILED" in town.parts.log("once"), 20)
        bank = Bank(port)
        row = town.ended(event)
        assert row["status"] == "Success", row
        assert len(bank.effects) == 1
        bank.stop()
    finally:
        town.parts.stop()

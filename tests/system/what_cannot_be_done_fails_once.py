# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot be done ends as exactly one Failed record with its class and a reason, and nothing else suffers."""
import time

import harness
import pytest
from bank import Bank, Town

LIVES_MAX = 12


@pytest.fixture
def bank():
    running = Bank()
    yield running
    running.stop()


@pytest.fixture
def town(tmp_path, bank):
    running = Town(tmp_path, bank.port, attempts=5)
    yield running
    running.parts.stop()


def failed(town, event, error_class, reason):
    row = town.ended(event)
    assert (row["status"], row["error_class"]) == ("Failed", error_class), row
    assert reason in row["error_msg"], row
    assert len(town.outcomes(event)) == 1


def test_a_request_that_ends_its_connector_is_tried_alone_and_given_up(town):
    """Five others stand around it; `town` is the supervisor here."""
    looks = [town.call("look") for _ in range(3)]
    poison = town.call("crash")
    looks += [town.call("look") for _ in range(2)]
    lives = 1

    def all_ended():
        nonlocal lives
        if town.parts.others[-1].poll() is not None and lives < LIVES_MAX:
            town.connector()
            lives += 1
        return town.row(poison)["status"] != "Pending" and all(town.row(look)["status"] != "Pending" for look in looks)
    harness.wait_for("all have their outcome", all_ended, 120, 0.1)
    failed(town, poison, "poison", "ended each time")
    assert [town.row(look)["status"] for look in looks] == ["Success"] * 5
    print(f"it took {lives} processes")  # with others, with a few, three times alone; a death may be seen late, and one lives


def test_a_service_that_always_fails_is_tried_so_often(town, bank):
    bank.status = 503
    failed(town, town.call("look"), "exhausted", "5 attempts")


def test_nobody_is_there_until_the_deadline(town, bank):
    event = town.call("look")
    assert town.ended(event)["status"] == "Success"  # what the connector can do is known from now on
    town.kill("connector")
    began = time.monotonic()
    failed(town, town.call("look", deadline="2s"), "deadline", "before an attempt could start")
    assert time.monotonic() - began < 15


def test_what_nobody_handles_is_refused_at_once(town):
    assert town.ended(town.call("look"))["status"] == "Success"
    status, answer = town.post("/v1/calls/once/fly?wait=0")
    assert (status, answer["code"]) == (404, "no_handler"), answer
    assert not town.log("--type", "once.fly.>")

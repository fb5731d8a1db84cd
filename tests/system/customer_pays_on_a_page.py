# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A checkout is one page, whatever befalls the call, and what becomes of it comes back by webhook with the application's own reference."""
import json

import harness
import pytest

PAGE = {"amount": 4200, "currency": "EUR", "success_url": "https://shop.example.com/thanks", "cancel_url": "https://shop.example.com/cart?keep=1",
        "description": "Order 17", "reference": "order-17", "metadata": {"order": "17"}}


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    with harness.Practice(tmp_path_factory.mktemp("page")) as running:
        yield running


def test_a_checkout_says_where_the_customer_goes(practice):
    outcome = practice.call("stripe", "payment.checkout", PAGE)
    assert outcome["status"] == "Success", outcome
    data = outcome["data"]
    assert data["url"].startswith("https://checkout.stripe.com/") and data["checkout_session"] in data["url"]
    assert (data["status"], data["amount"], data["currency"]) == ("open", 4200, "eur")


@pytest.mark.parametrize("fault", ["cut", "cut_after_effect", "500", "garbage"])
def test_an_answer_that_is_lost_leaves_one_page(practice, fault):
    before = practice.effects("stripe")
    practice.fault("stripe", kind=fault, next=1)
    outcome = practice.call("stripe", "payment.checkout", PAGE)
    assert (outcome["status"], outcome["attempt"]) == ("Success", 2), outcome
    assert practice.effects("stripe") == before + 1


def test_what_is_wrong_is_named_before_any_call(practice):
    before = practice.effects("stripe")
    for change, named in (({"amount": 0}, "amount"), ({"currency": "euro"}, "currency"), ({"success_url": "shop"}, "success_url"),
                          ({"cancel_url": None}, "cancel_url"), ({"payment_method": "pm_card_visa"}, "payment_method")):
        outcome = practice.call("stripe", "payment.checkout", {**PAGE, **change})
        assert (outcome["status"], outcome["error_class"]) == ("Failed", "permanent") and named in outcome["error_msg"], outcome
    assert practice.effects("stripe") == before


def test_that_it_was_paid_is_told_with_the_reference(practice):
    session = practice.call("stripe", "payment.checkout", PAGE)["data"]["checkout_session"]
    done = practice.cli("simulate", "stripe", "checkout.session.completed", "--data",
                        json.dumps({"id": session, "client_reference_id": PAGE["reference"], "amount_total": PAGE["amount"], "metadata": PAGE["metadata"]}))
    assert done.returncode == 0, done
    row = harness.wait_for("it is told", lambda: next((row for row in practice.log("--records", "--type", "payment.checkout.completed")
                                                       if row["data"].get("checkout_session") == session), None))
    assert (row["data"]["reference"], row["data"]["is_paid"], row["data"]["metadata"]) == ("order-17", True, {"order": "17"})

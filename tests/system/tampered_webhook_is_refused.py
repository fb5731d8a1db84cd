# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Only what Stripe signed, as it signed it and when, becomes an event."""
import json
import time

import harness
import pytest


def accepted(system):
    """Webhooks that became events; refusals are written down, too, but under another type."""
    return len(system.log("--type", "stripe.>"))


def test_a_signed_webhook_becomes_a_domain_event(shared):
    body = harness.stripe_event("checkout.session.completed", payment_status="paid", amount_total=2000, currency="usd")
    status, _, answer = shared.webhook(body)
    assert status == 200, answer
    mine = json.loads(answer)["ids"][0]
    shared.settled()
    row = next(row for row in shared.log() if row["id"] == mine)
    assert (row["type"], row["status"], row["service"]) == ("stripe.checkout.session.completed", "Success", "Stripe")


def twins(body):
    good = harness.stripe_signature(body)
    digit = good.index("v1=") + 3
    yield "tampered body", body.replace(b'"paid"', b'"PAID"'), good
    yield "truncated body", body[:-2], good
    yield "re-serialised body", json.dumps(json.loads(body)).encode(), good
    yield "changed signature", body, good[:digit] + ("0" if good[digit] != "0" else "1") + good[digit + 1:]
    yield "stale", body, harness.stripe_signature(body, at=time.time() - 3600)
    yield "wrong secret", body, harness.stripe_signature(body, "whsec_of_somebody_else")
    yield "no v1", body, good.replace("v1=", "v0=")
    yield "upper-case hex", body, good[:digit] + good[digit:].upper()
    yield "moved timestamp", body, good.replace("t=", "t=1")
    yield "empty header", body, " "


@pytest.mark.parametrize("twin", range(10))
def test_a_twin_that_was_not_signed_is_refused_without_a_word(shared, twin):
    name, body, signature = list(twins(harness.stripe_event(payment_status="paid")))[twin]
    before = accepted(shared)
    status, _, answer = shared.webhook(body, signature)
    assert status == 401, (name, answer)
    assert b"secret" not in answer.lower() and b"time" not in answer.lower(), answer
    assert accepted(shared) == before, name


def test_no_header_at_all_is_refused(shared):
    assert harness.http_call(shared.port, "POST", "/webhooks/stripe", b"{}", {"Content-Type": "application/json"})[0] == 401


def test_the_operator_learns_why(shared):
    body = harness.stripe_event()
    shared.webhook(body, harness.stripe_signature(body, "whsec_of_somebody_else"))
    harness.wait_for("the reason in the log of the gateway", lambda: "WEBHOOK_REFUSED" in shared.said(), 5)
    assert harness.WEBHOOK_SECRET not in shared.said()


def test_the_operator_sees_each_endpoint_with_its_last_refusal(shared):
    body = harness.stripe_event("charge.refunded")
    good = json.loads(shared.webhook(body)[2])["ids"][0]

    def endpoint():  # only so many refusals a second are written down
        shared.webhook(body, harness.stripe_signature(body, "whsec_of_somebody_else"))
        row = json.loads(shared.cli("webhooks", "--json").stdout)
        accepted, refused = row["last_accepted"] or {}, row["last_refused"] or {}
        return row if accepted.get("id") == good and "matches none of 1 secret" in refused.get("why", "") else None
    row = harness.wait_for("both are in the log", endpoint, 10)
    assert (row["path"], row["scheme"], row["integration"]) == ("stripe", "stripe", "stripe")
    assert row["url"] == f"http://127.0.0.1:{shared.port}/webhooks/stripe"
    assert row["last_accepted"]["type"] == "stripe.charge.refunded"
    text = shared.cli("webhooks").stdout
    assert row["url"] in text and "last refused" in text and harness.WEBHOOK_SECRET not in text


def test_a_flood_is_counted_to_the_last_one_though_the_gateway_stops_in_its_minute(system):
    body = harness.stripe_event()
    for _ in range(75):
        assert system.webhook(body, harness.stripe_signature(body, "whsec_of_somebody_else"))[0] == 401
    system.stop()  # all of it: what was only counted goes into the log on the way
    whys = [row["error_msg"] for row in system.log("--type", "signalbox.webhook.refused")]
    assert len(whys) == 61 and whys[-1].startswith("15 more in the last minute; the last: matches none of"), whys[-2:]


def test_a_gateway_that_is_killed_loses_the_counts_of_its_minute_and_no_more(system):
    body = harness.stripe_event()

    def forge():
        return system.webhook(body, harness.stripe_signature(body, "whsec_of_somebody_else"))[0]

    def whys():
        return [row["error_msg"] for row in system.log("--type", "signalbox.webhook.refused")]
    assert {forge() for _ in range(75)} == {401}
    harness.wait_for("the first sixty are committed", lambda: len(whys()) == 60)
    system.kill("gateway")
    harness.wait_for("another one serves", system.is_ready, 30)
    assert forge() == 401
    harness.wait_for("it begins a minute of its own", lambda: len(whys()) == 61)
    assert not [why for why in whys() if "more in the last minute" in why]


def test_a_duplicate_is_answered_well_and_stored_once(shared):
    body = harness.stripe_event(payment_status="paid")
    before = accepted(shared)
    first = json.loads(shared.webhook(body)[2])["ids"]
    time.sleep(1.1)  # a second delivery has a signature of its own
    status, _, answer = shared.webhook(body)
    assert (status, json.loads(answer)["ids"]) == (200, first)
    assert accepted(shared) == before + 1


def test_the_sandbox_sends_what_is_accepted_and_what_is_not(shared):
    assert shared.sandbox.webhook("checkout.session.completed")["status"] == 200
    for fault in ("stale", "bad-signature", "wrong-secret", "tampered"):
        assert shared.sandbox.webhook("checkout.session.completed", fault)["status"] == 401, fault
    before = accepted(shared)
    assert [sent["status"] for sent in shared.sandbox.webhook("charge.refunded", "duplicate")["sent"]] == [200, 200]
    assert accepted(shared) == before + 1
    assert [sent["status"] for sent in shared.sandbox.webhook("charge.refunded", "reorder")["sent"]] == [200, 200]


def test_an_app_cannot_say_what_only_stripe_may_say(shared):
    before = accepted(shared)
    for kind in ("stripe.checkout.session.completed", "payment.charge.succeeded", "payment.checkout.completed", "signalbox.anything"):
        event = {"specversion": "1.0", "id": "forged", "source": "thief", "type": kind, "data": {}}
        status, _, answer = shared.api("POST", "/v1/events", json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"})
        assert (status, json.loads(answer).get("code")) == (403, "reserved_type"), (kind, answer)
    assert accepted(shared) == before

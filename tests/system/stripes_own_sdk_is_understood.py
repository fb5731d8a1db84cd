# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Stripe's own SDK signs webhooks that are accepted, and takes the sandbox for Stripe; a fake Stripe not made by us takes our calls."""
import json
import subprocess
import time

import harness
import pytest


@pytest.fixture(scope="module")
def sdk():
    """Runs a script of node/ with text on its standard input, or skips with the reason."""
    run, why = harness.node("stripe", "stripe-stateful-mock")
    if not run:
        pytest.skip(why)
    return run


def signed(sdk, body):
    return sdk("sign.mjs", harness.WEBHOOK_SECRET + "\n" + body.decode())


def test_what_it_signs_is_accepted_and_its_twins_are_not(shared, sdk):
    body = harness.stripe_event(payment_status="paid", note="\u00fc \u20ac \U0001f600 \\u00e9 \"quotes\" and a\ttab")
    header = signed(sdk, body)
    for twin in (body.replace(b"paid", b"PAID"), body[:-1], body + b" ", json.dumps(json.loads(body), separators=(",", ":")).encode()):
        assert shared.webhook(twin, header)[0] == 401, twin[:40]
    first = shared.webhook(body, header)
    assert first[0] == 200, first
    assert shared.webhook(body, header)[2] == first[2]
    mine = json.loads(first[2])["ids"][0]
    shared.settled()
    assert [row["status"] for row in shared.log() if row["id"] == mine] == ["Success"]


def test_what_it_signed_an_hour_ago_is_stale(shared, sdk):
    body = harness.stripe_event()
    header = signed(sdk, body)
    at = int(header.split("t=")[1].split(",")[0])
    assert abs(at - time.time()) < 30
    assert shared.webhook(body, header.replace(f"t={at}", f"t={at - 3600}"))[0] == 401


def test_it_takes_the_sandbox_for_stripe(tmp_path, sdk):
    sandbox = harness.Sandbox(tmp_path).start()
    try:
        said = json.loads(sdk("charge.mjs", harness.API_KEY, str(sandbox.port)))
        effects = sandbox.effects()
    finally:
        sandbox.stop()
    assert (said["paid"]["status"], said["paid"]["metadata"]) == ("succeeded", {"order id": "6735 & \u00fc"})
    assert said["again"]["id"] == said["paid"]["id"] == said["fetched"]["id"]
    assert (said["declined"]["type"], said["declined"]["decline_code"], said["declined"]["statusCode"]) == ("card_error", "insufficient_funds", 402)
    assert (said["conflict"]["type"], said["conflict"]["statusCode"]) == ("idempotency_error", 400)
    assert (said["invalid"]["code"], said["invalid"]["param"]) == ("parameter_invalid_integer", "amount")
    assert (said["missing"]["code"], said["missing"]["statusCode"]) == ("resource_missing", 404)
    assert said["refund"]["status"] == "succeeded"
    assert said["refundAgain"]["code"] == "charge_already_refunded"
    assert (said["checkout"]["status"], said["checkout"]["amount_total"]) == ("open", 500) and said["checkout"]["url"], said["checkout"]
    assert said["session"]["id"] == said["checkout"]["id"]
    assert len(said["events"]) == 8, said["events"]
    assert effects["first"] == 1


class ThirdPartyStripe:
    """npm's stripe-stateful-mock in the place of our sandbox. It has refunds, and charges to refund; no payment intents."""

    def __init__(self, directory):
        self.directory, self.port, self.process = directory, harness.free_port(), None

    def start(self):
        self.process = subprocess.Popen(["node", "node_modules/stripe-stateful-mock/dist/cli.js"], cwd=harness.ROOT / "build-check/node",
                                        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "PORT": str(self.port), "LOG_LEVEL": "silent"},
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_for("the third party's fake answers", lambda: harness.port_answers(self.port, "/v1/charges") or self.listens())
        return self

    def listens(self):
        try:
            return self.post("/v1/nothing", "")[0] > 0
        except OSError:
            return False

    def stop(self):
        harness.stop(self.process)

    def post(self, path, form):
        headers = {"Authorization": f"Bearer {harness.API_KEY}", "Content-Type": "application/x-www-form-urlencoded"}
        status, _, body = harness.http_call(self.port, "POST", path, form, headers)
        return status, body


def test_a_fake_stripe_of_a_third_party_takes_our_refunds(tmp_path, sdk):
    system = harness.System(tmp_path)
    system.sandbox = fake = ThirdPartyStripe(tmp_path)
    with system:
        status, body = fake.post("/v1/charges", "amount=2000&currency=usd&source=tok_visa")
        assert status == 200, body
        charge = json.loads(body)["id"]

        def refund(amount, key):
            status, _, body = system.api("POST", "/v1/calls/payment/refund", {"charge": charge, "amount": amount, "reason": "duplicate"}, {"Idempotency-Key": key})
            return status, json.loads(body)
        status, outcome = refund(500, "r1")
        assert (status, outcome["status"], outcome["data"]["amount"]) == (200, "Success", 500), outcome
        status, problem = refund(1501, "r2")
        assert (status, problem["class"]) == (502, "permanent"), problem

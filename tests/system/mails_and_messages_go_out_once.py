# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever befalls a call to a mail or message provider: one effect, or an honest `unknown`; and its webhooks become the domain's events."""
import json

import harness
import pytest

MAIL = {"to": ["a@example.com"], "subject": "Order", "text": "Thank you"}
SENDS = {
    "resend": ("email.send", MAIL),
    "sendgrid": ("email.send", MAIL),
    "slack": ("messaging.send", {"to": "C012", "text": "hello"}),
    "twilio": ("messaging.send", {"to": "+15551234567", "text": "hello"}),
}
KEYED = {"resend"}  # the others know no idempotency key
LISTED = {"twilio"}  # its list of messages is asked
REFUSED = {
    "resend": ({**MAIL, "to": ["quota@resend.dev"]}, "for the day is used up"),
    "sendgrid": ({**MAIL, "from": "shop@unverified.example"}, "does not accept the API key, or it may not do this (403)"),
    "slack": ({"to": "#private", "text": "hello"}, "not_in_channel"),
    "twilio": ({"to": "+15005550004", "text": "hello"}, "21610"),
}


def send(practice, provider, data=None, wait="30s"):
    operation, usual = SENDS[provider]
    return practice.call(provider, operation, data or usual, wait)


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    with harness.Practice(tmp_path_factory.mktemp("practice")) as running:
        yield running


@pytest.mark.parametrize("provider", SENDS)
def test_what_is_sent_is_done_once_and_a_refusal_says_why(practice, provider):
    before = practice.effects(provider)
    outcome = send(practice, provider)
    assert outcome["status"] == "Success" and outcome["data"]["provider"] == provider, outcome
    assert outcome["data"]["message_id"]
    data, reason = REFUSED[provider]
    refused = send(practice, provider, data)
    assert (refused["status"], refused["error_class"]) == ("Failed", "permanent") and reason in refused["error_msg"], refused
    assert practice.effects(provider) == before + 1


@pytest.mark.parametrize("provider", SENDS)
def test_a_provider_that_is_busy_or_slow_is_waited_for(practice, provider):
    before = practice.effects(provider)
    practice.fault(provider, kind="429", next=2, retry_after=1)
    practice.fault(provider, kind="slow", next=1, ms=500)
    outcome = send(practice, provider)
    assert outcome["status"] == "Success" and outcome["attempt"] == 3, outcome
    assert practice.effects(provider) == before + 1


@pytest.mark.parametrize("kind", ["cut_after_effect", "cut", "garbage", "500", "endless"])
@pytest.mark.parametrize("provider", SENDS)
def test_what_nobody_can_know_is_sent_again_under_its_key_or_looked_up_or_said_to_be_unknown(practice, provider, kind):
    before = practice.effects(provider)
    practice.fault(provider, kind=kind, next=1)
    outcome = send(practice, provider, {**SENDS[provider][1], "text": f"after {kind}"})
    if provider in KEYED | LISTED:
        assert outcome["status"] == "Success", outcome
        assert provider in LISTED or outcome["attempt"] == 2, outcome
        assert practice.effects(provider) == before + 1
    else:
        assert (outcome["status"], outcome["error_class"]) == ("Failed", "unknown"), outcome
        assert practice.effects(provider) == before + (kind == "cut_after_effect")


@pytest.mark.parametrize("provider", ["resend", "sendgrid"])
def test_what_becomes_of_a_mail_is_heard_with_the_id_of_its_request(practice, provider):
    sent = send(practice, provider, {**MAIL, "to": [f"bounce+{provider}@example.com"]})
    row = harness.wait_for("the bounce is there", lambda: next(
        (row for row in practice.log("--records", "--type", "email.bounced") if row.get("data", {}).get("request") == sent["id"]), None))
    assert row["data"]["recipient"] == f"bounce+{provider}@example.com"
    assert row["data"]["message_id"] == sent["data"]["message_id"]


def test_what_becomes_of_a_message_is_heard_with_its_name(practice):
    sent = send(practice, "twilio", {"to": "+15005550010", "text": "to a phone that is off"})
    row = harness.wait_for("the failure is there", lambda: next(
        (row for row in practice.log("--records", "--type", "messaging.failed")
         if row.get("data", {}).get("message_id") == sent["data"]["message_id"]), None))
    assert (row["data"]["status"], row["data"]["code"]) == ("undelivered", "30005")


@pytest.mark.parametrize("fault", ["none", "duplicate", "reorder", "stale", "bad-signature", "wrong-secret", "tampered"])
@pytest.mark.parametrize("endpoint,event", [("stripe", "charge.refunded"), ("sendgrid", "open"), ("resend", "email.opened"), ("slack", "message"),
                                            ("twilio", "message.delivered"), ("openai", "response.completed"), ("anthropic", "session.created")])
def test_every_providers_webhooks_are_taken_when_they_are_right_and_refused_otherwise(practice, endpoint, event, fault):
    stored = len(practice.log("--type", f"{endpoint}.{event}"))
    done = practice.cli("simulate", endpoint, event, *([] if fault == "none" else ["--fault", fault]))
    if (endpoint, fault) == ("twilio", "stale"):
        assert done.returncode == 1 and "signs no time" in done.stdout, done
        return
    assert done.returncode == 0, done
    new = {"none": 1, "duplicate": 1, "reorder": 2}.get(fault, 0)
    assert len(practice.log("--type", f"{endpoint}.{event}")) == stored + new


def test_every_key_is_accounted_for(practice):
    audit = json.loads(practice.cli("audit", "--json").stdout.splitlines()[-1])
    assert audit["unaccounted"] == 0

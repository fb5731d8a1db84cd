# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Where a vendor publishes no description of its API its own SDK judges our requests: Anthropic's by its types, of the SDK for either
version of the API; Resend's by being the same bytes as its SDK's for the same mail."""
import json
import subprocess

import harness
import models
import pytest

PACKAGES = {"anthropic-2023-06-01": "anthropic-sdk-0", "anthropic-2026-10-21": "@anthropic-ai/sdk"}


def requests(name, spec):
    """The bodies that the connector makes for the inputs of tests/conformance."""
    program = harness.BUILD / f"tests/conformance/{name}_requests"
    lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    found = [one for one in map(json.loads, lines) if one["spec"] == spec]
    assert found
    return found


@pytest.mark.parametrize("spec", PACKAGES)
def test_anthropics_types_take_our_messages(spec):
    run, why = harness.node("typescript", "@anthropic-ai/sdk", "anthropic-sdk-0")
    if not run:
        pytest.skip(why)
    ours = [json.loads(one["body"]) for one in requests("ai", spec)]
    wrong = [{**ours[0], "max_token": 5}, {key: value for key, value in ours[0].items() if key != "max_tokens"},
             {**ours[0], "messages": [{"role": "tool", "content": "x"}]}]
    question = {"package": PACKAGES[spec], "type": "Vendor.MessageCreateParamsNonStreaming", "values": ours + wrong + [{**ours[-1], "temperature": 0.5}]}
    said = json.loads(run("typed.mjs", json.dumps(question)))
    assert said[:len(ours)] == [[]] * len(ours)
    assert all(said[len(ours):-1]), said  # the judge does judge
    # the older version has a temperature, the newer one has none: the connector refuses it there
    assert bool(said[-1]) == (spec == "anthropic-2026-10-21")


def test_our_mail_is_the_one_that_resends_sdk_sends():
    run, why = harness.node("resend")
    if not run:
        pytest.skip(why)
    mail = {"from": "F <f@example.com>", "to": ["A <a@example.com>", "b@example.com"], "cc": ["c@example.com"], "bcc": ["d@example.com"],
            "replyTo": "r@example.com", "subject": "\u00fc", "text": "T", "html": "<p>T</p>",
            "attachments": [{"filename": "a.pdf", "content": "AAEC", "contentType": "application/pdf"}]}
    with models.Provider({"/emails": (200, {"id": "49a3999c"})}) as fake:
        run("mailed.mjs", json.dumps(mail), f"http://127.0.0.1:{fake.port}")
        theirs = fake.seen[0]
    [ours] = requests("email", "resend")
    body = json.loads(ours["body"])
    assert [tag["name"] for tag in body.pop("tags")] == ["signalbox_event"]  # ours alone: how the webhooks find the event
    assert (ours["method"], ours["url"]) == (theirs["method"], "https://api.resend.com" + theirs["path"])
    assert body == json.loads(theirs["body"])
    assert theirs["headers"]["idempotency-key"] == "a-key"  # the header that the SDK of ours sends, too: SB_REPEAT_KEYED

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Six providers' own SDKs make a call and one that fails through the proxy, with no credential, and the log has both."""
import json

import harness
import pytest
from applications_hold_no_credential import stanza

PREFIX = {"stripe": "", "openai": "/openai", "anthropic": "/anthropic", "slack": "/slack", "sendgrid": "/sendgrid", "resend": "/resend"}
KEYS = {"stripe": harness.API_KEY, "openai": "sk-test-held-by-the-proxy", "anthropic": "sk-ant-test-held-by-the-proxy", "slack": "xoxb-test-held-by-the-proxy",
        "sendgrid": "SG.test.held-by-the-proxy", "resend": "re_test_held_by_the_proxy"}
SAID = "You said: Hello from an application"


class Everything(harness.System):
    """A proxy for each provider, all of them the sandbox's."""

    def __init__(self, directory):
        super().__init__(directory, secrets={f"key_{name}": key for name, key in KEYS.items()})
        self.ports = {name: harness.free_port() for name in PREFIX}

    def write_config(self):
        self.integrations = "".join(
            stanza("stripe_proxy" if name == "stripe" else name, self.ports[name], f"{self.sandbox.port}{prefix}", provider=name, secret=f"key_{name}",
                   more="      prices: \"gpt-4o-mini 0.15 0.60, claude-sonnet-4-5 3 15\"\n" if name in ("openai", "anthropic") else "")
            for name, prefix in PREFIX.items())
        super().write_config()


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the SDKs understood, and the log's rows."""
    run, why = harness.node("stripe", "openai", "@anthropic-ai/sdk", "@slack/web-api", "@sendgrid/mail", "resend")
    if not run:
        pytest.skip(why)
    with Everything(tmp_path_factory.mktemp("sdks")) as system:
        for name, port in system.ports.items():
            harness.wait_for(f"the proxy of {name} listens", lambda port=port: harness.listens(port))
        answers = json.loads(run("proxied.mjs", "", json.dumps(system.ports)))
        system.settled()
        text = system.cli("log", "--json", "--records", "--limit", "100000").stdout
        yield answers, system.log(), text, system.sandbox.effects()


def rows(said, service):
    return [(row["type"].split(".")[1], row["status"], row["error_class"]) for row in said[1] if row["service"] == service]


def test_stripe(said):
    answers = said[0]["stripe"]
    assert answers["call"]["ok"]["status"] == "succeeded"
    assert answers["again"]["ok"]["id"] == answers["call"]["ok"]["id"] == answers["fetched"]["ok"]["id"]
    assert (answers["failed"]["status"], answers["failed"]["code"]) == (402, "card_declined"), answers["failed"]
    assert answers["forbidden"]["status"] == 403 and "options.allow" in answers["forbidden"]["message"]
    assert said[3]["proxied"] == 1  # the application's key was kept
    assert rows(said, "stripe_proxy") == [("call", "Success", None), ("call", "Success", None), ("read", "Success", None), ("call", "Failed", "permanent")]


def test_openai(said):
    answers = said[0]["openai"]
    assert answers["call"]["ok"]["choices"][0]["message"]["content"] == SAID
    assert len(answers["stream"]["ok"]) > 2 and "".join(answers["stream"]["ok"]) == SAID
    assert answers["models"]["ok"] > 0
    assert (answers["failed"]["status"], answers["failed"]["code"]) == (404, "model_not_found")
    assert "ok" not in answers["broken"]
    assert [status for _, status, _ in rows(said, "openai")] == ["Success", "Success", "Success", "Failed", "Failed"]
    assert [bool(row["cost"]) for row in said[1] if row["service"] == "openai"] == [True, True, False, False, False], said[1]


def test_anthropic(said):
    answers = said[0]["anthropic"]
    assert answers["call"]["ok"]["content"][0]["text"] == SAID
    assert len(answers["stream"]["ok"]) > 2 and "".join(answers["stream"]["ok"]) == SAID
    assert answers["failed"]["status"] == 404
    assert [bool(row["cost"]) for row in said[1] if row["service"] == "anthropic"] == [True, True, False]
    assert [status for _, status, _ in rows(said, "anthropic")] == ["Success", "Success", "Failed"]


def test_slack(said):
    answers = said[0]["slack"]
    assert answers["call"]["ok"]["ok"] is True
    assert answers["failed"]["data"]["error"] == "channel_not_found", answers["failed"]
    assert rows(said, "slack") == [("call", "Success", None), ("call", "Failed", "permanent")]


def test_sendgrid(said):
    answers = said[0]["sendgrid"]
    assert answers["call"]["ok"] == 202
    assert answers["failed"]["status"] == 400
    assert rows(said, "sendgrid") == [("call", "Success", None), ("call", "Failed", "permanent")]


def test_resend(said):
    answers = said[0]["resend"]
    assert answers["call"]["data"]["id"] and not answers["call"]["error"]
    assert answers["failed"]["error"]["name"] == "daily_quota_exceeded", answers["failed"]
    assert rows(said, "resend") == [("call", "Success", None), ("call", "Failed", "exhausted")]


def test_no_key_is_in_the_log(said):
    assert not [name for name, key in KEYS.items() if key in said[2]]

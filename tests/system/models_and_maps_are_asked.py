# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Models and maps: an answer or the reason, whatever befalls a call; one provider that fails leaves the others' outcomes flowing. The
providers' own SDKs take the practice ones for theirs."""
import json
import subprocess

import harness
import pytest

HELLO = [{"role": "user", "content": "one two"}]
CHAT = {"messages": HELLO, "max_tokens": 50}
PLACE = {"address": "1 High St, Oxford"}
ASKED = {
    "openai": ("ai.chat", CHAT),
    "anthropic": ("ai.chat", CHAT),
    "google": ("maps.geocode", PLACE),
    "nominatim": ("maps.geocode", PLACE),
}


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    with harness.Practice(tmp_path_factory.mktemp("practice")) as running:
        yield running


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_model_answers_and_what_it_cost_is_known_by_the_prices(practice, provider):
    outcome = practice.call(provider, "ai.chat", CHAT)
    assert outcome["status"] == "Success" and outcome["data"]["text"] == "You said: one two", outcome
    assert outcome["data"]["usage"] == {"input_tokens": 2, "output_tokens": 4}
    assert (outcome["cost"], outcome["cost_currency"], outcome["cost_kind"]) == (2 * 1 + 4 * 2, "USD", "actual")
    unpriced = practice.call(provider, "ai.chat", {**CHAT, "model": "another"})
    assert unpriced["status"] == "Success" and "cost" not in unpriced, unpriced
    models = practice.call(provider, "ai.models", {})
    assert models["data"]["count"] == 1, models


def test_texts_become_vectors_one_for_each(practice):
    outcome = practice.call("openai", "ai.embed", {"model": "practice-embed", "input": ["a", "b"]})
    vectors = [one["embedding"] for one in outcome["data"]["embeddings"]]
    assert len(vectors) == 2 and vectors[0] != vectors[1] and all(isinstance(x, (int, float)) for x in vectors[0]), outcome


def test_both_maps_know_the_same_places(practice):
    by = {name: practice.call(name, "maps.geocode", PLACE)["data"] for name in ("google", "nominatim")}
    assert [by["google"][x] for x in ("lat", "lng")] == [by["nominatim"][x] for x in ("lat", "lng")], by
    at = {"lat": by["google"]["lat"], "lng": by["google"]["lng"]}
    for name in by:
        assert "Practice Road" in practice.call(name, "maps.reverse", at)["data"]["address"]
    way = practice.call("google", "maps.route", {"origin": PLACE["address"], "destination": at, "mode": "walking"})
    assert (way["status"], way["data"]["distance_m"]) == ("Success", 0), way
    refused = practice.cli("call", "maps.route", "--integration", "nominatim", "--data", '{"origin":"a","destination":"b"}')
    assert refused.returncode == 1 and "does not handle maps.route" in refused.stderr


@pytest.mark.parametrize("provider,operation,data,reason", [
    ("openai", "ai.chat", {**CHAT, "model": "no-such-model"}, "does not exist"),
    ("openai", "ai.chat", {**CHAT, "model": "no-credit"}, "no credit left"),
    ("openai", "ai.chat", {**CHAT, "model": "refuses"}, "I cannot help with that"),
    ("openai", "ai.chat", {"messages": []}, "messages must be a list"),
    ("anthropic", "ai.chat", {**CHAT, "model": "no-such-model"}, "refused the request (404)"),
    ("anthropic", "ai.chat", {**CHAT, "model": "refuses"}, "gave no text"),
    ("google", "maps.geocode", {"address": "nowhere"}, "found nothing (ZERO_RESULTS)"),
    ("google", "maps.geocode", {"address": "denied"}, "does not serve this key (REQUEST_DENIED)"),
    ("nominatim", "maps.geocode", {"address": "nowhere"}, "found nothing"),
    ("nominatim", "maps.geocode", {"address": "denied"}, "keeps this caller out (403)"),
])
def test_what_is_refused_for_good_is_asked_once_and_says_why(practice, provider, operation, data, reason):
    calls = practice.sandbox("GET", "/sandbox/status")["calls"]
    outcome = practice.call(provider, operation, data)
    assert (outcome["status"], outcome["error_class"], outcome["attempt"]) == ("Failed", "permanent", 1) and reason in outcome["error_msg"], outcome
    assert practice.sandbox("GET", "/sandbox/status")["calls"] <= calls + 2  # a poll of Stripe's may fall between


@pytest.mark.parametrize("kind", ["429", "500", "cut", "cut_after_effect", "garbage", "endless"])
@pytest.mark.parametrize("provider", ASKED)
def test_whatever_befalls_a_call_it_is_asked_again(practice, provider, kind):
    practice.fault(provider, kind=kind, next=1, retry_after=1)
    outcome = practice.call(provider, *ASKED[provider])
    assert (outcome["status"], outcome["attempt"]) == ("Success", 2), outcome


def test_a_provider_that_fails_leaves_the_others_outcomes_flowing(practice):
    practice.fault("google", kind="500", rate=1)
    try:
        stuck = practice.cli("call", "maps.geocode", "--integration", "google", "--wait", "0", "--deadline", "1h", "--data", json.dumps(PLACE))
        assert stuck.returncode == 4, stuck.stderr
        for provider in ("openai", "anthropic", "nominatim"):
            assert practice.call(provider, *ASKED[provider])["status"] == "Success", provider
        assert len(practice.log("--type", "maps.geocode.requested", "--status", "pending")) == 1
    finally:
        practice.sandbox("DELETE", "/sandbox/faults")


@pytest.mark.parametrize("provider,event", [("openai", "response.completed"), ("anthropic", "session.updated")])
def test_a_signed_webhook_is_a_fact_and_its_twins_are_refused(practice, provider, event):
    assert practice.cli("simulate", provider, event).returncode == 0
    assert [row["status"] for row in practice.log("--type", f"{provider}.{event}")] == ["Success"]
    for fault in ("tampered", "stale", "wrong-secret"):
        sent = json.loads(practice.cli("simulate", provider, event, "--fault", fault, "--json").stdout)
        assert sent["status"] == 401, (fault, sent)
    assert len(practice.log("--type", f"{provider}.{event}")) == 1


def test_no_key_is_in_any_log(practice):
    said = (practice.directory / "up.err").read_text()
    assert "AIza" not in said and "sk-sandbox" not in said and "sk-ant-sandbox" not in said


def test_the_providers_own_sdks_take_the_sandbox_for_theirs(tmp_path):
    run, why = harness.node("openai", "@anthropic-ai/sdk")
    if not run:
        pytest.skip(why)
    sandbox = harness.start([harness.program("signalbox-sandbox"), "--port", "0"], None, tmp_path / "err", stdout=subprocess.PIPE, text=True)
    try:
        said = json.loads(run("models.mjs", "", str(json.loads(sandbox.stdout.readline())["port"])))
    finally:
        harness.stop(sandbox)
    openai, anthropic = said["openai"], said["anthropic"]
    assert openai["chat"]["choices"][0]["message"]["content"] == "You said: one two \u00fc"
    assert (openai["cut"]["choices"][0]["finish_reason"], openai["refused"]["choices"][0]["message"]["content"]) == ("length", None)
    assert "".join(openai["stream"][:-1]) == "You said: one two \u00fc" and openai["stream"][-1]["total_tokens"] == 8
    assert openai["embedding"] == openai["floats"] and len(openai["embedding"]) == 2
    assert "error" in openai["brokenOff"]
    assert {name: (one["error"], one["status"]) for name, one in openai["errors"].items()} == {
        "no-such-model": ("NotFoundError", 404), "no-credit": ("RateLimitError", 429), "rate-limited": ("RateLimitError", 429),
        "overloaded": ("InternalServerError", 503), "bad input": ("BadRequestError", 400)}
    assert openai["errors"]["no-credit"]["code"] == "insufficient_quota"
    assert anthropic["chat"]["content"] == anthropic["final"]["content"] == [{"type": "text", "text": "You said: one two \u00fc"}]
    assert anthropic["cut"]["stop_reason"] == "max_tokens"
    assert anthropic["stream"] == ["You ", "said: ", "one ", "two ", "\u00fc", "end_turn"]
    assert {name: one["status"] for name, one in anthropic["errors"].items()} == {
        "no-such-model": 404, "no-credit": 400, "rate-limited": 429, "overloaded": 529, "bad input": 400}
    for one in (openai, anthropic):
        assert one["key"]["error"] == "AuthenticationError" and len(one["models"]) == 1
        assert all(error["id"] for error in one["errors"].values())


def test_a_budget_reserves_what_a_call_may_cost_at_most(tmp_path):
    with harness.Practice(tmp_path) as practice:
        text = practice.config.read_text()
        priced = text.replace('practice-embed 0.10"', 'practice-embed 0.10", call_cost_max: 1000', 1)
        assert priced != text
        for budget, status in (("0.0009 USD", "budget"), ("0.01 USD", None)):
            practice.config.write_text(priced.replace("  openai:\n", f"  openai:\n    budget: {{ per_day: {budget} }}\n", 1))
            done = practice.cli("reload")
            assert done.returncode == 0, done.stderr
            outcome = harness.wait_for("the new budget is in force", lambda: (lambda one: one if one.get("error_class") == status else None)(
                practice.call("openai", "ai.chat", CHAT)), 30)
            assert outcome["status"] == ("Failed" if status else "Success"), outcome
        assert outcome["data"]["prices_date"]
        refused = practice.call("openai", "ai.chat", {**CHAT, "max_tokens": 1000})
        assert refused["error_class"] == "permanent" and "call_cost_max of the integration openai is 1000" in refused["error_msg"], refused

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""`signalbox add` writes an integration that works, after having tried its key; what is wrong stores nothing; no secret is shown."""
import json
import subprocess

import harness
import pytest

# provider -> (path of the practice one, secrets asked for, options, what tries the key)
PROVIDERS = {
    "stripe": ("", ["sk_test_added", "whsec_added_secret"], {}, "payment.events"),
    "openai": ("/openai/v1", ["sk-added", ""], {"model": "practice"}, "ai.models"),
    "anthropic": ("/anthropic", ["sk-ant-added", ""], {}, "ai.models"),
    "google": ("/google", ["AIza-added"], {}, "maps.geocode"),
    "nominatim": ("/nominatim", [], {"user_agent": "tests/1.0 (tests@example.com)"}, "maps.geocode"),
    "slack": ("/slack", ["xoxb-added", ""], {}, "messaging.check"),
    "sendgrid": ("/sendgrid", ["SG.added", ""], {}, "email.check"),
    "resend": ("/resend", ["re_added", ""], {}, None),
}


@pytest.fixture
def place(tmp_path):
    sandbox = harness.Sandbox(tmp_path)
    command = [harness.program("signalbox-sandbox"), "--port", "0"]  # any test key will do: no secrets are handed over
    sandbox.process = harness.start(command, None, tmp_path / "sandbox.err", stdout=subprocess.PIPE, text=True)
    sandbox.port = json.loads(sandbox.process.stdout.readline())["port"]

    def run(*words, secrets=()):
        return subprocess.run([harness.program("signalbox"), *words], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                              input="".join(f"{value}\n" for value in secrets))

    def add(provider, secrets=None, **more):
        path, usual, options, _ = PROVIDERS[provider]
        words = [word for name, value in more.items() for word in (f"--{name}", value)]
        return run("add", provider, "--base-url", f"http://127.0.0.1:{sandbox.port}{path}", "--allow-private-network",
                   "--options", json.dumps(options), *words, secrets=usual if secrets is None else secrets)
    run.add, run.folder, run.sandbox = add, tmp_path, sandbox
    (tmp_path / "signalbox.yaml").write_text(f"# mine\ngateway: {{ listen: 127.0.0.1:{harness.free_port()} }}\nlog: {{ segment_size: 16MiB }}\n")
    yield run
    sandbox.stop()


def test_every_provider_is_added_to_the_file_as_it_was_and_it_loads(place):
    for provider, (_, secrets, _, tried) in PROVIDERS.items():
        done = place.add(provider)
        assert done.returncode == 0, done.stderr
        assert (f"Tried: {tried} works" if tried else "Not tried") in done.stderr
        for secret in filter(None, secrets):
            assert secret not in done.stdout + done.stderr
    text = (place.folder / "signalbox.yaml").read_text()
    assert text.startswith("# mine\n") and "added" not in text
    checked = place("config", "check")
    assert checked.returncode == 0 and f"{len(PROVIDERS)} integrations" in checked.stdout, checked.stderr


def test_what_is_added_takes_calls_with_both_branches_and_verified_webhooks(place):
    assert place.add("stripe", mode="test").returncode == 0
    up = harness.start([harness.program("signalbox"), "up"], None, place.folder / "up.err", cwd=place.folder, stdout=subprocess.PIPE, text=True)
    try:
        assert "signalbox is up" in up.stdout.readline(), (place.folder / "up.err").read_text()
        for card, status, branch in (("pm_card_visa", 0, "succeeded"), ("pm_card_visa_chargeDeclined", 1, "failed")):
            data = json.dumps({"amount": 2000, "currency": "usd", "payment_method": card})

            def answer():  # the first one may come before the connector has joined
                done = place("call", "payment.charge", "--json", "--data", data)
                return done if done.stdout else None
            done = harness.wait_for("a connector handles it", answer)
            assert (done.returncode, json.loads(done.stdout)["type"]) == (status, f"payment.charge.{branch}"), done.stdout
        port = int((place.folder / "signalbox.yaml").read_text().split("127.0.0.1:")[1].split()[0])
        body = harness.stripe_event(payment_status="paid")
        for secret, expected in (("whsec_added_secret", 200), ("whsec_another", 401)):
            header = {"Stripe-Signature": harness.stripe_signature(body, secret), "Content-Type": "application/json"}
            assert harness.http_call(port, "POST", "/webhooks/stripe", body, header)[0] == expected
    finally:
        harness.stop(up, 20)


def test_what_is_wrong_is_named_and_nothing_is_stored(place):
    before = (place.folder / "signalbox.yaml").read_text()
    for done, status, reason in (
            (place("add", "nosuch"), 2, "openai, anthropic"),
            (place("add", "smtp"), 2, "--base-url is needed"),
            (place("add", "nominatim"), 2, '"user_agent"'),
            (place("add", "google", "--options", '{"langage":"de"}'), 2, 'no option "langage"'),
            (place("add", "google", "--options", "["), 2, "expected a JSON object"),
            (place("add", "google", "--mode", "prod"), 2, "expected test or live"),
            (place("add", "google", "--name", "Google Maps"), 2, "is no name"),
            (place.add("google", secrets=[]), 2, "api_key of google is needed"),
            (place.add("anthropic", secrets=["of-somebody-else", ""]), 1, "does not accept the key"),
            (place.add("stripe", secrets=["sk_test_x", "whsec_x"], mode="live"), 2, "api_key is a test key")):
        assert done.returncode == status and reason in done.stderr, (done.args, done.stderr)
        assert "of-somebody-else" not in done.stderr
    assert (place.folder / "signalbox.yaml").read_text() == before
    assert not (place.folder / "data/vault").exists()


def test_a_printed_stanza_is_only_printed(place):
    done = place("add", "openai", "--print")
    assert done.returncode == 0 and "  openai:\n    connector: ai\n" in done.stdout
    (place.folder / "printed.yaml").write_text("integrations:\n" + done.stdout)
    assert place("config", "check", "-c", "printed.yaml").returncode == 0
    assert not (place.folder / "data").exists()


def test_a_secret_of_the_vault_is_used_and_not_asked_for(place):
    assert place("secret", "set", "google_api_key", secrets=["AIza-before"]).returncode == 0
    done = place.add("google", secrets=[])
    assert done.returncode == 0 and "the vault has it already" in done.stderr, done.stderr


def test_an_integration_of_the_same_name_or_a_file_of_another_form_is_left_alone(place):
    assert place.add("google").returncode == 0
    again = place.add("google")
    assert again.returncode == 2 and "has an integration `google` already" in again.stderr
    assert place.add("google", secrets=["AIza-two"], name="google_two").returncode == 0
    flow = "integrations: { x: { webhooks: [] } }\n"
    (place.folder / "signalbox.yaml").write_text(flow)
    done = place.add("nominatim")
    assert done.returncode == 2 and (place.folder / "signalbox.yaml").read_text() == flow, done.stderr


TWILIO = ("--options", '{"account_sid": "AC1", "from": "+15005550006"}', "--no-try")


def test_what_the_configuration_would_not_take_is_said_before_a_secret_is_asked_for(place):
    done = place("add", "http", "--base-url", "https://api.example.com")  # `http` is the name of a connector
    assert done.returncode == 2 and "--name gives the integration another name" in done.stderr and "http_token" not in done.stderr, done.stderr
    done = place("add", "twilio")
    assert done.returncode == 2 and '"account_sid": ..., "from": ...' in done.stderr, done.stderr


def test_a_webhook_that_needs_a_public_address_stays_a_comment_without_one(place):
    done = place("add", "twilio", *TWILIO, secrets=["token"])
    assert done.returncode == 0 and "Webhooks stay a comment" in done.stderr and "expected gateway.public_url" in done.stderr, done.stderr
    text = (place.folder / "signalbox.yaml").read_text()
    assert "#     - { path: twilio" in text and "status_callback" not in text


def test_calls_are_given_the_address_of_the_webhook_that_hears_of_them(place):
    path = place.folder / "signalbox.yaml"
    path.write_text(path.read_text().replace("gateway: {", "gateway: { public_url: https://hooks.example.com,"))
    done = place("add", "twilio", *TWILIO, secrets=["token"])
    assert done.returncode == 0, done.stderr
    assert 'status_callback: "https://hooks.example.com/webhooks/twilio"' in path.read_text()
    assert "      - { path: twilio, scheme: twilio, secrets: [vault:twilio_auth_token] }" in path.read_text()


def test_a_poll_has_a_schedule_and_one_that_must_be_told_what_to_ask_has_it_as_a_comment(place):
    done = place("add", "http", "--name", "shop", "--base-url", "https://api.example.com", secrets=["", "", "", ""])
    assert done.returncode == 0 and "Can be polled every 5m: http.poll" in done.stderr, done.stderr
    assert "#     - { operation: poll, every: 5m, missed: once }" in (place.folder / "signalbox.yaml").read_text()
    assert place.add("stripe", mode="test").returncode == 0
    assert "\n      - { operation: events, every: 5m, missed: once }" in (place.folder / "signalbox.yaml").read_text()
    assert place("config", "check").returncode == 0


def test_add_keeps_no_other_from_the_vault_while_somebody_types(place):
    asking = subprocess.Popen([harness.program("signalbox"), "add", "google", "--no-try"], cwd=place.folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "google_api_key" in asking.stderr.readline()
    assert place("secret", "set", "other", secrets=["value"]).returncode == 0  # would wait for ever
    assert place("secret", "set", "google_api_key", secrets=["of-somebody-else"]).returncode == 0
    _, said = asking.communicate("AIza-mine\n", timeout=60)
    assert asking.returncode == 1 and "meanwhile somebody has stored the secret google_api_key" in said
    assert "google:" not in (place.folder / "signalbox.yaml").read_text()

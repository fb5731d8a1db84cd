# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with webhooks in practice, each told to the operator with what to mend, and nothing of it to the sender."""
import gzip
import json
import secrets
import time

import harness
import pytest

SHOP = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
INTEGRATIONS = """  phone:
    webhooks: [{ path: phone, scheme: twilio, secrets: [file:token] }]
  mail:
    webhooks: [{ path: mail, scheme: mailgun, secrets: [file:token], accept_weak: "opens only" }]
  shop:
    webhooks: [{ path: shop, scheme: standard-webhooks, secrets: [file:shop_old, file:shop] }]
"""


class World(harness.System):
    def write_config(self):
        super().write_config()
        path = self.home / "signalbox.yaml"
        path.write_text(path.read_text().replace("gateway: {", "gateway: { public_url: https://hooks.example.com, max_body: 64KiB,", 1))

    def post(self, path, body=b"{}", headers=None):
        return harness.http_call(self.port, "POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    def told(self, words, since):
        return harness.wait_for(f"the operator reads: {words}", lambda: words in self.said()[since:], 10)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("system"), integrations=INTEGRATIONS, secrets={"token": "t", "shop": SHOP, "shop_old": SHOP}) as made:
        yield made


def stripe(body=None, of=None, more=None, **how):
    body = body or harness.stripe_event()
    return body, {"Stripe-Signature": harness.stripe_signature(of or body, **how), **(more or {})}


EVENT = harness.stripe_event(note="ü")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MISTAKES = {
    "the wrong secret": ("stripe", *stripe(secret="whsec_of_the_live_mode"), "wrong secret, test and live mixed"),
    "a proxy that writes the JSON anew": ("stripe", *stripe(json.dumps(json.loads(EVENT)).encode(), of=EVENT), "or a proxy changed the body"),
    "a clock that is late": ("stripe", *stripe(at=time.time() - 4000), "300 s are allowed"),
    "another provider's address": ("stripe", b"{}", {"X-Hub-Signature-256": "sha256=00"}, "no Stripe-Signature"),
    "another provider's header": ("stripe", b"{}", {"Stripe-Signature": "sha256=00"}, "not of the form of scheme stripe"),
    "a body that was compressed": ("stripe", gzip.compress(EVENT), {**stripe(EVENT)[1], "Content-Encoding": "gzip"}, "its body is compressed (Content-Encoding)"),
    "an event that is too large": ("stripe", *stripe(harness.stripe_event(note="x" * 70_000)), "the body is over gateway.max_body (65536 bytes): raise it"),
    "another public address": ("phone", b"MessageSid=SM1", {"X-Twilio-Signature": "AAAA", **FORM}, "gateway.public_url is not the address the provider calls"),
    "a Content-Type that was changed": ("phone", b"MessageSid=SM1", {"X-Twilio-Signature": "AAAA"}, "or a proxy changed it or its Content-Type"),
    "a form for JSON": ("mail", b"event=opened", FORM, "the body is none that scheme mailgun signs"),
    "the other kind of key": ("shop", b"{}", {"webhook-id": "m", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1a,AAAA"},
                              "add the sender's public key (whpk_...) to `secrets`"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_each_mistake_is_told_with_what_to_mend_and_shown_by_webhooks(world, what):
    path, body, headers, words = MISTAKES[what]
    since = len(world.said())
    status, _, answer = world.post(f"/webhooks/{path}", body, headers)
    assert status in (401, 413, 415), answer
    world.told(words, since)
    assert words.encode() not in answer

    def shown():
        rows = {row["path"]: row for row in map(json.loads, world.cli("webhooks", "--json").stdout.splitlines())}
        return words in (rows[path]["last_refused"] or {}).get("why", "")
    harness.wait_for("`signalbox webhooks` shows it", shown, 10)


@pytest.mark.parametrize("target, words", [("/webhooks/strip", "there is /webhooks/stripe"), ("/webhook/stripe", "there is /webhooks/stripe"),
                                           ("/webhooks/stripe/", "there is /webhooks/stripe"), ("/webhooks/elsewhere", "see `signalbox webhooks`")])
def test_an_address_that_nobody_has_is_told_with_the_one_that_was_meant(world, target, words):
    since, before = len(world.said()), len(world.log())
    assert world.post(target, *stripe())[0] == 404
    world.told(f"WEBHOOK_UNKNOWN path={target} from=127.0.0.1: no endpoint has this address; {words}", since)
    assert len(world.log()) == before, "anybody may ask for anything: the log is not filled with it"


def test_a_secret_that_is_none_shuts_its_endpoint_and_no_other(world):
    def shop():
        return world.post("/webhooks/shop", json.dumps({"type": "a.b", "id": secrets.token_hex(4)}).encode(), {"webhook-id": "m"})

    def change(**files):
        since = len(world.said())
        for name, value in files.items():
            (world.home / name).write_text(value)
        world.cli("reload")
        harness.wait_for("the gateway serves again", lambda: "PROCESS_READY" in world.said()[since:] and world.is_ready(), 30)
        return since
    since = change(shop_old="re_123")
    world.told("WEBHOOK_SECRET_UNFIT endpoint=shop integration=shop: secret 1 of 2 is none of scheme standard-webhooks; expected whsec_ and base64", since)
    assert shop()[0] == 401, "the other one is good: the signature is what is looked at"
    since = change(shop="sk_live_nothing_of_the_kind")
    status, headers, answer = shop()
    assert (status, json.loads(answer)["code"]) == (503, "unavailable") and int(headers["Retry-After"]) == 60, "the provider comes again"
    world.told("no secret of this endpoint is of its scheme's form", since)
    assert world.post("/webhooks/stripe", *stripe())[0] == 200, "others are served"
    assert "re_123" not in world.said() and "nothing_of_the_kind" not in world.said()
    change(shop=SHOP, shop_old=SHOP)
    assert shop()[0] == 401

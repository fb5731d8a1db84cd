# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""OAuth 2 client credentials against the sandbox: one token for all calls, anew before its end or once it is refused, in the header or in the body."""
import json
import threading
import time

import harness
import pytest

SHOP = """
  {name}:
    connector: http
    service: {name}
    base_url: http://127.0.0.1:{port}/oauth
    allow_private_network: true
    secrets: {{ client_id: file:client_id, client_secret: file:{secret} }}
    limits: {{ attempts: 4, timeout: 5s }}
    options: {{ auth: oauth2, token_url: "http://127.0.0.1:{port}/oauth/token", scope: {scope}, token_auth: client_secret_{way} }}
"""
SHOPS = [("header", "orders", "basic", "client_secret"), ("body", "orders", "post", "client_secret"), ("short", "short", "post", "client_secret"),
         ("once", "once", "basic", "client_secret"), ("denied", "denied", "basic", "client_secret"), ("stranger", "orders", "basic", "other_secret"),
         ("neither", "orders", "jwt", "client_secret")]


class Shops(harness.System):
    def write_config(self):
        self.integrations = "".join(SHOP.format(name=name, port=self.sandbox.port, scope=scope, way=way, secret=secret) for name, scope, way, secret in SHOPS)
        super().write_config()

    def read(self, name):
        return self.call("http.read", {"path": "/orders"}, wait="30s", integration=name)

    def tokens(self, way):
        return self.effects().get(f"token {way}", 0)

    def effects(self):
        return json.loads(harness.http_call(self.sandbox.port, "GET", "/sandbox/effects?provider=oauth")[2])

    def fault(self, **rule):
        status, _, answer = harness.http_call(self.sandbox.port, "POST", "/sandbox/faults", json.dumps({"provider": "oauth", **rule}))
        assert status == 200, answer


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    with Shops(tmp_path_factory.mktemp("oauth"), secrets={"client_id": "me:1", "client_secret": "cs_test_a secret/+=", "other_secret": "of-another-test"}) as running:
        yield running


@pytest.mark.parametrize("name,way", [("header", "basic"), ("body", "post")])
def test_many_calls_at_once_have_one_token(shops, name, way):
    before = shops.tokens(way)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(shops.read(name))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in answers] == [200] * 16, answers
    assert shops.tokens(way) == before + 1


def test_it_is_got_anew_before_it_ends(shops):
    """A token of two seconds, and calls for five: none of them is refused by the service."""
    before, calls, until = shops.tokens("post"), 0, time.monotonic() + 5
    while time.monotonic() < until:
        status, outcome = shops.read("short")
        assert status == 200 and outcome["attempt"] == 1, outcome
        calls += 1
    assert calls > 5 and 2 <= shops.tokens("post") - before <= 6


def test_one_that_is_refused_is_got_anew_once(shops):
    """Each token is good for one call: the next one is refused, gets another, and is done, in the same attempt."""
    for _ in range(4):
        before = shops.tokens("basic")
        status, outcome = shops.read("once")
        assert status == 200 and outcome["attempt"] == 1, outcome
        assert shops.tokens("basic") == before + 1


@pytest.mark.parametrize("name,reason", [("denied", "answered 400, invalid_scope"), ("stranger", "answered 401, invalid_client"), ("neither", "client_secret_post")])
def test_what_gives_no_token_says_why_and_is_not_tried_again(shops, name, reason):
    status, outcome = shops.read(name)
    assert status == 502 and reason in json.dumps(outcome) and "of-another-test" not in json.dumps(outcome), outcome
    assert outcome.get("attempt", 1) == 1


@pytest.mark.parametrize("kind,status,attempt", [("500", 200, 2), ("429", 200, 2), ("cut", 200, 2), ("garbage", 502, 1)])
def test_an_authorization_server_that_fails_is_asked_again(shops, kind, status, attempt):
    """What says nothing about the client is tried again; an answer that is no token is not."""
    shops.read("short")
    time.sleep(2)  # its token ends, so that the first thing the next call needs is another one
    shops.fault(kind=kind, next=1, retry_after=1)
    got, outcome = shops.read("short")
    assert got == status and (outcome.get("attempt", 1) == attempt), outcome
    assert status == 200 or "has no `access_token`" in json.dumps(outcome)


def test_an_order_is_made_once_whichever_token_it_took(shops):
    for name in ("once", "body"):
        status, _, body = shops.api("POST", f"/v1/calls/http/keyed?wait=30s&integration={name}", {"method": "POST", "path": "/orders", "body": {"sku": name}},
                                    {"Idempotency-Key": f"order-{name}"})
        assert status == 200, body
    orders = {key: count for key, count in shops.effects().items() if not key.startswith("token ")}
    assert len(orders) == 2 and set(orders.values()) == {1}, orders

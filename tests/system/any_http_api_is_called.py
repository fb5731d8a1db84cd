# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A service without a connector of its own is called and polled, with access tokens that are got once and renewed."""
import http.server
import json
import threading
import time
import urllib.parse

import harness
import pytest

SECRET = "the-client-secret-of-the-test"


class Service(http.server.BaseHTTPRequestHandler):
    """An API with an authorization server: orders are made and listed; a token is good for so many calls."""
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    tokens, orders, made, cut_next = [], [], [], False

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            time.sleep(0.2)  # long enough for many to want it
            with Service.lock:
                Service.tokens.append(f"token-of-the-test-{len(Service.tokens)}")
                return self.answer(200, {"access_token": Service.tokens[-1], "token_type": "Bearer", "expires_in": 3600})
        with Service.lock:
            if not self.is_allowed():
                return self.answer(401, {"error": "invalid_token"})
            Service.made.append((self.headers.get("Idempotency-Key"), json.loads(body)))
            cut, Service.cut_next = Service.cut_next, False
        if cut:  # it is done, and nobody hears of it
            self.close_connection = True
            return None
        return self.answer(201, {"id": f"o{len(Service.made)}"})

    def do_GET(self):
        with Service.lock:
            if not self.is_allowed():
                return self.answer(401, {"error": "invalid_token"})
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            after = int(query.get("after", ["0"])[0])
            page = [order for order in Service.orders if order["id"] > after][:3]
            return self.answer(200, {"data": page, "has_more": bool(page) and page[-1]["id"] < len(Service.orders)})

    def is_allowed(self):
        return self.headers["Authorization"] == f"Bearer {Service.tokens[-1]}" if Service.tokens else False

    def log_message(self, *_):
        pass


INTEGRATION = """
  shop:
    connector: http
    base_url: http://127.0.0.1:{port}
    allow_private_network: true
    secrets: {{ client_id: file:client_id, client_secret: file:client_secret }}
    options:
      auth: oauth2
      token_url: http://127.0.0.1:{port}/token
      scope: orders
      poll_path: /orders
      poll_items: data
      poll_cursor_parameter: after
      poll_more: has_more
    schedules:
      - {{ operation: poll, every: 1s }}
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with harness.System(tmp_path_factory.mktemp("http"), integrations=INTEGRATION.format(port=server.server_port),
                        secrets={"client_id": "me", "client_secret": SECRET}) as running:
        harness.wait_for("its connector has joined", lambda: has_joined(running), 20)
        yield running
    server.shutdown()


def has_joined(system):
    status = json.loads(system.api("GET", "/v1/status")[2])
    return status.get("staged_bytes") == 0 and any(one["name"] == "shop" and one["connected"] for one in status["sessions"])


def call(system, operation, data, wait="20s"):
    status, _, body = system.api("POST", f"/v1/calls/http/{operation}?wait={wait}", data)
    return status, json.loads(body)


def test_a_call_is_made_and_its_answer_is_the_outcome(system):
    status, answer = call(system, "call", {"method": "POST", "path": "/orders", "body": {"sku": "tea"}})
    assert status == 200, answer
    assert answer["data"]["status"] == 201 and answer["data"]["body"]["id"].startswith("o")


def test_an_event_cannot_choose_where_it_goes(system):
    status, answer = call(system, "read", {"path": "//example.com/"})
    assert status == 502 and "leave base_url" in json.dumps(answer)


def test_many_calls_share_one_token_and_renew_it_once(system):
    call(system, "read", {"path": "/orders"})
    with Service.lock:
        before = len(Service.tokens)
        Service.tokens[-1] += "-ended"  # the service takes the old one no more
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(call(system, "read", {"path": "/orders"})[0])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 12
    assert len(Service.tokens) == before + 1


def test_what_is_cut_after_its_effect_is_sent_again_only_under_its_key(system):
    Service.cut_next = True
    made = len(Service.made)
    status, answer = call(system, "call", {"method": "POST", "path": "/orders", "body": {"sku": "once"}})
    assert status == 502 and answer["class"] == "unknown", answer
    assert len(Service.made) == made + 1
    Service.cut_next = True
    status, answer = call(system, "keyed", {"method": "POST", "path": "/orders", "body": {"sku": "again"}})
    assert status == 200, answer
    keys = [key for key, body in Service.made if body == {"sku": "again"}]
    assert len(keys) == 2 and keys[0] == keys[1] and keys[0]


def test_a_poll_brings_every_order_once(system):
    for n in range(1, 11):
        with Service.lock:
            Service.orders.append({"id": n, "sku": f"sku-{n}"})
    facts = harness.wait_for("all orders are in the log", lambda: enough(system, 10), 30, 0.5)
    assert [fact["data"]["item"]["id"] for fact in facts] == list(range(1, 11))
    time.sleep(2.5)  # further runs find nothing
    assert len(found(system)) == 10


def found(system):
    return [row for row in system.log("--type", "http.item.found") if row["kind"] == "fact"]


def enough(system, n):
    facts = found(system)
    return facts if len(facts) >= n else None


def test_no_token_and_no_secret_is_anywhere(system):
    for path in [system.directory / "up.err", *(system.directory / "data").rglob("*")]:
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content and b"token-of-the-test" not in content, path

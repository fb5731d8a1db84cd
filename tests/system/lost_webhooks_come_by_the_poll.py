# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A webhook that got lost comes by the poll, as the event it would have been; by whichever way it comes first, it is one event."""
import concurrent.futures
import contextlib
import hashlib
import hmac
import http.client
import http.server
import json
import random
import threading
import time

import harness
import pytest

RAW = "stripe.checkout.session.completed"
DOMAIN = "payment.checkout.completed"


class Polled(harness.System):
    """A system that polls Stripe every second."""

    def write_config(self):
        super().write_config()
        path = self.home / "signalbox.yaml"
        path.write_text(path.read_text().replace("    limits:", "    schedules:\n      - { operation: events, every: 1s, missed: once }\n    limits:", 1))


@pytest.fixture
def polled(tmp_path):
    with Polled(tmp_path) as running:
        yield running


def listed(system, kind="checkout.session.completed"):
    """Stripe's own list of what happened, by id; as bytes of a webhook."""
    status, _, body = harness.http_call(system.sandbox.port, "GET", "/v1/events?limit=100", headers={"Authorization": f"Bearer {harness.API_KEY}"})
    assert status == 200, body
    return {event["id"]: json.dumps(event, indent=2).encode() for event in json.loads(body)["data"] if event["type"] == kind}


def poll(system, **data):
    """The outcome of a run, as the log has it."""
    status, answer = system.call("payment.events", data)
    assert status == 200, answer
    trace = json.loads(system.cli("trace", answer["id"], "--json").stdout)
    assert trace["outcome"].get("known") == answer.get("known")
    return trace


def lose(system, n, kind="checkout.session.completed"):
    """Stripe has these events; what came of them as webhooks nobody could believe. Their ids."""
    return [system.sandbox.webhook(kind, fault="tampered")["event"] for _ in range(n)]


def deliver(system, body):
    """The webhook, as often as it takes: the answer's id."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, _, answer = system.webhook(body)
            if status == 200:
                return json.loads(answer)["ids"][0]
            assert status in (429, 503), (status, answer)
        time.sleep(0.1)
    raise AssertionError("the webhook was not taken for 120 s")


def are_once(system, events):
    """Each is in the log once, and became one event of the domain."""
    rows = [row for row in system.log("--type", RAW) if row["kind"] == "request"]
    outcomes = [row for row in system.log("--type", DOMAIN, "--records") if row["kind"] == "outcome"]
    assert sorted(row["data"]["id"] for row in rows) == sorted(events)
    assert {row["status"] for row in rows} == {"Success"}
    assert sorted(row["data"]["provider_event"] for row in outcomes) == sorted(events)


def settled(system, events, seconds=60):
    """Wait until as many are there, and none is pending."""
    def there():
        rows = system.log("--type", RAW, "--status", "success")
        return len(rows) >= len(events)
    harness.wait_for(f"{len(events)} events are there", there, seconds, 0.3)
    assert system.settled()["unaccounted"] == 0


def test_what_was_sent_while_nobody_listened_comes_once(system):
    harness.stop(system.up)
    kinds = ["checkout.session.completed"] * 3 + ["charge.refunded", "payment_intent.succeeded"]
    events = [system.sandbox.webhook(kind) for kind in kinds]
    assert [event["status"] for event in events] == [0] * 5  # lost
    system.start()
    trace = poll(system)
    assert trace["outcome"]["data"]["found"] == 5 and "known" not in trace["outcome"]
    settled(system, events[:3])
    are_once(system, [event["event"] for event in events[:3]])
    for domain in ("payment.refunded", "payment.succeeded"):
        assert len(system.log("--type", domain, "--records")) == 1
    assert poll(system)["outcome"]["known"] == 5
    are_once(system, [event["event"] for event in events[:3]])


def test_an_event_shows_by_which_way_it_came(system):
    hook = system.sandbox.webhook("checkout.session.completed")
    assert hook["status"] == 200
    [lost] = lose(system, 1)
    run = poll(system)
    settled(system, [1, 2])
    rows = {row["data"]["id"]: row for row in system.log("--type", RAW)}
    assert rows[hook["event"]]["endpoint"] == "stripe" and "found" not in rows[hook["event"]]
    assert (rows[lost]["found"], rows[lost]["event_id"], rows[lost]["cause"]) == (True, lost, run["id"])
    assert [row["id"] for row in run["followed"]] == [rows[lost]["id"]]
    assert "found       in the run that is its cause, as " + lost in system.cli("trace", rows[lost]["id"]).stdout
    assert "(found by a poll)" in system.cli("log", "--type", RAW).stdout
    assert run["outcome"]["known"] == 1  # the webhook's


def test_after_its_webhook_the_poll_brings_nothing(system):
    events = [system.sandbox.webhook("checkout.session.completed")["event"] for _ in range(3)]
    assert poll(system)["outcome"]["known"] == 3
    settled(system, events)
    are_once(system, events)


def test_a_webhook_after_the_poll_is_answered_with_the_event_there_is(system):
    [event] = lose(system, 1)
    poll(system)
    settled(system, [event])
    [row] = system.log("--type", RAW)
    assert deliver(system, listed(system)[event]) == row["id"]
    are_once(system, [event])


def test_what_the_connector_does_not_know_is_filed_only_where_asked_for(system):
    lose(system, 1, "customer.created")
    assert poll(system)["outcome"]["data"]["found"] == 0
    config = system.home / "signalbox.yaml"
    config.write_text(config.read_text().replace("    limits:", "    options: { events_filed: all }\n    limits:"))
    system.cli("reload")
    harness.wait_for("it is a fact", lambda: poll(system) and system.log("--type", "stripe.customer.created"), 30, 0.5)
    assert [row["kind"] for row in system.log("--type", "stripe.customer.created")] == ["fact"]


def test_polls_and_webhooks_of_the_same_events_at_the_same_time(system):
    events = lose(system, 40)
    bodies = listed(system)
    order = events * 2
    random.Random(7).shuffle(order)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        polls = [pool.submit(poll, system) for _ in range(4)]
        answers = list(pool.map(lambda event: (event, deliver(system, bodies[event])), order))
        for one in polls:
            one.result()
    settled(system, events)
    are_once(system, events)
    ids = {row["data"]["id"]: row["id"] for row in system.log("--type", RAW)}
    assert all(ids[event] == answer for event, answer in answers)


def runs(system):
    return len(system.log("--type", "payment.events.requested", "--status", "success"))


def test_whoever_dies_in_between_each_is_one_event(polled, rounds):
    """Half of the webhooks of each round get lost; the other half are sent until they are taken."""
    chance, events = random.Random(11), []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for victim in ["broker", "logger", "payment", "gateway", "all"] * max(1, rounds // 15):
            lost = lose(polled, 4)
            bodies = listed(polled)
            sent = [pool.submit(deliver, polled, bodies[event]) for event in lost[:2]]
            time.sleep(chance.random() / 2)
            if victim == "all":
                polled.kill_all()
                polled.start()
            else:
                polled.kill(victim)
            for one in sent:
                one.result()
            events += lost
            harness.wait_for("it serves again", polled.is_ready, 60)
    settled(polled, events, 120)
    seen = runs(polled)
    harness.wait_for("two further runs, which find nothing", lambda: runs(polled) >= seen + 2, 60, 0.3)
    are_once(polled, events)
    assert polled.settled()["unaccounted"] == 0


# --- a service without a connector of its own ---

SECRET = "secret-of-the-shop-in-the-tests"
SHOP = """
  shop:
    connector: http
    base_url: http://127.0.0.1:{port}
    allow_private_network: true
    options: {{ poll_path: /events, poll_type: type, poll_cursor_parameter: after }}
    webhooks:
      - path: shop
        scheme: hmac
        secrets: [file:shop_secret]
        hmac: {{ signature_header: X-Shop-Signature, signed: "{{body}}", event_id: id, event_type: type }}
"""


class Events(http.server.BaseHTTPRequestHandler):
    """The service's list of its events, from an id on."""
    protocol_version = "HTTP/1.1"
    events = []

    def do_GET(self):
        after = int(self.path.partition("after=")[2] or 0)
        body = json.dumps([event for event in Events.events if int(event["id"]) > after]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def shop(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Events)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Events.events = []
    with harness.System(tmp_path, integrations=SHOP.format(port=server.server_port), secrets={"shop_secret": SECRET}) as running:
        yield running
    server.shutdown()


def shop_webhook(system, event, path="shop"):
    body = json.dumps(event, indent=1).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    status, _, answer = harness.http_call(system.port, "POST", f"/webhooks/{path}", body, {"Content-Type": "application/json", "X-Shop-Signature": signature})
    assert status == 200, answer
    return json.loads(answer)["ids"][0]


def test_a_service_that_is_polled_by_http_has_its_events_once(shop):
    def run(cursor):
        status, answer = shop.call("http.poll", {"cursor": cursor} if cursor else {}, integration="shop")
        assert status == 200, answer
        return json.loads(shop.cli("trace", answer["id"], "--json").stdout)["outcome"]

    Events.events = [{"id": n, "type": "order.paid", "sum": n * 5} for n in range(1, 5)]
    first = shop_webhook(shop, {**Events.events[0], "id": "1"})
    outcome = run(None)
    assert (outcome["data"]["found"], outcome["known"]) == (4, 1)
    rows = {str(row["data"]["id"]): row for row in shop.log("--type", "shop.order.paid")}
    assert sorted(rows) == ["1", "2", "3", "4"] and rows["1"]["id"] == first
    assert shop_webhook(shop, {**Events.events[3], "id": "4"}) == rows["4"]["id"]
    assert run("2")["known"] == 2
    assert len(shop.log("--type", "shop.order.paid")) == 4
    assert shop.audit()["unaccounted"] == 0


# --- any program ---

PROGRAM = r'''
import json, sys
MANIFEST = {"name": "works", "version": "1",
            "operations": [{"name": "list", "repeat": "safe", "is_poll": True, "finds": "always"}],
            "webhooks": [{"event": "thing.done", "becomes": "works.thing.finished"}]}
if sys.argv[-1] == "--manifest":
    print(json.dumps(MANIFEST)); sys.exit()
for line in sys.stdin:
    event = json.loads(line)["event"]
    if event["type"] == "works.list.requested":
        answer = {"succeeded": {}, "found": json.load(open("works.json"))}
    else:
        answer = {"succeeded": {"thing": event["data"]["id"]}}
    print(json.dumps(answer), flush=True)
'''
WORKS = """
  plant:
    connector: works
    command: [/usr/bin/python3, works.py]
    webhooks:
      - path: plant
        scheme: hmac
        secrets: [file:shop_secret]
        hmac: { signature_header: X-Shop-Signature, signed: "{body}", event_id: id, event_type: type }
"""


def test_a_program_handles_what_it_found_as_its_webhook(tmp_path):
    things = [{"id": str(n), "type": "thing.done", "data": {"id": str(n), "type": "thing.done"}} for n in range(3)]
    (tmp_path / "works.py").write_text(PROGRAM)
    (tmp_path / "works.json").write_text(json.dumps(things))
    with harness.System(tmp_path, integrations=WORKS, secrets={"shop_secret": SECRET}) as system:
        system.call("works.list", {})  # it has joined
        shop_webhook(system, things[0]["data"], "plant")
        status, answer = system.call("works.list", {})
        assert (status, answer["known"]) == (200, 3)
        assert system.settled()["unaccounted"] == 0
        finished = [row["data"]["thing"] for row in system.log("--type", "works.thing.finished", "--records")]
        assert sorted(finished) == ["0", "1", "2"]

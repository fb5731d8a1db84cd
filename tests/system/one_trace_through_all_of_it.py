# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A W3C trace that comes in with a request goes out to the provider and stands in every event that follows from it."""
import http.server
import json
import re
import threading

import harness
import pytest

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


class Between(http.server.BaseHTTPRequestHandler):
    """Passes calls on to the sandbox and keeps their headers."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(dict(self.headers))
        headers = {name: value for name, value in self.headers.items() if name not in ("Host", "Content-Length")}
        status, answered, answer = harness.http_call(self.server.sandbox, self.command, self.path, body, headers)
        self.send_response(status)
        self.send_header("Content-Type", answered.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    between = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between)
    threading.Thread(target=between.serve_forever, daemon=True).start()

    class Traced(harness.System):
        def write_config(self):
            super().write_config()
            between.sandbox, between.seen = self.sandbox.port, []
            path = self.home / "signalbox.yaml"
            path.write_text(path.read_text().replace(f"base_url: http://127.0.0.1:{self.sandbox.port}", f"base_url: http://127.0.0.1:{between.server_port}"))

    with Traced(tmp_path_factory.mktemp("system"), extra="groups: { all: { types: ['payment.>'] } }\n") as running:
        running.between = between
        yield running
    between.shutdown()
    between.server_close()


def charge(system, **headers):
    data = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa"}
    status, _, body = system.api("POST", "/v1/calls/payment/charge?wait=20s", data, headers)
    assert status == 200, body
    return json.loads(body)["id"]


def test_the_provider_and_every_event_see_the_callers_trace(traced):
    traced.between.seen.clear()
    request = charge(traced, traceparent=PARENT, tracestate="shop=42")
    sent = traced.between.seen[-1]
    found = re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-01", sent["traceparent"])
    assert found and found[1] != SPAN and sent["tracestate"] == "shop=42"
    row = json.loads(traced.api("GET", f"/v1/events/{request}")[2])
    assert row["traceparent"] == PARENT
    outcome = next(row for row in traced.log("--records", "--type", "payment.charge.succeeded") if row["cause"] == request)
    assert outcome["traceparent"] == sent["traceparent"]
    status, _, body = traced.api("GET", "/v1/groups/all/next?wait=20s")
    event = json.loads(body)["events"][0]
    assert event["cause"] == request and event["traceparent"] == sent["traceparent"]
    traced.api("POST", "/v1/groups/all/results", [{"lease": event["lease"], "result": "ack"}])


def test_a_trace_that_is_none_is_not_passed_on(traced):
    for headers in ({}, {"traceparent": "00-x"}, {"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, {"tracestate": "a=b"}):
        traced.between.seen.clear()
        request = charge(traced, **headers)
        assert not {"traceparent", "tracestate"} & {name.lower() for name in traced.between.seen[-1]}, headers
        assert "traceparent" not in json.loads(traced.api("GET", f"/v1/events/{request}")[2])


def test_an_event_in_cloudevents_form_carries_it_too(traced):
    event = {"specversion": "1.0", "id": "traced-1", "source": "shop", "type": "order.placed", "traceparent": PARENT, "data": {}}
    status, _, body = traced.api("POST", "/v1/events", json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"})
    assert status == 202, body
    status, headers, body = traced.api("GET", "/v1/events/traced-1", headers={"Accept": "application/cloudevents+json"})
    assert (status, headers["Content-Type"]) == (200, "application/cloudevents+json")
    assert json.loads(body)["traceparent"] == PARENT

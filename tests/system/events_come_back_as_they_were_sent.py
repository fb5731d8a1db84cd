# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""What an application sends as CloudEvents is what a reader gets, in each mode; what this system says of an event nobody else can say."""
import base64
import json
import secrets

import pytest

EVENTS = "application/cloudevents+json"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def publish(system, headers=None, **more):
    """(status, answer) of an event in structured mode."""
    event = {"specversion": "1.0", "id": secrets.token_hex(8), "source": "shop", "type": "order.placed", **more}
    status, _, body = system.api("POST", "/v1/events", json.dumps(event).encode(), {"Content-Type": EVENTS, **(headers or {})})
    return status, json.loads(body)


def read(system, event_id):
    status, _, body = system.api("GET", f"/v1/events/{event_id}", headers={"Accept": EVENTS})
    assert status == 200, body
    return json.loads(body)


@pytest.mark.parametrize("sent", [
    {"data": {"a": [1, 2.5, "ü"]}},
    {"data": "a text"},
    {"data": "a text", "datacontenttype": "text/plain"},
    {"data": {"a": 1}, "datacontenttype": "application/vnd.api+json; v=2"},
    {"data": {"a": 1}, "datacontenttype": "application/xml"},
    {"data_base64": "AAEC", "datacontenttype": "application/octet-stream"},
    {"data_base64": base64.b64encode(b"not JSON").decode(), "datacontenttype": "application/json"},
    {"subject": "тема", "dataschema": "https://example.com/schema", "partitionkey": "k", "colour": "red", "size": 3, "gift": True},
])
def test_what_was_sent_is_read(shared, sent):
    event_id = "о-" + secrets.token_hex(6)
    assert publish(shared, id=event_id, **sent)[0] == 202
    got = read(shared, "%D0%BE" + event_id[1:])
    assert got["id"] == event_id and {name: got.get(name) for name in sent} == sent


def test_binary_mode_gives_the_bytes_and_each_attribute_as_a_header(shared):
    event_id, raw = secrets.token_hex(6), b'{ "n" : 1.00 }\n'
    sent = {"ce-specversion": "1.0", "ce-id": event_id, "ce-source": "shop", "ce-type": "order.placed", "ce-subject": "a%20%22b%22%E2%82%AC", "ce-size": "3",
            "Content-Type": "application/vnd.api+json; v=2"}
    assert shared.api("POST", "/v1/events", raw, sent)[0] == 202
    status, headers, body = shared.api("GET", f"/v1/events/{event_id}?mode=binary")
    assert (status, body) == (200, raw)
    assert {name: headers[name] for name in sent} == sent and (headers["ce-kind"], headers["ce-status"]) == ("fact", "Success")
    assert shared.api("GET", f"/v1/events/{event_id}?mode=both")[0] == 400
    assert publish(shared, id=event_id + "-long", subject="x" * 20000)[0] == 202
    assert shared.api("GET", f"/v1/events/{event_id}-long?mode=binary")[0] == 413


def test_the_log_is_a_batch_of_cloudevents_where_asked(shared):
    key, ids = secrets.token_hex(6), []
    for n in range(5):
        ids += publish(shared, partitionkey=key, data=n)[1]["ids"]
    target, found = f"/v1/log?limit=2&key={key}&type=order.%3E", []
    while target:
        status, headers, body = shared.api("GET", target, headers={"Accept": "application/cloudevents-batch+json"})
        assert (status, headers["Content-Type"]) == (200, "application/cloudevents-batch+json")
        found = [event["id"] for event in json.loads(body)] + found
        link = headers.get("Link")
        target = link.removeprefix("<").removesuffix('>; rel="next"') if link else None
    assert found == ids


def test_json_in_base64_is_json(shared):
    event_id = secrets.token_hex(6)
    assert publish(shared, id=event_id, datacontenttype="application/json", data_base64=base64.b64encode(b'{"a": 1}').decode())[0] == 202
    assert read(shared, event_id)["data"] == {"a": 1}


def test_the_trace_of_the_request_is_the_events(shared):
    for sent in ({}, {"traceparent": "zzz"}):
        event_id = secrets.token_hex(6)
        assert publish(shared, {"traceparent": TRACE}, id=event_id, **sent)[0] == 202
        assert read(shared, event_id)["traceparent"] == TRACE


def test_the_same_again_is_answered_with_the_first_ones_id(shared):
    """Its own id, as its sender gave it, though the second came under another."""
    first, second, key = secrets.token_hex(6), secrets.token_hex(6), {"Idempotency-Key": secrets.token_hex(8)}
    assert publish(shared, key, id=first, data=1) == (202, {"ids": [first]})
    assert publish(shared, key, id=second, data=1) == (202, {"ids": [first]})
    assert shared.api("GET", f"/v1/events/{second}")[0] == 404


def test_a_key_of_a_batch_is_of_the_whole_batch(shared):
    key = {"Idempotency-Key": secrets.token_hex(8), "Content-Type": "application/cloudevents-batch+json"}
    batch = [{"specversion": "1.0", "id": secrets.token_hex(6), "source": "shop", "type": "order.placed", "data": n} for n in range(3)]

    def send(events):
        status, _, body = shared.api("POST", "/v1/events", json.dumps(events).encode(), key)
        return status, json.loads(body)["ids"]
    ids = [event["id"] for event in batch]
    assert send(batch) == send(batch) == (202, ids)
    assert send(batch[:2]) == (409, [None, None])
    assert send(batch[:1]) == (409, [None])
    assert send(batch[::-1])[0] == 409


def test_nobody_says_what_this_system_says(shared):
    for name in ("status", "endpoint", "errorclass", "actor", "recordedtime", "lease"):
        status, problem = publish(shared, **{name: "x"})
        assert status == 400 and f"`{name}`" in problem["detail"], (name, problem)
    status, problem = publish(shared, type="order.placed", integration="stripe")
    assert status == 400 and ".requested" in problem["detail"]
    status, problem = publish(shared, type="payment.charge.requested", integration="nobody")
    assert (status, problem["code"]) == (404, "no_integration")

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The description at /v1/openapi.json is that of the running gateway: every route and nothing else, every answer as it says."""
import json
import re
import secrets

import harness
import jsonschema
import pytest
from api import Api

GROUPS = "groups: { all: { types: ['order.>'] } }\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with harness.System(tmp_path_factory.mktemp("system"), extra=GROUPS) as running:
        yield Api(running)


def event(**more):
    return {"specversion": "1.0", "id": secrets.token_hex(8), "source": "shop", "type": "order.placed", "data": {"n": 1}, **more}


def test_every_route_is_described_and_nothing_else(api):
    source = (harness.ROOT / "gateway/route.c").read_text()
    routes = re.findall(r'^    \{"(\w+)", "(/[^"]*)", (SCOPE_[\w |]+?),', source, re.M)
    assert len(routes) == source.split("routes[] = {")[1].split("};")[0].count('{"') > 10
    said = {(method.upper(), re.sub(r"\{\w+\}", "*", path)) for method, path in api.operations()}
    assert said == {(method, path) for method, path, _ in routes}
    for method, path, scopes in routes:
        operation = next(o for (m, p), o in api.operations().items() if m.upper() == method and re.sub(r"\{\w+\}", "*", p) == path)
        needed = sorted(scope.lower() for scope in re.findall(r"SCOPE_(\w+)", scopes) if scope != "NONE")
        assert sorted(sum((entry["token"] for entry in operation["security"]), [])) == needed, path


def test_every_parameter_of_the_query_is_described_and_no_other_is_taken(api):
    source = (harness.ROOT / "gateway/route.c").read_text()
    common = re.search(r'#define FILTER "([^"]*)"', source)[1]
    routes = re.findall(r'^    \{"(\w+)", "(/[^"]*)", [^{}]*?\w+,\s+((?:FILTER ?)?(?:"[^"]*")?|NULL),\s+\w+\}', source, re.M)
    assert len(routes) == len(api.operations())
    for method, path, query in routes:
        operation = next(o for (m, p), o in api.operations().items() if m.upper() == method and re.sub(r"\{\w+\}", "*", p) == path)
        told = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        taken = set((common if "FILTER" in query else "").split()) | set("".join(re.findall('"([^"]*)"', query)).split())
        assert told == taken, path
        if query == "NULL":
            continue
        target = re.sub(r"\*", "x", path)
        name = sorted(told or {"x"})[0]
        unknown = api.ask(method, f"{target}?{name}x=1", expect=400)
        assert f"`{name}x`" in unknown["detail"], unknown
        for name in told:
            for wrong in (f"{name}=1&{name}=1", name, f"{name}=%FF"):
                assert f"`{name}`" in api.ask(method, f"{target}?{wrong}", expect=400)["detail"]


def test_the_description_is_whole(api):
    assert api.doc["openapi"] == "3.1.0"
    names = [operation["operationId"] for operation in api.operations().values()]
    assert len(names) == len(set(names))
    for reference in re.findall(r'"\$ref": ?"#/components/schemas/(\w+)"', json.dumps(api.doc)):
        assert reference in api.doc["components"]["schemas"], reference
    for (method, path), operation in api.operations().items():
        told = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert told == set(re.findall(r"\{(\w+)\}", path)) and operation["summary"] and operation["responses"], (method, path)
    for schema in api.doc["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_events_are_answered_as_described(api):
    headers = {"Content-Type": "application/cloudevents+json"}
    one = event()
    assert api.ask("POST", "/v1/events", json.dumps(one).encode(), headers, 202)["ids"] == [one["id"]]
    api.ask("POST", "/v1/events", json.dumps({**one, "data": 2}).encode(), headers, 409)
    api.ask("POST", "/v1/events", json.dumps(event(type="stripe.x")).encode(), headers, 403)
    api.ask("POST", "/v1/events", json.dumps(event(type="maps.geocode.requested")).encode(), headers, 404)
    api.ask("POST", "/v1/events", b"{}", headers, 400)
    assert "empty" in api.ask("POST", "/v1/events", b"", headers, 400)["detail"]
    nul = json.dumps(event(subject="a")).replace('"a"', '"\\u0000"').encode()
    assert "may not hold \\u0000" in api.ask("POST", "/v1/events", nul, headers, 400)["detail"]
    api.ask("POST", "/v1/events", b"{}", {"Content-Type": "text/plain"}, 415)
    api.ask("POST", "/v1/events", b"x" * (1 << 21), headers, 413)
    api.ask("POST", "/v1/events", json.dumps([event(), event()]).encode(), {"Content-Type": "application/cloudevents-batch+json"}, 202)
    binary = {"ce-specversion": "1.0", "ce-id": "b1", "ce-source": "shop", "ce-type": "order.placed", "Content-Type": "text/plain"}
    api.ask("POST", "/v1/events", b"hello", binary, 202)
    api.ask("GET", f"/v1/events/{one['id']}", expect=200)
    api.ask("GET", "/v1/events/b1", headers={"Accept": "application/cloudevents+json"}, expect=200)
    api.ask("GET", f"/v1/events/{one['id']}/trace", expect=200)
    for end in ("", "/trace"):
        api.ask("GET", f"/v1/events/nobody{end}", expect=404)


def test_calls_are_answered_as_described(api):
    data = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa"}
    done = api.ask("POST", "/v1/calls/payment/charge", data, expect=200)
    api.ask("GET", f"/v1/events/{done['id']}", expect=200)
    api.ask("GET", f"/v1/events/{done['id']}/trace", expect=200)
    declined = api.ask("POST", "/v1/calls/payment/charge", {**data, "payment_method": "pm_card_visa_chargeDeclined"}, expect=502)
    row = api.ask("GET", f"/v1/events/{declined['id']}", expect=200)
    assert {name: declined[name] for name in ("error_class", "error_msg")} == {name: row[name] for name in ("error_class", "error_msg")}
    api.ask("POST", "/v1/calls/payment/charge?wait=0", data, {"Idempotency-Key": "k1"}, 202)
    api.ask("POST", "/v1/calls/payment/charge?wait=0", {**data, "amount": 1}, {"Idempotency-Key": "k1"}, 409)
    api.ask("POST", "/v1/calls/maps/geocode", {}, expect=404)
    assert "/v1/calls/payment/charge?integration=stripe" in api.ask("POST", "/v1/calls/stripe/charge", data, expect=404)["detail"]
    assert "not JSON, line:column 1:" in api.ask("POST", "/v1/calls/payment/charge", b'{"amount":', expect=400)["detail"]
    api.ask("POST", "/v1/calls/payment/charge?wait=soon", data, expect=400)
    api.ask("POST", "/v1/calls/payment/charge", b"x" * (1 << 21), expect=413)


def test_groups_are_answered_as_described(api):
    api.ask("POST", "/v1/events", json.dumps(event(partitionkey="k")).encode(), {"Content-Type": "application/cloudevents+json"}, 202)
    events = api.ask("GET", "/v1/groups/all/next?max=256", expect=200)["events"]
    assert events
    api.ask("POST", "/v1/groups/all/results", [{"lease": one["lease"], "result": "ack"} for one in events], expect=200)
    api.ask("POST", "/v1/events", json.dumps(event()).encode(), {"Content-Type": "application/cloudevents+json"}, 202)
    api.ask("GET", "/v1/groups/all/next", headers={"Accept": "application/cloudevents-batch+json"}, expect=200)
    api.ask("GET", "/v1/groups/none/next", expect=404)
    api.ask("GET", "/v1/groups/all/next?max=0", expect=400)
    api.ask("POST", "/v1/groups/all/results", {}, expect=400)
    api.ask("POST", "/v1/groups/none/results", [{"id": "x", "result": "ack"}], expect=404)


def test_webhooks_are_answered_as_described(api):
    body = harness.stripe_event()
    good = {"Stripe-Signature": harness.stripe_signature(body)}
    api.ask("POST", "/webhooks/stripe", body, good, 200)
    api.ask("POST", "/webhooks/stripe", body, {"Stripe-Signature": "t=1,v1=0"}, 401)
    api.ask("POST", "/webhooks/nobody", body, good, 404)
    api.ask("POST", "/webhooks/stripe", b"[]", {"Stripe-Signature": harness.stripe_signature(b"[]")}, 400)
    api.ask("POST", "/webhooks/stripe", body, {**good, "Content-Encoding": "gzip"}, 415)


def test_what_an_operator_reads_is_as_described(api):
    api.ask("GET", "/v1/log?status=failed&limit=1", expect=200)
    api.ask("GET", "/v1/log?limit=2", expect=200)
    api.ask("GET", "/v1/log?status=maybe", expect=400)
    api.ask("GET", "/v1/stream?limit=1", expect=400)
    api.ask("GET", "/metrics", expect=200)  # starts an audit of its own, which gives way
    audit = api.ask("GET", "/v1/audit", expect=200)
    assert audit["unaccounted"] == 0 and set(audit) <= set(api.doc["components"]["schemas"]["Audit"]["properties"])
    api.ask("GET", "/v1/status", expect=200)
    api.ask("GET", "/metrics", expect=200)
    api.ask("GET", "/healthz", expect=200)
    api.ask("GET", "/readyz", expect=200)
    stripe = api.ask("GET", "/v1/integrations", expect=200)["integrations"][0]
    assert (stripe["name"], stripe["secrets"], stripe["webhooks"][0]["path"]) == ("stripe", ["api_key"], "stripe")
    assert harness.API_KEY not in json.dumps(stripe)
    for accept, first in ((None, b"# Integration"), ("text/html", b"<!DOCTYPE"), ("text/markdown, text/html", b"# Integration")):
        page = api.ask("GET", "/v1/integrations/stripe/document", headers={"Accept": accept} if accept else None, expect=200)
        assert page.startswith(first) and harness.API_KEY.encode() not in page
    api.ask("GET", "/v1/integrations/nobody/document", expect=404)
    api.ask("POST", "/v1/redrive", {"status": "failed"}, expect=400)
    api.ask("POST", "/v1/redrive", {"type": "payment.>", "dry_run": True}, expect=200)


def test_without_a_token_or_its_scope_each_answer_is_a_problem(api):
    token = api.system.cli("token", "new", "nothing", "--scope", "admin").stdout.strip()
    reader = api.system.cli("token", "new", "reader", "--scope", "read").stdout.strip()
    for (method, path), operation in api.operations().items():
        needed = sum((entry["token"] for entry in operation["security"]), [])
        target = re.sub(r"\{\w+\}", "x", path)
        if needed:
            api.ask(method.upper(), target, token="sbx_wrong", expect=401)
            api.ask(method.upper(), target, token=reader if needed == ["admin"] else token, expect=403)


def test_every_operation_was_asked_for(api):
    assert {(method, path) for method, path, status in api.seen if status < 300} >= set(api.operations()) - {("get", "/v1/stream"), ("get", "/v1/openapi.json")}

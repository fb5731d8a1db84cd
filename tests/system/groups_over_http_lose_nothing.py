# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A consumer that speaks only HTTP gets each event of its group until it has said what became of it."""
import json
import secrets

import harness
import pytest

GROUPS = """groups:
  billing: { types: ["order.>"], attempts: 3 }
  other: { types: ["other.>"] }
"""


@pytest.fixture(scope="module")
def consumers(tmp_path_factory):
    with harness.System(tmp_path_factory.mktemp("system"), extra=GROUPS) as running:
        yield running


def publish(system, n=1, kind="order.placed", **attributes):
    """Their ids, in order."""
    run = secrets.token_hex(4)
    events = [{"specversion": "1.0", "id": f"{run}-{i}", "source": "shop", "type": kind, "data": {"n": i}, **attributes} for i in range(n)]
    status, _, body = system.api("POST", "/v1/events", json.dumps(events).encode(), {"Content-Type": "application/cloudevents-batch+json"})
    assert status == 202, body
    return [event["id"] for event in events]


def take(system, query="wait=10s&max=100", group="billing", headers=None):
    status, _, body = system.api("GET", f"/v1/groups/{group}/next?{query}", headers=headers)
    assert status == 200, body
    answer = json.loads(body)
    return answer["events"] if isinstance(answer, dict) else answer


def say(system, *results, group="billing"):
    status, _, body = system.api("POST", f"/v1/groups/{group}/results", list(results))
    assert status == 200, body
    return [one["state"] for one in json.loads(body)["results"]]


def take_all(system, n, query="wait=10s&max=100"):
    found = []
    while len(found) < n:
        more = take(system, query)
        assert more, f"{len(found)} of {n} came"
        found += more
    return found


def row(system, event_id):
    status, _, body = system.api("GET", f"/v1/events/{event_id}")
    assert status == 200, body
    return json.loads(body)


def test_the_first_who_does_not_wait_gets_what_is_there(consumers):
    """Though the gateway only now joins the group."""
    published = publish(consumers, 1, kind="other.thing")
    taken = take(consumers, "wait=0", "other")
    assert [event["id"] for event in taken] == published
    assert say(consumers, {"lease": taken[0]["lease"], "result": "ack"}, group="other") == ["settled"]
    assert take(consumers, "wait=0", "other") == []


def test_a_group_that_is_none_is_not_found_whoever_asks_and_however(consumers):
    for name in ("nobody", "stripe", "Not%20a%20name"):  # an integration's group is its connector's
        for method, what, body in (("GET", "next?wait=0", None), ("GET", "next?wait=100ms", None), ("POST", "results", [{"id": "x", "result": "ack"}]), ("POST", "results", [])):
            status, _, answer = consumers.api(method, f"/v1/groups/{name}/{what}", body)
            assert (status, json.loads(answer)["code"]) in ((404, "no_group"), (403, "bad_identity")), (name, what, answer)
    assert say(consumers, {"id": "x", "result": "ack"}) == ["late"]


def test_an_id_that_several_events_have_settles_none_of_them(consumers):
    """Ids are unique within a source only."""
    for source in ("shop", "warehouse"):
        event = {"specversion": "1.0", "id": "17", "source": source, "type": "other.thing"}
        assert consumers.api("POST", "/v1/events", json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"})[0] == 202
    lent = []
    while len(lent) < 2:
        lent += take(consumers, "wait=10s", "other")
    assert {event["source"] for event in lent} == {"shop", "warehouse"}
    assert say(consumers, {"id": "17", "result": "ack"}, group="other") == ["ambiguous"]
    assert say(consumers, {"lease": lent[0]["lease"], "result": "ack"}, {"id": "17", "result": "ack"}, group="other") == ["settled", "settled"]


def test_events_come_in_order_as_cloudevents_and_are_settled_when_acknowledged(consumers):
    ids = publish(consumers, 5, partitionkey="c7", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    events = take_all(consumers, 5)
    assert [event["id"] for event in events] == ids
    first = events[0]
    assert (first["specversion"], first["source"], first["type"], first["data"]) == ("1.0", "shop", "order.placed", {"n": 0})
    assert (first["partitionkey"], first["deliveryattempt"]) == ("c7", 1)
    assert first["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert row(consumers, ids[0])["status"] == "Pending"
    assert say(consumers, *({"lease": event["lease"], "result": "ack"} for event in events)) == ["settled"] * 5
    assert [row(consumers, event_id)["status"] for event_id in ids] == ["Success"] * 5


def test_a_batch_of_cloudevents_is_given_to_who_wants_one(consumers):
    ids = publish(consumers, 2)
    status, headers, body = consumers.api("GET", "/v1/groups/billing/next?max=2", headers={"Accept": "application/cloudevents-batch+json"})
    assert status == 200 and headers["Content-Type"] == "application/cloudevents-batch+json"
    events = json.loads(body)
    assert [event["id"] for event in events] == ids[:len(events)]
    events += take_all(consumers, 2 - len(events)) if len(events) < 2 else []
    say(consumers, *({"id": event["id"], "result": "ack"} for event in events))


def test_what_is_not_answered_comes_again_after_its_visibility_time_and_the_old_lease_is_late(consumers):
    publish(consumers)
    first = take(consumers, "wait=10s&visibility=1s")[0]
    second = take(consumers, "wait=20s")[0]
    assert second["id"] == first["id"] and second["deliveryattempt"] == 2 and second["lease"] != first["lease"]
    assert say(consumers, {"lease": first["lease"], "result": "ack"}) == ["late"]
    assert say(consumers, {"lease": second["lease"], "result": "ack"}) == ["settled"]
    assert say(consumers, {"lease": second["lease"], "result": "ack"}) == ["late"]


def test_an_extended_lease_is_kept(consumers):
    publish(consumers)
    event = take(consumers, "wait=10s&visibility=2s")[0]
    assert say(consumers, {"lease": event["lease"], "result": "extend", "after": "60s"}) == ["extended"]
    assert take(consumers, "wait=4s") == []
    assert say(consumers, {"lease": event["lease"], "result": "ack"}) == ["settled"]


def test_retry_brings_it_again_and_fail_ends_it_with_the_reason(consumers):
    publish(consumers)
    event = take(consumers)[0]
    assert say(consumers, {"lease": event["lease"], "result": "retry", "after": "1s", "error": "the disk is full"}) == ["settled"]
    again = take(consumers, "wait=20s")[0]
    assert (again["id"], again["deliveryattempt"]) == (event["id"], 2)
    assert say(consumers, {"lease": again["lease"], "result": "fail", "error": "no such order"}) == ["settled"]
    found = row(consumers, event["id"])
    assert (found["status"], found["error_class"], found["error_msg"]) == ("Failed", "permanent", "no such order")


def test_attempts_that_are_spent_end_it(consumers):
    publish(consumers)
    for _ in range(3):
        event = take(consumers, "wait=20s")[0]
        say(consumers, {"lease": event["lease"], "result": "retry", "after": "1ms"})
    found = harness.wait_for("it has ended", lambda: row(consumers, event["id"]) if row(consumers, event["id"])["status"] == "Failed" else None)
    assert found["error_class"] == "exhausted"


def test_two_consumers_share_and_nothing_is_lent_twice(consumers):
    ids = publish(consumers, 40)
    found = []
    while len(found) < 40:
        for _ in range(2):
            found += take(consumers, "wait=5s&max=3")
    assert sorted(event["id"] for event in found) == sorted(ids)
    say(consumers, *({"lease": event["lease"], "result": "ack"} for event in found))


def take_and_acknowledge(system, ids):
    """Until each of them was given and its answer taken."""
    settled = set()
    while len(settled) < len(ids):
        for event in take(system, "wait=40s"):
            if say(system, {"lease": event["lease"], "result": "ack"}) == ["settled"]:
                settled.add(event["id"])
    assert sorted(settled) == sorted(ids)


@pytest.mark.parametrize("process", ["broker", "gateway", "logger"])
def test_a_process_that_was_killed_loses_nothing(consumers, process):
    ids = publish(consumers, 3)
    take_all(consumers, 3, "wait=10s&max=3&visibility=2s")
    consumers.kill(process)
    harness.wait_for("the system is ready again", consumers.is_ready, 40)
    take_and_acknowledge(consumers, ids)
    assert [row(consumers, event_id)["status"] for event_id in ids] == ["Success"] * 3


def test_what_is_lent_stays_lent_when_the_broker_is_killed(consumers):
    ids = publish(consumers, 20)
    events = take_all(consumers, 20, "wait=10s&max=20&visibility=5m")
    consumers.kill("broker")
    harness.wait_for("the system is ready again", consumers.is_ready, 40)
    assert take(consumers, "wait=4s") == []
    assert say(consumers, *({"lease": event["lease"], "result": "ack"} for event in events)) == ["settled"] * 20
    assert [row(consumers, event_id)["status"] for event_id in ids] == ["Success"] * 20
    assert take(consumers, "wait=2s") == []


def test_what_is_wrong_is_said(consumers):
    for path, status, said in (("/v1/groups/none/next", 404, "no_group"), ("/v1/groups/billing/next?max=0", 400, "max"),
                               ("/v1/groups/billing/next?wait=6m", 400, "wait"), ("/v1/groups/billing/next?visibility=1ms", 400, "visibility")):
        answer = consumers.api("GET", path)
        assert answer[0] == status and said in answer[2].decode(), answer
    for results, said in (({}, "list"), ([{"result": "ack"}], "result 0"), ([{"lease": "x", "result": "maybe"}], "retry"),
                          ([{"lease": "x", "result": "ack", "after": "1s"}], "after")):
        answer = consumers.api("POST", "/v1/groups/billing/results", results)
        assert answer[0] == 400 and said in answer[2].decode(), answer


def test_a_wait_that_finds_nothing_is_an_empty_list(consumers):
    assert take(consumers, "wait=500ms", group="other") == []


def test_nothing_is_unaccounted_in_the_end(consumers):
    assert consumers.settled()["unaccounted"] == 0

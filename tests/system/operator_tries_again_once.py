# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""What failed is tried again by a person's word, once, and money moves once; what a person stops does not run."""
import json
import os
import pwd
import signal

import harness

ME = pwd.getpwuid(os.getuid()).pw_name


def redrive(system, *args):
    """(exit status, what was said of each)"""
    done = system.cli("redrive", "--json", *args, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def declined(system):
    status, problem = system.charge(payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
    assert status == 502, problem
    return problem["id"]


def trace(system, event):
    return json.loads(system.cli("trace", event, "--json").stdout)


def test_a_definite_failure_is_redriven_once_with_a_key_of_its_own(system):
    failed = declined(system)
    dry, said = redrive(system, failed, "--dry-run")
    assert (dry, said[0]["ok"], said[0]["key"]) == (0, True, "new")
    assert len(system.log("--type", "payment.charge.requested")) == 1
    status, said = redrive(system, failed)
    assert (status, said[0]["ok"]) == (0, True)
    system.settled()
    row = next(row for row in system.log() if row["id"] == said[0]["redrive"])
    assert (row["cause"], row["status"], row["error_class"]) == (failed, "Failed", "permanent")
    assert [row["redrive"] for row in system.log("--status", "failed") if row["id"] == failed] == [said[0]["redrive"]]
    status, again = redrive(system, failed)
    assert (status, again[0]["ok"]) == (1, False)
    assert said[0]["redrive"] in again[0]["why"]
    assert system.audit()["unaccounted"] == 0


def test_a_failure_in_doubt_keeps_its_key_so_the_redrive_is_one_effect(tmp_path):
    with harness.System(tmp_path, limits="timeout: 1s, attempts: 2") as system:
        system.sandbox.fault(kind="cut_after_effect", next=2)
        assert system.charge(wait="0", deadline="1h")[0] == 202
        assert system.settled(60)["failed"] == 1
        failed = system.log("--status", "failed")[0]
        assert failed["error_class"] == "unknown", failed
        assert list(system.sandbox.effects().values()) == [1]
        status, said = redrive(system, "--class", "unknown", "--since", "1h")
        assert (status, len(said), said[0]["key"]) == (0, 1, "kept")
        assert system.settled(60)["unaccounted"] == 0
        row = next(row for row in system.log() if row["id"] == said[0]["redrive"])
        assert row["status"] == "Success", row
        assert list(system.sandbox.effects().values()) == [1]  # the money moved once, under the first one's key
        assert row["id"] in [one["id"] for one in trace(system, failed["id"])["followed"]]


def test_a_second_redrive_is_refused_also_after_a_kill_of_the_broker(system):
    failed = declined(system)
    first, second = redrive(system, failed), redrive(system, failed)
    assert [one[1][0]["ok"] for one in (first, second)] == [True, False]
    system.settled()
    system.kill("broker")
    harness.wait_for("the broker is back", system.is_ready, 30)
    status, said = redrive(system, failed)
    assert (status, said[0]["ok"]) == (1, False), said
    status, said = redrive(system, failed, "--again")
    assert (status, said[0]["ok"]) == (0, True), said


def test_success_is_not_redriven_and_nothing_unknown_is_found(system):
    status, answer = system.charge()
    assert status == 200
    status, said = redrive(system, answer["id"])
    assert (status, said[0]["ok"]) == (1, False)
    assert "it succeeded" in said[0]["why"]
    assert redrive(system, "--type", "email.>") == (0, [])
    done = system.cli("redrive", "no-such-event", check=False)
    assert (done.returncode, "no event no-such-event" in done.stderr) == (1, True)
    for wrong in ((), ("x", "--since", "1h"), ("--class", "exhaust")):
        assert system.cli("redrive", *wrong, check=False).returncode == 2
    assert list(system.sandbox.effects().values()) == [1]


def test_a_pending_request_is_cancelled_a_running_one_is_not(system):
    system.cli("pause", "stripe", "--reason", "the invoices are wrong")
    assert system.charge(wait="0", deadline="1h")[0] == 202
    pending = system.log("--status", "pending")[0]["id"]
    assert "paused" in system.cli("status").stdout
    system.cli("cancel", pending)
    system.cli("cancel", pending)  # done before is done
    row = trace(system, pending)
    assert (row["status"], row["error_class"]) == ("Failed", "cancelled")
    assert ME in row["error_msg"]
    system.cli("resume")
    system.sandbox.fault(kind="slow", next=1, ms=2000)
    assert system.charge(wait="0", deadline="1h")[0] == 202
    running = system.log("--status", "pending")[0]["id"]
    harness.wait_for("the charge has begun", lambda: system.sandbox.get("/sandbox/status")["calls"] == 1)
    done = system.cli("cancel", running, check=False)
    assert (done.returncode, "with its connector" in done.stderr) == (1, True), done.stderr
    assert system.settled()["unaccounted"] == 0
    assert list(system.sandbox.effects().values()) == [1]


def test_what_is_paused_waits_through_a_restart_of_the_broker(system):
    system.cli("pause", "--reason", "the provider called")
    system.kill("broker")
    harness.wait_for("the broker is back", system.is_ready, 30)
    group = json.loads(system.cli("status", "--json").stdout)["broker"]["groups"][0]
    assert (group["pause"]["reason"], group["pause"]["actor"]) == ("the provider called", ME)
    assert system.charge(wait="0", deadline="1h")[0] == 202
    assert [row["status"] for row in system.log("--type", "payment.charge.requested")] == ["Pending"]
    assert system.cli("pause", "strip", check=False).returncode == 1
    system.cli("resume", "stripe")
    system.settled()
    assert [row["status"] for row in system.log("--type", "payment.charge.requested")] == ["Success"]


def test_acts_stand_in_the_log_with_who_did_them(system):
    system.cli("pause", "stripe", "--reason", "the invoices are wrong")
    assert system.charge(wait="0", deadline="1h")[0] == 202
    pending = system.log("--status", "pending")[0]["id"]
    system.cli("cancel", pending)
    system.cli("resume", "stripe")
    rows = system.log("--type", "signalbox.>")
    assert [row["type"] for row in rows] == ["signalbox.paused", "signalbox.cancelled", "signalbox.resumed"]
    assert {row["data"]["actor"] for row in rows} == {ME} and rows[0]["data"]["reason"] == "the invoices are wrong"
    assert (rows[1]["cause"], rows[1]["service"]) == (pending, "Stripe")
    audit = system.settled()
    assert (audit["accepted"], audit["unaccounted"]) == (4, 0)


def test_what_a_group_gave_up_comes_back_to_it_once(tmp_path):
    with harness.System(tmp_path, "groups: { billing: { types: ['order.>'] }, shipping: { types: ['order.>'] } }") as system:
        def take(group):
            status, _, body = system.api("GET", f"/v1/groups/{group}/next?wait=10s")
            assert status == 200, body
            return json.loads(body)["events"]

        def say(group, event, **result):
            status, _, body = system.api("POST", f"/v1/groups/{group}/results", [{"lease": event["lease"], **result}])
            assert status == 200, body

        event = system.cli("publish", "order.created", "--data", '{"n": 1}').stdout.strip()
        say("billing", take("billing")[0], result="fail", error="no such customer")
        say("shipping", take("shipping")[0], result="ack")
        row = harness.wait_for("it is Failed", lambda: next((one for one in system.log("--status", "failed") if one["id"] == event), None))
        assert "no such customer" in row["error_msg"]
        status, said = redrive(system, "--type", "order.>")
        assert (status, said[0]["group"], said[0]["ok"]) == (0, "billing", True)
        say("billing", take("billing")[0], result="ack")
        new = harness.wait_for("it is settled", lambda: next((one for one in system.log() if one["id"] == said[0]["redrive"] and one["status"] == "Success"), None))
        assert (new["cause"], new["data"]) == (event, {"n": 1})
        assert [one["redrive"] for one in system.log("--status", "failed")] == [said[0]["redrive"]]
        assert redrive(system, event)[0] == 1
        assert system.audit()["unaccounted"] == 0


def test_outcomes_that_a_group_gave_up_come_back_to_it_by_its_name(tmp_path):
    with harness.System(tmp_path, "groups: { billing: { types: ['payment.charge.*'] } }") as system:
        def take():
            status, _, body = system.api("GET", "/v1/groups/billing/next?wait=10s")
            assert status == 200, body
            return json.loads(body)["events"]

        def say(event, **result):
            status, _, body = system.api("POST", "/v1/groups/billing/results", [{"lease": event["lease"], **result}])
            assert status == 200, body

        assert system.charge()[0] == 200
        outcome = take()[0]
        say(outcome, result="fail", error="the books are closed")
        status, said = redrive(system, "--group", "billing", "--since", "1h", "--dry-run")
        assert (status, [(one["group"], one["ok"]) for one in said]) == (0, [("billing", True)]), said
        assert redrive(system, "--group", "billing", "--type", "order.>") == (0, [])
        status, said = redrive(system, "--group", "billing", "--class", "permanent")
        assert (status, len(said), said[0]["ok"]) == (0, 1, True), said
        again = take()[0]
        assert (again["data"], again["type"]) == (outcome["data"], outcome["type"])
        say(again, result="ack")
        status, said = redrive(system, "--group", "billing")
        assert (status, [one["ok"] for one in said]) == (1, [False]), said  # once
        done = system.cli("redrive", "--group", "nobody", check=False)
        assert done.returncode == 1 and "`nobody`" in done.stderr
        assert system.audit()["unaccounted"] == 0


def test_an_unknown_effect_is_resolved_by_a_person_with_a_note(tmp_path):
    with harness.System(tmp_path, limits="timeout: 1s, attempts: 1") as system:
        system.sandbox.fault(kind="cut_after_effect", next=1)
        assert system.charge(wait="0", deadline="1h")[0] == 202
        system.settled(60)
        failed = system.log("--status", "failed")[0]
        accepted = system.audit()["accepted"]
        assert system.cli("resolve", failed["id"], "--as", "success", check=False).returncode == 2
        system.cli("resolve", failed["id"], "--as", "success", "--note", "seen in the dashboard")
        verdict = trace(system, failed["id"])["followed"][-1]
        assert verdict["type"] == "signalbox.resolved"
        assert verdict["data"] == {"id": failed["id"], "as": "success", "note": "seen in the dashboard", "actor": ME}
        row = next(row for row in system.log("--status", "failed") if row["id"] == failed["id"])
        assert (row["resolved"]["as"], row["resolved"]["actor"], row["status"]) == ("success", ME, "Failed"), row
        assert "resolved ->" in system.cli("log", "--status", "failed").stdout
        assert "seen in the dashboard" in system.cli("trace", failed["id"]).stdout
        assert redrive(system, failed["id"])[0] == 1
        audit = system.audit()
        assert (audit["accepted"], audit["unaccounted"]) == (accepted + 1, 0)
        done = system.cli("resolve", declined(system), "--as", "success", "--note", "no", check=False)
        assert (done.returncode, "definite" in done.stderr) == (1, True), done.stderr


def test_a_stopped_broker_is_said_to_be_away(system):
    failed = declined(system)
    pid = system.pids()["broker"]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert system.cli("redrive", failed, check=False).returncode == 3
    finally:
        os.kill(pid, signal.SIGCONT)


def post(system, body):
    status, _, answer = system.api("POST", "/v1/redrive", body)
    return status, json.loads(answer)


def test_over_http_the_same_rules_hold_and_the_actor_is_the_token(system):
    failed = [declined(system) for _ in range(3)]
    status, dry = post(system, {"class": "permanent", "since": "1h", "limit": 2, "dry_run": True})
    assert (status, dry["redriven"], dry["more"], [one["id"] for one in dry["items"]]) == (200, 2, True, failed[:2])
    status, said = post(system, {"class": "permanent", "since": "1h"})
    assert (status, said["redriven"], said["refused"], said["more"]) == (200, 3, 0, False), said
    system.settled()
    row = next(row for row in system.log() if row["id"] == said["items"][0]["redrive"])
    assert row["cause"] == failed[0]
    status, said = post(system, {"ids": [failed[0], "no-such-event"]})
    assert (status, said["redriven"], said["refused"]) == (200, 0, 2)
    assert {one["id"]: one["why"].split(",")[0] for one in said["items"]}["no-such-event"] == "no event has this id"
    for wrong in ({}, {"ids": []}, {"class": "wrong"}, {"since": "yesterday"}, {"type": ">", "limit": 0}, []):
        status, problem = post(system, wrong)
        assert (status, problem["code"]) == (400, "bad_request"), wrong


def test_what_is_misspelt_over_http_redrives_nothing(shared):
    """A dry run that is none, a filter that is left out: each would be another request than was meant."""
    _, answer = shared.charge(payment_method="pm_card_visa_chargeDeclined")
    failed = answer["id"]
    for body, said in (({"ids": [failed], "dry_run": "true"}, "`dry_run` is true or false"), ({"ids": [failed], "dryrun": True}, "did you mean `dry_run`?"),
                       ({"ids": [failed], "again": 1}, "`again` is true or false"), ({"ids": failed}, "`ids` is an array"), ({"ids": [failed, 5]}, "texts"),
                       ({"type": "payment.>", "clas": "unknown"}, "did you mean `class`?"), ({"type": "payment.>", "limit": "1"}, "`limit` is a whole number"),
                       ({"ids": [failed], "class": "unknown"}, "not both"), ({"type": "pay.>.x"}, "`*` stands for"), ({"type": 5}, "`type` is a text"),
                       ({"type": "payment.>", "since": "1h", "until": "2h"}, "not before"), ([failed], "object"), ({}, "name `ids`")):
        status, _, problem = shared.api("POST", "/v1/redrive", body)
        assert status == 400 and said in json.loads(problem)["detail"], (body, problem)
    dry = json.loads(shared.api("POST", "/v1/redrive", {"ids": [failed], "dry_run": True})[2])
    assert (dry["redriven"], dry["dry_run"]) == (1, True)  # it can still be redriven: nobody did

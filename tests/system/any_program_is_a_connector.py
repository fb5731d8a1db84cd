# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A program that reads and writes lines of JSON is a connector like any other, whatever it does."""
import json
import shutil
import sqlite3
import sys

import harness
import pytest

PYTHON = "/usr/bin/python3"

# A program with every fault; what it did stands in a file, a line each.
TRICKS = r'''
import json, os, signal, sys, time
MANIFEST = {"name": "tricks", "version": "1", "operations": [
    {"name": "once", "repeat": "never"},
    {"name": "asked", "repeat": "never", "lookup": True, "lookup_after_s": 1},
    {"name": "again", "repeat": "safe"},
    {"name": "slow", "repeat": "safe", "timeout_ms": 500}],
    "secrets": [{"name": "token", "what": "any"}]}
if sys.argv[-1] == "--manifest":
    print(json.dumps(MANIFEST)); sys.exit()
secrets = json.load(os.fdopen(int(os.environ["SIGNALBOX_SECRETS_FD"])))
for line in sys.stdin:
    q = json.loads(line)
    data, key = q["event"]["data"], q["key"]
    if q.get("lookup"):
        done = key in open("effects").read()
        print(json.dumps({"succeeded": {"by": "lookup"}} if done else {"absent": True}), flush=True)
        continue
    first = q["attempt"] == 1
    if data.get("effect"):
        with open("effects", "a") as file:
            file.write(key + "\n")
    what = data.get("what")
    if what == "die" or (what == "die once" and first):
        print("about to end with", secrets["token"], file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sleep":
        time.sleep(60)
    if what == "garbage" and first:
        print("Traceback (most recent call last):", flush=True); continue
    if what == "print":
        print("debug", flush=True)
    if what == "retry" and first:
        print(json.dumps({"retry": {"after_ms": 50, "message": "not yet"}}), flush=True); continue
    if what == "echo":
        print(json.dumps({"succeeded": {"secret": secrets["token"], "question": q}}), flush=True); continue
    print(json.dumps({"succeeded": {"attempt": q["attempt"]}}), flush=True)
'''

INTEGRATIONS = f"""
  warehouse:
    connector: stock
    command: [{PYTHON}, exec_connector.py, warehouse.db]
    workers: 2
    secrets: {{ signing_key: file:signing_key }}
  odd:
    connector: tricks
    command: [{PYTHON}, tricks.py]
    workers: 3
    secrets: {{ token: file:token }}
    limits: {{ timeout: 5s }}
"""
TOKEN = "a-token-that-nobody-may-see-0123456789"


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    directory = tmp_path_factory.mktemp("exec")
    shutil.copy(harness.ROOT / "docs/examples/exec_connector.py", directory)
    (directory / "tricks.py").write_text(TRICKS)
    (directory / "effects").touch()
    with harness.System(directory, integrations=INTEGRATIONS,
                        secrets={"signing_key": "a key of twenty characters", "token": TOKEN}) as running:
        harness.wait_for("all connectors have joined", lambda: all_joined(running), 20)
        yield running


def all_joined(system):
    status = json.loads(system.api("GET", "/v1/status")[2])
    sessions = status["sessions"] if status.get("staged_bytes") == 0 else []  # what they said is committed
    return {"stripe", "warehouse", "odd"} <= {one["name"] for one in sessions if one["role"] == "connector" and one["connected"]}


def call(system, what, data, deadline=None):
    """(status, answer) of a call that is waited for."""
    path = f"/v1/calls/{what}?wait=20s" + (f"&deadline={deadline}" if deadline else "")
    status, _, body = system.api("POST", path, data)
    return status, json.loads(body)


def effects(system):
    return (system.directory / "effects").read_text().splitlines()


def test_the_example_reserves_once_and_says_when_it_cannot(system):
    status, answer = call(system, "stock/reserve", {"sku": "tea", "quantity": 4})
    assert status == 200, answer
    assert answer["data"]["quantity"] == 4 and len(answer["data"]["ticket"]) == 64
    status, answer = call(system, "stock/reserve", {"sku": "tea", "quantity": 7})
    assert status == 502 and "only 6 pieces are left" in json.dumps(answer)
    status, answer = call(system, "stock/reserve", {"sku": "tea", "quantity": "x"})
    assert status == 502 and "expected" in json.dumps(answer)
    status, answer = call(system, "stock/level", {"sku": "tea"})
    assert (status, answer["data"]["pieces"]) == (200, 6)


def test_the_examples_poll_brings_facts_and_goes_on_at_its_cursor(system):
    call(system, "stock/reserve", {"sku": "tea", "quantity": 0})
    status, answer = call(system, "stock/changes", {})
    assert status == 200 and answer["data"]["count"] >= 1, answer
    facts = [row for row in system.log("--type", "stock.reserved") if row["kind"] == "fact"]
    assert len(facts) == answer["data"]["count"]
    stock = sqlite3.connect(system.directory / "warehouse.db")
    assert [fact["data"]["n"] for fact in facts] == [n for n, in stock.execute("SELECT n FROM reservation ORDER BY n")]


def test_a_question_has_all_that_is_specified(system):
    status, answer = call(system, "tricks/again", {"what": "echo"})
    assert status == 200, answer
    question = answer["data"]["question"]
    assert set(question) == {"event", "key", "deadline", "attempt", "doubt", "options", "integration", "mode"}
    assert question["attempt"] == 1 and question["doubt"] is False and question["integration"] == "odd"
    assert question["event"]["type"] == "tricks.again.requested" and question["event"]["data"] == {"what": "echo"}


def test_its_secret_reaches_the_program_and_nobody_else(system):
    call(system, "tricks/again", {"what": "echo"})
    call(system, "tricks/once", {"what": "die"})
    harness.wait_for("its last words are in the log", lambda: "about to end with" in system.said())
    assert TOKEN not in system.said()
    assert TOKEN not in json.dumps(system.log())
    for segment in (system.directory / "data").rglob("*"):
        if segment.is_file():
            assert TOKEN.encode() not in segment.read_bytes(), segment


@pytest.mark.parametrize("what", ["die once", "garbage", "retry"])
def test_what_may_be_repeated_is_tried_again(system, what):
    status, answer = call(system, "tricks/again", {"what": what})
    assert (status, answer["data"]) == (200, {"attempt": 2}), answer


def test_what_may_not_be_repeated_and_dies_is_unknown_and_done_once(system):
    before = len(effects(system))
    status, answer = call(system, "tricks/once", {"what": "die", "effect": True})
    assert status == 502 and answer["class"] == "unknown", answer
    assert len(effects(system)) == before + 1


def test_what_dies_after_its_effect_is_looked_up(system):
    before = len(effects(system))
    status, answer = call(system, "tricks/asked", {"what": "die once", "effect": True})
    assert status == 200 and answer["data"] == {"by": "lookup"}, answer
    assert len(effects(system)) == before + 1


def test_what_died_before_its_effect_is_made_after_the_lookup(system):
    status, answer = call(system, "tricks/asked", {"what": "die once"})
    assert status == 200 and answer["data"]["attempt"] >= 2, answer


def test_what_kills_three_workers_is_poison(system):
    status, answer = call(system, "tricks/again", {"what": "die"})
    assert status == 502 and answer["class"] == "poison", answer
    assert call(system, "tricks/again", {})[0] == 200  # and the others go on


def test_a_worker_that_does_not_answer_is_killed_at_its_timeout(system):
    status, answer = call(system, "tricks/slow", {"what": "sleep"}, deadline="2s")
    assert status == 502 and answer["class"] in ("deadline", "exhausted"), answer
    assert "did not answer in time" in json.dumps(system.log("--records", "--type", "tricks.>")) or "did not answer in time" in system.said()
    assert call(system, "tricks/again", {})[0] == 200


def test_a_worker_that_prints_what_is_no_answer_is_killed(system):
    status, answer = call(system, "tricks/once", {"what": "print"})
    assert status == 502 and answer["class"] == "unknown", answer
    assert call(system, "tricks/again", {})[0] == 200


def test_everything_is_accounted_for(system):
    audit = system.settled()
    assert audit["unaccounted"] == 0, audit


def test_a_program_that_is_none_says_why(tmp_path):
    config = tmp_path / "signalbox.yaml"
    cases = {"[/no/such/program]": "No such file or directory", "[/bin/false]": "did not end with status 0",
             "[/bin/echo, hello]": "expected a JSON object", f"[{sys.executable}, -c, 'print(1)']": "expected a JSON object",
             "[/bin/echo, '{\"name\":\"x\",\"version\":\"1\",\"operations\":[{\"name\":\"a\",\"repeat\":\"often\"}]}', '#']": "JSON object"}
    for command, reason in cases.items():
        config.write_text(f"data: ./data\nintegrations:\n  box:\n    connector: x\n    command: {command}\n")
        done = harness.subprocess.run([harness.program("signalbox-exec"), "-c", str(config), "--integration", "box"],
                                      capture_output=True, text=True, timeout=20)
        assert done.returncode and reason in done.stderr, (command, done)

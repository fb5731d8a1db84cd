# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A connector written from proto/README.md alone, in Python, serves its operation: both branches, through kills of the broker, and when it is
killed itself."""
import json
import signal
import subprocess
import sys
import threading

import harness
import pytest

EXAMPLE = harness.ROOT / "docs/examples/wire_connector.py"


class WithCounter(harness.System):
    """A system that has the integration `words`, and the example serving it over an encrypted link."""

    def __init__(self, directory):
        super().__init__(directory)
        self.bus_port, self.counter = harness.free_port(), None

    def write_config(self):
        made = json.loads(subprocess.run([harness.program("signalbox"), "key", "new", "counter", "-o", str(self.directory / "counter.key"), "--json"],
                                         capture_output=True, text=True, check=True).stdout)
        self.public_key = made["public_key"]
        self.extra = (f'bus: {{ listen: "127.0.0.1:{self.bus_port}", peers: {{ counter: {{ public_key: "{made["public_key"]}", role: connector, '
                      'integration: words } } }\n')
        super().write_config()
        path = self.home / "signalbox.yaml"
        path.write_text(path.read_text() + "  words: { connector: text }\n")
        self.broker_key = json.loads(self.cli("key", "server", "--json").stdout)["public_key"]

    def start_counter(self):
        self.counter = subprocess.Popen([sys.executable, str(EXAMPLE), "--bus", f"tcp://127.0.0.1:{self.bus_port}", "--broker-key", self.broker_key,
                                         "--key-file", str(self.directory / "counter.key"), "--integration", "words"], stdout=subprocess.PIPE, text=True)
        assert self.counter.stdout.readline() == "joined\n"

    def count(self, data, wait="20s", deadline="1h"):
        status, _, body = self.api("POST", f"/v1/calls/text/count?wait={wait}&deadline={deadline}", data, timeout=60)
        return status, json.loads(body)

    def stop(self):
        harness.stop(self.counter)
        super().stop()


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with WithCounter(tmp_path_factory.mktemp("counter")) as running:
        running.start_counter()
        harness.wait_for("its manifest is known", lambda: running.count({"text": "a"})[0] == 200)
        yield running


def test_both_branches(system):
    status, outcome = system.count({"text": "two wörds"})
    assert (status, outcome["status"], outcome["data"]) == (200, "Success", {"words": 2, "letters": 8})
    status, problem = system.count({"txt": 1})
    assert (status, problem["class"]) == (502, "permanent")
    assert "`text` is missing" in json.dumps(problem)


def test_it_goes_on_through_a_broker_that_is_killed(system):
    answers = []

    def ask():
        answers.extend(system.count({"text": f"number {i}"})[0] for i in range(60))
    thread = threading.Thread(target=ask)
    thread.start()
    while thread.is_alive():
        thread.join(0.4)
        if len(system.pids()) > 3 and thread.is_alive():
            system.kill("broker")
            harness.wait_for("the broker serves again", lambda: harness.port_answers(system.port, "/readyz"), 30)
    audit = system.settled()
    assert audit["unaccounted"] == 0 and audit["pending"] == 0
    assert answers.count(200) + answers.count(202) + answers.count(503) == 60


def test_with_another_key_in_its_entry_it_is_put_out_and_with_its_own_it_comes_back(system):
    path = system.home / "signalbox.yaml"
    text = path.read_text()
    other = json.loads(system.cli("key", "new", "other", "-o", str(system.directory / "other.key"), "--json").stdout)["public_key"]
    path.write_text(text.replace(system.public_key, other))
    assert "bus.peers.counter.public_key: " in system.cli("reload").stdout
    harness.wait_for("it is kept out", lambda: "PEER_REFUSED" in system.said(), 30)
    assert system.count({"text": "held"}, wait="1s")[0] == 202
    broker = system.pids()["broker"]
    path.write_text(text)
    system.cli("reload")
    assert system.pids()["broker"] == broker  # entries are taken by the one that runs
    audit = system.settled(60)  # it has tried all the time
    assert audit["unaccounted"] == 0
    assert system.count({"text": "back again"})[1]["data"] == {"words": 2, "letters": 9}


def test_what_it_held_when_it_was_killed_is_done_by_the_next(system):
    system.counter.send_signal(signal.SIGSTOP)
    status, _ = system.count({"text": "held"}, wait="1s")
    assert status == 202
    system.counter.kill()
    system.counter.wait()
    system.counter.stdout.close()
    system.start_counter()
    audit = system.settled(60)
    assert audit["unaccounted"] == 0
    rows = system.log("--type", "text.count.requested")
    assert {row["status"] for row in rows[-1:]} == {"Success"}

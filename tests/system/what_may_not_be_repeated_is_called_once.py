# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""An operation that may not be repeated is called once, whoever dies meanwhile: what is not known ends Failed/unknown."""
import http.server
import json
import subprocess
import threading

import harness
import pytest

CONFIG = """data: ./data
run: ./run
gateway: {{ listen: "127.0.0.1:{port}" }}
log: {{ segment_size: 16MiB, reserve: 4MiB }}
integrations:
  bank: {{ connector: once, service: Bank, base_url: "http://127.0.0.1:{bank}", allow_private_network: true }}
"""


class Bank:
    """Moves money at once, and answers when it is let. Nobody can ask it afterwards."""

    def __init__(self, port=0):
        bank = self
        self.effects, self.called, self.may_answer = [], threading.Event(), threading.Event()
        self.may_answer.set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                bank.effects.append(self.path)
                bank.called.set()
                bank.may_answer.wait(60)
                body = b"{}"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()


class Town:
    def __init__(self, directory, bank_port):
        self.port = harness.free_port()
        self.parts = harness.Parts(directory, CONFIG.format(port=self.port, bank=bank_port), ["bank"])
        self.parts.start()
        self.parts.start_gateway(self.port)
        self.connector()

    def connector(self):
        joined = self.parts.log("broker").count("SESSION_STARTED name=bank")
        self.parts.others.append(harness.start([harness.program("signalbox-once"), "-c", str(self.parts.config), "--integration", "bank"],
                                               {"bus": self.parts.keys["bus.bank"]}, self.parts.directory / "once.err"))
        harness.wait_for("the connector has joined", lambda: self.parts.log("broker").count("SESSION_STARTED name=bank") > joined, 20)

    def kill(self, name):
        process = {"connector": self.parts.others[-1], "broker": self.parts.broker, "logger": self.parts.logger}[name]
        process.kill()
        process.wait()

    def call(self):
        token = (self.parts.directory / "data/api-token").read_text().strip()

        def accepted():  # 404 until what the connector declares is committed
            status, _, body = harness.http_call(self.port, "POST", "/v1/calls/once/transfer?wait=0&deadline=10m", b"{}",
                                                {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
            return json.loads(body)["id"] if status == 202 else None
        return harness.wait_for("the call is accepted", accepted)

    def row(self, event):
        done = subprocess.run([harness.program("signalbox"), "log", "--json", "-c", str(self.parts.config)], capture_output=True, text=True, timeout=60)
        return next(row for row in map(json.loads, done.stdout.splitlines()) if row["id"] == event)

    def ended(self, event):
        harness.wait_for("the request has its outcome", lambda: self.row(event)["status"] != "Pending", 60, 0.1)
        return self.row(event)


@pytest.fixture
def bank():
    running = Bank()
    yield running
    running.stop()


@pytest.fixture
def town(tmp_path, bank):
    running = Town(tmp_path, bank.port)
    yield running
    running.parts.stop()


def test_nothing_dies_and_it_succeeds(town, bank):
    row = town.ended(town.call())
    assert row["status"] == "Success", row
    assert len(bank.effects) == 1


@pytest.mark.parametrize("victims", [["connector"], ["broker"], ["connector", "broker"], ["logger", "connector", "broker"]], ids="+".join)
def test_killed_after_the_effect_and_before_the_answer(town, bank, victims):
    bank.may_answer.clear()
    event = town.call()
    assert bank.called.wait(20), "the bank was not called"
    for name in victims:
        town.kill(name)
    if "logger" in victims:
        town.parts.start_logger()
    if "broker" in victims:
        town.parts.start_broker()
    if "connector" in victims:
        town.connector()
    bank.may_answer.set()
    row = town.ended(event)
    assert len(bank.effects) == 1, f"called {len(bank.effects)} times: {row}"
    if "connector" in victims:  # nobody lives who saw the answer
        assert (row["status"], row["error_class"]) == ("Failed", "unknown"), row
    else:  # the connector has it, and its session goes on with the next broker
        assert row["status"] == "Success", row


def test_refused_before_anything_was_sent_it_is_tried_again(tmp_path):
    port = harness.free_port()
    town = Town(tmp_path, port)
    try:
        event = town.call()
        harness.wait_for("an attempt was made", lambda: "CALL_FAILED" in town.parts.log("once"), 20)
        bank = Bank(port)
        row = town.ended(event)
        assert row["status"] == "Success", row
        assert len(bank.effects) == 1
        bank.stop()
    finally:
        town.parts.stop()

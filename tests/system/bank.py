# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A bank without idempotency keys, and a town of single processes that can be killed one by one, with the connector `once`."""
import http.server
import json
import subprocess
import threading

import harness

CONFIG = """data: ./data
run: ./run
gateway: {{ listen: "127.0.0.1:{port}" }}
log: {{ segment_size: 16MiB, reserve: 4MiB }}
integrations:
  bank: {{ connector: once, service: Bank, base_url: "http://127.0.0.1:{bank}", allow_private_network: true, limits: {{ attempts: {attempts} }} }}
"""


class Bank:
    """Moves money at once, and answers when it is let. Nobody can ask it afterwards."""

    def __init__(self, port=0):
        bank = self
        self.effects, self.called, self.may_answer = [], threading.Event(), threading.Event()
        self.may_answer.set()
        self.status = 200  # of its answers

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.answer()

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                bank.effects.append(self.path)
                bank.called.set()
                bank.may_answer.wait(60)
                self.answer()

            def answer(self):
                body = b"{}"
                self.send_response(bank.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a connector that dies resets its connections
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()


class Town:
    def __init__(self, directory, bank_port, attempts=8):
        self.port = harness.free_port()
        self.parts = harness.Parts(directory, CONFIG.format(port=self.port, bank=bank_port, attempts=attempts), ["bank"])
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

    def post(self, path):
        token = (self.parts.directory / "data/api-token").read_text().strip()
        status, _, body = harness.http_call(self.port, "POST", path, b"{}", {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        return status, json.loads(body)

    def call(self, operation="transfer", deadline="10m"):
        """Its id."""
        def accepted():  # 404 until what the connector declares is committed
            status, answer = self.post(f"/v1/calls/once/{operation}?wait=0&deadline={deadline}")
            return answer["id"] if status == 202 else None
        return harness.wait_for("the call is accepted", accepted)

    def log(self, *args):
        done = subprocess.run([harness.program("signalbox"), "log", "--json", *args, "-c", str(self.parts.config)], capture_output=True, text=True,
                              timeout=60)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def row(self, event):
        return next(row for row in self.log() if row["id"] == event)

    def outcomes(self, event):
        return [row for row in self.log("--records") if row["kind"] == "outcome" and row["cause"] == event]

    def ended(self, event):
        harness.wait_for("the request has its outcome", lambda: self.row(event)["status"] != "Pending", 60, 0.1)
        return self.row(event)

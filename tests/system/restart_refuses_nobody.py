# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The gateway is started again while requests come in, over fresh and over kept connections: each is answered as ever."""
import http.client
import json
import os
import signal
import threading

import harness

RESTARTS = 5


class Client(threading.Thread):
    """Webhooks one after the other until told to end; `statuses` has what came back, `errors` what did not."""

    def __init__(self, system, keeps):
        super().__init__()
        self.system, self.keeps, self.statuses, self.errors, self.ended = system, keeps, [], [], threading.Event()
        self.connection = None

    def once(self):
        body = harness.stripe_event("charge.refunded")
        if not self.connection:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.system.port, timeout=30)
        self.connection.request("POST", "/webhooks/stripe", body, {"Stripe-Signature": harness.stripe_signature(body)})
        answer = self.connection.getresponse()
        answer.read()
        self.statuses.append(answer.status)
        if not self.keeps or answer.getheader("Connection") == "close":
            self.connection.close()
            self.connection = None

    def run(self):
        while not self.ended.is_set():
            try:
                self.once()
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(repr(error))
                self.connection = None


def restart(system):
    before = system.pids()["gateway"]
    os.kill(before, signal.SIGTERM)
    harness.wait_for("another gateway serves", lambda: system.pids().get("gateway") not in (None, before) and system.is_ready(), 40)


def test_no_request_is_refused_while_the_gateway_is_started_again(system):
    clients = [Client(system, keeps) for keeps in (False, True, False, True)]
    for client in clients:
        client.start()
    for _ in range(RESTARTS):
        restart(system)
    for client in clients:
        client.ended.set()
        client.join()
    for client in clients:
        assert client.errors == [] and set(client.statuses) == {200}, (client.keeps, client.errors, set(client.statuses))
        assert len(client.statuses) > RESTARTS
    assert system.settled()["unaccounted"] == 0


def test_a_call_that_waits_is_told_where_to_look(system):
    system.sandbox.fault(kind="slow", next=1, ms=3000)
    answers = []
    caller = threading.Thread(target=lambda: answers.append(system.charge("order-1", wait="20s", deadline="1h")))
    caller.start()
    harness.wait_for("the charge has begun", lambda: system.sandbox.get("/sandbox/status")["calls"] == 1)
    restart(system)
    caller.join()
    status, answer = answers[0]
    assert status == 202, answer
    harness.wait_for("the outcome", lambda: json.loads(system.api("GET", f"/v1/events/{answer['id']}")[2])["status"] == "Success", 30)


def test_ready_means_that_a_publish_would_commit_now(shared):
    """A logger that hangs is no reason to refuse what comes at once, but nobody new should be sent here."""
    event = json.dumps({"specversion": "1.0", "id": "held", "source": "shop", "type": "order.placed"}).encode()
    answers = []
    publisher = threading.Thread(target=lambda: answers.append(shared.api("POST", "/v1/events", event, {"Content-Type": "application/cloudevents+json"})[0]))
    logger = shared.pids()["logger"]
    os.kill(logger, signal.SIGSTOP)
    try:
        publisher.start()
        harness.wait_for("it says that it is not ready", lambda: harness.http_call(shared.port, "GET", "/readyz")[0] == 503)
        assert harness.http_call(shared.port, "GET", "/healthz")[0] == 200
    finally:
        os.kill(logger, signal.SIGCONT)
    publisher.join()
    harness.wait_for("it is ready", shared.is_ready, 30)
    assert answers[0] in (202, 503)  # held as long as may be


def test_who_comes_when_all_of_it_stops_is_refused_at_once(system):
    system.up.terminate()
    harness.wait_for("the door is closed", lambda: refused(system.port), 20)
    assert system.up.wait(20) == 0


def refused(port):
    try:
        http.client.HTTPConnection("127.0.0.1", port, timeout=2).request("GET", "/healthz")
        return False
    except ConnectionRefusedError:
        return True

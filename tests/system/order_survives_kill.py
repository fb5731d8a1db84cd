# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""In a group with `order: key` each key's events are handled in the log's order, one at a time, whoever is killed or fails meanwhile."""
import contextlib
import http.client
import json
import random
import threading
import time

import harness

GROUP = 'groups:\n  ledger: { types: ["order.>"], order: key, attempts: 50 }\n'
KEYS = [f"customer-{i}" for i in range(8)]
ROUNDS = 40  # events of each key


class Consumers:
    """A few programs that take events over HTTP, fail some of them, and check what they are given."""

    def __init__(self, system, n=3):
        self.system, self.lock = system, threading.Lock()
        self.newest = dict.fromkeys(KEYS, -1)  # of each key, the newest event anybody was given
        self.times, self.done, self.errors = 0, set(), []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(n)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(30)

    def run(self):
        while not self.ending.is_set():
            try:
                with contextlib.suppress(OSError, http.client.HTTPException):  # somebody was killed
                    self.one_turn()
            except Exception as error:  # noqa: BLE001: a thread that dies silently would make the test pass
                self.errors.append(repr(error))
                return

    def one_turn(self):
        status, _, body = self.system.api("GET", "/v1/groups/ledger/next?wait=1s&max=10", timeout=15)
        if status != 200:
            time.sleep(0.05)
            return
        events = json.loads(body)["events"]
        for event in events:
            self.given(event["partitionkey"], event["data"]["n"])
        results = [self.verdict(event) for event in events]
        if results:
            status, _, body = self.system.api("POST", "/v1/groups/ledger/results", results, timeout=15)
            if status == 200:
                self.settled(events, results, json.loads(body)["results"])

    def given(self, key, n):
        with self.lock:
            newest = self.newest[key]
            assert newest <= n <= newest + 1, f"{key}: {n} is given after {newest}"
            self.newest[key] = n
            self.times += 1

    @staticmethod
    def verdict(event):
        if random.random() < 0.1:
            return {"lease": event["lease"], "result": "retry", "after": "50ms", "error": "not today"}
        return {"lease": event["lease"], "result": "ack"}

    def settled(self, events, results, answers):
        with self.lock:
            for event, result, answer in zip(events, results, answers):
                if result["result"] == "ack" and answer["state"] == "settled":
                    self.done.add((event["partitionkey"], event["data"]["n"]))


def publish(system, n):
    """Event n of every key, until that is durable."""
    events = [{"specversion": "1.0", "id": f"{key}-{n}", "source": "shop", "type": "order.placed", "partitionkey": key, "data": {"n": n}} for key in KEYS]

    def accepted():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return system.api("POST", "/v1/events", json.dumps(events).encode(), {"Content-Type": "application/cloudevents-batch+json"}, 10)[0] == 202
        return False
    harness.wait_for("the events are accepted", accepted, 60)


def test_killed_in_the_middle_again_and_again(tmp_path, rounds):
    with harness.System(tmp_path, extra=GROUP) as system, Consumers(system) as consumers:
        kills = max(rounds // 3, 5)
        for n in range(ROUNDS):
            publish(system, n)
            if n % max(ROUNDS // kills, 1) == 0:
                system.kill(random.choice(["broker", "logger", "broker", "gateway"]))
        everything = {(key, n) for key in KEYS for n in range(ROUNDS)}
        harness.wait_for("every event is settled", lambda: system.audit()["pending"] == 0 or consumers.errors, 120, 0.5)
        assert not consumers.errors, consumers.errors
        audit = system.audit()
        assert audit["unaccounted"] == 0 and audit["failed"] == 0, audit
        assert all(newest == ROUNDS - 1 for newest in consumers.newest.values()), consumers.newest
        print(f"{len(everything)} events were given {consumers.times} times, {len(consumers.done)} acknowledgements came back; {audit}")

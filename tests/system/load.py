# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Load as the outside makes it: providers that send again until they get a 2xx, an app that calls again under its key."""
import contextlib
import http.client
import json
import secrets
import threading
import time

import harness


class Load:
    """Webhooks and charges from a few threads until stop(); keeps what was acknowledged.

    A sender that gets no 2xx, or no answer at all, sends the same again: same bytes and event id, same idempotency key."""

    def __init__(self, system, webhooks=2, callers=2, pause=0.002):
        self.system, self.pause = system, pause
        self.webhooks, self.calls = {}, {}  # acknowledged: Stripe's id -> our id; key -> our id
        self.sent = 0
        self.errors = []
        self.ending, self.abandoned = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(one,), daemon=True) for one in [self.one_webhook] * webhooks + [self.one_call] * callers]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Senders finish what they began; whatever is then not acknowledged is given up by the sender."""
        self.ending.set()
        for thread in self.threads:
            thread.join(60)

    def abandon(self):
        """Senders go away in the middle of what they are at."""
        self.abandoned.set()
        self.ending.set()

    def run(self, one):
        while not self.ending.is_set():
            try:
                one()
            except Exception as error:  # noqa: BLE001: a thread that dies silently would make the test pass
                self.errors.append(repr(error))
                return
            time.sleep(self.pause)

    def until_accepted(self, attempt, patience=30):
        """Try until the answer is final; None when the patience of the sender is over."""
        end = time.monotonic() + patience
        while time.monotonic() < end and not self.abandoned.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, body = attempt()
                if status not in (429, 500, 503, 507):
                    return status, body
            time.sleep(0.05)
        return None

    def one_webhook(self):
        body = harness.stripe_event(payment_status="paid")
        signature = harness.stripe_signature(body)
        self.sent += 1
        answer = self.until_accepted(lambda: self.post(body, signature))
        if answer:
            assert answer[0] == 200, answer
            self.webhooks[json.loads(body)["id"]] = json.loads(answer[1])["ids"][0]

    def post(self, body, signature):
        status, _, answer = self.system.webhook(body, signature, timeout=10)
        return status, answer

    def one_call(self):
        key = secrets.token_hex(12)
        self.sent += 1
        answer = self.until_accepted(lambda: self.call(key))
        if answer:
            assert answer[0] in (200, 202), answer
            self.calls[key] = json.loads(answer[1])["id"]

    def call(self, key):
        status, answer = self.system.charge(key, wait="5s", deadline="2m", timeout=10)
        return status, json.dumps(answer)

    def check(self, system):
        """Everything acknowledged is in the log, everything is accounted for, no customer was charged twice."""
        assert not self.errors, self.errors
        audit = system.settled()
        assert audit["unaccounted"] == 0, audit
        rows = system.log()
        status = {row["id"]: row["status"] for row in rows}
        lost = [name for name, row in {**self.webhooks, **self.calls}.items() if row not in status]
        assert not lost, f"{len(lost)} acknowledged events are not in the log, e.g. {lost[:3]}"
        assert self.webhooks or self.calls
        effects = system.sandbox.effects()
        twice = {key: n for key, n in effects.items() if n != 1}
        assert not twice, f"charged more than once: {twice}"
        charged = [row for row in rows if row["type"] == "payment.charge.requested" and row["status"] == "Success"]
        assert len(charged) <= len(effects), "a charge is Success in the log and unknown to the provider"
        print(f"{self.sent} sent, {len(self.webhooks)} webhooks and {len(self.calls)} calls acknowledged, {len(effects)} charges; {audit}")
        return audit

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A provider's name that does not resolve, or slowly, or to something else than before: its calls are tried again, others go on.

The processes have a resolv.conf of their own (a mount namespace) that names a server of this test."""
import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time

import harness
import pytest

DIRECT = """  direct:
    connector: payment
    provider: stripe
    base_url: http://127.0.0.1:{port}
    allow_private_network: true
    secrets: {{ api_key: file:api_key }}
"""
CHARGE = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa"}
OK, SERVFAIL, NXDOMAIN = 0, 2, 3


class Names(threading.Thread):
    """A name server that knows provider.test; `mode` says how it answers: an address, a code, or None for never."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(50):  # an address of loopback that nobody else has port 53 of
            self.address = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250)}.{secrets.randbelow(250) + 1}"
            try:
                self.socket.bind((self.address, 53))
                break
            except OSError as error:
                why = error
        else:
            pytest.skip(f"no name server can be had here: {why}")
        self.mode, self.delay, self.asked = "127.0.0.1", 0, 0
        self.start()

    def run(self):
        while True:
            try:
                question, sender = self.socket.recvfrom(512)
            except OSError:
                return
            self.asked += 1
            if self.mode is not None:
                threading.Timer(self.delay, self.answer, (question, sender, self.mode)).start()

    def answer(self, question, sender, mode):
        end = question.index(b"\0", 12) + 5
        is_a = question[end - 4:end - 2] == b"\0\1"
        code, address = (OK, mode) if isinstance(mode, str) else (mode, None)
        records = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address) if address and is_a else b""
        head = question[:2] + bytes([0x81, 0x80 | code]) + b"\0\1" + (b"\0\1" if records else b"\0\0") + b"\0\0\0\0"
        try:
            self.socket.sendto(head + question[12:end] + records, sender)
        except OSError:
            pass  # the test is over

    def stop(self):
        self.socket.close()


class Named(harness.System):
    """Its provider is reached by a name, and a second integration by address; who resolves is `names`."""

    def __init__(self, directory, names):
        super().__init__(directory, limits="timeout: 3s, attempts: 8")
        resolv = directory / "resolv.conf"
        resolv.write_text(f"nameserver {names.address}\noptions timeout:2 attempts:1\n")
        self.wrap = ["unshare", "--mount", "sh", "-c", f'mount --bind {resolv} "$(readlink -f /etc/resolv.conf)" && exec "$@"', "sh"]

    def write_config(self):
        self.integrations = DIRECT.format(port=self.sandbox.port)
        super().write_config()
        path = self.home / "signalbox.yaml"
        text = path.read_text()
        path.write_text(text.replace(f"base_url: http://127.0.0.1:{self.sandbox.port}", f"base_url: http://provider.test:{self.sandbox.port}", 1))

    def start(self, seconds=20):
        self.up = harness.start([*self.wrap, harness.program("signalbox", self.build), "up", "-c", str(self.home / "signalbox.yaml")], None,
                                self.directory / "up.err", stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        harness.wait_for("the system is ready", self.is_ready, seconds)

    def charge_by(self, integration, wait, deadline="5m"):
        return self.api("POST", f"/v1/calls/payment/charge?integration={integration}&wait={wait}&deadline={deadline}", CHARGE)[0]


@pytest.fixture
def named(tmp_path):
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare, for a resolv.conf of its own")
    names = Names()
    try:
        with Named(tmp_path, names) as system:
            harness.wait_for("both connectors have joined", lambda: system.charge_by("direct", "5s") == 200)
            system.names = names
            yield system
    finally:
        names.stop()


@pytest.mark.parametrize("mode", [NXDOMAIN, SERVFAIL, None], ids=["nxdomain", "servfail", "silent"])
def test_its_calls_are_tried_again_and_others_go_on(named, mode):
    named.names.mode = mode
    assert named.charge_by("stripe", "0") == 202
    harness.wait_for("the name is asked for", lambda: named.names.asked > 0)
    began = time.monotonic()
    assert [named.charge_by("direct", "10s") for _ in range(5)] == [200] * 5
    took = time.monotonic() - began
    assert took < 10, f"five charges beside it took {took:.1f} s"

    def retries():
        row = next(row for row in named.log("--status", "pending") if row["type"] == "payment.charge.requested")
        return json.loads(named.cli("trace", row["id"], "--json").stdout)["attempts"]
    attempts = harness.wait_for("an attempt has failed", retries, 30, 0.3)
    assert any("resolve" in one["error_msg"] or "name" in one["error_msg"] for one in attempts), attempts
    named.names.mode = "127.0.0.1"
    audit = named.settled(90)
    assert (audit["failed"], audit["unaccounted"]) == (0, 0), audit
    assert set(named.sandbox.effects().values()) == {1}


def test_a_slow_answer_is_waited_for(named):
    named.names.delay = 1
    assert named.charge_by("stripe", "20s") == 200


def test_an_address_that_changes_is_seen(named):
    named.names.mode = "127.0.0.9"  # nobody listens there
    assert named.charge_by("stripe", "0") == 202
    harness.wait_for("the name is asked for", lambda: named.names.asked > 0)
    named.names.mode = "127.0.0.1"
    audit = named.settled(120)
    assert (audit["failed"], audit["unaccounted"]) == (0, 0), audit

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The configuration of docs/guide/nginx.md, as it stands there but for ports and certificates, in front of the gateway."""
import contextlib
import http.client
import json
import re
import shutil
import ssl
import subprocess
import threading
import time

import harness
import pytest
from restart_refuses_nobody import restart
from tls_by_the_gateway_itself import make_certificate

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
pytestmark = pytest.mark.skipif(not NGINX, reason="nginx is not installed")


class Proxy:
    """nginx with the guide's configuration before a system."""

    def __init__(self, directory, system):
        self.directory, self.system, self.port = directory, system, harness.free_port()
        certificate, key = make_certificate(directory, "hooks")
        text = re.search(r"^```nginx\n(.*?)^```", (harness.ROOT / "docs/guide/nginx.md").read_text(), re.M | re.S)[1]
        for old, new in (("127.0.0.1:8080", f"127.0.0.1:{system.port}"), ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
                         ("/etc/ssl/hooks.example.com.pem", str(certificate)), ("/etc/ssl/hooks.example.com.key", str(key))):
            assert old in text, old
            text = text.replace(old, new)
        self.config = directory / "nginx.conf"
        paths = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.config.write_text(f"daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.err;\n"
                               f"events {{ worker_connections 512; }}\nhttp {{ access_log off;\n{paths}{text}\n}}\n")

    def __enter__(self):
        self.process = subprocess.Popen([NGINX, "-p", str(self.directory), "-c", str(self.config), "-e", str(self.directory / "nginx.err")])
        harness.wait_for("nginx serves", lambda: self.process.poll() is None and self.answers(), 20)
        return self

    def __exit__(self, *_):
        harness.stop(self.process)

    def answers(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("GET", "/v1/openapi.json")[0] == 200

    def connect(self):
        context = ssl.create_default_context(cafile=str(self.directory / "hooks.pem"))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)

    def ask(self, method, path, body=None, headers=None):
        connection = self.connect()
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def webhook(self, body, signature=None):
        return self.ask("POST", "/webhooks/stripe", body, {"Content-Type": "application/json", "Stripe-Signature": signature or harness.stripe_signature(body)})


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    with harness.System(tmp_path_factory.mktemp("system"), extra="groups: { all: { types: ['order.>'] } }\n") as system:
        with Proxy(tmp_path_factory.mktemp("nginx"), system) as proxy:
            yield proxy


def test_signed_bytes_arrive_as_they_were_signed(proxied):
    body = harness.stripe_event("charge.refunded", note="ü \\u00fc  two  blanks\ttab")
    status, answer = proxied.webhook(body)
    assert status == 200, answer
    assert proxied.webhook(body.replace(b"two", b"twO"), harness.stripe_signature(body))[0] == 401


def test_a_body_over_the_limit_is_413(proxied):
    assert proxied.webhook(b"x" * (3 << 19))[0] == 413


def test_what_is_not_for_the_outside_is_not_there(proxied):
    assert proxied.ask("GET", "/metrics")[0] == 404 and proxied.ask("GET", "/healthz")[0] == 404


def test_events_stream_through_at_once(proxied):
    token = {"Authorization": f"Bearer {proxied.system.token()}"}
    connection = proxied.connect()
    connection.request("GET", "/v1/stream?type=order.>", headers=token)
    answer = connection.getresponse()
    assert answer.status == 200
    event = {"specversion": "1.0", "id": "streamed", "source": "shop", "type": "order.placed", "data": {}}
    status, body = proxied.ask("POST", "/v1/events", json.dumps(event), {**token, "Content-Type": "application/cloudevents+json"})
    assert status == 202, body
    began = time.monotonic()
    while not (line := answer.readline()).startswith(b"data: "):
        assert line, "the stream ended"
    assert json.loads(line[6:])["id"] == "streamed" and time.monotonic() - began < 10
    connection.close()


def test_a_call_goes_through(proxied):
    token = {"Authorization": f"Bearer {proxied.system.token()}", "Content-Type": "application/json"}
    status, body = proxied.ask("POST", "/v1/calls/payment/charge", json.dumps({"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa"}), token)
    assert status == 200 and json.loads(body)["status"] == "Success", body


def test_a_gateway_that_is_started_again_refuses_nobody(proxied):
    statuses, ended = [], threading.Event()

    def send():
        while not ended.is_set():
            statuses.append(proxied.webhook(harness.stripe_event("charge.refunded"))[0])
    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    for _ in range(3):
        restart(proxied.system)
    ended.set()
    for sender in senders:
        sender.join()
    assert set(statuses) == {200} and len(statuses) > 10, set(statuses)

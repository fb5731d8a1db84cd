# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is away, full, slow or stopped: an answer of 5xx has a documented code, and Retry-After where it may be sent again.

Each answer here is held to the description the gateway serves (api.py), which tests/tree/test_outages.py holds to the table of reasons."""
import concurrent.futures
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import threading
import types
from pathlib import Path

import full_disk_refuses_with_a_reason as full_disk
import harness
import pytest
from api import Api

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "crash"))
import faults  # noqa: E402

GROUPS = "groups: { all: { types: ['order.>'] } }\n"
EVENT = {"Content-Type": "application/cloudevents+json"}
CHARGE = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa"}
GROUPS_ASKED = {("GET", "/v1/groups/all/next"), ("POST", "/v1/groups/all/results")}
SEEN = set()  # codes, of all tests here


def event(size=1):
    return json.dumps({"specversion": "1.0", "id": secrets.token_hex(8), "source": "shop", "type": "order.placed", "data": "x" * size}).encode()


@contextlib.contextmanager
def held_to_its_description(system):
    api = Api(system)
    yield api
    SEEN.update(api.codes)

@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def everything():
    """A request of each operation that answers and ends, with what it would need on a good day."""
    webhook = harness.stripe_event()
    return [("POST", "/webhooks/stripe", webhook, {"Stripe-Signature": harness.stripe_signature(webhook)}),
            ("POST", "/v1/events", event(), EVENT),
            ("POST", "/v1/calls/payment/charge?wait=1s", CHARGE, None),
            ("POST", "/v1/calls/payment/charge?wait=0", CHARGE, None),
            ("GET", "/v1/events/nobody", None, None), ("GET", "/v1/events/nobody/trace", None, None),
            ("GET", "/v1/groups/all/next?wait=1s", None, None),
            ("POST", "/v1/groups/all/results", [{"lease": "none", "result": "ack"}], None),
            ("GET", "/v1/log", None, None), ("GET", "/v1/audit", None, None), ("GET", "/v1/status", None, None),
            ("POST", "/v1/redrive", {"class": "permanent"}, None),
            ("GET", "/v1/integrations", None, None), ("GET", "/v1/integrations/stripe/document", None, None),
            ("GET", "/metrics", None, None), ("GET", "/healthz", None, None), ("GET", "/readyz", None, None)]


def ask_everything(api):
    """{(method, path): status}, all at once since some wait."""
    def one(request):
        method, target, body, headers = request
        return (method, target.split("?")[0] + ("?wait=0" if "wait=0" in target else "")), api.answer(method, target, body, headers)[0]
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        return dict(pool.map(one, everything()))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with harness.System(tmp_path_factory.mktemp("system"), extra=GROUPS) as running:
        assert running.charge("declined", payment_method="pm_card_visa_chargeDeclined")[0] == 502  # so that a redrive finds something
        yield running


def test_broker_that_stands_still(shared):
    with held_to_its_description(shared) as api:
        with stopped(shared.pids()["broker"]):
            got = ask_everything(api)
        assert {where for where, status in got.items() if status >= 500} | GROUPS_ASKED == {  # these: if the session is new
            *GROUPS_ASKED, ("POST", "/webhooks/stripe"), ("POST", "/v1/events"), ("POST", "/v1/calls/payment/charge"), ("POST", "/v1/calls/payment/charge?wait=0"),
            ("GET", "/v1/status"), ("POST", "/v1/redrive")}, got
        assert api.codes == {"unavailable"}
    assert shared.audit()["unaccounted"] == 0


def test_logger_that_stands_still(shared):
    with held_to_its_description(shared) as api:
        with stopped(shared.pids()["logger"]):
            got = ask_everything(api)
        assert got["POST", "/v1/events"] == got["POST", "/webhooks/stripe"] == 503 and got["GET", "/v1/log"] == 200, got
        assert api.codes == {"unavailable"}
    assert shared.audit()["unaccounted"] == 0


def test_failures_of_the_service(shared):
    with held_to_its_description(shared) as api:
        declined = api.ask("POST", "/v1/calls/payment/charge", {**CHARGE, "payment_method": "pm_card_visa_chargeDeclined"}, expect=502)
        assert (declined["code"], declined["class"]) == ("call_failed", "permanent"), declined
        shared.sandbox.fault(kind="429", rate=1, retry_after=1)  # tried again until the deadline
        late = api.ask("POST", "/v1/calls/payment/charge?wait=30s&deadline=1s", CHARGE, expect=502)
        shared.sandbox.no_faults()
        assert (late["code"], late["class"]) == ("call_failed", "deadline"), late
    assert shared.audit()["unaccounted"] == 0


def test_gateway_that_ends_while_somebody_waits(shared):
    with held_to_its_description(shared) as api, stopped(shared.pids()["broker"]):
        answers = []
        asker = threading.Thread(target=lambda: answers.append(api.answer("POST", "/v1/redrive", {"class": "permanent"})))
        asker.start()
        harness.wait_for("it waits for the broker", lambda: b"signalbox_http_waiting 2" in api.ask("GET", "/metrics"))
        gateway = shared.pids()["gateway"]
        os.kill(gateway, signal.SIGTERM)
        asker.join()
        assert answers[0][0] == 503 and answers[0][1]["code"] in ("shutting_down", "unavailable"), answers
        assert "shutting_down" in api.codes, answers
    harness.wait_for("another one serves", lambda: shared.pids().get("gateway") not in (None, gateway) and shared.is_ready(), 30)


def test_as_much_waits_as_may(tmp_path):
    with harness.System(tmp_path, extra=GROUPS) as system:
        text = (system.home / "signalbox.yaml").read_text().replace("gateway: { listen", "gateway: { max_waiting: 3, listen")
        (system.home / "signalbox.yaml").write_text(text)
        system.cli("reload")
        harness.wait_for("the limit counts", lambda: busy(system), 20)


def busy(system):
    """Three wait for events that do not come; does a fourth hear that there is no room?"""
    with held_to_its_description(system) as api:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(api.answer, "GET", "/v1/groups/all/next?wait=3s") for _ in range(3)]
            harness.wait_for("they wait", lambda: any(word in api.ask("GET", "/metrics") for word in (b"http_waiting 3", b"http_waiting 4")), 10)
            status, problem = api.answer("POST", "/v1/events", event(), EVENT)
            for one in waiting:
                one.result()
        return status == 503 and problem["code"] == "overloaded"


def test_disk_that_is_full(tmp_path):
    with faults.disk(tmp_path, megabytes=192) as disk, harness.System(tmp_path, home=disk.path, extra=GROUPS) as system:
        with held_to_its_description(system) as api:
            full_disk.fill(disk)
            assert full_disk.push_until_refused(system)[1][0] == 507
            got = ask_everything(api)
            assert (got["POST", "/v1/events"], got["POST", "/v1/calls/payment/charge"], got["POST", "/webhooks/stripe"], got["GET", "/readyz"]) == (507, 507, 503, 503), got
            assert api.codes == {"log_full", "unavailable"}
        system.stop()


@contextlib.contextmanager
def parts(directory):
    port = harness.free_port()
    one = harness.Parts(directory, harness.CONFIG.format(port=port, sandbox=1, extra=GROUPS, limits="timeout: 5s", integrations=""), ("stripe",))
    one.port, one.token = port, lambda: (directory / "data/api-token").read_text().strip()
    try:
        yield one
    finally:
        one.stop()


def test_connector_that_never_came_and_broker_that_went(tmp_path):
    with parts(tmp_path) as system:
        system.start()
        system.start_gateway(system.port, stripe__stripe=harness.WEBHOOK_SECRET)
        with held_to_its_description(system) as api:
            body = harness.stripe_event()
            assert api.ask("POST", "/webhooks/stripe", body, {"Stripe-Signature": harness.stripe_signature(body)}, 503)["code"] == "not_ready"
            harness.stop(system.broker)
            got = ask_everything(api)
            assert got["GET", "/readyz"] == got["GET", "/v1/groups/all/next"] == 503 and got["GET", "/v1/log"] == got["GET", "/metrics"] == 200, got
            assert api.codes == {"not_ready", "unavailable"}


def test_log_that_is_not_there_yet(tmp_path):
    with parts(tmp_path) as system:
        values = {"bus.gateway": system.keys["bus.gateway"], "webhook.stripe.stripe": harness.WEBHOOK_SECRET}
        system.others.append(harness.start([harness.program("signalbox-gateway"), "-c", str(system.config)], values, tmp_path / "gateway.err"))
        harness.wait_for("it lives", lambda: harness.port_answers(system.port, "/healthz"))
        with held_to_its_description(system) as api:
            got = ask_everything(api)
            assert {where for where, status in got.items() if status < 500} == {
                ("GET", "/healthz"), ("GET", "/metrics"), ("GET", "/v1/integrations")}, got
            assert api.codes == {"unavailable"}


@pytest.mark.parametrize("line, status", [("GET / HTTP/2.0", 505), ("PRI * HTTP/2.0", 505), ("GET / HTTP/0.9", 505), ("GET / HTTP/1.2", 400),
                                          ("GET /", 400), ("GET /" + "x" * 100000 + " HTTP/1.1", 414), ("X" * 50000 + " / HTTP/1.1", 414)])
def test_what_is_no_http_of_ours(shared, line, status):
    with contextlib.closing(socket.create_connection(("127.0.0.1", shared.port), 10)) as s:
        s.sendall(f"{line}\r\nHost: x\r\n\r\n".encode())
        assert s.makefile("rb").readline().startswith(f"HTTP/1.1 {status} ".encode())


def test_no_reason_was_left_out(shared):
    if os.geteuid() != 0:
        pytest.skip("a full disk needs root")
    told = {code for operation in Api(shared).operations().values() for answer in operation["responses"].values() for code in answer.get("x-codes", [])}
    assert SEEN == told

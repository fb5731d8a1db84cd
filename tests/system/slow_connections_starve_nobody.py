# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Ten thousand idle connections and a thousand that trickle leave room for everybody else. Times are told, not asserted: run it
with -s on a quiet machine for the figures."""
import contextlib
import http.client
import resource
import socket
import time

import harness
import pytest

IDLE, SLOW = 10_000, 1_000
SPARE_FILES = 500  # of this process, for everything else
HONEST = 400       # requests of each measurement


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with harness.System(tmp_path_factory.mktemp("system")) as running:
        path = running.home / "signalbox.yaml"
        path.write_text(path.read_text().replace("gateway: { listen", "gateway: { read_timeout: 5s, listen"))
        running.cli("reload")
        harness.wait_for("the gateway serves again", running.is_ready)
        yield running


@contextlib.contextmanager
def connections(port, n):
    """n of them, or as many as this process may have open."""
    n = min(n, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES)
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(n):
            made.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)))
        yield made


def measure(system, n=HONEST):
    """Seconds that webhooks of an honest sender take, in order; each over a connection of its own."""
    times = []
    for _ in range(n):
        body = harness.stripe_event("charge.refunded")
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=10)
        connection.request("POST", "/webhooks/stripe", body, {"Stripe-Signature": harness.stripe_signature(body)})
        assert connection.getresponse().status == 200
        connection.close()
        times.append(time.monotonic() - began)
    return sorted(times)


def told(what, before, during):
    def p(times, share):
        return times[int(len(times) * share) - 1] * 1000
    print(f"\n{what}: p50 {p(before, .5):.2f} -> {p(during, .5):.2f} ms, p99 {p(before, .99):.2f} -> {p(during, .99):.2f} ms")


def is_ended(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_idle_connections_leave_room_for_others(patient):
    before = measure(patient)
    with connections(patient.port, IDLE) as idle:
        during = measure(patient)
        told(f"{len(idle)} idle connections", before, during)
        harness.wait_for("they are ended: each has had its time for a first request", lambda: all(is_ended(one) for one in (idle[0], idle[-1])), 60)


def test_connections_that_trickle_leave_room_for_others_and_are_cut(patient):
    before = measure(patient)
    with connections(patient.port, SLOW) as slow:
        for connection in slow:
            connection.sendall(b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nX-Slow: ")
        ended, times = time.monotonic() + 30, []
        while not all(is_ended(one) for one in slow):
            assert time.monotonic() < ended, "a connection that trickles lives on"
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.setblocking(False)
                    connection.send(b"a")
            times += measure(patient, 40)
        told(f"{len(slow)} connections that trickle", before, sorted(times))


def test_the_gateway_has_given_back_what_they_held(patient):
    def connections_now():
        text = patient.api("GET", "/metrics")[2].decode()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith("signalbox_http_connections ")))
    harness.wait_for("few connections are left", lambda: connections_now() < 50, 30)
    assert patient.settled()["unaccounted"] == 0

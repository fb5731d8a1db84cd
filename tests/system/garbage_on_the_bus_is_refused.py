# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""What is not one of ours does no harm: the broker goes on with the same process and the same memory, and says what it saw."""
import random
import socket
import time

import pytest
from wire import HELLO, PUBLISH, REFUSED, WELCOME, Peer, frame, hello, record

def peer_of(system):
    return Peer(f"ipc://{system.home}/run/bus.sock")


def memory(pid):
    """Resident kilobytes."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.fixture
def unharmed(shared):
    """The broker is the same process afterwards, has not grown, and does its work."""
    pid = shared.pids()["broker"]
    before = memory(pid)
    yield
    assert shared.pids()["broker"] == pid
    assert memory(pid) < before + 64 * 1024
    status, outcome = shared.charge()
    assert status == 200, outcome


def test_frames_of_random_bytes(shared, unharmed):
    dice = random.Random(1)
    with peer_of(shared) as peer:
        for _ in range(2000):
            peer.socket.send(dice.randbytes(dice.choice([0, 1, 23, 24, 25, 100, 5000])))
        peer.socket.send_multipart([b"two", b"parts"])
        time.sleep(0.5)
    assert "BUS_GARBAGE" in shared.said()


def test_our_header_before_random_bodies(shared, unharmed):
    dice = random.Random(2)
    with peer_of(shared) as peer:
        for _ in range(2000):
            peer.socket.send(frame(dice.randrange(256), dice.randbytes(dice.randrange(200)), count=dice.randrange(1 << 32)))
        time.sleep(0.5)


def test_lengths_that_promise_gigabytes(shared, unharmed):
    with peer_of(shared) as peer:
        for body in (b"\xdd\x0f\x00\x00\x00", b"\xdf\x0f\x00\x00\x00", b"\x81\xc6\xff\xff\xff\xff", b"\xdc\xff\xff" * 31):
            for kind in (HELLO, 6, 14, 18):
                peer.socket.send(frame(kind, body))
        peer.socket.send(frame(PUBLISH, b"", length=0xFFFFFFFF))
        time.sleep(0.5)


def test_a_browser_at_the_socket(shared, unharmed):
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{shared.home}/run/bus.sock")
            s.sendall(b"GET / HTTP/1.1\r\nHost: bus\r\n\r\n")
    time.sleep(0.3)


@pytest.mark.parametrize("role,name", [("gateway", "gateway"), ("connector", "stripe"), ("emperor", "me")])
def test_nobody_is_who_they_say_without_a_key(shared, unharmed, role, name):
    with peer_of(shared) as peer:
        kind, body = peer.ask(hello(role, name, key="0" * 32, manifest='{"name":"payment","operations":[],"webhooks":[]}'))
        assert (kind, body["code"]) == (REFUSED, "bad_identity")


def test_a_client_cannot_say_that_somebody_has_paid(shared, unharmed):
    before = len(shared.log("--type", "stripe.>"))
    with peer_of(shared) as peer:
        assert peer.ask(hello("client", "thief"))[0] == WELCOME
        for event_type in (b"stripe.checkout.session.completed", b"payment.charge.succeeded", b"payment.checkout.completed"):
            kind, body = peer.ask(frame(PUBLISH, record(3, event_type), ref=1, count=1))
            assert kind == REFUSED, (event_type, kind)
    assert len(shared.log("--type", "stripe.>")) == before


def test_nothing_is_done_before_hello(shared, unharmed):
    with peer_of(shared) as peer:
        kind, body = peer.ask(frame(PUBLISH, record(3, b"order.made"), count=1))
        assert (kind, body["code"]) == (REFUSED, "not_joined")

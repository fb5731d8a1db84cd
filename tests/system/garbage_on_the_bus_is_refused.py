# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""What is not one of ours does no harm: the broker goes on with the same process and the same memory, and says what it saw."""
import json
import random
import socket
import time

import harness
import msgpack
import pytest
from wire import (ADMIN, BYE, CREDIT, DELIVER, FACT, HELLO, PING, PUBLISH, PUBLISHED, REFUSED, REQUEST, RESULT, SETTLED, SUBSCRIBE, WELCOME, Peer, ack,
                  frame, hello, positions, record)

class Open(harness.System):
    """A system whose bus is open to the network too, for nobody."""

    def __init__(self, directory):
        self.bus_port = harness.free_port()
        super().__init__(directory, f'groups:\n  notes: {{ types: ["note.>"] }}\n  acks: {{ types: ["acked.*"] }}\nbus: {{ listen: "127.0.0.1:{self.bus_port}" }}\n')

    def write_config(self):
        super().write_config()
        self.cli("key", "server")

    def refused(self):
        return json.loads(self.api("GET", "/v1/status")[2])["refused"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Open(tmp_path_factory.mktemp("system")) as running:
        yield running


def peer_of(system):
    return Peer(f"ipc://{system.home}/run/bus.sock")


@pytest.fixture
def client(shared):
    """A peer that has joined as a client."""
    with peer_of(shared) as peer:
        assert peer.ask(hello("client", "tester"))[0] == WELCOME
        yield peer


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


# --- beneath our frames: what is not ZeroMQ ---

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
RAW = {
    "nothing": b"",
    "http": b"GET / HTTP/1.1\r\nHost: bus\r\n\r\n",
    "tls": bytes.fromhex("16030100fa010000f60303") + bytes(240),
    "half a greeting": GREETING[:30],
    "an old greeting": b"\xff" + bytes(8) + b"\x7f\x01" + b"\x05\x00\x00",
    "another mechanism": GREETING.replace(b"NULL", b"PLAI"),
    "a message before the handshake": GREETING + b"\x00\x05hello",
    "a command without end": GREETING + b"\x06" + b"\xff" * 8,
    "a command of no kind": GREETING + b"\x04\x09\x08NONSENSE",
    "metadata that promises more": GREETING + b"\x04\x1c\x05READY\x0bSocket-Type\xff\xff\xff\xff" + b"x" * 6,
    "another kind of socket": GREETING + READY.replace(b"DEALER", b"PUSHER"),
    "a frame of 2^63 bytes": GREETING + READY + b"\x02" + b"\x7f" + b"\xff" * 7 + b"x" * 100,
    "a frame of 4 GiB": GREETING + READY + b"\x02" + (4 << 30).to_bytes(8, "big") + b"x" * 100,
    "flags of no kind": GREETING + READY + b"\xf8\x05hello",
    "parts without end": GREETING + READY + b"\x01\x01x" * 2000,
}


@pytest.mark.parametrize("what", RAW)
@pytest.mark.parametrize("where", ["ipc", "tcp"])
def test_bytes_that_are_not_zeromqs(shared, unharmed, what, where):
    for _ in range(5):
        with socket.socket(socket.AF_UNIX if where == "ipc" else socket.AF_INET) as s:
            s.settimeout(5)
            s.connect(f"{shared.home}/run/bus.sock" if where == "ipc" else ("127.0.0.1", shared.bus_port))
            try:
                s.sendall(RAW[what])
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
            except OSError:  # it hung up: that is right
                pass


def test_who_is_kept_out_is_counted(shared):
    before = shared.refused()["strangers"]
    with socket.socket() as s:
        s.connect(("127.0.0.1", shared.bus_port))
        s.sendall(GREETING + READY)
        harness.wait_for("it is counted", lambda: shared.refused()["strangers"] > before)
    assert "PEER_REFUSED" in shared.said()
    assert " strangers" in shared.cli("status").stdout


# --- maps that are bombs ---

BOMBS = {
    "an array of 4 G": b"\xdd\xff\xff\xff\xff",
    "a map of 4 G": b"\xdf\xff\xff\xff\xff",
    "a binary of 4 GiB": b"\x81\xa4name\xc6\xff\xff\xff\xff",
    "a text of 4 GiB": b"\x81\xa4name\xdb\xff\xff\xff\xff",
    "arrays in arrays": b"\x81\xa4name" + b"\x91" * 100000,
    "maps in maps": b"\x81\xa4name" + b"\x81\xa1a" * 30000,
    "arrays of 65535 in each other": b"\xdc\xff\xff" * 31,
    "an extension": b"\x81\xa4name\xc7\x04\x01abcd",
    "a floating-point number": b"\x81\xa4name\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    "bytes behind the map": msgpack.packb({"name": "x"}) + b"\xc0",
    "a list for a map": b"\x93\x01\x02\x03",
    "half a map": b"\x82\xa4name",
    "no UTF-8": b"\x81\xa4name\xa2\xff\xfe",
}


@pytest.mark.parametrize("what", BOMBS)
def test_maps_that_are_bombs(shared, unharmed, what):
    with peer_of(shared) as peer:
        kind, body = peer.ask(frame(HELLO, BOMBS[what]))
        assert (kind, body["code"]) == (REFUSED, "bad_frame")
        assert peer.ask(hello("client", "after"))[0] == WELCOME  # the same connection
        for message in (SUBSCRIBE, ADMIN):
            kind, body = peer.ask(frame(message, BOMBS[what], ref=7))
            if kind == REFUSED:  # an ADMIN without a command is answered, not refused
                assert body["code"] in ("bad_frame", "no_group", "bad_command"), body
        bombed = record(FACT, b"note.bombed", b"{}", attributes=BOMBS[what][:30000])
        peer.ask(frame(PUBLISH, bombed, ref=1, count=1))
        peer.send(frame(BYE, BOMBS[what]))
    assert shared.log("--type", "note.*", "--limit", "5") is not None  # whoever reads the log reads past it


def test_a_name_that_is_there_twice_is_taken_once(shared, unharmed):
    twice = b"\x85" + b"".join(msgpack.packb(word) for word in ("version", 1, "role", "client", "role", "gateway", "name", "tester", "instance")) + msgpack.packb(bytes(range(16)))
    with peer_of(shared) as peer:
        assert peer.ask(frame(HELLO, twice))[0] in (WELCOME, REFUSED)
    assert not [one for one in json.loads(shared.api("GET", "/v1/status")[2])["sessions"] if one["role"] == "gateway" and one["name"] == "tester"]


# --- too much ---

def test_a_frame_over_the_limit_ends_its_connection(shared, unharmed):
    with peer_of(shared) as peer:
        assert peer.ask(frame(PUBLISH, bytes((4 << 20) - 24)))[0] == REFUSED  # as large as may be
        peer.send(frame(PUBLISH, bytes((4 << 20) - 16)))
        assert peer.ask(hello("client", "tester"), 1)[0] in (None, WELCOME)  # made anew by ZeroMQ, or not yet


def test_events_and_batches_over_their_limits_are_named(shared, unharmed, client):
    large = record(FACT, b"note.large", bytes((1 << 20) + 1))
    kind, body = client.ask(frame(PUBLISH, large, ref=1, count=1))
    assert (kind, body["code"]) == (REFUSED, "event_too_large") and "1048576" in body["detail"], body
    batch = record(FACT, b"note.many", bytes(1000)) * 2100
    kind, body = client.ask(frame(PUBLISH, batch, ref=2, count=2100))
    assert (kind, body["code"]) == (REFUSED, "batch_too_large")
    kind, body = client.ask(frame(PUBLISH, record(FACT, b"note.made"), ref=3, count=1))
    assert kind == PUBLISHED


def test_a_flood_from_one_harms_nobody_else(shared, unharmed):
    with peer_of(shared) as peer:
        assert peer.ask(hello("client", "flood"))[0] == WELCOME
        batch = record(FACT, b"note.flood", bytes(1000)) * 500
        for ref in range(1, 200):  # 100 MB, no answer read, far over the window of 8 MiB
            peer.send(frame(PUBLISH, batch, ref=ref, count=500))
        for _ in range(50000):
            peer.send(frame(PING))
        status, outcome = shared.charge()
        assert status == 200, outcome


def test_numbers_that_are_absurd(shared, unharmed, client):
    top = (1 << 64) - 1
    for message in (frame(CREDIT, b"\xff" * 8), frame(CREDIT, b""), frame(PING, b"\xff" * 16 * 50000), frame(PING, b"x"), frame(11, b"\xff" * 16),
                    frame(13, b"\xff" * 16), frame(SUBSCRIBE, msgpack.packb({"group": "notes", "credit_events": -(1 << 62), "credit_bytes": -1})),
                    frame(RESULT, b"", ref=top), frame(RESULT, record(FACT, b"note.made"), ref=0)):
        client.send(message)
    with peer_of(shared) as peer:
        assert peer.ask(hello("client", "absurd", batch=-1, running=b"\xff" * 160, pid=-1))[0] == WELCOME
        assert peer.ask(frame(PUBLISH, record(FACT, b"note.made"), ref=top, count=top & 0xFFFFFFFF))[0] in (PUBLISHED, REFUSED)


# --- who plays by other rules ---

def test_a_batch_that_is_sent_again_is_stored_once(shared, unharmed, client):
    once = frame(PUBLISH, record(FACT, b"note.once"), ref=1, count=1)
    for _ in range(5):
        assert client.ask(once)[0] == PUBLISHED
    assert len(shared.log("--type", "note.once")) == 1


def test_sources_that_are_forged(shared, unharmed, client):
    for ref, (kind, event_type, flags) in enumerate([(FACT, b"stripe.checkout.session.completed", 4), (2, b"payment.charge.succeeded", 0),
                                                     (FACT, b"signalbox.resolved", 0), (REQUEST, b"payment.charge.requested", 8), (20, b"", 0),
                                                     (16, b"", 0), (26, b"", 0), (24, b"", 0), (99, b"", 0)], 1):
        answer, body = client.ask(frame(PUBLISH, record(kind, event_type, b"{}", flags=flags), ref=ref, count=1))
        assert answer == REFUSED and body["code"] in ("reserved_type", "bad_frame"), (kind, event_type, body)


def test_acknowledgements_unknown_doubled_early_and_late(shared, unharmed, client):
    client.send(frame(SUBSCRIBE, msgpack.packb({"group": "acks", "credit_events": 1000, "credit_bytes": 1 << 20})))
    assert client.ask(frame(PUBLISH, record(FACT, b"acked.made"), ref=1, count=1), 5)[0] in (PUBLISHED, DELIVER)
    mine, ref = [], 1
    end = time.monotonic() + 20
    while not any(event_type == "acked.made" for _, _, event_type in mine) and time.monotonic() < end:
        got = client.receive(1)
        mine += positions(got) if got and got[3] == DELIVER else []
    block, index = next((block, index) for block, index, event_type in mine if event_type == "acked.made")
    before = shared.refused()["results_not_held"]

    def settle(*records):
        nonlocal ref
        ref += 1
        client.send(frame(RESULT, b"".join(records), ref=ref, count=len(records)))
        while (got := client.receive(5)) is not None:
            if got[3] in (SETTLED, REFUSED) and int.from_bytes(got[16:24], "little") == ref:
                return got[3]
        return None
    assert settle(ack(block + 1000000, 0)) == SETTLED  # nothing there yet
    assert settle(ack(block, 1 << 20, 40000)) == SETTLED
    assert settle(ack(0, 0), ack((1 << 64) - 1, (1 << 32) - 1, 40000)) == SETTLED
    assert settle(ack(block, index), ack(block, index)) == SETTLED  # the second is late
    assert settle(ack(block, index)) == SETTLED
    assert settle(ack(block, index, 1 << 31)) == REFUSED  # a run longer than any block
    assert shared.refused()["results_not_held"] >= before + 5
    audit = shared.audit()
    assert audit["unaccounted"] == 0

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Who sends more than is agreed, or does not read, loses its own session; who sends more than can be kept is told to come again."""
import contextlib
import json
import os
import signal
import time

import harness
import msgpack
import pytest
from wire import FACT, HEADER, PING, PUBLISH, PUBLISHED, REFUSED, SUBSCRIBE, WELCOME, Peer, frame, hello, record

LOAD = (b"load.made", 1007571571017477344)  # a type, and its XXH3
MIB = 1 << 20
GROUP = """groups:
  slow: { types: ["load.>"], protect: false }"""


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with harness.System(tmp_path_factory.mktemp("flow"), extra=GROUP) as running:
        yield running


@contextlib.contextmanager
def joined(system, name):
    with Peer(f"ipc://{system.home}/run/bus.sock") as peer:
        assert peer.ask(hello("client", name))[0] == WELCOME
        yield peer


@contextlib.contextmanager
def nothing_is_committed(system):
    pid = system.pids()["logger"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def batch(number, size=MIB - 4096):
    return frame(PUBLISH, record(FACT, LOAD[0], b" " * size, LOAD[1]), ref=number, count=1)


def publish_until_refused(peer, most):
    """How many batches were sent before the first answer, and that answer's map."""
    for number in range(1, most + 1):
        peer.send(batch(number))
        answer = peer.receive(0.1)
        if answer:
            assert answer[3] == REFUSED, answer[:HEADER.size]
            return number, msgpack.unpackb(answer[HEADER.size:])
    raise AssertionError("it was never refused")


def session(system, name):
    found = [one for one in json.loads(system.api("GET", "/v1/status")[2])["sessions"] if one["name"] == name]
    return found[0] if found else None


def test_a_publisher_beyond_its_window_loses_its_session_and_nobody_else(system):
    with joined(system, "greedy") as greedy, joined(system, "modest") as modest:
        with nothing_is_committed(system):
            modest.send(batch(1, 100))
            sent, refusal = publish_until_refused(greedy, 20)
            assert refusal["code"] == "window_exceeded" and refusal["retry_after_ms"] > 0, refusal
            assert 8 <= sent <= 11  # 8 MiB, and the batch that may cross the line
            greedy.send(batch(sent + 1, 100))
            assert msgpack.unpackb(greedy.receive()[HEADER.size:])["code"] == "not_joined"
            assert modest.receive(0.3) is None
        answer = modest.receive(10)
        assert answer and answer[3] == PUBLISHED
        harness.wait_for("its session is gone", lambda: session(system, "greedy") is None)
        assert session(system, "modest")["connected"]
        assert greedy.ask(hello("client", "greedy"))[0] == WELCOME  # it may come again


def test_what_cannot_be_kept_is_refused_with_a_pause_and_taken_later(system):
    event = {"specversion": "1.0", "source": "test", "type": "load.made", "id": "one"}
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(joined(system, f"source-{i}")) for i in range(10)]
        with nothing_is_committed(system):
            refused = []
            for peer in peers:
                for number in range(1, 9):
                    peer.send(batch(number))
                    answer = peer.receive(0)
                    if answer:
                        refused.append(msgpack.unpackb(answer[HEADER.size:]))
            time.sleep(0.5)
            for peer in peers:
                while (answer := peer.receive(0.1)) is not None:
                    refused.append(msgpack.unpackb(answer[HEADER.size:]))
            taken = 80 - len(refused)
            assert {one["code"] for one in refused} == {"overloaded"}, refused
            assert all(one["retry_after_ms"] > 0 for one in refused)
            assert 60 <= taken <= 70  # 64 MiB
            status, headers, body = system.api("POST", "/v1/events", json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"})
            assert (status, json.loads(body)["code"]) == (503, "overloaded"), body
            assert int(headers["Retry-After"]) >= 1
            status, headers, _ = system.webhook(harness.stripe_event("ticket.made"))
            assert status == 503 and int(headers["Retry-After"]) >= 1
        published, ending = 0, time.monotonic() + 30
        while published < taken and time.monotonic() < ending:
            published += sum((peer.receive(0.01) or bytes(4))[3] == PUBLISHED for peer in peers)
        assert published == taken  # nothing that was taken is lost
        assert system.api("POST", "/v1/events", json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"})[0] == 202


def test_a_peer_that_does_not_read_loses_its_session_and_nobody_else(system):
    with joined(system, "deaf") as deaf, joined(system, "modest") as modest:
        deaf.send(frame(SUBSCRIBE, msgpack.packb({"group": "slow"})))
        for _ in range(200):  # each is answered, and no answer is read
            for _ in range(500):
                deaf.send(frame(PING))
            if not (session(system, "deaf") or {"connected": False})["connected"]:
                break
        harness.wait_for("its session is gone", lambda: not (session(system, "deaf") or {"connected": False})["connected"])
        modest.send(batch(1, 100))
        answer = modest.receive(5)
        assert answer and answer[3] == PUBLISHED
        assert system.charge()[0] == 200

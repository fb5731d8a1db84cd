# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A reader of /v1/stream sees every event in order and once, whoever is slow, goes away or is killed."""
import contextlib
import http.client
import json
import secrets
import socket

import harness
import pytest

GROUPS = "groups: { all: { types: ['order.>', 'bulk.>'] } }\n"


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    with harness.System(tmp_path_factory.mktemp("system"), extra=GROUPS) as running:
        yield running


class Reader:
    """One stream. next() is (id, name of the event, its data)."""

    def __init__(self, system, query="", last=None, receive_buffer=None, token=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", system.port))
        resume = f"Last-Event-ID: {last}\r\n" if last else ""  # HTTP/1.0: no chunks to put together
        self.socket.sendall(f"GET /v1/stream{query} HTTP/1.0\r\nAuthorization: Bearer {token or system.token()}\r\n{resume}\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = http.client.parse_headers(self.file)
        self.last = last

    def __enter__(self):
        assert self.status == 200, self.file.read()
        assert self.headers["Content-Type"] == "text/event-stream"
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def next(self):
        name, data = "message", None
        while True:
            line = self.file.readline().decode()
            assert line, "the stream ended"
            if line.startswith("id: "):
                self.last = line[4:].strip()
            elif line.startswith("event: "):
                name = line[7:].strip()
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif line == "\n" and data is not None:
                return self.last, name, data

    def events(self, n):
        return [self.next()[2] for _ in range(n)]


def publish(system, n, kind="order.placed", size=0):
    run, ids = secrets.token_hex(4), []
    for start in range(0, n, 100):
        events = [{"specversion": "1.0", "id": f"{run}-{i}", "source": "shop", "type": kind, "data": {"n": i, "fill": "x" * size}}
                  for i in range(start, min(start + 100, n))]
        status, _, body = system.api("POST", "/v1/events", json.dumps(events).encode(), {"Content-Type": "application/cloudevents-batch+json"})
        assert status == 202, body
        ids += [event["id"] for event in events]
    return ids


def test_a_stream_shows_what_is_committed_from_now_on(streamed):
    publish(streamed, 1)
    with Reader(streamed) as reader:
        ids = publish(streamed, 3)
        found = reader.events(3)
        assert [event["id"] for event in found] == ids
        assert (found[0]["specversion"], found[0]["type"], found[0]["kind"], found[0]["data"]["n"]) == ("1.0", "order.placed", "fact", 0)
        status, outcome = streamed.charge()
        assert status == 200, outcome
        charged = (event for event in iter(lambda: reader.next()[2], None) if event["type"].startswith("payment.charge."))
        request, success = next(charged), next(charged)  # the practice provider's webhooks come in between
        assert (request["type"], success["type"], success["cause"]) == ("payment.charge.requested", "payment.charge.succeeded", request["id"])


def test_only_what_was_asked_for_is_shown(streamed):
    with Reader(streamed, "?type=order.*") as reader:
        publish(streamed, 2, "bulk.load")
        ids = publish(streamed, 1)
        assert [event["id"] for event in reader.events(1)] == ids


def test_last_event_id_goes_on_without_gap_and_twice_through_a_killed_gateway(streamed):
    with Reader(streamed, "?type=order.>") as reader:
        ids = publish(streamed, 10)
        found = [event["id"] for event in reader.events(4)]
        last = reader.last
    ids += publish(streamed, 10)
    streamed.kill("gateway")
    harness.wait_for("the system is ready again", streamed.is_ready, 40)
    ids += publish(streamed, 5)
    with Reader(streamed, "?type=order.>", last) as reader:
        found += [event["id"] for event in reader.events(21)]
    assert found == ids


def memory(system):
    pid = system.pids()["gateway"]
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def test_a_reader_that_sleeps_costs_a_bounded_buffer_and_misses_nothing(streamed):
    before = memory(streamed)
    with Reader(streamed, "?type=bulk.>", receive_buffer=4096) as reader:
        ids = publish(streamed, 2000, "bulk.load", size=8000)  # 16 MB
        assert memory(streamed) - before < 48 << 20
        assert [event["id"] for event in reader.events(2000)] == ids


def test_an_event_of_a_mebibyte_comes_through(streamed):
    with Reader(streamed, "?type=bulk.>") as reader:
        publish(streamed, 1, "bulk.load", size=900_000)
        assert len(reader.events(1)[0]["data"]["fill"]) == 900_000


def test_a_stream_ends_with_its_token(streamed):
    token = streamed.cli("token", "new", "reader", "--scope", "read").stdout.strip()
    with Reader(streamed, token=token) as reader:
        ids = publish(streamed, 1)
        assert [event["id"] for event in reader.events(1)] == ids
        streamed.cli("token", "revoke", "reader")
        assert not any(line.startswith(b"data") for line in reader.file)  # up to its end
    assert Reader(streamed, token=token).status == 401


def test_what_is_wrong_is_said(streamed):
    for query, last, said in (("?status=maybe", None, "status"), ("?limit=3", None, "`limit`"), ("", "yesterday", "Last-Event-ID"),
                              ("", "-1-0", "Last-Event-ID"), ("", "1-4294967296", "Last-Event-ID"), ("", "1-1 x", "Last-Event-ID"),
                              ("", "99999999999999999999-1", "Last-Event-ID"), ("", "999999999-0", "beyond the end of the log")):
        reader = Reader(streamed, query, last)
        assert reader.status == 400 and said in reader.file.read().decode()
    assert streamed.api("HEAD", "/v1/stream?status=maybe")[0] == 400 and streamed.api("HEAD", "/v1/stream")[0] == 200


def test_streams_are_limited_and_their_places_are_given_back(tmp_path):
    with harness.System(tmp_path) as system:
        text = (system.home / "signalbox.yaml").read_text().replace('gateway: { listen', 'gateway: { max_streams: 2, listen')
        (system.home / "signalbox.yaml").write_text(text)
        system.cli("reload")
        harness.wait_for("the gateway has the limit", lambda: system.is_ready() and system.api("GET", "/v1/stream?limit=1")[0] == 400)
        with Reader(system), Reader(system):
            assert Reader(system).status == 429
        def again():
            publish(system, 1)  # what is written shows who has gone
            with contextlib.suppress(AssertionError, OSError), Reader(system):
                return True
        harness.wait_for("a place is free again", again, 60, 0.2)

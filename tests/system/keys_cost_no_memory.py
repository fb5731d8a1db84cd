# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Idempotency keys live for days in the log's views: the broker's memory does not grow with them, and a restart knows them."""
import json
import os
import struct
import time

import harness
from wire import FACT, HEADER, PUBLISH, PUBLISHED, RECORD, REFUSED, WELCOME, Peer, frame, hello, record

KEYS = int(os.environ.get("SIGNALBOX_KEYS", "200000"))
BATCH = 4000
IDEMPOTENCY = 17
LOAD = (b"load.made", 1007571571017477344)
LIMIT = 160 * 1024  # kB: blocks kept for the tail and the window, no keys
PEAK = LIMIT + 128 * 1024  # and CORE_KEYS_MAX keys while the views catch up
DAY_US = 86400 * 1000000
PUBLISHED_BODY = struct.Struct("<QIIQ")


def memory(pid):
    """Kilobytes of its own: pages of the views' file, which the system may drop, are not."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def batch(first, count):
    """Events with keys first, first + 1, ...: the records are made once and their numbers are written into them."""
    expires = int(time.time() * 1000000) + 7 * DAY_US
    key = bytearray(record(IDEMPOTENCY, b"", struct.pack("<QQ", 1, expires), 0))
    event = bytearray(record(FACT, LOAD[0], b"{}", LOAD[1]))
    id_at = 48  # of a record's id
    assert RECORD.size == 88
    records = []
    for number in range(first, first + count):
        struct.pack_into("<QQ", key, id_at, number * 0x9E3779B97F4A7C15 & (1 << 64) - 1, 7)
        struct.pack_into("<QQ", event, id_at, number, 8)
        records.append(bytes(key) + bytes(event))
    return b"".join(records)


def publish(peer, number, first, count):
    """How many of the batch were taken for new."""
    while True:
        peer.send(frame(PUBLISH, batch(first, count), ref=number, count=count))
        answer = peer.receive(20)
        assert answer, "no answer"
        if answer[3] == PUBLISHED:
            return count - PUBLISHED_BODY.unpack_from(answer, HEADER.size)[2]
        assert answer[3] == REFUSED and b"overloaded" in answer, answer
        time.sleep(0.2)


def test_many_keys_cost_no_memory_and_outlive_the_broker(tmp_path):
    with harness.System(tmp_path) as system:
        pid = system.pids()["broker"]
        with Peer(f"ipc://{system.home}/run/bus.sock") as peer:
            assert peer.ask(hello("client", "keyed"))[0] == WELCOME
            sizes = [memory(pid)]
            began = time.monotonic()
            for n in range(KEYS // BATCH):
                assert publish(peer, n + 1, n * BATCH, BATCH) == BATCH
                sizes.append(memory(pid))
            took = time.monotonic() - began

            def caught_up():
                return json.loads(system.api("GET", "/v1/status")[2])["keys"] < 1000
            harness.wait_for("the views hold the keys", caught_up, 60, 0.2)
            time.sleep(0.3)
            sizes.append(memory(pid))
            print(f"{KEYS} keys in {took:.1f} s; its own memory: {sizes[0]} kB at first, {max(sizes)} at most, {sizes[-1]} at the end")
            assert sizes[-1] < LIMIT and max(sizes) < PEAK
            assert publish(peer, 1000000, 0, BATCH) == 0  # known
        system.kill("broker")
        harness.wait_for("the broker is back", lambda: system.pids().get("broker") not in (None, pid) and system.is_ready(), 30)
        with Peer(f"ipc://{system.home}/run/bus.sock") as peer:
            assert peer.ask(hello("client", "again"))[0] == WELCOME
            assert publish(peer, 1, KEYS - BATCH, BATCH) == 0
            assert publish(peer, 2, KEYS, BATCH) == BATCH
            assert memory(system.pids()["broker"]) < LIMIT

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Live topics may drop what a subscriber is too slow for: docs/examples/subscribe.py sees each gap and fills it from the log."""
import contextlib
import json
import os
import signal
import subprocess
import sys

import harness

EXAMPLE = harness.ROOT / "docs/examples/subscribe.py"


@contextlib.contextmanager
def subscriber(system, prefix):
    """Running, with its files; it has subscribed."""
    out, err = system.directory / "subscriber.out", system.directory / "subscriber.err"
    with open(out, "wb") as to, open(err, "wb") as said:
        process = subprocess.Popen([sys.executable, str(EXAMPLE), str(system.home / "run"), prefix], stdout=to, stderr=said)
    try:
        harness.wait_for("it has subscribed", lambda: process.poll() is not None or b"subscribed" in err.read_bytes())
        yield process, out, err
    finally:
        process.kill()
        process.wait()


def shown(out):
    return [json.loads(line) for line in out.read_text().splitlines()]


def publish(system, n):
    ids = []
    while len(ids) < n:
        ids += system.cli("publish", "order.created", "--count", str(min(n - len(ids), 20000)), "--data", json.dumps({"filling": "x" * 200})).stdout.split()
    return [one.replace("-", "") for one in ids]


def reach(system, process, out, err):
    """Publish until an event is shown: then the subscription has reached the broker."""
    def one_more():
        assert process.poll() is None, err.read_text()
        system.cli("publish", "order.created")
        return shown(out)
    harness.wait_for("the subscription reached the broker", one_more, 20, 0.2)


def test_a_subscriber_that_was_stopped_for_long_shows_every_event_once_and_in_order(system):
    with subscriber(system, "order.") as (process, out, err):
        reach(system, process, out, err)
        os.kill(process.pid, signal.SIGSTOP)
        ids = publish(system, 60000)
        os.kill(process.pid, signal.SIGCONT)
        last = publish(system, 1)[0]

        def is_there():
            assert process.poll() is None, err.read_text()
            publish(system, 1)  # what shows the last gap
            return last in out.read_text()
        harness.wait_for("the last one is shown", is_there, 60, 0.5)
        assert b"gap in order.created" in err.read_bytes()
        rows = shown(out)
        positions = [(row["block"], row["index"]) for row in rows]
        assert positions == sorted(set(positions))
        wanted = set(ids)
        assert [row["id"] for row in rows if row["id"] in wanted] == ids
        assert any(row.get("replayed") for row in rows)


def test_a_subscriber_goes_on_over_a_broker_that_was_killed(system):
    with subscriber(system, "order.") as (process, out, err):
        reach(system, process, out, err)
        system.kill("broker")
        harness.wait_for("the broker is back", system.is_ready, 30)
        ids = publish(system, 10)

        def all_there():
            assert process.poll() is None, err.read_text()
            publish(system, 1)
            return set(ids) <= {row["id"] for row in shown(out)}
        harness.wait_for("what came meanwhile is shown", all_there, 30, 0.3)
        rows = shown(out)
        assert len({row["id"] for row in rows}) == len(rows)

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""No room: intake is refused with a reason, outcomes still fit, and when room comes back so does the system."""
import json
import os
import sys
from pathlib import Path

import harness

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "crash"))
import faults  # noqa: E402


def fill(disk):
    """A file that takes all that is left."""
    filler = disk.path / "filler"
    with open(filler, "wb") as file:
        try:
            while True:
                file.write(bytes(1 << 20))
                file.flush()
        except OSError:
            pass
    return filler


def push_until_refused(system):
    """(ids accepted, the refusal) of large events."""
    ids = []
    event = json.dumps({"specversion": "1.0", "source": "test", "type": "ticket.made", "data": {"note": "x" * 500000}})
    for i in range(2000):
        body = json.dumps({**json.loads(event), "id": f"t-{i}"}).encode()
        status, headers, answer = system.api("POST", "/v1/events", body, {"Content-Type": "application/cloudevents+json"})
        if status != 202:
            return ids, (status, headers, json.loads(answer))
        ids += json.loads(answer)["ids"]
    raise AssertionError("it never became full")


def test_full_and_free_again(tmp_path):
    with faults.disk(tmp_path, megabytes=192) as disk, harness.System(tmp_path, home=disk.path) as system:
        filler = fill(disk)
        ids, (status, headers, problem) = push_until_refused(system)
        assert (status, problem["code"]) == (507, "log_full"), problem
        assert "Retry-After" in headers
        harness.wait_for("the operator is told", lambda: "LOG_FULL" in system.said(), 5)
        audit = system.settled()
        assert (audit["unaccounted"], audit["accepted"] >= len(ids)) == (0, True)
        os.unlink(filler)
        harness.wait_for("room again", lambda: system.charge()[0] == 200, 30, 0.5)
        found = {row["id"] for row in system.log()}
        assert set(ids) <= found
        system.stop()

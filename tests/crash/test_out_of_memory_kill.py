# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The kernel ends a process for want of memory, at the moment it asks: the next one goes on, nothing acknowledged is lost."""
import contextlib
import http.client
import json
import sys
import threading

import cgroup
import faults
import pytest

sys.path.insert(0, str(faults.pathlib.Path(__file__).parents[1] / "system"))
import harness  # noqa: E402
from load import Load  # noqa: E402

ROOM = 1 << 20      # bytes until the kernel ends it
LARGE = "x" * 600_000  # in each event: memory that was not there before


class Growth:
    """Large events and calls from a thread, so that every process asks for more; keeps the ids that were acknowledged."""

    def __init__(self, system):
        self.system, self.ids, self.ending = system, [], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join(60)

    def run(self):
        while not self.ending.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                event = {"specversion": "1.0", "id": harness.secrets.token_hex(8), "source": "/test", "type": "grow.large", "data": LARGE}
                status, _, body = self.system.api("POST", "/v1/events", json.dumps(event).encode(),
                                                  {"Content-Type": "application/cloudevents+json"}, timeout=10)
                if status == 202:
                    self.ids += json.loads(body)["ids"]
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.system.charge(wait="2s", description=LARGE, timeout=10)  # a large request on to the provider


@pytest.mark.parametrize("name", ["logger", "broker", "gateway", "payment"])
def test_ended_by_the_kernel(name):
    faults.need_root()
    with faults.short_folder() as folder, harness.System(folder) as system:
        group = cgroup.Memory(ROOM)
        try:
            with Load(system) as load, Growth(system) as growth:
                for _ in range(2):
                    pid = harness.wait_for(f"{name} runs", lambda: system.pids().get(name))
                    group.take(pid)
                    harness.wait_for("the kernel ends it", lambda: system.pids().get(name) != pid, 60)
                done = len(load.webhooks)
                harness.wait_for("it goes on", lambda: len(load.webhooks) > done + 5, 30)
            audit = load.check(system)
            rows = {row["id"] for row in system.log()}
            assert growth.ids and not [one for one in growth.ids if one not in rows], "an acknowledged event is lost"
            assert "signal 9 (Killed)" in system.said() and group.kills() in (None, 2), group.kills()
            print(f"{name}: {len(growth.ids)} large events acknowledged; {audit}")
        finally:
            group.remove()

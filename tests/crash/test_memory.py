# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Memory that is refused, at any request of any process: it ends at once and says why, or does without; nothing acknowledged is lost.

What ends is started again by its supervisor: a status of its own for it does not exist, because most of the libraries below
abort by themselves, too (decision 3)."""
import os
import random
import select
import signal
import subprocess
import sys

import faults
import memory
import pytest

sys.path.insert(0, str(faults.pathlib.Path(__file__).parents[1] / "system"))
import harness  # noqa: E402
from load import Load  # noqa: E402

SAMPLES = int(os.environ.get("SIGNALBOX_MEMORY", "24"))  # requests of a start that fail, spread over all of them; 0: every one
CONFIG = """data: ./data
run: ./run
gateway: {{ listen: "127.0.0.1:{port}" }}
log: {{ segment_size: 16MiB, reserve: 4MiB }}
integrations:
  stripe:
    connector: payment
    provider: stripe
    base_url: "http://127.0.0.1:1"
    allow_private_network: true
    secrets: {{ api_key: file:key }}
    webhooks: [{{ path: stripe, scheme: stripe, secrets: [file:key] }}]
"""
PROCESSES = {"logger": (), "broker": ("logger",), "gateway": ("logger", "broker"), "payment": ("logger", "broker")}
# What a start may end with: aborted, said no and why (1), the disk could not be read (74). Never 2: that would say that the
# configuration is wrong, and systemd would not try again.
ENDS = {-signal.SIGABRT, 1, faults.IO_ERROR}


class Starts:
    """One process of a system, started again and again; the others it needs run."""

    def __init__(self, folder, name):
        self.name, self.port, self.folder = name, harness.free_port(), folder
        self.parts = harness.Parts(folder, CONFIG.format(port=self.port), ["stripe"])
        key = folder / "key"
        key.write_text("sk_test_of_the_memory_tests")
        key.chmod(0o600)
        (folder / "memory").mkdir()
        self.program = harness.program(f"signalbox-{name}")
        memory.need_plain_build(self.program)
        self.table = memory.Table(folder / "memory", f"signalbox-{name}")
        keys = self.parts.keys
        self.secrets = {"logger": {}, "broker": keys, "gateway": {"bus.gateway": keys["bus.gateway"], "webhook.stripe.stripe": "whsec_test"},
                        "payment": {"bus": keys["bus.stripe"], "api_key": "sk_test_of_the_memory_tests"}}[name]
        self.said = ""

    def __enter__(self):
        for name in PROCESSES[self.name]:
            getattr(self.parts, f"start_{name}")()
        if "broker" in PROCESSES[self.name]:
            harness.wait_for("the broker serves", self.parts.serves, 30)
        return self

    def __exit__(self, *_):
        self.parts.stop()

    def once(self, fail_at):
        """(whether it served, its exit status) of a start whose request `fail_at` fails; what serves is asked to stop."""
        self.table.count_from_zero()
        if fail_at:
            self.table.refuse(fail_at)
        ready, write = os.pipe()
        secrets = harness.with_secrets(self.secrets)
        command = [self.program, "-c", str(self.parts.config), "--secrets-fd", str(secrets), "--ready-fd", str(write)]
        command += ["--integration", "stripe"] if self.name == "payment" else []
        process = subprocess.Popen(command, pass_fds=(secrets, write), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                                   env={**os.environ, **memory.environment(self.folder / "memory")})
        os.close(write)
        os.close(secrets)
        try:
            assert select.select([ready], [], [], 30)[0], f"request {fail_at} refused: it neither serves nor ends"
            serves = os.read(ready, 1) == b"R"
            if serves:
                process.terminate()
            self.said = process.communicate(timeout=30)[1]
        finally:
            os.close(ready)
            process.kill()
        return serves, process.returncode


@pytest.mark.parametrize("name", PROCESSES)
def test_refused_at_the_start(name):
    with faults.short_folder() as folder, Starts(folder, name) as starts:
        assert starts.once(0) == (True, 0), starts.said
        requests = starts.table.requests
        assert requests > 100
        ends = {}
        for n in sorted(range(1, requests + 1) if not SAMPLES else random.sample(range(1, requests + 1), SAMPLES)):
            serves, status = starts.once(n)
            assert starts.table.failed <= 1
            ends[status] = ends.get(status, 0) + 1
            assert status in ENDS or (serves and status == 0), f"request {n} refused: status {status}: {starts.said}"
        assert starts.once(0) == (True, 0), starts.said
        print(f"{name}: {requests} requests at a start; ends {ends}")


@pytest.mark.parametrize("name", PROCESSES)
def test_refused_under_load(monkeypatch, name):
    with faults.short_folder() as folder:
        (folder / "memory").mkdir()
        memory.need_plain_build(harness.program(f"signalbox-{name}"))
        for key, value in memory.environment(folder / "memory").items():
            monkeypatch.setenv(key, value)
        table = memory.Table(folder / "memory", f"signalbox-{name}")
        with harness.System(folder) as system:
            with Load(system) as load:
                for _ in range(6):
                    failed = table.failed
                    table.refuse(random.randrange(1, 300), random.choice([1, 1, 20]))
                    harness.wait_for("a request was refused", lambda: table.failed > failed, 30)
                table.refuse_none()
                done = len(load.webhooks)
                harness.wait_for("it goes on", lambda: len(load.webhooks) > done + 5, 30)
            load.check(system)
            ends = [line.split(": ", 1)[1] for line in system.said().splitlines() if f" CHILD_EXITED {name} " in line or f" CHILD_EXITED stripe " in line]
            assert all("signal 6" in end or "exit status" in end for end in ends), ends
            print(f"{name}: {table.failed} requests refused; ends {ends}")

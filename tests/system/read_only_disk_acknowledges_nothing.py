# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The disk becomes read-only under a whole system, as after an error of the device: nothing is acknowledged any more, what there is can be
read, and when the disk is back so is everything that was acknowledged."""
import contextlib
import http.client
import json
import sys
from pathlib import Path

import harness
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "crash"))
import faults  # noqa: E402


def fail(disk):
    """The file system finds an error in itself, and goes read-only for good (errors=remount-ro)."""
    device = faults.run("findmnt", "-no", "SOURCE", disk.path).stdout.strip()
    trigger = Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error")
    if not device.startswith("/dev/loop") or not trigger.exists():
        pytest.skip("this kernel's ext4 cannot be made to find an error")
    faults.run("mount", "-o", "remount,errors=remount-ro", disk.path)
    trigger.write_text("a test's")
    with contextlib.suppress(OSError):
        (disk.path / "probe").touch()
        pytest.fail("the disk can be written still")


def webhook(system):
    """(status, ids) of one; (None, []) where there was no answer."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        status, _, body = system.webhook(harness.stripe_event(payment_status="paid"), timeout=10)
        return status, json.loads(body).get("ids", [])
    return None, []


def test_read_only_and_back():
    faults.need_root()
    with faults.short_folder() as folder, faults.disk(folder, megabytes=256) as disk:
        system = harness.System(folder, home=disk.path)
        with system:
            kept = [one for _ in range(5) for one in webhook(system)[1]]
            assert len(kept) == 5 and system.settled()["unaccounted"] == 0
            fail(disk)
            answers = [webhook(system) for _ in range(3)]
            assert all(status in (503, None) for status, _ in answers), answers
            assert not harness.port_answers(system.port, "/readyz")
            harness.wait_for("it is said why", lambda: "Read-only file system" in system.said(), 30)
            assert {row["id"] for row in system.log()} >= set(kept), "what was acknowledged cannot be read"
        disk.unmount()
        disk.mount()
        with system:
            audit = system.settled()
            rows = {row["id"] for row in system.log()}
            assert not [one for one in kept if one not in rows] and audit["unaccounted"] == 0, audit
            assert webhook(system)[0] == 200

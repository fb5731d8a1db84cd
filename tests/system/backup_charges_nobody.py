# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A backup made under load is a log of its own; restored elsewhere it is whole, and what was pending calls nobody until a person says so."""
import contextlib
import json
import threading

import harness
import pytest

SECRET = "a-secret-of-the-vault-for-tests"


@contextlib.contextmanager
def under_load(system):
    """Webhooks without end while the block runs; how many were taken."""
    stopping, taken = threading.Event(), []

    def work():
        while not stopping.is_set():
            if system.webhook(harness.stripe_event("ticket.made"))[0] == 200:
                taken.append(1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        harness.wait_for("the load has begun", lambda: len(taken) > 100)
        yield taken
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def second(tmp_path):
    """A system elsewhere: configured, with a provider of its own, not started."""
    home = tmp_path / "second"
    home.mkdir()
    system = harness.System(home)
    system.sandbox.start()
    system.write_config()
    yield system
    system.stop()


def backed_up(system, to):
    """A backup with three pending charges in it, made under load."""
    system.cli("secret", "set", "spare", input=SECRET)
    system.cli("pause", "stripe")
    for i in range(3):
        assert system.charge(f"order-{i}", wait="0", deadline="24h")[0] == 202
    with under_load(system) as taken:
        before = len(taken)
        made = json.loads(system.cli("backup", str(to), "--json").stdout)
        harness.wait_for("the load goes on behind it", lambda: len(taken) > before + 50)
    return made


def test_it_is_restored_whole_and_calls_nobody_until_resumed(system, second, tmp_path):
    made = backed_up(system, tmp_path / "backup")
    assert made["last_block"] > 0
    assert system.audit()["accepted"] > 100
    for path in (tmp_path / "backup").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
        assert path.name != "signalbox.key"
    said = second.cli("restore", str(tmp_path / "backup")).stdout
    assert "master key" in said
    (second.home / "signalbox.key").write_bytes((system.home / "signalbox.key").read_bytes())
    (second.home / "signalbox.key").chmod(0o600)
    assert "good" in second.cli("log", "verify").stdout
    audit = second.audit()
    assert (audit["unaccounted"], audit["pending"]) == (0, 3), audit
    second.start()
    assert second.cli("secret", "list").stdout.count("spare")
    group = json.loads(second.cli("status", "--json").stdout)["broker"]["groups"][0]
    assert group["paused"] and "restored from the backup" in group["pause"]["reason"]
    assert second.charge("order-9", wait="0", deadline="24h")[0] == 202  # taken, and it waits like the others
    assert second.audit()["pending"] == 4
    assert second.sandbox.get("/sandbox/status")["calls"] == 0
    pending = [row["id"] for row in second.log("--status", "pending")]
    second.cli("cancel", pending[0])
    second.cli("resume")
    audit = second.settled()
    assert (audit["unaccounted"], audit["failed"]) == (0, 1)
    assert sorted(second.sandbox.effects().values()) == [1, 1, 1]


def test_an_idempotency_key_from_before_the_backup_is_still_known(system, second, tmp_path):
    status, first = system.charge("order-1")
    assert status == 200
    system.cli("backup", str(tmp_path / "backup"))
    second.cli("restore", str(tmp_path / "backup"))
    second.start()
    status, again = second.charge("order-1")
    assert (status, again["id"]) == (200, first["id"])
    assert second.sandbox.effects() == {}


def test_what_is_not_a_whole_backup_is_refused_and_leaves_no_log(system, second, tmp_path):
    system.charge("order-1")
    backup = tmp_path / "backup"
    system.cli("backup", str(backup))
    assert system.cli("backup", str(backup), check=False).returncode == 1  # not empty: never over another one
    segment = next((backup / "log").glob("*.mdb"))
    good = segment.read_bytes()
    at = good.index(b"payment.charge.requested")
    segment.write_bytes(good[:at] + b"x" + good[at + 1:])
    done = second.cli("restore", str(backup), check=False)
    assert done.returncode == 1 and not (second.home / "data/log").exists(), done.stderr
    segment.write_bytes(good)
    done = second.cli("restore", str(backup), check=False)  # what the first try left is named
    assert done.returncode == 1 and "log.restoring" in done.stderr, done.stderr
    (backup / "backup.json").rename(backup / "kept.json")
    done = second.cli("restore", str(backup), check=False)
    assert done.returncode == 1 and "no whole backup" in done.stderr, done.stderr
    (backup / "kept.json").rename(backup / "backup.json")
    done = system.cli("restore", str(backup), check=False)  # where something runs nothing is restored
    assert done.returncode == 1 and "another" in done.stderr, done.stderr

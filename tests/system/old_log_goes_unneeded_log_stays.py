# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Retention removes whole segments that nobody needs; what a protected group has not taken stays, and status says so."""
import json

import harness

BULK = "x" * 400_000
GROUPS = "groups: {{ billing: {{ types: ['order.>']{} }} }}"


class Small(harness.System):
    """At most two segments are wanted."""

    def write_config(self):
        super().write_config()
        path = self.home / "signalbox.yaml"
        path.write_text(path.read_text().replace("reserve: 4MiB", f"reserve: 4MiB, retain_size: {2 * 16}MiB"))


def segments(system):
    """The first blocks of the log's segments."""
    return sorted(int(path.stem) for path in (system.home / "data/log").glob("[0-9]*.mdb"))


def publish(system, n):
    for _ in range(n):
        status, _, body = system.api("POST", "/v1/events", {"specversion": "1.0", "id": "o-" + harness.secrets.token_hex(8), "source": "/shop",
                                                            "type": "order.created", "data": {"bulk": BULK}},
                                     {"Content-Type": "application/cloudevents+json"}, timeout=60)
        assert status == 202, body


def fill(system, until):
    """Publish until the log has so many segments, or has begun to lose the oldest."""
    for _ in range(20):
        if len(segments(system)) >= until:
            return
        publish(system, 20)
    raise AssertionError(f"the log has segments {segments(system)}")


def broker(system):
    return json.loads(system.cli("status", "--json").stdout)["broker"]


def take_all(system):
    """As the group's only consumer, acknowledge what there is."""
    taken = 0
    while True:
        status, _, body = system.api("GET", "/v1/groups/billing/next?wait=2s&max=50", timeout=60)
        assert status == 200, body
        events = json.loads(body)["events"]
        if not events:
            return taken
        done = [{"lease": event["lease"], "result": "ack"} for event in events]
        status, _, body = system.api("POST", "/v1/groups/billing/results", done, timeout=60)
        assert status == 200, body
        taken += len(events)


def holds(system):
    assert system.audit()["unaccounted"] == 0
    assert "good" in system.cli("log", "verify").stdout


def test_a_protected_group_keeps_the_log_until_it_has_taken_all(tmp_path):
    with Small(tmp_path, GROUPS.format("")) as system:
        fill(system, 5)
        status = broker(system)
        assert status["pinned_by"] == "billing" and status["keep_from"] < segments(system)[1], status
        assert "for billing" in system.cli("status").stdout
        assert segments(system)[0] == 1
        pending = next(group["pending"] for group in status["groups"] if group["name"] == "billing")
        assert take_all(system) == pending >= 80
        harness.wait_for("the oldest segments are gone", lambda: len(segments(system)) <= 3 and segments(system)[0] > 1, 60, 0.5)
        assert "LOG_TRIMMED" in system.said()
        holds(system)
        system.kill_all()
        system.start()
        publish(system, 3)
        assert take_all(system) == 3
        holds(system)


def test_an_unprotected_group_goes_on_behind_what_is_gone(tmp_path):
    with Small(tmp_path, GROUPS.format(", protect: false")) as system:
        fill(system, 4)
        harness.wait_for("the oldest segments are gone", lambda: segments(system)[0] > 1 or fill(system, len(segments(system)) + 1), 60, 0.5)
        harness.wait_for("it is said what the group missed", lambda: "GROUP_PASSED" in system.said(), 30)
        group = harness.wait_for("the group has passed it", lambda: next(
            (one for one in broker(system)["groups"] if one["name"] == "billing" and one["oldest_block"] >= segments(system)[0]), None), 30)
        assert group["failed"] > 0
        assert take_all(system) > 0
        holds(system)


def test_a_pending_request_keeps_its_segment(tmp_path):
    with Small(tmp_path, GROUPS.format(", protect: false")) as system:
        system.cli("pause")
        assert system.charge("order-1", wait="0", deadline="24h")[0] == 202
        fill(system, 5)
        assert broker(system)["pinned_by"] == "stripe"
        assert segments(system)[0] == 1
        system.cli("resume")
        harness.wait_for("the oldest segments are gone", lambda: segments(system)[0] > 1, 60, 0.5)
        assert list(system.sandbox.effects().values()) == [1]
        holds(system)


def test_a_backup_of_a_trimmed_log_is_restored(tmp_path):
    with Small(tmp_path, GROUPS.format(", protect: false")) as system:
        fill(system, 4)
        harness.wait_for("the oldest segments are gone", lambda: segments(system)[0] > 1 or fill(system, len(segments(system)) + 1), 60, 0.5)
        harness.wait_for("it was passed", lambda: "GROUP_PASSED" in system.said(), 30)
        system.cli("backup", str(tmp_path / "backup"))
        home = tmp_path / "second"
        home.mkdir()
        second = Small(home, GROUPS.format(", protect: false"))
        try:
            second.sandbox.start()
            second.write_config()
            second.cli("restore", str(tmp_path / "backup"))
            holds(second)
            second.start(60)
            publish(second, 1)
            holds(second)
        finally:
            second.stop()

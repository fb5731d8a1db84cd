# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The document of an integration says what the log says, and the check finds where they part; with or without a running system."""
import json
import re

import pytest

import harness

GROUPS = """groups:
  shop: { types: ["payment.>", "stripe.>"] }
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with harness.System(tmp_path_factory.mktemp("documents"), extra=GROUPS, integrations="    rotate_every: 90d\n") as s:
        s.tried = s.cli("simulate", "--all", "stripe", check=False)
        yield s


def findings(system):
    done = system.cli("doc", "stripe", "--check", "--json", check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == (1 if found else 0), done.stderr
    return found


def test_everything_is_tried_and_the_result_is_a_fact_that_nobody_can_forge(system):
    assert system.tried.returncode == 0, system.tried.stdout + system.tried.stderr
    assert "cut_after_effect" in system.tried.stdout and "tampered" in system.tried.stdout
    row = json.loads(system.cli("log", "--type", "signalbox.tested", "--json").stdout)
    assert row["data"]["failed"] == 0 and row["data"]["passed"] > 30
    forged = system.cli("publish", "signalbox.tested", "--data", json.dumps(row["data"]), check=False)
    assert forged.returncode != 0 and "reserved_type" in forged.stderr
    assert max(system.sandbox.effects().values()) == 1


def test_the_document_has_six_sections_the_last_test_and_no_secret(system):
    text = system.cli("doc", "stripe").stdout
    titles = re.findall(r"^## (.*)$", text, re.M)
    assert titles == ["Integration Pattern", "Authentication Method", "Event Catalogue", "Failure Modes", "Testing Protocol", "Cost Model"]
    assert re.search(r"Last run: .*, 0 failed; of what is in force now", text)
    assert re.search(r"`payment.charge.requested` .* \d+ succeeded, \d+ failed", text)
    assert not any(secret in text for secret in system.secrets.values())


def test_the_same_log_gives_the_same_bytes_and_declared_leaves_it_out(system):
    declared = system.cli("doc", "stripe", "--declared", "--format", "html").stdout
    assert declared == system.cli("doc", "stripe", "--declared", "--format", "html").stdout
    assert "<svg" in declared and "<script" not in declared and "Last run" not in declared
    assert "Take a payment" in declared  # what the program says of itself


def test_all_are_written_with_a_page_that_leads_to_them(system, tmp_path):
    for ending in ("md", "html"):
        done = system.cli("doc", "--all", "-o", str(tmp_path), "--format", ending)
        assert done.returncode == 0, done.stderr
        assert f"stripe.{ending}" in (tmp_path / f"index.{ending}").read_text()
        assert (tmp_path / f"stripe.{ending}").read_text()
    assert system.cli("doc", "--all", check=False).returncode == 2
    assert system.cli("doc", "nobody", check=False).returncode == 2


def test_what_was_seen_and_is_not_declared_is_found_and_nothing_else(system):
    found = findings(system)
    assert {f["kind"] for f in found} == {"event"}
    assert all(f["where"] == "manifest of payment: webhooks" for f in found)
    assert any("stripe.charge.succeeded" in f["what"] for f in found)


def test_a_change_makes_the_test_old_with_the_line_and_nothing_has_to_run(system):
    config = system.home / "signalbox.yaml"
    before = config.read_text()
    harness.stop(system.up)
    config.write_text(before.replace("    service: Stripe\n", "    service: Stripe\n    options: { exact_fee: \"false\" }\n").replace(
        'types: ["payment.>", "stripe.>"]', 'types: ["stripe.>"]'))
    found = {f["kind"]: f for f in findings(system)}
    line = before[:before.index("  stripe:")].count("\n") + 1
    assert found["test"]["where"].endswith(f"signalbox.yaml:{line}") and "has changed" in found["test"]["what"]
    assert "payment.charge.failed" in json.dumps(findings(system)) and found["unconsumed"]["where"].endswith(":5")
    config.write_text(before)
    assert {f["kind"] for f in findings(system)} == {"event"}
    system.start()

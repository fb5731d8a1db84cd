# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The log says the same while it is written, with its views and without, in a copy and after an export; what was changed is seen."""
import json
import shutil
import subprocess

import harness

QUESTIONS = ([], ["--status", "failed"], ["--status", "success", "--service", "Stripe"], ["--class", "permanent"], ["--key", "order-7"],
             ["--type", "payment.>"], ["--records", "--type", "payment.*.failed"])


def answers(system):
    return [system.cli("log", "--csv", "--limit", "1000", *question).stdout for question in QUESTIONS]


def calls(system, n):
    for i in range(n):
        card = "pm_card_visa_chargeDeclinedInsufficientFunds" if i % 5 == 4 else "pm_card_visa"
        system.charge(payment_method=card)
    system.cli("call", "payment.charge", "--key", "order-7", "--data", '{"amount":2000,"currency":"usd","payment_method":"pm_card_visa"}')


def views_are_built(system):
    """Every committed block is in the views: a question needs nothing else."""
    return system.directory.joinpath("data/log/views.mdb").exists() and system.is_ready()


def test_views_deleted_under_a_system_that_was_killed_are_built_again_with_the_same_answers(system):
    calls(system, 25)
    system.settled()
    before = answers(system)
    assert all(text.count("\n") > 1 for text in before), before
    system.kill_all()
    for path in system.directory.glob("data/log/views.mdb*"):
        path.unlink()
    assert answers(system) == before  # with nothing running and no views
    system.start()
    harness.wait_for("the views are there again", lambda: views_are_built(system))
    assert answers(system) == before
    assert system.audit()["unaccounted"] == 0


def test_follow_shows_each_request_when_it_comes_and_when_it_ends(system):
    follower = subprocess.Popen([harness.program("signalbox"), "-c", str(system.directory / "signalbox.yaml"), "log", "--follow", "--json",
                                 "--type", "payment.charge.requested"], stdout=subprocess.PIPE, text=True)
    try:
        calls(system, 5)
        ended = {}
        while len(ended) < 6:
            row = json.loads(follower.stdout.readline())
            if row["status"] != "Pending":
                ended[row["id"]] = row["status"]
        assert sorted(ended.values()) == ["Failed"] + ["Success"] * 5
    finally:
        follower.kill()
        follower.wait()


def test_audits_of_the_living_log_stay_exact_through_kills(system):
    for name in ("logger", "payment", "broker", "logger"):
        calls(system, 3)
        system.kill(name)
        audit = system.audit()
        assert audit["unaccounted"] == 0, audit
        assert audit["accepted"] == audit["success"] + audit["failed"] + audit["pending"]
        harness.wait_for("it is back", system.is_ready, 30)
    assert system.settled()["unaccounted"] == 0


def test_a_copy_and_an_exported_range_have_the_head_of_the_log_and_a_changed_byte_has_not(system, tmp_path_factory):
    calls(system, 10)
    system.settled()
    system.stop()
    before = answers(system)
    head = json.loads(system.cli("log", "verify", "--json").stdout.splitlines()[-1])["head"]
    other = tmp_path_factory.mktemp("other")
    system.cli("log", "export", "-o", str(other / "range"))
    config = other / "signalbox.yaml"
    config.write_text(f"data: {other}/data\nrun: {other}/run\n")

    def there(*args, check=True):
        return subprocess.run([harness.program("signalbox"), "-c", str(config), *args], check=check, capture_output=True, text=True)

    there("log", "import", str(other / "range"))
    assert "nothing up to it was changed" in there("log", "verify", "--head", head).stdout
    assert json.loads(there("audit", "--json").stdout)["unaccounted"] == 0
    assert [there("log", "--csv", "--limit", "1000", *question).stdout for question in QUESTIONS] == before
    shutil.rmtree(other / "data")
    changed = bytearray((other / "range").read_bytes())
    changed[len(changed) // 2] ^= 1
    (other / "range").write_bytes(changed)
    refused = there("log", "import", str(other / "range"), check=False)
    assert refused.returncode == 1 and "block" in refused.stderr, refused
    assert there("log", check=False).returncode == 3  # nothing half imported


def test_a_trace_and_the_cost_of_a_call(system):
    status, answer = system.charge()
    assert status == 200, answer
    story = system.cli("trace", answer["id"]).stdout
    assert "request payment.charge.requested Success" in story
    assert "outcome payment.charge.succeeded Success, attempts 1" in story
    lines = [json.loads(line) for line in system.cli("cost", "--by", "operation", "--json").stdout.splitlines()]
    assert sum(line["calls"] for line in lines if line["operation"] == "payment.charge") == 1, lines


def test_a_filter_that_nothing_can_fit_is_refused_not_answered_with_nothing(tmp_path):
    (tmp_path / "signalbox.yaml").write_text("data: ./data\nrun: ./run\n")
    for command in ("log", "redrive"):
        for wrong, said in ((["--type", "a..b"], "neither a type nor a pattern"), (["--type", "pay.>.x"], "neither a type nor a pattern"),
                            (["--since", "1h", "--until", "2h"], "nothing lies between"), (["--until", "1970-01-01T00:00:00Z", "--since", "1h"], "nothing lies between")):
            done = subprocess.run([harness.program("signalbox"), command, *wrong, "-c", tmp_path / "signalbox.yaml"], capture_output=True, text=True)
            assert done.returncode == 2 and said in done.stderr, (command, wrong, done)

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A secret of the vault is rotated under load: no webhook is refused or lost, whichever of the two signed it, and no call is lost."""
import http.client
import json
import os
import subprocess
import threading
from pathlib import Path

import harness


class Vaulted(harness.System):
    """With both secrets in the vault."""
    SECRETS = {"hook": harness.WEBHOOK_SECRET, "api": harness.API_KEY}

    def write_config(self):
        super().write_config()
        path = self.home / "signalbox.yaml"
        path.write_text(path.read_text().replace("file:webhook_secret", "vault:hook").replace("file:api_key", "vault:api")
                        .replace("    webhooks:", "    rotate_every: 90d\n    webhooks:"))
        for name, value in self.SECRETS.items():
            self.cli("secret", "set", name, input=value)


class Sender(threading.Thread):
    """Signed webhooks and charges, one after the other; each must be taken the first time."""

    def __init__(self, system, secret):
        super().__init__()
        self.system, self.secret, self.ids, self.wrong, self.ended = system, secret, [], [], threading.Event()

    def run(self):
        while not self.ended.is_set():
            try:
                body = harness.stripe_event("charge.refunded")
                status, _, answer = self.system.webhook(body, harness.stripe_signature(body, self.secret))
                self.ids += json.loads(answer)["ids"] if status == 200 else []
                charged, outcome = self.system.charge()
                if status != 200 or charged not in (200, 202):  # 202: durable, the gateway that waited for it was started anew
                    self.wrong.append((status, answer, charged, outcome))
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))


def told(system, *args):
    return subprocess.run([harness.program("signalbox"), *args], cwd=system.home, capture_output=True, text=True)


def versions(system, name):
    rows = [json.loads(line) for line in system.cli("secret", "list", "--json").stdout.splitlines()]
    return [row for row in rows if row["name"] == name]


def test_nothing_is_refused_while_a_secret_is_rotated(tmp_path):
    newer = "whsec_test_that_comes_after"
    with Vaulted(tmp_path) as system:
        old = [Sender(system, harness.WEBHOOK_SECRET) for _ in range(2)]
        new = Sender(system, newer)
        for sender in old:
            sender.start()
        harness.wait_for("some are taken", lambda: all(len(sender.ids) > 3 for sender in old))
        system.cli("secret", "rotate", "hook", "--keep-old", "1h", input=newer)
        system.cli("secret", "rotate", "api", "--keep-old", "1h", input=harness.API_KEY)  # the same key, as a version of its own
        system.cli("reload")
        harness.wait_for("the gateway knows both", lambda: system.webhook(body := harness.stripe_event("charge.refunded"),
                                                                          harness.stripe_signature(body, newer))[0] == 200, 30)
        new.start()  # from now on the provider may sign with the new one
        harness.wait_for("both are taken", lambda: len(new.ids) > 5)
        for sender in (*old, new):
            sender.ended.set()
            sender.join(60)
        assert [sender.wrong for sender in (*old, new)] == [[], [], []]
        assert system.settled()["unaccounted"] == 0
        taken = {row["id"] for row in system.log()}
        assert set(sum((sender.ids for sender in (*old, new)), [])) <= taken
        listed = versions(system, "hook")
        assert [row["version"] for row in listed] == [2, 1] and listed[1]["until"]
        assert listed[0]["due"] > listed[0]["created"] and not listed[1].get("due")
        assert all(row["matched"] >= row["matched_first"] for row in listed)
        text = system.cli("secret", "list").stdout
        assert "due" in text and newer not in text and "it still matches" in text  # in the same minute nobody can know better
        assert versions(system, "api")[0]["matched"], "calls succeeded with it"

        for name in ("broker", "logger"):  # it is the log's to remember
            system.kill(name)
        system.settled()
        assert [row["matched_first"] for row in versions(system, "hook")] == [row["matched_first"] for row in listed]
        document = system.cli("doc", "stripe").stdout
        assert "version 2, used last on" in document and "the one before is valid until" in document
        system.cli("secret", "remove", "hook", "--old")
        system.cli("reload")
        harness.wait_for("the old one is refused", lambda: system.webhook(body := harness.stripe_event("charge.refunded"),
                                                                          harness.stripe_signature(body, harness.WEBHOOK_SECRET))[0] == 401, 30)
        assert system.webhook(body := harness.stripe_event("charge.refunded"), harness.stripe_signature(body, newer))[0] == 200
        assert [row["version"] for row in versions(system, "hook")] == [2]


def test_files_are_listed_by_the_day_they_changed(tmp_path):
    """The document, `secret list` and the check say the same of them."""
    with harness.System(tmp_path) as system:
        path = system.home / "signalbox.yaml"
        path.write_text(path.read_text().replace("    webhooks:", "    rotate_every: 90d\n    webhooks:"))
        os.utime(system.home / "api_key", (1700000000, 1700000000))  # 2023-11-14
        rows = {Path(row["name"]).name: row for row in map(json.loads, system.cli("secret", "list", "--json").stdout.splitlines())}
        assert rows["api_key"]["from"] == "file" and rows["api_key"]["created"].startswith("2023-11-14")
        assert "OVERDUE since 2024-02-12" in system.cli("secret", "list").stdout
        assert "file changed on 2023-11-14" in system.cli("doc", "stripe").stdout
        checked = told(system, "config", "check")
        assert checked.returncode == 0 and "secrets.api_key" in checked.stderr and "was changed last on 2023-11-14" in checked.stderr
        checked = told(system, "doc", "--check")
        assert checked.returncode == 1 and "was changed last on 2023-11-14 and had to change by 2024-02-12" in checked.stdout
        (system.home / "api_key").unlink()
        assert "MISSING" in system.cli("secret", "list").stdout
        assert "api_key is not there" in told(system, "doc", "--check").stdout
        checked = told(system, "config", "check")
        assert checked.returncode == 2 and "api_key: No such file" in checked.stderr


def test_the_check_of_a_configuration_looks_into_the_vault(tmp_path):
    system = Vaulted(tmp_path)
    system.write_config()
    assert told(system, "config", "check").returncode == 0
    system.cli("secret", "remove", "api")
    checked = told(system, "config", "check")
    line = next(n for n, text in enumerate((system.home / "signalbox.yaml").read_text().splitlines(), 1) if "vault:api" in text)
    assert checked.returncode == 2 and f"signalbox.yaml:{line}: integrations.stripe.secrets.api_key: the vault has no secret `api`" in checked.stderr
    assert "would not start" in checked.stderr
    (system.home / "signalbox.key").rename(system.home / "elsewhere")  # somebody who may not open it can check the rest
    checked = told(system, "config", "check")
    assert checked.returncode == 0 and "2 secrets of the vault were not looked at" in checked.stderr

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A secret of the vault is rotated under load: no webhook is refused or lost, whichever of the two signed it, and no call is lost."""
import http.client
import json
import threading

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
        text = system.cli("secret", "list").stdout
        assert "due" in text and newer not in text

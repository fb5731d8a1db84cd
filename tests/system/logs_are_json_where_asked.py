# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""With `log_format: json` every line of every process is one JSON object with an id that the manual knows."""
import json
import re

import harness


def test_every_line_is_an_object_with_a_known_id(tmp_path):
    known = dict(re.findall(r"^LOG\((\w+), (\w+),", (harness.ROOT / "lib/base/log.def").read_text(), re.M))
    with harness.System(tmp_path, extra="log_format: json\n") as system:
        system.webhook(harness.stripe_event(), 't=1,v1="\\')
        system.charge()
        system.kill("payment")
        harness.wait_for("the connector is back", system.is_ready, 40)
        lines = system.said().splitlines()
    rows = [json.loads(line) for line in lines]
    assert {row["program"] for row in rows} >= {"signalbox", "signalbox-broker", "signalbox-logger", "signalbox-gateway", "signalbox-payment"}
    for row in rows:
        assert set(row) == {"time", "level", "program", "id", "text"} and known[row["id"]].lower() == row["level"], row
    assert {"PROCESS_READY", "WEBHOOK_REFUSED", "CHILD_EXITED", "SESSION_STARTED"} <= {row["id"] for row in rows}


def test_the_environment_counts_instead_of_the_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGNALBOX_LOG", "text")
    with harness.System(tmp_path, extra="log_format: json\n") as system:
        assert not any(line.startswith("{") for line in system.said().splitlines())


def test_another_format_counts_from_the_reload_on(tmp_path):
    with harness.System(tmp_path) as system:
        path = system.home / "signalbox.yaml"
        path.write_text("log_format: json\n" + path.read_text())
        assert "log_format" in system.cli("reload").stdout
        harness.wait_for("all processes serve again", system.is_ready, 40)
        harness.wait_for("the gateway writes JSON", lambda: any(line.startswith('{"time"') and '"signalbox-gateway"' in line
                                                                for line in system.said().splitlines()), 20)

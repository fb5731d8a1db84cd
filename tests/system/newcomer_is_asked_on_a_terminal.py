# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""On a terminal a secret is asked for and not shown; whoever stops with ctrl-c leaves nothing behind, the terminal shows again what is typed."""
import json
import signal
import subprocess
from pathlib import Path

import harness
import pytest
from terminal import ASKED, Terminal

CTRL_C, CTRL_D = "\x03", "\x04"


@pytest.fixture
def place(tmp_path):
    sandbox = harness.start([harness.program("signalbox-sandbox"), "--port", "0"], None, tmp_path / "sandbox.err", stdout=subprocess.PIPE, text=True)
    port = json.loads(sandbox.stdout.readline())["port"]
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "signalbox.yaml").write_text("# mine\n")

    def add(provider="stripe", base=f"http://127.0.0.1:{port}", *more):
        return Terminal([harness.program("signalbox"), "add", provider, "--base-url", base, "--allow-private-network", *more], folder)
    add.folder = folder
    yield add
    harness.stop(sandbox)


def left_behind(folder):
    """What is there besides the configuration as it was, and directories of connectors being tried that nobody uses any more."""
    before = "" if (folder / "signalbox.yaml").read_text() == "# mine\n" else "signalbox.yaml"
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "signalbox.yaml"] + ([before] if before else [])


def trials():
    return set(Path("/tmp").glob("signalbox-connector.*"))


def test_secrets_are_asked_for_without_echo_and_the_integration_works(place):
    terminal = place()
    for name, value in (("stripe_api_key", "sk_test_typed_in"), ("stripe_webhook", "whsec_typed_in")):
        assert terminal.read(ASKED)[1] == name
        assert terminal.is_silent()
        terminal.type(value + "\n")
    assert terminal.end() == 0, terminal.shown
    assert "sk_test_typed_in" not in terminal.shown and "whsec_typed_in" not in terminal.shown
    assert terminal.shown.index("Tried: payment.events works") < terminal.shown.index("Webhooks come to") < terminal.shown.index("Value of stripe_webhook")
    text = (place.folder / "signalbox.yaml").read_text()
    assert "- { path: stripe, scheme: stripe, secrets: [vault:stripe_webhook] }" in text and "typed_in" not in text
    assert "- { operation: events, every: 5m, missed: once }" in text and "Polled every 5m: payment.events" in terminal.shown
    checked = subprocess.run([harness.program("signalbox"), "config", "check"], cwd=place.folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_a_webhook_secret_that_is_not_there_yet_is_left_out(place):
    terminal = place()
    assert terminal.read(ASKED)
    terminal.type("sk_test_typed_in\n")
    assert terminal.read(ASKED)[1] == "stripe_webhook"
    terminal.type("\n")
    assert terminal.end() == 0, terminal.shown
    assert "#     - { path: stripe" in (place.folder / "signalbox.yaml").read_text()


@pytest.mark.parametrize("answered", [[], ["sk_test_typed_in\n"]], ids=["at the key", "at the webhook's secret"])
def test_ctrl_c_leaves_nothing_behind_and_the_terminal_as_it_was(place, answered):
    before = trials()
    terminal = place()
    for text in answered:
        terminal.read(ASKED)
        terminal.type(text)
    terminal.read(ASKED)
    terminal.type("half a sec")
    assert terminal.is_silent()
    terminal.type(CTRL_C)
    # the terminal is there as long as we hold it: the program must have put it back before it died
    harness.wait_for("echo is on again", lambda: not terminal.is_silent())
    assert terminal.end() == -signal.SIGINT, terminal.shown
    assert left_behind(place.folder) == [] and trials() <= before
    assert "half a sec" not in terminal.shown


def test_ctrl_c_while_the_key_is_tried_leaves_nothing_behind(place, tmp_path):
    silent = harness.socket.create_server(("127.0.0.1", 0))  # takes the call and never answers
    before = trials()
    terminal = place("stripe", f"http://127.0.0.1:{silent.getsockname()[1]}")
    terminal.read(ASKED)
    terminal.type("sk_test_typed_in\n")
    silent.settimeout(30)
    call, _ = silent.accept()
    assert len(trials() - before) >= 1
    terminal.type(CTRL_C)
    assert terminal.end() == -signal.SIGINT, terminal.shown
    assert left_behind(place.folder) == [] and trials() <= before
    assert "was tried and failed" not in terminal.shown
    call.close()
    silent.close()


@pytest.mark.parametrize("key, reason", [("of-somebody-else\n", "does not accept the API key"), ("\n", "is needed; nothing was stored"),
                                         (CTRL_D, "is needed; nothing was stored"), ("sk_live_x\n", "api_key is a live key")])
def test_a_key_that_is_refused_stores_nothing(place, key, reason):
    terminal = place()
    terminal.read(ASKED)
    terminal.type(key)
    assert terminal.end() in (1, 2)
    assert reason in terminal.shown and left_behind(place.folder) == [], terminal.shown
    assert key.strip("\n\x04") == "" or key.strip() not in terminal.shown


def test_a_secret_is_set_without_echo_and_ctrl_c_sets_none(place):
    for typed, status in (("whsec_typed_in\n", 0), ("whsec_half" + CTRL_C, -signal.SIGINT)):
        terminal = Terminal([harness.program("signalbox"), "secret", "set", f"one{status}".replace("-", "_")], place.folder)
        terminal.read(ASKED)
        terminal.type(typed)
        assert terminal.end() == status, terminal.shown
        assert "whsec" not in terminal.shown
    listed = subprocess.run([harness.program("signalbox"), "secret", "list"], cwd=place.folder, capture_output=True, text=True).stdout
    assert "one0" in listed and "one_2" not in listed

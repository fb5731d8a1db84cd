# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""`signalbox key`: secret halves are in files of mode 0600 and in no output, and none is made over another."""
import json
import subprocess

import harness
import pytest
import zmq


@pytest.fixture
def key(tmp_path):
    (tmp_path / "signalbox.yaml").write_text("bus: { listen: 0.0.0.0:7070 }\n")

    def run(*words):
        return subprocess.run([harness.program("signalbox"), "key", *words], cwd=tmp_path, capture_output=True, text=True)
    run.folder = tmp_path
    return run


def test_the_stanza_of_a_peer_loads_and_its_key_fits_the_file(key):
    done = key("new", "app")
    assert done.returncode == 0, done.stderr
    path = key.folder / "app.key"
    secret = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in done.stdout + done.stderr
    assert zmq.curve_public(secret.encode()).decode() in done.stdout
    text = "bus:\n  listen: 0.0.0.0:7070\n  peers:\n" + done.stdout
    (key.folder / "signalbox.yaml").write_text(text)
    checked = subprocess.run([harness.program("signalbox"), "config", "check"], cwd=key.folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_key_is_made_over_another(key):
    assert key("new", "app").returncode == 0
    before = (key.folder / "app.key").read_text()
    again = key("new", "app")
    assert again.returncode == 1 and "app.key" in again.stderr
    assert (key.folder / "app.key").read_text() == before


def test_the_brokers_key_is_made_the_first_time_and_shown_every_time(key):
    first, second = (json.loads(key("server", "--json").stdout) for _ in range(2))
    assert first == second
    secret = (key.folder / "bus.key").read_text()
    assert zmq.curve_public(secret.encode()).decode() == first["public_key"]
    shown = key("server")
    assert secret not in shown.stdout + shown.stderr
    assert f'broker_key: "{first["public_key"]}"' in shown.stdout


@pytest.mark.parametrize("words,said", [(("new", "no name"), "is no name"), (("new",), "expected new NAME"), (("old", "app"), "expected new NAME"),
                                        (("server", "--integration", "x"), "expected new NAME")])
def test_mistakes_are_told(key, words, said):
    done = key(*words)
    assert done.returncode == 2 and said in done.stderr


def test_a_file_that_others_can_read_is_not_taken(key):
    assert key("server").returncode == 0
    (key.folder / "bus.key").chmod(0o644)
    done = key("server")
    assert done.returncode == 1 and "bus.key" in done.stderr
    up = subprocess.run([harness.program("signalbox"), "up"], cwd=key.folder, capture_output=True, text=True, timeout=30)
    assert up.returncode == 2 and "bus.key" in up.stderr


def test_up_says_what_makes_the_key_that_is_not_there(key):
    up = subprocess.run([harness.program("signalbox"), "up"], cwd=key.folder, capture_output=True, text=True, timeout=30)
    assert up.returncode == 2 and "`signalbox key server` makes one" in up.stderr

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Every command of the guides for newcomers works as it stands there, typed into a shell one after the other, and shows what they say it shows.

A block marked `sh` is typed; a command ends with status 0, or with what `# status N` behind it says. Each line of a block marked `text`
must have been shown since the last such block (`...` stands for anything), and is waited for. Questions for secrets are answered.
`pytest -s` prints how long each command took.
"""
import fnmatch
import json
import os
import re
import subprocess
import time

import harness
import pytest
from terminal import ASKED, Terminal

PREFIX = harness.BUILD / "prefix"
GUIDES = ("first-integration.md", "connectors.md")
ANSWERS = {"stripe_api_key": "sk_test_practice", "stripe_webhook": "whsec_practice_0123456789"}
END = re.compile(r"@@(\d+)@@\r\n")


def blocks(text):
    """[(mark, [lines])] of the fenced blocks."""
    return [(mark, body.splitlines()) for mark, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)]


def commands(lines):
    """Each command with the lines it goes on in, and the status it is said to end with."""
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    for command in re.findall(r"^.*<<'(?:\w+)'\n(?:.*\n)*?\w+$|^.+$", text, re.M):  # a here-document is one with what is in it
        said = re.search(r"# status (\d+)$", command)
        yield command, int(said[1]) if said else 0


class Shell(Terminal):
    """A shell whose commands come from elsewhere, so that what they ask for comes from the terminal."""

    def __init__(self, folder):
        found = list(PREFIX.glob("lib/**/signalbox.pc"))
        assert len(found) == 1, f"signalbox is not installed below {PREFIX}"
        os.mkfifo(folder / ".typed")
        environment = {**os.environ, "PATH": f"{PREFIX}/bin:/usr/bin:/bin", "PKG_CONFIG_PATH": str(found[0].parent), "TERM": "dumb"}
        environment.pop("SIGNALBOX_BUILD", None)
        here = folder / "here"
        here.mkdir()
        super().__init__(["/bin/bash", "--norc", "--noprofile", str(folder / ".typed")], here, environment)
        self.commands = open(folder / ".typed", "w", buffering=1)
        self.seen = 0  # up to where `shows` has looked
        self.commands.write("set -m\n")  # jobs, as at a prompt

    def run(self, command):
        """Type it, answer what it asks for; its status and how long it took."""
        begin = time.monotonic()
        self.commands.write(f"{command}\nprintf '@@%s@@\\n' $?\n")
        while not (ended := self.read(rf"{END.pattern}|{ASKED.pattern}", 180))[1]:
            self.type(ANSWERS[ended[2]] + "\n")
        return int(ended[1]), time.monotonic() - begin

    def shows(self, lines):
        """Each line is shown, or will be within a minute, by what runs in the background too."""
        for line in lines:
            pattern = re.compile(fnmatch.translate("*" + line.replace("[", "[[]").replace("...", "*") + "*"))
            self.wait_for_line(line, pattern)
        self.seen = len(self.shown)

    def wait_for_line(self, line, pattern):
        end = time.monotonic() + 60
        while not any(pattern.match(shown) for shown in self.shown[self.seen:].splitlines()):
            assert time.monotonic() < end, f"not shown: {line}\n{self.shown[self.seen:]}"
            self.take(0.1)

    def close(self):
        self.commands.write("kill $(jobs -p); wait\n")
        self.commands.close()
        return self.end()


def an_id(folder):
    """What stands for ID in a guide: an event of the log."""
    log = subprocess.run([PREFIX / "bin/signalbox", "log", "--limit", "1", "--json"], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(log.stdout)["id"]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_of_the_guide_works_and_shows_what_is_said(guide, tmp_path):
    text = (PREFIX / "share/doc/signalbox/guide" / guide).read_text()
    for port in ("8080", "12111"):  # others use this machine, too
        text = text.replace(port, str(harness.free_port()))
    port = re.search(r"is up: http://127\.0\.0\.1:(\d+),", text)[1]
    shell, total, typed = Shell(tmp_path), 0.0, 0
    try:
        for mark, lines in blocks(text):
            if mark == "text":
                begin = time.monotonic()
                shell.shows(lines)
                if (took := time.monotonic() - begin) > 0.05:
                    print(f"{guide}: {took:6.2f} s  until shown: {lines[-1]}")
                    total += took
            for command, status in commands(lines) if mark == "sh" else ():
                if command.startswith("signalbox trace ID"):
                    command = command.replace("ID", an_id(tmp_path / "here"), 1)
                ended, took = shell.run(command)
                assert ended == status, f"{command}: {ended}\n{shell.shown[-6000:]}"
                print(f"{guide}: {took:6.2f} s  {command}")
                total, typed = total + took, typed + 1
                if command == "signalbox init":
                    [path] = (tmp_path / "here").rglob("signalbox.yaml")
                    path.write_text(path.read_text().replace("8080", port))
    finally:
        shell.close()
    print(f"{guide}: {total:6.2f} s in all, {typed} commands")
    assert typed >= 10 and "sk_test_practice" not in shell.shown

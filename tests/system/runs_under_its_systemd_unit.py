# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The unit file holds: systemd takes it, it shuts out what it says, and nothing that signalbox calls is among that.

There is no systemd to run it under here: what the processes call is recorded, and compared with the unit's filter."""
import re
import shutil
import subprocess

import harness
import pytest

UNIT = harness.ROOT / "packaging/signalbox.service"
EXPOSURE_MAX = 2.0  # of 10, as systemd counts


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"needs {program}")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def system_calls(group):
    """The names in one of systemd's groups, and in those that it names."""
    found = set()
    for line in run("systemd-analyze", "syscall-filter", group).splitlines()[1:]:
        name = line.split("#")[0].strip()
        if name.startswith("@"):
            found |= system_calls(name)
        elif name:
            found.add(name)
    return found


def allowed():
    """The calls the unit lets through: its lines in their order, as systemd reads them."""
    calls = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.MULTILINE):
        named = set().union(*(system_calls(group) for group in line.removeprefix("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    return calls | system_calls("@default")


def test_systemd_takes_it(tmp_path):
    need("systemd-analyze")
    unit = tmp_path / "signalbox.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/signalbox", harness.program("signalbox")))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "signalbox.service" not in done.stderr, done.stderr


def test_it_shuts_out_what_it_says():
    need("systemd-analyze")
    exposure = re.search(r"Overall exposure level for signalbox.service: ([0-9.]+)", run("systemd-analyze", "security", "--offline=true", str(UNIT)))
    assert exposure and float(exposure.group(1)) <= EXPOSURE_MAX, exposure


class Traced(harness.System):
    """A system of which every call is counted."""

    def start(self, seconds=60):
        command = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(self.directory / "calls"), harness.program("signalbox", self.build), "up",
                   "-c", str(self.home / "signalbox.yaml")]
        self.up = harness.start(command, None, self.directory / "up.err", stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        harness.wait_for("the system is ready", self.is_ready, seconds)


def test_nothing_that_is_called_is_shut_out(tmp_path):
    need("systemd-analyze", "strace")
    with Traced(tmp_path) as system:
        assert system.charge()[0] == 200
        assert system.webhook(harness.stripe_event(payment_status="paid"))[0] == 200
        system.cli("reload")
        assert system.charge()[0] == 200
        for pid in harness.children(system.up.pid):  # strace's: `up`, which ends the others; strace ends with them
            subprocess.run(["kill", "-TERM", str(pid)], check=True)
        assert system.up.wait(60) == 0
    called = set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed)", (tmp_path / "calls").read_text(errors="replace"), re.MULTILINE))
    assert {"execve", "fdatasync", "epoll_wait", "memfd_create", "prctl", "bind"} <= called, "the record holds what it must"
    assert not called - allowed(), f"called, and not allowed by {UNIT.name}: {sorted(called - allowed())}"

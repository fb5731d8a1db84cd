# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""No descriptor is left for the next connection: nothing spins, it is said, and it goes on when there are some again."""
import contextlib
import os
import resource
import socket
import time

import harness
import pytest
from load import Load

# What opens a connection to a process as anybody may who is let near it.
SOCKETS = {"broker": "run/bus.sock", "logger": "run/logger.sock"}


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def leave(pid, n):
    """The process may have n more open than now."""
    limit = open_files(pid) + n
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def seconds_of_cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def connections(n, connect):
    held = []
    try:
        for _ in range(n):
            with contextlib.suppress(OSError):  # it may be down just then
                held.append(connect())
        yield held
    finally:
        for one in held:
            one.close()


def test_the_gateway_lets_the_rest_wait(system):
    pid = system.pids()["gateway"]
    leave(pid, 20)
    with connections(60, lambda: socket.create_connection(("127.0.0.1", system.port), 5)):
        harness.wait_for("it is said", lambda: "DESCRIPTORS_SHORT" in system.said(), 20)
        before = seconds_of_cpu(pid)
        time.sleep(2)  # the time over which it must not be busy
        assert seconds_of_cpu(pid) - before < 1
    assert system.charge()[0] == 200
    assert system.pids()["gateway"] == pid and system.settled()["unaccounted"] == 0
    assert system.said().count("DESCRIPTORS_SHORT") == 1


@pytest.mark.parametrize("name", SOCKETS)
def test_who_is_on_the_bus_is_started_anew(system, name):
    path = str(system.home / SOCKETS[name])

    def connect():
        one = socket.socket(socket.AF_UNIX)
        one.connect(path)
        return one

    with Load(system) as load:
        for _ in range(3):
            pid = harness.wait_for(f"{name} runs", lambda: system.pids().get(name))
            leave(pid, 3)
            with connections(30, connect):
                harness.wait_for("it ends", lambda: system.pids().get(name) != pid, 30)
            done = len(load.webhooks)
            harness.wait_for("it goes on", lambda: len(load.webhooks) > done + 5, 30)
    load.check(system)
    assert "Too many open files" in system.said()


def test_the_supervisor_starts_who_died_when_it_can(system):
    leave(system.up.pid, 1)  # a start needs three
    system.kill("payment")
    harness.wait_for("it is said", lambda: "could not be started: Too many open files" in system.said(), 20)
    assert system.up.poll() is None
    leave(system.up.pid, 20)
    harness.wait_for("it runs again", lambda: system.pids().get("payment"), 30)
    assert harness.wait_for("a charge succeeds", lambda: system.charge()[0] == 200, 30)

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Killed at each named point under load: the next process goes on, nothing acknowledged is lost, nobody is charged twice.

A point that is never hit fails its test: the table holds nothing that is not tried."""
import re

import kills
import pytest


@pytest.mark.parametrize("point, process", [(name, process) for name, process, _ in kills.POINTS])
def test_killed_at(tmp_path, point, process):
    kills.need_points()
    audit = kills.kill_at(tmp_path, point, 1 if point in kills.ONCE else 3)
    print(f"{process} killed at {point}: {audit}")


def test_every_point_of_the_table_is_in_its_process_once():
    folders = {"logger": ("logger", "lib/store"), "broker": ("broker",), "gateway": ("gateway",), "connector": ("lib/sdk",), "up": ("cli/up",)}
    for name, process, _ in kills.POINTS:
        text = "".join(path.read_text() for folder in folders[process] for path in (kills.ROOT / folder).glob("*.c"))
        assert len(re.findall(rf"KILL_POINT\({name}\)", text)) == 1, name


def test_a_build_for_use_has_no_kill_points():
    if kills.harness.BUILD.name == "clang" or str(kills.harness.BUILD) == kills.BUILD:
        pytest.skip("SIGNALBOX_BUILD is the one with kill points")
    for name in ("signalbox-broker", "signalbox-logger", "signalbox-gateway", "signalbox-payment", "signalbox"):
        assert b"SIGNALBOX_KILL" not in open(kills.harness.program(name), "rb").read(), name

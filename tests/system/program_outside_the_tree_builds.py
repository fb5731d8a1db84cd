# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""What is installed is enough: a program elsewhere builds with `pkg-config --cflags --libs signalbox` and nothing of this tree."""
import json
import os
import shlex
import shutil
import subprocess

import harness
import pytest


@pytest.fixture(scope="module")
def installed():
    """The flags of the installed library, and the library itself."""
    prefix = harness.BUILD / "prefix"
    found = list(prefix.glob("lib/**/signalbox.pc"))
    assert len(found) == 1, f"signalbox.pc is not installed below {prefix}"
    done = subprocess.run(["pkg-config", "--cflags", "--libs", "signalbox"], capture_output=True, text=True,
                          env={**os.environ, "PKG_CONFIG_PATH": str(found[0].parent)})
    assert done.returncode == 0, done.stderr
    return shlex.split(done.stdout), found[0].parents[1] / "libsignalbox.a"


def build(flags, folder, *sources, compiler="gcc"):
    program = folder / "program"
    done = subprocess.run([compiler, "-O1", "-Wall", "-Werror", "-o", program, *sources, *flags], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


def test_a_connector_builds_and_says_the_same(tmp_path, installed):
    for path in (harness.ROOT / "connectors/payment").glob("*.[ch]"):
        shutil.copy(path, tmp_path)
    program = build(installed[0], tmp_path, *sorted(path.name for path in tmp_path.glob("*.c")))
    mine, ours = (json.loads(subprocess.run([path, "--manifest"], capture_output=True, check=True).stdout)
                  for path in (program, harness.program("signalbox-payment")))
    assert mine == ours
    assert mine["name"] == "payment"


def test_only_the_names_of_the_headers_are_to_be_seen(installed):
    listed = subprocess.run(["nm", "-g", "--defined-only", installed[1]], capture_output=True, text=True, check=True).stdout
    names = [line.split()[-1] for line in listed.splitlines() if len(line.split()) == 3]
    assert "sb_connector_main" in names
    assert [name for name in names if not name.startswith("sb_")] == []


def test_names_of_the_program_may_be_those_of_our_inside(tmp_path, installed):
    (tmp_path / "mine.c").write_text("""#include <signalbox/connector.h>
        int buf_add = 1, loop_new = 2, peer_new = 3, log_write = 4;
        int main(int argc, char **argv) { static const struct sb_connector none = {.name = "none"}; return sb_connector_main(&none, argc, argv); }
        """)
    program = build(installed[0], tmp_path, "mine.c")
    done = subprocess.run([program, "--manifest"], capture_output=True, text=True)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stderr

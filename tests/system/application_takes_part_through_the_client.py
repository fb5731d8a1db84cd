# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""An application outside the tree, built with the installed client.h, publishes, calls and takes events, and loses nothing when the broker
is killed."""
import json
import os
import shlex
import subprocess
import time
from pathlib import Path

import harness
import pytest

EXTRA = 'groups:\n  billing: { types: ["order.>"] }\n  answers: { types: ["answer.>"] }\n  held: { types: ["held.>"] }\n'


def build(folder, source, compiler="gcc", *more):
    found = list((harness.BUILD / "prefix").glob("lib/**/signalbox.pc"))
    assert len(found) == 1, "signalbox.pc is not installed"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "signalbox"], capture_output=True, text=True, check=True,
                           env={**os.environ, "PKG_CONFIG_PATH": str(found[0].parent)}).stdout
    program = folder / Path(source).stem
    done = subprocess.run([compiler, "-O1", "-Wall", "-Wextra", "-Werror", *more, "-o", program, source, *shlex.split(flags)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture(scope="module")
def with_group(tmp_path_factory):
    with harness.System(tmp_path_factory.mktemp("system"), extra=EXTRA) as running:
        running.endpoint = f"ipc://{running.home}/run/bus.sock"
        yield running


@pytest.fixture(scope="module")
def shop(tmp_path_factory, with_group):
    program = build(tmp_path_factory.mktemp("shop"), harness.ROOT / "docs/examples/client.c")

    def run(*words, **env):
        return subprocess.run([program, with_group.endpoint, *words], capture_output=True, text=True, timeout=60, env={**os.environ, **env})
    return run


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return build(tmp_path_factory.mktemp("driver"), Path(__file__).parent / "application_on_the_bus.c")


def scenario(driver, system, name):
    done = subprocess.run([driver, system.endpoint, name], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr


def test_the_example_publishes_and_takes_what_it_published(with_group, shop):
    done = shop("publish", "1000")
    assert (done.returncode, done.stdout) == (0, "1000 orders are in the log\n"), done.stderr
    rows = with_group.log("--type", "order.created")
    assert sorted(json.loads(json.dumps(row["data"]))["number"] for row in rows) == list(range(1000))
    taken = shop("take", "billing", "1000")
    assert taken.returncode == 0, taken.stderr
    assert len(set(taken.stdout.splitlines())) == 1000
    audit = with_group.settled()
    assert audit["unaccounted"] == 0


def test_the_example_sees_both_ends_of_a_charge(with_group, shop):
    paid = shop("charge", "2000")
    assert paid.returncode == 0 and paid.stdout.startswith("paid: {"), (paid.stdout, paid.stderr)
    declined = shop("charge", "2000", "pm_card_chargeDeclined")
    assert declined.returncode == 1 and declined.stdout.startswith("not paid (permanent): "), (declined.stdout, declined.stderr)


def test_the_same_order_is_charged_once(with_group, shop):
    before = sum(with_group.sandbox.effects().values())
    said = {shop("charge", "4200", SHOP_ORDER="order-1").stdout for _ in range(3)}
    assert len(said) <= 2 and any(text.startswith("paid: ") for text in said), said
    assert sum(with_group.sandbox.effects().values()) == before + 1


@pytest.mark.parametrize("name", ["refused", "bad", "same_key", "no_group", "answers", "late"])
def test_the_header_keeps_its_promises(with_group, driver, name):
    scenario(driver, with_group, name)
    if name == "answers":
        failed = [row for row in with_group.log("--status", "failed") if row["error_msg"] == "the customer is gone"]
        assert len(failed) == 1, failed


def test_it_compiles_as_cxx_too(tmp_path):
    source = tmp_path / "main.cc"
    source.write_text("#include <signalbox/client.h>\n#include <signalbox/connector.h>\n"
                      "int main() { char error[80]; sb_client_options o{}; return sb_client_open(&o, error, sizeof error) ? 1 : 0; }\n")
    assert subprocess.run([build(tmp_path, source, "g++")]).returncode == 0


def test_without_a_broker_it_says_so_in_time(tmp_path, shop, driver):
    began = time.monotonic()
    done = subprocess.run([driver, f"ipc://{tmp_path}/nobody.sock", "bad"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 3 and "no broker answers" in done.stderr
    assert time.monotonic() - began < 15


def test_nothing_is_lost_or_stored_twice_when_the_broker_is_killed(with_group, driver):
    before = len(with_group.log("--type", "order.created"))
    process = subprocess.Popen([driver, with_group.endpoint, "through_kills"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for n, _ in enumerate(process.stdout):
        if n % 3 == 1:
            with_group.kill("broker")
    process.stdout.close()
    assert process.wait(90) == 0, process.stderr.read()
    process.stderr.close()
    rows = with_group.log("--type", "order.created")
    numbers = [row["data"] for row in rows[before:]]
    assert sorted(numbers) == list(range(20000))


def test_what_it_holds_stays_with_it_when_the_broker_is_killed(with_group, driver):
    held = [{"specversion": "1.0", "id": f"held-{i}", "source": "shop", "type": "held.one", "data": i} for i in range(20)]
    assert with_group.api("POST", "/v1/events", json.dumps(held).encode(), {"Content-Type": "application/cloudevents-batch+json"})[0] == 202
    process = subprocess.Popen([driver, with_group.endpoint, "holds"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "holding\n", process.stderr.read()
    with_group.kill("broker")
    harness.wait_for("the system is ready again", with_group.is_ready, 40)
    said = process.communicate("go\n", timeout=90)[1]
    assert process.returncode == 0, said
    rows = with_group.log("--type", "held.one")
    assert [row["status"] for row in rows] == ["Success"] * 20
    assert not [attempt for row in rows for attempt in json.loads(with_group.cli("trace", "--json", row["id"]).stdout)["attempts"]]

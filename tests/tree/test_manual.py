# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The manual pages name all that the programs and the tables have, in the tables' own words."""
import os
import re
import shutil
import subprocess

import pytest
import tree

BUILD = os.environ.get("SIGNALBOX_BUILD", str(tree.ROOT / "build-check/gcc"))

# page -> program, below the build directory
PROGRAMS = {
    "cli/signalbox.1.scd": "cli/signalbox",
    "broker/signalbox-broker.8.scd": "broker/signalbox-broker",
    "logger/signalbox-logger.8.scd": "logger/signalbox-logger",
    "gateway/signalbox-gateway.8.scd": "gateway/signalbox-gateway",
    "connectors/ai/signalbox-ai.8.scd": "connectors/signalbox-ai",
    "connectors/email/signalbox-email.8.scd": "connectors/signalbox-email",
    "deliver/signalbox-deliver.8.scd": "deliver/signalbox-deliver",
    "connectors/exec/signalbox-exec.8.scd": "connectors/signalbox-exec",
    "connectors/maps/signalbox-maps.8.scd": "connectors/signalbox-maps",
    "connectors/messaging/signalbox-messaging.8.scd": "connectors/signalbox-messaging",
    "connectors/http/signalbox-http.8.scd": "connectors/signalbox-http",
    "connectors/payment/signalbox-payment.8.scd": "connectors/signalbox-payment",
    "proxy/signalbox-proxy.8.scd": "proxy/signalbox-proxy",
    "sandbox/signalbox-sandbox.8.scd": "sandbox/signalbox-sandbox",
}
DAEMON_SECTIONS = ["SYNOPSIS", "DESCRIPTION", "OPTIONS", "SIGNALS", "FILES", "EXIT STATUS", "SECURITY", "BUGS"]


def pages():
    return [path for path in tree.files() if path.suffix == ".scd"]


def words(text):
    """Text without markup and line breaks, so that a sentence is found however it is wrapped."""
    return re.sub(r"\s+", " ", re.sub(r"[\\`*]", "", text))


def section(path, title):
    """The text of one section of a page, up to the next of its level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", tree.text(tree.Path(path)), re.M | re.S)
    return found[2] if found else ""


def entries(text):
    """What is defined in a section: {name: (rest of its line, its text without markup)}."""
    return {name: (words(rest), words(body))
            for name, rest, body in re.findall(r"^\*([\w.]+)\*(.*)\n((?:\t.*\n?)+)", text, re.M)}


def table(path, pattern):
    """The rows of a .def table; none at all means that the pattern does not fit it any more."""
    rows = re.findall(pattern, tree.text(tree.Path(path)), re.M)
    assert len(rows) == len(re.findall(r"^[A-Z]+\((?!(?:id|name|number),)", tree.text(tree.Path(path)), re.M)) > 0, path
    return rows


def run(program, *arguments):
    path = os.path.join(BUILD, program)
    if not os.path.exists(path):
        pytest.skip(f"{program} is not built here (SIGNALBOX_BUILD)")
    return subprocess.run([path, *arguments], check=True, capture_output=True, text=True).stdout


def differences(where, rows, defined):
    """rows: (name, what its line must say, its text). Both directions: what is missing, and what is no more."""
    wrong = []
    for name, line, text in rows:
        has_line, has_text = defined.get(name, ("", ""))
        if name not in defined:
            wrong.append(f"{where}: {name} is missing: {text}")
        elif words(line) not in has_line or words(text) not in has_text:
            wrong.append(f"{where}: {name}: expected `{line}`, `{text}`")
    known = {name for name, _, _ in rows}
    return wrong + [f"{where}: there is no {name}" for name in defined if name not in known]


def test_every_page_is_built_and_every_built_page_is_there():
    listed = re.findall(r"^  '([^']+)',$", tree.text(tree.Path("docs/man/meson.build")), re.M)
    assert sorted(f"{page}.scd" for page in listed) == [str(path) for path in pages()]


def test_every_page_is_good_scdoc_and_good_roff():
    if not shutil.which("scdoc"):
        pytest.skip("no scdoc")
    wrong = []
    for path in pages():
        done = subprocess.run(["scdoc"], input=tree.text(path), capture_output=True, text=True)
        if done.returncode or done.stderr:
            wrong.append(f"{path}: {done.stderr}")
        elif shutil.which("groff"):
            said = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=done.stdout, capture_output=True, text=True).stderr
            wrong += [f"{path}: {said}"] if said else []
    assert not wrong, "\n".join(wrong)


def test_pages_of_programs_have_their_sections_in_order():
    for path in PROGRAMS:
        titles = re.findall(r"^# (.+)$", tree.text(tree.Path(path)), re.M)
        assert titles[0] == "NAME"
        assert [title for title in titles if title in DAEMON_SECTIONS] == DAEMON_SECTIONS, path


def test_pages_refer_to_pages_that_exist():
    there = {re.sub(r"\.(\d)\.scd$", r"(\1)", path.name) for path in pages()}
    wrong = [f"{path}: {name}" for path in pages()
             for name in re.findall(r"\*(signalbox[\w.-]*)\*(?=\(\d\))", tree.text(path))
             if not any(page.startswith(f"{name}(") for page in there)]
    wrong += [f"{path}: {name}({number})" for path in pages()
              for name, number in re.findall(r"\*(signalbox[\w.-]*)\*\((\d)\)", tree.text(path)) if f"{name}({number})" not in there]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PROGRAMS)
def test_every_option_of_a_program_is_in_its_page_and_no_other(page):
    said = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", run(PROGRAMS[page], "--help")))
    named = set(re.findall(r"\*(--[a-z][a-z-]*)\*", tree.text(tree.Path(page))))
    if page == "cli/signalbox.1.scd":
        said |= {"--help", "--version"}  # words like `help`; not options of the table
    assert said == named


def test_every_command_is_in_the_page_with_its_own_options():
    wrong = []
    text = section("cli/signalbox.1.scd", "COMMANDS")
    usages = re.findall(r"^ +signalbox ([a-z]+) ?(.*)$", run("cli/signalbox", "help"), re.M)
    assert usages
    for command, arguments in usages:
        lines = re.findall(rf"^\*{command}\*.*$", text, re.M)
        expected = set(re.findall(r"--[a-z-]+", arguments))
        if not lines:
            wrong.append(f"{command} is missing")
        elif expected != set(re.findall(r"--[a-z-]+", " ".join(lines))):
            wrong.append(f"{command}: expected {sorted(expected)}")
    commands = {command for command, _ in usages} | {"help", "version"}
    wrong += [f"there is no {name}" for name in set(re.findall(r"^\*([a-z]+)\*", text, re.M)) - commands]
    assert not wrong, "\n".join(wrong)


# Keys of an integration that no running process but the gateway, which shows them, goes by; `secrets` is looked at by itself.
SHOWN_ONLY = {"rotate_every", "owner", "note", "why", "secrets"}


def test_reload_knows_whom_every_key_of_an_integration_concerns():
    rows = set(re.findall(r'^    \{"integrations", "(\w+)", ', tree.text(tree.Path("cli/up/change.c")), re.M)) - {"added", "removed"}
    part = re.split(r"^## `?integrations", run("cli/signalbox", "config", "reference"), flags=re.M)[1].split("\n## ", 1)[0]
    keys = set(re.findall(r"^\| `(\w+)` \|", part, re.M))
    assert "budget" in keys
    assert keys == rows | SHOWN_ONLY


def test_every_key_of_the_configuration_is_in_the_page():
    wrong = []
    for part in re.split(r"^## ", run("cli/signalbox", "config", "reference"), flags=re.M)[1:]:
        title = part.split("\n", 1)[0]
        rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \| (.*?) \|$", part, re.M)
        assert rows, title
        told = [(key, f"({takes})", meaning + (" Required." if default == "required" else f" Default: {default}." if default else ""))
                for key, takes, default, meaning in rows]
        wrong += differences(title, told, entries(section("lib/config/signalbox.yaml.5.scd", title)))
    assert not wrong, "\n".join(wrong)


def test_every_log_message_is_in_the_page():
    rows = table("lib/base/log.def", r'^LOG\((\w+), (\w+), "(.*)"\)$')
    wrong = differences("signalbox-log(7)", [(name, f"({level.lower()})", text) for name, level, text in rows],
                        entries(section("lib/base/signalbox-log.7.scd", "MESSAGES")))
    assert not wrong, "\n".join(wrong)


def test_every_message_of_the_protocol_is_in_the_page():
    rows = table("proto/messages.def", r'^MESSAGE\((\d+), *(\w+), *"(.*?)", *"(.*)"\)$')
    wrong = differences("signalbox-protocol(7)", [(name, f"({number}, ", text) for number, name, _, text in rows],
                        entries(section("proto/signalbox-protocol.7.scd", "MESSAGES")))
    assert not wrong, "\n".join(wrong)


def test_every_error_is_in_the_page():
    rows = table("proto/errors.def", r'^ERROR\((\w+), *(\d+), *(\d+), (\d), "(.*)"\)$')
    told = [(name, f"({number}, HTTP {status}" + (", may be tried again)" if again == "1" else ")"), text)
            for name, number, status, again, text in rows]
    wrong = differences("signalbox-protocol(7)", told, entries(section("proto/signalbox-protocol.7.scd", "ERRORS")))
    assert not wrong, "\n".join(wrong)


def test_every_class_of_failure_is_in_the_page():
    rows = re.findall(r'CLASS\((\d+), *(\w+), *"(.*?)"\)', tree.text(tree.Path("proto/record.h")))
    assert rows
    wrong = differences("signalbox-protocol(7)", [(name, f"({number})", text) for number, name, text in rows],
                        entries(section("proto/signalbox-protocol.7.scd", "CLASSES OF FAILURE")))
    assert not wrong, "\n".join(wrong)


def test_every_metric_is_in_the_page():
    rows = table("gateway/metrics.def", r'^METRIC\((\w+), (\w+), \w+, ".*?", "(.*)"\)$')
    told = [(f"signalbox_{name}", f"({kind.lower()}", text) for name, kind, text in rows]
    wrong = differences("signalbox-metrics(7)", told, entries(section("gateway/signalbox-metrics.7.scd", "METRICS")))
    assert not wrong, "\n".join(wrong)

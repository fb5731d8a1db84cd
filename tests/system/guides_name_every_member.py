# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The guides of our connectors name every member of an operation's data, in and out, and no other.

A page has a heading with the operation's name, below it a table `| in |` with what it takes and a table `| out |` with what comes back; a
heading with `connector.>` is for the events that its webhooks become and for its facts. In: each member that is named is tried, and so
is each that only another operation of the connector has. Out: outcomes of the practice providers have no member that is not named, and
what is named stands in the connector's source.
"""
import collections
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import harness
import pytest

GUIDE = harness.ROOT / "docs/guide"
CONNECTORS = ("payment", "email", "messaging", "ai", "maps", "http")
OPAQUE = ("metadata", "body", "item")  # what is in them is not ours to name


def tables(connector):
    """{heading's name: {"in": names, "out": names}} of the connector's page."""
    found, names = collections.defaultdict(lambda: {"in": set(), "out": set()}), []
    kind = None
    for line in (GUIDE / f"{connector}.md").read_text().splitlines():
        cell = re.match(r"\| (.*?) \|", line)
        if line.startswith("#"):
            names = re.findall(rf"`({connector}\.[\w.>]+)`", line)
        elif not cell:
            kind = None
        elif cell[1] in ("in", "out"):
            kind = cell[1]
        elif kind:
            for name in names:
                found[name][kind] |= set(re.findall(r"`([\w.\[\]]+)`", cell[1]))
    return found


def manifest(connector, provider=None):
    words = [harness.program(f"signalbox-{connector}"), "--manifest", *(["--provider", provider] if provider else [])]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def rows():
    """(connector, provider, operation of the manifest) of all."""
    for connector in CONNECTORS:
        for provider in [one["name"] for one in manifest(connector).get("providers", [])] or [None]:
            for operation in manifest(connector, provider)["operations"]:
                yield connector, provider, operation


def source(connector):
    return "".join(path.read_text() for path in sorted((harness.ROOT / "connectors" / connector).glob("*.[ch]")))


def lists_of_members(connector):
    """What the connector's own lists of members say, of all its operations together."""
    lists = re.findall(r"const char \*const (?:known|names)\[\] = \{([^}]*)\}", source(connector))
    return {name for one in lists for name in re.findall(r'"(\w+)"', one)}


def test_every_operation_has_its_tables_and_no_other_has():
    for connector in CONNECTORS:
        operations = {f"{connector}.{operation['name']}" for one, _, operation in rows() if one == connector}
        described = {name for name in tables(connector) if not name.endswith(">")}
        assert operations == described
        assert all(tables(connector)[name]["out"] for name in operations)


def refusal(folder, connector, provider, operation, member):
    """What a request says that has this member, of a kind that fits none, besides the example's."""
    path = folder / f"{provider}-{operation['name']}-{member}.json"
    path.write_text(json.dumps({"operation": operation["name"], "data": {**operation["example"], member: [[]]}}))
    done = subprocess.run([harness.program("signalbox"), "connector", "run", harness.program(f"signalbox-{connector}"), "--once", path, "--dry-run",
                           *(["--provider", provider] if provider else [])], capture_output=True, text=True, timeout=120)
    return member, json.loads(done.stdout).get("error_msg", "")


@pytest.mark.parametrize("connector, provider, operation", [pytest.param(*row, id=f"{row[1] or row[0]} {row[2]['name']}") for row in rows()])
def test_what_is_named_is_taken_and_nothing_else(connector, provider, operation, tmp_path):
    takes = tables(connector)[f"{connector}.{operation['name']}"]["in"]
    takes = takes - READ_ONLY.get(operation["name"], set())
    operation.setdefault("example", MAIL)  # SMTP has none, since the conformance kit is no mail server
    assert set(operation["example"]) <= takes
    if operation["is_poll"]:  # it looks at what it knows and leaves the rest alone; the cursor is the SDK's
        assert all(f'"{name}"' in source(connector) for name in takes - {"cursor"})
        return
    others = lists_of_members(connector) | {"no_such_member"}
    with ThreadPoolExecutor(3) as pool:
        said = dict(pool.map(lambda member: refusal(tmp_path, connector, provider, operation, member), sorted(takes | others)))
    stranger = {member for member, message in said.items() if f'"{member}" is not a member' in message or "takes nothing" in message}
    assert set(said) - stranger - READ_ONLY.get(operation["name"], set()) == takes, said


# What the table of several operations says not to be of this one.
READ_ONLY = {"read": {"body", "content_type"}}

CHAT = {"messages": [{"role": "user", "content": "one two"}], "max_tokens": 9}
MAIL = {"to": ["a@example.com"], "subject": "s", "text": "t"}
CARD = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa"}
PAGE = {"amount": 2000, "currency": "usd", "success_url": "https://shop.example.com/s", "cancel_url": "https://shop.example.com/c"}
CALLS = [
    ("stripe", "payment.charge", {**CARD, "metadata": {"a": "b"}, "customer": "cus_1"}),
    ("stripe", "payment.charge", {**CARD, "payment_method": "pm_card_visa_chargeDeclined"}),
    ("stripe", "payment.checkout", {**PAGE, "reference": "order-1"}), ("stripe", "payment.refund", {"charge": "ch_none"}), ("stripe", "payment.events", {}),
    ("openai", "ai.chat", CHAT), ("openai", "ai.chat", {**CHAT, "model": "no-credit"}), ("openai", "ai.chat", {**CHAT, "model": "refuses"}),
    ("openai", "ai.embed", {"model": "practice-embed", "input": "a"}), ("openai", "ai.models", {}),
    ("anthropic", "ai.chat", CHAT), ("anthropic", "ai.chat", {**CHAT, "model": "no-such-model"}), ("anthropic", "ai.models", {}),
    ("google", "maps.geocode", {"address": "1 High St"}), ("google", "maps.geocode", {"address": "nowhere"}),
    ("google", "maps.reverse", {"lat": 51.5, "lng": -0.1}), ("google", "maps.route", {"origin": "a", "destination": "b"}),
    ("nominatim", "maps.geocode", {"address": "1 High St"}), ("nominatim", "maps.reverse", {"lat": 51.5, "lng": -0.1}),
    ("slack", "messaging.send", {"to": "#a", "text": "b"}), ("slack", "messaging.send", {"to": "#missing", "text": "b"}), ("slack", "messaging.check", {}),
    ("twilio", "messaging.send", {"to": "+15551234567", "text": "b"}), ("twilio", "messaging.send", {"to": "+15005550001", "text": "b"}),
    ("sendgrid", "email.send", MAIL), ("sendgrid", "email.send", {**MAIL, "to": ["invalid@example.com"]}), ("sendgrid", "email.check", {}),
    ("resend", "email.send", MAIL), ("resend", "email.send", {**MAIL, "to": ["invalid@example.com"]}),
]


def leaves(value, path=""):
    """Names of what is in the data: a.b for a member of a member, a[] for what is in a list."""
    if path.split(".")[-1] in OPAQUE:
        yield path
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for element in value:
            yield from leaves(element, path + "[]")
    else:
        yield path


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    with harness.Practice(tmp_path_factory.mktemp("practice")) as running:
        yield running


def test_outcomes_have_no_member_that_is_not_named(practice):
    wrong = []
    charge = practice.call("stripe", "payment.charge", CARD)["data"]["charge"]
    for integration, operation, data in [*CALLS, ("stripe", "payment.refund", {"charge": charge})]:
        outcome = practice.call(integration, operation, data)
        named = tables(operation.split(".")[0])[operation]["out"]
        wrong += [f"{operation} of {integration}: {name}" for name in set(leaves(outcome.get("data", {}))) - named]
    assert not wrong, "\n".join(sorted(set(wrong)))


@pytest.mark.parametrize("integration, connector", [("stripe", "payment"), ("sendgrid", "email"), ("resend", "email"), ("twilio", "messaging")])
def test_events_of_webhooks_have_no_member_that_is_not_named(practice, integration, connector):
    webhooks = manifest(connector, integration)["webhooks"]
    named = tables(connector)[f"{connector}.>"]["out"]
    wrong = []
    for webhook in webhooks:
        done = practice.cli("simulate", integration, webhook["event"], "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        request = json.loads(json.loads(done.stdout)["body"])["ids"][0]

        def outcome():
            return [one for one in practice.log("--records", "--cause", request) if one["kind"] == "outcome"]
        became = harness.wait_for(f"{webhook['event']} is handled", outcome)[0]
        assert became["type"] == webhook["becomes"]
        wrong += [f"{became['type']} of {integration}: {name}" for name in set(leaves(became["data"])) - named]
    assert not wrong, "\n".join(sorted(set(wrong)))


@pytest.mark.parametrize("connector", CONNECTORS)
def test_what_is_named_is_in_the_source_and_what_the_source_puts_is_named(connector):
    text, named = source(connector), set()
    for table in tables(connector).values():
        named |= {part for name in table["out"] for part in re.split(r"[.\[\]]+", name) if part}
    puts = set(re.findall(r'sb_put\w*\(\s*(?:result|sb_result\(outcome\)|fact|of|one|entry),\s*"(\w+)"', text))
    assert puts - named - REQUESTS.get(connector, set()) == set()
    assert {name for name in named if f'"{name}"' not in text} == set()


# Put into a request under a name of the same form.
REQUESTS = {"ai": {"role", "content", "type"}, "email": {"value", "name", "filename", "content", "content_type"}}

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""No secret in an event, a log line, a file, an output, a command line, an environment or a core, in any usual spelling."""
import base64
import json
import os
import resource
import signal
import subprocess
import urllib.parse
from pathlib import Path
from secrets import token_hex

import harness
from mails_and_messages_go_out_once import REFUSED, SENDS

CALLS = [("payment.charge", "stripe", {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa"}),
         ("payment.charge", "stripe", {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa_chargeDeclined"}),
         ("ai.chat", "openai", {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}),
         ("ai.chat", "anthropic", {"model": "no-such-model", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}),
         ("maps.geocode", "google", {"address": "Unter den Linden 1, Berlin"}),
         *((operation, provider, data) for provider, (operation, data) in SENDS.items()),
         *((SENDS[provider][0], provider, data) for provider, (data, _) in REFUSED.items())]


def spellings(secret):
    """A text as it stands, and as encodings would write it."""
    raw = secret.encode()
    yield raw
    yield raw[::-1]
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield urllib.parse.quote(secret, safe="").encode()
    yield "".join(f"%{byte:02X}" for byte in raw).encode()
    yield "".join(f"\\u{byte:04x}" for byte in raw).encode()
    yield secret.replace("/", "\\/").encode()
    yield secret.encode("utf-16-le")
    yield secret.encode("utf-16-be")
    for offset in range(3):  # base64 of it anywhere in a longer text
        text = base64.b64encode(b"\0" * offset + raw)
        yield text[4:-4]
        yield text[4:-4].replace(b"+", b"-").replace(b"/", b"_")


def hits(path, content, secrets):
    return [f"{path}: {spelling[:6]}..." for secret in secrets for spelling in set(spellings(secret)) if spelling in content]


def in_processes(pids, secrets):
    return [hit for pid in pids for name in ("cmdline", "environ") for hit in hits(f"/proc/{pid}/{name}", Path(f"/proc/{pid}/{name}").read_bytes(), secrets)]


def in_files(directory, secrets, but):
    """Every file below it, but those that are there to hold a secret."""
    return [hit for path in directory.rglob("*") if path.is_file() and path not in but for hit in hits(path, path.read_bytes(), secrets)]


def test_secrets_are_nowhere(system):
    system.charge("order-1")
    system.charge("order-2", payment_method="pm_card_visa_chargeDeclined")
    system.charge("order-3", amount=-1)
    system.sandbox.webhook("checkout.session.completed")
    system.sandbox.webhook("checkout.session.completed", "wrong-secret")
    system.kill("payment")
    system.settled()
    token = (system.home / "data/api-token").read_text().strip()
    secrets = [harness.API_KEY, harness.WEBHOOK_SECRET, token]
    for secret in secrets:  # the search does find
        for spelling in spellings(secret):
            assert hits("itself", b"x" + spelling + b"x", [secret])
    found = in_processes([system.up.pid, *system.pids().values()], secrets)
    system.stop()
    found += in_files(system.home, secrets, [system.home / name for name in ("api_key", "webhook_secret", "data/api-token")])
    assert not found, "\n".join(found)


def test_the_secrets_of_every_connector_are_nowhere(tmp_path):
    """All providers, both branches and their webhooks, with secrets made for this run; everything that anybody is told is searched."""
    told = b""
    with harness.Practice(tmp_path) as practice:
        home = practice.config.parent
        names = [json.loads(line)["name"] for line in practice.cli("secret", "list", "--json").stdout.splitlines()]
        canaries = {name: f"sk_test_{token_hex(16)}" for name in names if name.endswith(("api_key", "token"))}
        assert len(canaries) >= 6, names
        for name, value in canaries.items():
            assert practice.cli("secret", "set", name, input=value).returncode == 0
        assert practice.cli("reload").returncode == 0
        holders = [home / "signalbox.key", home / "data/api-token"]
        secrets = [*canaries.values(), *(path.read_text().strip() for path in holders)]
        for operation, provider, data in CALLS:
            done = practice.cli("call", operation, "--integration", provider, "--wait", "20s", "--data", json.dumps(data), "--json")
            told += (done.stdout + done.stderr).encode()
        for provider in ("stripe", "resend", "sendgrid", "slack", "twilio"):
            for fault in ((), ("--fault", "tampered")):
                done = practice.cli("simulate", provider, *fault)
                told += (done.stdout + done.stderr).encode()
        for command in (("status", "--json"), ("log", "--json", "--records", "--limit", "10000"), ("audit", "--json"), ("webhooks", "--json"), ("secret", "list"), ("doc",),
                        ("config", "check")):
            done = practice.cli(*command)
            told += (done.stdout + done.stderr).encode()
        assert b"Success" in told and b"Failed" in told
        found = hits("what was told", told, secrets)
        found += in_processes([practice.up.pid, *harness.children(practice.up.pid)], secrets)
    found += in_files(tmp_path, secrets, holders)
    assert not found, "\n".join(found)


def test_processes_with_secrets_cannot_be_looked_into(system):
    for name, pid in system.pids().items():
        with open(f"/proc/{pid}/limits") as limits:
            core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4] == "0", name
        if name in ("gateway", "payment", "broker"):
            owner = Path(f"/proc/{pid}/environ").stat().st_uid
            assert owner == 0, name  # not dumpable: the kernel gives its files to root


def test_a_process_that_aborts_leaves_no_core_with_them(tmp_path):
    """With `ulimit -c unlimited`; that the kernel writes cores here at all is shown by a process that is not ours."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    here = Path.cwd()
    os.chdir(tmp_path)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        with harness.System(tmp_path) as system:
            for name, pid in system.pids().items():
                os.kill(pid, signal.SIGABRT)
                harness.wait_for(f"another {name} runs", lambda: system.pids().get(name) not in (None, pid))
            assert not list(tmp_path.rglob("core*")), "a process of ours left a core"
            assert system.settled()["unaccounted"] == 0
        subprocess.run(["sh", "-c", "kill -ABRT $$"], cwd=tmp_path, check=False)
        cores_are_files = bool(list(tmp_path.rglob("core*")))
        print("cores are files here" if cores_are_files else "cores are not files here: /proc/sys/kernel/core_pattern or the limit")
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
        os.chdir(here)

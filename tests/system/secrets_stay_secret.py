# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""No secret in an event, a log line, a file, a command line or an environment, in any usual spelling."""
import base64
import urllib.parse
from pathlib import Path

import harness


def spellings(secret):
    """A text as it stands, and as encodings would write it."""
    raw = secret.encode()
    yield raw
    yield raw[::-1]
    yield raw.hex().encode()
    yield urllib.parse.quote(secret, safe="").encode()
    yield "".join(f"%{byte:02X}" for byte in raw).encode()
    yield secret.encode("utf-16-le")
    for offset in range(3):  # base64 of it anywhere in a longer text
        text = base64.b64encode(b"\0" * offset + raw)
        yield text[4:-4]
        yield text[4:-4].replace(b"+", b"-").replace(b"/", b"_")


def hits(path, content, secrets):
    return [f"{path}: {spelling[:6]}..." for secret in secrets for spelling in spellings(secret) if spelling in content]


def test_secrets_are_nowhere(system):
    system.charge("order-1")
    system.charge("order-2", payment_method="pm_card_visa_chargeDeclined")
    system.charge("order-3", amount=-1)
    system.sandbox.webhook("checkout.session.completed")
    system.sandbox.webhook("checkout.session.completed", "wrong-secret")
    system.kill("payment")
    system.settled()
    secrets = [harness.API_KEY, harness.WEBHOOK_SECRET]
    assert hits("itself", b"x" + secrets[0].encode() + b"x", secrets)  # the search does find
    found = []
    for pid in [system.up.pid, *system.pids().values()]:
        for name in ("cmdline", "environ"):
            found += hits(f"/proc/{pid}/{name}", Path(f"/proc/{pid}/{name}").read_bytes(), secrets)
    system.stop()
    for path in system.home.rglob("*"):
        if path.is_file() and path.name not in ("api_key", "webhook_secret"):
            found += hits(path, path.read_bytes(), secrets + [(system.home / "data/api-token").read_text().strip()] if path.name != "api-token" else secrets)
    assert not found, "\n".join(found)


def test_processes_with_secrets_cannot_be_looked_into(system):
    for name, pid in system.pids().items():
        with open(f"/proc/{pid}/limits") as limits:
            core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4] == "0", name
        if name in ("gateway", "payment", "broker"):
            owner = Path(f"/proc/{pid}/environ").stat().st_uid
            assert owner == 0, name  # not dumpable: the kernel gives its files to root

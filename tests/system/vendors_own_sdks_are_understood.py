# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""What vendors' own SDKs sign is accepted; what they only verify, they and we judge alike; every kind of forgery is refused."""
import base64
import collections
import hmac
import http.client
import json
import re
import secrets
import socket
import subprocess
import time
import urllib.parse
import zlib
from datetime import datetime, timezone

import harness
import pytest

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_WHSEC = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
TOPIC = "arn:aws:sns:us-west-2:123456789012:shop"
SNS_URL = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3e.pem"
PAYPAL_URL = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42"
PUBLIC = "https://hooks.example.com"

# vendor: the header of the signature; does the vendor, or our row where it says nothing, refuse what is old, what is of the future?
SIGNERS = {
    "stripe": ("Stripe-Signature", True, False),
    "github": ("X-Hub-Signature-256", False, False),
    "standard-webhooks": ("webhook-signature", True, True),
    "standard-pair": ("webhook-signature", True, True),
    "svix": ("svix-signature", True, True),
    "openai": ("webhook-signature", True, True),
    "anthropic": ("webhook-signature", True, True),
    "resend": ("svix-signature", True, True),
    "slack": ("X-Slack-Signature", True, False),
    "zoom": ("x-zm-signature", True, False),
    "twilio": ("X-Twilio-Signature", False, False),
    "shopify": ("X-Shopify-Hmac-Sha256", False, False),
    "square": ("x-square-hmacsha256-signature", False, False),
    "hubspot": ("X-HubSpot-Signature-v3", True, False),
    "paddle": ("Paddle-Signature", True, False),
    "linear": ("Linear-Signature", True, True),
    "sendgrid": ("X-Twilio-Email-Event-Webhook-Signature", True, False),
}
OF_STANDARD = ("standard-webhooks", "svix", "openai", "anthropic", "resend")


class Vendors(harness.System):
    """A system with an endpoint for each vendor, webhooks only."""

    def write_config(self):
        super().write_config()
        path = self.home / "signalbox.yaml"
        path.write_text(path.read_text().replace("gateway: {", f"gateway: {{ public_url: {PUBLIC},", 1))


def stanza(vendor, more=""):
    scheme = "standard-webhooks" if vendor == "standard-pair" else vendor
    return f"  my-{vendor}:\n    webhooks:\n      - {{ path: my-{vendor}, scheme: {scheme}, secrets: [file:secret-{vendor}]{more} }}\n"


def certificate(directory, name):
    """A self-signed one and its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem"], check=True, capture_output=True)
    return (directory / f"{name}.pem").read_text(), (directory / f"{name}.key").read_text()


class World:
    def __init__(self, directory, run):
        self.run = run
        self.pair, self.other_pair = self.ask({"op": "keys"}, {"op": "keys"})
        self.sns_certificate, self.sns_key = certificate(directory, "sns")
        self.paypal_certificate, self.paypal_key = certificate(directory, "paypal")
        self.directory = directory
        self.secret = {name: WHSEC if name in OF_STANDARD else f"secret of {name}" for name in SIGNERS}
        self.secret |= {"sendgrid": self.pair["public"], "standard-pair": self.pair["whpk"], "sns": TOPIC, "paypal": "1JE4291016473214C", "mailgun": "key-1", "postmark": "hook:pass"}
        text = "".join(stanza(name) for name in SIGNERS)
        for name, url in (("sns", SNS_URL), ("paypal", PAYPAL_URL)):
            text += stanza(name, f", certificates: [{{ url: {url}, file: {directory / name}.pem }}]")
        for name in ("mailgun", "postmark"):
            text += stanza(name, ', accept_weak: "a test"')
        text += ("  pair:\n    webhooks:\n      - { path: one, scheme: github, secrets: [file:secret-github] }\n"
                 "      - { path: other, scheme: github, secrets: [file:secret-github] }\n")
        text += ("  acme:\n    webhooks:\n      - path: acme\n        scheme: hmac\n        secrets: [file:secret-stripe]\n        hmac:\n"
                 "          { signature_header: X-Acme, form: pairs, label: v1, signed: \"{time}.{body}\", event_id: data.id, event_type: type }\n")
        self.system = Vendors(directory, integrations=text, secrets={f"secret-{name}": value for name, value in self.secret.items()})

    def ask(self, *jobs):
        return json.loads(self.run("vendors.mjs", json.dumps(jobs)))

    def job(self, vendor, body, at=None, secret=None, **more):
        pair = self.other_pair if secret else self.pair
        return {"op": "sign", "vendor": vendor, "secret": secret or self.secret[vendor], "privateKey": pair["private"], "edPrivate": pair["edPrivate"], "body": body.decode(),
                "url": f"{PUBLIC}/webhooks/my-{vendor}", "at": int(at or time.time()), "id": "msg_" + secrets.token_hex(8), **more}

    def post(self, vendor, body, headers):
        kind = "application/x-www-form-urlencoded" if vendor == "twilio" else "application/json"
        status, _, answer = harness.http_call(self.system.port, "POST", f"/webhooks/my-{vendor}", body, {"Content-Type": kind, **headers})
        return status, answer

    def events(self, vendor):
        return len(self.system.log("--type", f"my-{vendor}.>"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    run, why = harness.node("stripe", "standardwebhooks", "svix", "@octokit/webhooks-methods", "openai", "@anthropic-ai/sdk", "resend",
                            "@sendgrid/eventwebhook", "twilio", "@shopify/shopify-api", "square", "@hubspot/api-client", "@paddle/paddle-node-sdk",
                            "@linear/sdk", "sns-validator", "@slack/bolt", "@zoom/rivet")
    if not run:
        pytest.skip(why)
    made = World(tmp_path_factory.mktemp("vendors"), run)
    with made.system:
        yield made


def body_of(vendor, at=None):
    """An event as this vendor writes it, with an id of its own."""
    mine = secrets.token_hex(8)
    if vendor == "twilio":
        return urllib.parse.urlencode({"MessageSid": "SM" + mine, "MessageStatus": "delivered", "Body": "ü & + =", "Empty": ""}).encode()
    event = {"id": "evt_" + mine, "event_id": "evt_" + mine, "type": "thing.done", "event_type": "thing.done", "action": "create",
             "webhookTimestamp": int((at or time.time()) * 1000), "data": {"type": "thing.done", "note": "ü \U0001f600 \\u00e9 \"q\"", "paid": True}}
    if vendor in ("hubspot", "sendgrid"):
        event |= {"eventId": int(mine[:8], 16), "subscriptionType": "contact.creation", "sg_event_id": mine, "event": "open"}
        event = [event]
    if vendor == "zoom":
        return json.dumps({"event": "meeting.started", "event_ts": int(time.time() * 1000), "payload": {**event, "note": "done"}},
                          separators=(",", ":"), ensure_ascii=False).encode()
    return json.dumps(event, indent=1, ensure_ascii=False).encode() + (b"\r\n" if vendor == "sendgrid" else b"")


@pytest.mark.parametrize("vendor", SIGNERS)
def test_what_is_signed_as_the_sdk_has_it_is_accepted_by_it_and_by_us(world, vendor):
    body = body_of(vendor)
    job = world.job(vendor, body)
    headers, = world.ask(job)
    tampered = body.replace(b"done", b"d0ne").replace(b"delivered", b"DELIVERED")
    verdicts = world.ask(*({**job, "op": "judge", "headers": headers, "body": text.decode()} for text in (body, tampered)))
    assert verdicts == [True, False], "the SDK's own verdict"
    before = world.events(vendor)
    assert world.post(vendor, tampered, headers)[0] == 401
    first = world.post(vendor, body, headers)
    assert first[0] == 200, first
    assert world.post(vendor, body, headers) == first, "the same again is the same event"
    assert world.events(vendor) == before + 1


def flipped(text, at):
    """One bit of one character, another printable one."""
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1:]


def other_encoding(signature):
    """The MAC behind its label in the other of hex and base64."""
    label, mac = re.fullmatch(r"(t=\d+,v1=|ts=\d+;h1=|v1a,|v1,|v0=|sha256=|)(.*)", signature).groups()
    is_hex = re.fullmatch("[0-9a-f]+", mac)
    return label + (base64.b64encode(bytes.fromhex(mac)).decode() if is_hex else base64.b64decode(mac).hex())


def downgraded(vendor, signature):
    for new, old in (("v1=", "v0="), ("sha256=", "sha1="), ("v1a,", "v1,"), ("v1,", "v0,"), ("h1=", "h0="), ("v0=", "v1=")):
        if new in signature:
            return signature.replace(new, old)
    return "sha1=" + signature


def forgeries(world, vendor):
    """(kind, body, headers) of everything that must not pass."""
    name, checks_past, checks_future = SIGNERS[vendor]
    body, now = body_of(vendor), time.time()
    other = OTHER_WHSEC if vendor in OF_STANDARD else "somebody else's"  # of those with a pair: its key signs
    stale, future = body_of(vendor, now - 7200), body_of(vendor, now + 7200)
    good, wrong, elsewhere, old, ahead = world.ask(
        world.job(vendor, body), world.job(vendor, body, secret=other), world.job(vendor, body_of(vendor)),
        world.job(vendor, stale, at=now - 7200), world.job(vendor, future, at=now + 7200))
    signature = good[name]

    def signed(text):
        return {**good, name: text}
    yield "a bit of the body", body[:20] + bytes([body[20] ^ 1]) + body[21:], good
    yield "a bit of the signature", body, signed(flipped(signature, len(signature) - 8))
    yield "another secret", body, wrong
    yield "the signature of another body", body, elsewhere
    if checks_past:
        yield "stale", stale, old
    if checks_future:
        yield "of the future", future, ahead
    yield "no signature", body, {key: value for key, value in good.items() if key != name}
    yield "an empty signature", body, signed("")
    yield "a truncated signature", body, signed(signature[:-4])
    yield "a truncated body", body[:-3], good
    yield "a longer body", body + b" ", good
    yield "no body", b"", good
    yield "a downgraded scheme", body, signed(downgraded(vendor, signature))
    yield "another encoding", body, signed(other_encoding(signature))
    yield "another case", body, signed(signature.swapcase())
    if vendor != "twilio":
        yield "re-serialised JSON", json.dumps(json.loads(body)).encode(), good
    for key in good:
        if "timestamp" in key.lower():
            yield "another time", body, {**good, key: str(int(good[key]) + 1)}


@pytest.mark.parametrize("vendor", SIGNERS)
def test_every_kind_of_forgery_is_refused_without_a_word(world, vendor):
    before, kinds = world.events(vendor), 0
    for kind, body, headers in forgeries(world, vendor):
        status, answer = world.post(vendor, body, headers)
        assert status == 401, (vendor, kind, answer)
        assert json.loads(answer)["code"] == "signature_invalid" and b"secret" not in answer, (kind, answer)
        kinds += 1
    assert kinds >= 10, kinds
    assert world.events(vendor) == before


# --- every bit ---

FLIPPED = ("stripe", "github", "slack", "standard-webhooks", "standard-pair", "sendgrid", "hubspot")
AT_ONCE = 64  # requests on one connection before their answers are read
UNSIGNED = ("X-GitHub-Delivery", "X-GitHub-Event")


def padded(vendor):
    """An event of 2 KiB as this vendor writes it."""
    body = body_of(vendor)
    return body.replace(b"paid", b"paid" + b"x" * (2048 - len(body)), 1)


def twins(body, headers):
    """(body, headers as bytes) with each bit of what is signed turned over once."""
    signed = {key: value.encode() for key, value in headers.items()}
    for at in range(len(body) * 8):
        text = bytearray(body)
        text[at // 8] ^= 1 << at % 8
        yield bytes(text), signed
    for key in headers.keys() - set(UNSIGNED):
        for at in range(len(signed[key]) * 8):
            text = bytearray(signed[key])
            text[at // 8] ^= 1 << at % 8
            yield body, {**signed, key: bytes(text)}


def request(path, body, headers):
    lines = b"".join(key.encode() + b": " + value + b"\r\n" for key, value in headers.items())
    return (f"POST /webhooks/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode() +
            lines + b"\r\n" + body)


def answers(port, requests):
    """The status of each, in order. One that ends the connection must be alone."""
    found = []
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, connection.makefile("rb") as stream:
        connection.sendall(b"".join(requests))
        for _ in requests:
            found.append(int(stream.readline().split()[1]))
            stream.read(int(http.client.parse_headers(stream)["Content-Length"]))
    return found


def is_text(headers):
    """Can they stand in a header? What cannot is refused with the connection's end."""
    return all(32 <= c < 127 or c > 127 for value in headers.values() for c in value)


@pytest.mark.parametrize("vendor", FLIPPED)
def test_no_flipped_bit_of_a_signed_request_is_accepted(world, vendor):
    body = padded(vendor)
    headers, = world.ask(world.job(vendor, body))
    port, path, before = world.system.port, f"my-{vendor}", world.events(vendor)
    all_twins = list(twins(body, headers))
    assert len(body) >= 2048 and len(all_twins) > 2048 * 8 + 256
    whole = [request(path, *twin) for twin in all_twins if is_text(twin[1])]
    statuses = collections.Counter(status for at in range(0, len(whole), AT_ONCE) for status in answers(port, whole[at:at + AT_ONCE]))
    assert set(statuses) == {401}, statuses
    for twin in all_twins:
        if not is_text(twin[1]):
            assert answers(port, [request(path, *twin)])[0] in (400, 401), twin[1]
    assert world.events(vendor) == before
    assert answers(port, [request(path, body, {key: value.encode() for key, value in headers.items()})]) == [200]


def test_one_event_at_two_endpoints_of_an_integration_is_one(world):
    body = body_of("github")
    headers, = world.ask(world.job("github", body))
    first, again = (harness.http_call(world.system.port, "POST", f"/webhooks/{path}", body, headers) for path in ("one", "other"))
    assert (first[0], first[2]) == (again[0], again[2]) == (200, first[2])
    assert len(world.system.log("--type", "pair.>")) == 1
    elsewhere = world.post("github", body, headers)
    assert elsewhere[0] == 200 and elsewhere[1] != first[2], "another integration's is another one"


@pytest.mark.parametrize("vendor", ["sendgrid", "hubspot"])
def test_each_element_of_an_array_is_an_event_once(world, vendor):
    elements = [json.loads(body_of(vendor))[0] for _ in range(4)]

    def post(*of):
        body = json.dumps(of).encode()
        headers, = world.ask(world.job(vendor, body))
        status, answer = world.post(vendor, body, headers)
        return status, json.loads(answer).get("ids")
    before = world.events(vendor)
    status, ids = post(*elements[:3])
    assert (status, len(set(ids))) == (200, 3)
    assert post(elements[2], elements[3], elements[0])[1][::2] == [ids[2], ids[0]]
    assert world.events(vendor) == before + 4
    assert post(elements[0], {"no": "event"})[0] == 400, "all or none"
    assert world.events(vendor) == before + 4


def test_a_row_in_the_configuration_takes_what_it_describes(world):
    body = json.dumps({"type": "order.made", "data": {"id": "o1"}}).encode()
    header = world.ask(world.job("stripe", body))[0]["Stripe-Signature"]
    for twin, signature in ((body + b" ", header), (body, header.replace("v1=", "v2=")), (body, "")):
        assert harness.http_call(world.system.port, "POST", "/webhooks/acme", twin, {"X-Acme": signature})[0] == 401
    assert harness.http_call(world.system.port, "POST", "/webhooks/acme", body, {"X-Acme": header})[0] == 200
    assert [row["type"] for row in world.system.log("--type", "acme.>")] == ["acme.order.made"]


# --- handshakes ---

def test_zooms_question_is_answered_as_its_own_sdk_does_and_only_when_signed(world):
    body = b'{"event":"endpoint.url_validation","event_ts":1,"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}'
    job = world.job("zoom", body)
    headers, = world.ask(job)
    wanted, = world.ask({**job, "op": "answer", "headers": headers})
    status, answer = world.post("zoom", body, headers)
    assert (status, json.loads(answer)) == (200, wanted)
    assert set(wanted) == {"plainToken", "encryptedToken"}
    assert world.post("zoom", body, {**headers, "x-zm-signature": flipped(headers["x-zm-signature"], 20)})[0] == 401
    assert not [row for row in world.system.log("--type", "my-zoom.>") if "url_validation" in row["type"]], "a question is no event"


def test_slacks_question_is_answered_only_when_signed(world):
    body = b'{"token":"t","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}'
    headers, = world.ask(world.job("slack", body))
    status, answer = world.post("slack", body, headers)
    assert (status, json.loads(answer)) == (200, {"challenge": json.loads(body)["challenge"]})
    status, answer = world.post("slack", body, {**headers, "X-Slack-Signature": flipped(headers["X-Slack-Signature"], 20)})
    assert status == 401 and b"3eZbrw" not in answer
    assert not [row for row in world.system.log("--type", "my-slack.>") if "url_verification" in row["type"]]


# --- keys of certificates ---

@pytest.mark.parametrize("version", ["1", "2"])
def test_sns_is_judged_as_amazons_validator_does(world, version):
    def message(**more):
        return {"Type": "Notification", "MessageId": secrets.token_hex(16), "TopicArn": TOPIC, "Subject": "s", "Message": "ü \"m\"\nn",
                "Timestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.123Z"), "SignatureVersion": version,
                "SigningCertURL": SNS_URL, **more}

    def sign(text):
        return world.ask({"op": "sign", "vendor": "sns", "privateKey": world.sns_key, "body": json.dumps(text)})[0]["body"]
    good = sign(message())
    whole = json.loads(good)
    twins = [{**whole, "Message": "another"}, {**whole, "MessageId": "x"}, {**whole, "Subject": "t"}, {**whole, "Signature": whole["Signature"][4:]},
             {**whole, "SignatureVersion": "1" if version == "2" else "2"}, {**whole, "SigningCertURL": "https://evil.test/x.pem"},
             {**whole, "Type": "Other"}, {key: value for key, value in whole.items() if key != "Signature"}]
    texts = [good, *map(json.dumps, twins)]
    verdicts = world.ask(*({"op": "judge", "vendor": "sns", "certificate": world.sns_certificate, "body": text} for text in texts[:6]))
    assert verdicts == [True, False, False, False, False, False]
    assert [world.post("sns", text.encode(), {"Content-Type": "text/plain; charset=UTF-8"})[0] for text in texts] == [200] + [401] * len(twins)
    foreign = sign(message(TopicArn=TOPIC + "2"))
    assert world.ask({"op": "judge", "vendor": "sns", "certificate": world.sns_certificate, "body": foreign}) == [True]
    assert world.post("sns", foreign.encode(), {})[0] == 401, "a topic of somebody else's"


def test_paypals_layout_with_a_certificate_that_is_here(world, tmp_path):
    def sign(body, identity="69cd13f0-d67a-11e5-baa3-" + secrets.token_hex(6), at=None, **more):
        at = datetime.fromtimestamp(at or time.time(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        (tmp_path / "text").write_text(f"{identity}|{at}|{world.secret['paypal']}|{zlib.crc32(body)}")
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", world.directory / "paypal.key", tmp_path / "text"], check=True,
                                   capture_output=True).stdout
        return {"PAYPAL-TRANSMISSION-ID": identity, "PAYPAL-TRANSMISSION-TIME": at, "PAYPAL-CERT-URL": PAYPAL_URL, "PAYPAL-AUTH-ALGO": "SHA256withRSA",
                "PAYPAL-TRANSMISSION-SIG": base64.b64encode(signature).decode(), **more}
    body = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED"}'
    good = sign(body)
    for twin in ({**good, "PAYPAL-AUTH-ALGO": "SHA1withRSA"}, {**good, "PAYPAL-CERT-URL": "https://paypal.com.evil.test/c"},
                 {**good, "PAYPAL-TRANSMISSION-ID": "x"}, sign(b"{}"), sign(body, at=time.time() - 5 * 86400)):
        assert world.post("paypal", body, twin)[0] == 401, twin
    assert world.post("paypal", body, good)[0] == 200
    assert [row["type"] for row in world.system.log("--type", "my-paypal.>")] == ["my-paypal.PAYMENT.CAPTURE.COMPLETED"]


def test_a_certificate_that_cannot_be_had_means_come_again(world):
    headers = {"PAYPAL-TRANSMISSION-ID": "x", "PAYPAL-TRANSMISSION-TIME": "2026-01-01T00:00:00Z", "PAYPAL-AUTH-ALGO": "SHA256withRSA",
               "PAYPAL-TRANSMISSION-SIG": "AAAA", "PAYPAL-CERT-URL": "https://no-such-host-of-a-test.paypal.com/certs/1"}
    status, answer = world.post("paypal", b"{}", headers)
    assert status == 503, answer
    harness.wait_for("the operator learns why", lambda: "CERTIFICATE_FAILED" in world.system.said())


# --- weak ones ---

def test_weak_schemes_are_shown_as_such_and_count_once(world):
    token, at = secrets.token_hex(25), str(int(time.time()))
    mac = hmac.new(b"key-1", (at + token).encode(), "sha256").hexdigest()

    def mail(**event):
        return json.dumps({"signature": {"timestamp": at, "token": token, "signature": mac}, "event-data": {"event": "opened", **event}}).encode()
    first = world.post("mailgun", mail(), {})
    assert first[0] == 200, first
    assert world.post("mailgun", mail(event="complained"), {}) == first, "its token is good for one event"
    assert world.events("mailgun") == 1
    basic = {"Authorization": "Basic " + base64.b64encode(b"hook:pass").decode()}
    bounce = json.dumps({"RecordType": "Bounce", "MessageID": "m1", "ID": 42}).encode()
    assert world.post("postmark", bounce, {})[0] == 401
    assert world.post("postmark", bounce, {"Authorization": "Basic " + base64.b64encode(b"hook:word").decode()})[0] == 401
    assert world.post("postmark", bounce, basic)[0] == 200
    rows = {row["path"]: row for row in map(json.loads, world.system.cli("webhooks", "--json").stdout.splitlines())}
    assert rows["my-mailgun"]["accept_weak"] == "a test" and "accept_weak" not in rows["my-stripe"]
    assert {path for path, row in rows.items() if row["weak"]} == {"my-mailgun", "my-postmark"}
    assert world.system.said().count("WEBHOOK_WEAK") == 2
    assert rows["my-postmark"]["last_refused"]["why"].startswith("matches none of 1 secret"), rows["my-postmark"]
    assert "pass" not in world.system.said() and token not in world.system.said()


def test_each_event_that_came_through_a_weak_endpoint_says_so_wherever_it_is_shown(world):
    basic = {"Authorization": "Basic " + base64.b64encode(b"hook:pass").decode()}
    status, answer = world.post("postmark", json.dumps({"RecordType": "Bounce", "MessageID": secrets.token_hex(4), "ID": 7}).encode(), basic)
    assert status == 200, answer
    mine, = json.loads(answer)["ids"]
    body = body_of("github")
    headers, = world.ask(world.job("github", body))
    strong, = json.loads(world.post("github", body, headers)[1])["ids"]
    rows = {row["id"]: row for row in world.system.log()}
    assert rows[mine]["weak"] is True and "weak" not in rows[strong]
    over_http = json.loads(world.system.api("GET", "/v1/log?type=my-postmark.%3E")[2])
    assert '"weak":true' in json.dumps(over_http, separators=(",", ":"))
    assert json.loads(world.system.api("GET", f"/v1/events/{mine}")[2])["weak"] is True
    assert "(weak" in world.system.cli("log", "--type", "my-postmark.>").stdout and "(weak" not in world.system.cli("log", "--type", "my-github.>").stdout
    assert "signs too little" in world.system.cli("trace", mine).stdout
    assert "`my-postmark` is `weak`" in world.system.cli("doc", "my-postmark").stdout
    assert "weak" not in world.system.cli("doc", "my-github").stdout

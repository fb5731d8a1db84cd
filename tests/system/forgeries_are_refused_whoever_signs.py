# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Every kind of forgery, for those schemes whose provider has no SDK that signs or verifies: PayPal, Amazon SNS, Mailgun, Postmark and
rows of the configuration. The signers are written out here, by the providers' documents."""
import base64
import hashlib
import hmac
import json
import secrets
import subprocess
import time
import zlib
from datetime import datetime, timezone

import harness
import pytest

TOPIC, OTHER_TOPIC = "arn:aws:sns:us-west-2:123456789012:shop", "arn:aws:sns:us-west-2:123456789012:other"
SNS_URL = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3e.pem"
PAYPAL_URL = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42"
SECRETS = {"topic": TOPIC, "webhook_id": "1JE4291016473214C", "mailgun": "key-of-the-tests", "postmark": "hook:a password", "own": "a secret of our own"}
HOUR = 3600


def integrations(directory):
    return f"""  topics:
    webhooks: [{{ path: sns, scheme: sns, secrets: [file:topic], certificates: [{{ url: {SNS_URL}, file: {directory}/ours.pem }}] }}]
  wallet:
    webhooks: [{{ path: paypal, scheme: paypal, secrets: [file:webhook_id], certificates: [{{ url: {PAYPAL_URL}, file: {directory}/ours.pem }}] }}]
  mail:
    webhooks: [{{ path: mailgun, scheme: mailgun, secrets: [file:mailgun], accept_weak: "a test" }}]
  post:
    webhooks: [{{ path: postmark, scheme: postmark, secrets: [file:postmark], accept_weak: "a test" }}]
  own:
    webhooks:
      - path: hmac
        scheme: hmac
        secrets: [file:own]
        hmac: {{ signature_header: X-Sig, form: prefix, label: sha512, signed: "{{method}}{{url}} {{id}} {{time}} {{body}}", hash: sha512, encoding: base64,
                time_header: X-Time, time_unit: ms, id_header: X-Id, event_id: id, event_type: type }}
"""


class World(harness.System):
    def write_config(self):
        super().write_config()
        path = self.home / "signalbox.yaml"
        path.write_text(path.read_text().replace("gateway: {", "gateway: { public_url: https://hooks.example.com,", 1))

    def post(self, path, body, headers):
        status, _, answer = harness.http_call(self.port, "POST", f"/webhooks/{path}", body, {"Content-Type": "application/json", **headers})
        return status, answer


def make_pair(directory, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    for name in ("ours", "others"):
        make_pair(directory, name)
    with World(tmp_path_factory.mktemp("system"), integrations=integrations(directory), secrets=SECRETS) as made:
        made.keys = directory
        yield made


def rsa(world, text, key="ours", digest="sha256", encode=base64.b64encode):
    done = subprocess.run(["openssl", "dgst", f"-{digest}", "-sign", world.keys / f"{key}.key"], input=text.encode(), check=True, capture_output=True)
    return encode(done.stdout).decode()


def turned(text, at=-8):
    """One bit of one character, another printable one."""
    at %= len(text)
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1:]


def dated(seconds=0, layout="%Y-%m-%dT%H:%M:%SZ"):
    return datetime.fromtimestamp(time.time() + seconds, timezone.utc).strftime(layout)


# --- PayPal: RSA over "id|time|webhook id|CRC of the body" ---

def paypal(world, body=None, webhook=SECRETS["webhook_id"], at=0, digest="sha256", algorithm="SHA256withRSA", url=PAYPAL_URL, **how):
    body = body or json.dumps({"id": "WH-" + secrets.token_hex(4), "event_type": "PAYMENT.CAPTURE.COMPLETED"}, indent=1).encode()
    identity, when = secrets.token_hex(16), dated(at)
    return body, {"PAYPAL-TRANSMISSION-ID": identity, "PAYPAL-TRANSMISSION-TIME": when, "PAYPAL-CERT-URL": url, "PAYPAL-AUTH-ALGO": algorithm,
                  "PAYPAL-TRANSMISSION-SIG": rsa(world, f"{identity}|{when}|{webhook}|{zlib.crc32(body)}", digest=digest, **how)}


def forged_paypal(world):
    body, good = paypal(world)

    def but(**other):
        return {**good, **{f"PAYPAL-{key.replace('_', '-')}": value for key, value in other.items()}}
    signature = good["PAYPAL-TRANSMISSION-SIG"]
    yield "a bit of the body", body[:9] + bytes([body[9] ^ 1]) + body[10:], good
    yield "a bit of the signature", body, but(TRANSMISSION_SIG=turned(signature))
    yield "another webhook's id", *paypal(world, webhook="2JE4291016473214C")
    yield "another key", *paypal(world, key="others")
    yield "the signature of another body", body, paypal(world)[1]
    yield "stale", *paypal(world, at=-5 * 24 * HOUR)
    for name in good:
        yield f"no {name}", body, {key: value for key, value in good.items() if key != name}
    yield "an empty signature", body, but(TRANSMISSION_SIG="")
    yield "a truncated signature", body, but(TRANSMISSION_SIG=signature[:-4])
    yield "a truncated body", body[:-1], good
    yield "an algorithm that is weaker", *paypal(world, digest="sha1", algorithm="SHA1withRSA")
    yield "a weaker one under the right name", *paypal(world, digest="sha1")
    yield "an algorithm of none", body, but(AUTH_ALGO="none")
    yield "re-serialised JSON", json.dumps(json.loads(body)).encode(), good
    yield "hexadecimal", *paypal(world, encode=lambda raw: raw.hex().encode())
    yield "base64 for URLs", *paypal(world, encode=lambda raw: base64.urlsafe_b64encode(raw).replace(b"A", b"_"))
    yield "another time", body, but(TRANSMISSION_TIME=dated(1))
    yield "another id", body, but(TRANSMISSION_ID="x")
    yield "a certificate of somebody else's", *paypal(world, url="https://paypal.com.evil.test/cert")


# --- Amazon SNS: RSA over fields of the body; how the JSON is written does not count ---

def sns(world, at=0, algorithm="sha256", how=None, **other):
    message = {"Type": "Notification", "MessageId": secrets.token_hex(8), "TopicArn": TOPIC, "Subject": "s", "Message": "the message",
               "Timestamp": dated(at, "%Y-%m-%dT%H:%M:%S.123Z"), "SignatureVersion": "2", "SigningCertURL": SNS_URL, **other}
    text = "".join(f"{key}\n{message[key]}\n" for key in ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"))
    message["Signature"] = rsa(world, text, digest=algorithm, **(how or {}))
    return message


def forged_sns(world):
    good = sns(world)

    def but(**other):
        return json.dumps({**good, **other}).encode(), {}

    def signed(**other):
        return json.dumps(sns(world, **other)).encode(), {}
    yield "a bit of the message", *but(Message=turned(good["Message"]))
    yield "a bit of the signature", *but(Signature=turned(good["Signature"]))
    yield "another topic", *signed(TopicArn=OTHER_TOPIC)
    yield "the topic changed to ours", *but(**{**sns(world, TopicArn=OTHER_TOPIC), "TopicArn": TOPIC})
    yield "another key", *signed(how={"key": "others"})
    yield "the signature of another message", *but(Signature=sns(world)["Signature"])
    yield "stale", *signed(at=-25 * HOUR)
    for name in ("Signature", "SignatureVersion", "SigningCertURL", "Timestamp", "TopicArn", "Type", "Message", "MessageId", "Subject"):
        yield f"no {name}", json.dumps({key: value for key, value in good.items() if key != name}).encode(), {}
    yield "an empty signature", *but(Signature="")
    yield "a truncated signature", *but(Signature=good["Signature"][:-4])
    yield "a truncated body", json.dumps(good).encode()[:-1], {}
    yield "the older version's name", *but(SignatureVersion="1")
    yield "the older version's hash", *signed(algorithm="sha1")
    yield "a version that is none", *but(SignatureVersion="0")
    yield "a number for the version", *but(SignatureVersion=2)
    yield "hexadecimal", *signed(how={"encode": lambda raw: raw.hex().encode()})
    yield "another type", *but(Type="SubscriptionConfirmation", Token="t", SubscribeURL=SNS_URL)
    yield "another time", *but(Timestamp=dated(60, "%Y-%m-%dT%H:%M:%S.123Z"))
    yield "a certificate of somebody else's", *signed(SigningCertURL="https://sns.us-west-2.amazonaws.com.evil.test/x.pem")
    yield "a key twice", json.dumps(good).encode()[:-1] + b', "Message": "another"}', {}


# --- Mailgun: HMAC over the time and a token, which are in the body. The event itself is not signed: that is why it is weak ---

def mailgun(at=0, secret=SECRETS["mailgun"], hash=hashlib.sha256, encode=bytes.hex, token=None):
    token, when = token or secrets.token_hex(25), str(int(time.time() + at))
    mac = encode(hmac.new(secret.encode(), (when + token).encode(), hash).digest())
    return {"signature": {"timestamp": when, "token": token, "signature": mac}, "event-data": {"event": "opened"}}


def forged_mailgun(_):
    good = mailgun()["signature"]

    def body(**other):
        return json.dumps({"signature": {**good, **other}, "event-data": {"event": "opened"}}).encode(), {}

    def signed(**how):
        return json.dumps(mailgun(**how)).encode(), {}
    yield "a bit of the token", *body(token=turned(good["token"]))
    yield "a bit of the signature", *body(signature=turned(good["signature"]))
    yield "another time", *body(timestamp=str(int(good["timestamp"]) + 1))
    yield "another secret", *signed(secret="another key")
    yield "the signature of another token", *body(signature=mailgun()["signature"]["signature"])
    yield "stale", *signed(at=-13 * HOUR)
    for name in good:
        yield f"no {name}", json.dumps({"signature": {key: value for key, value in good.items() if key != name}, "event-data": {"event": "opened"}}).encode(), {}
    yield "no signature at all", b'{"event-data":{"event":"opened"}}', {}
    yield "an empty signature", *body(signature="")
    yield "a truncated signature", *body(signature=good["signature"][:-2])
    yield "a truncated body", json.dumps(mailgun()).encode()[:-1], {}
    yield "a weaker hash", *signed(hash=hashlib.sha1)
    yield "base64", *signed(encode=lambda raw: base64.b64encode(raw).decode())
    yield "upper-case hexadecimal", *signed(encode=lambda raw: raw.hex().upper())
    yield "a digit moved from the time to the token", *body(timestamp=good["timestamp"][:-1], token=good["timestamp"][-1] + good["token"])
    yield "the time as a number", *body(timestamp=int(good["timestamp"]))


# --- Postmark: a name and a password, nothing else: weaker it cannot be ---

def basic(text, word="Basic"):
    return {"Authorization": f"{word} {base64.b64encode(text.encode()).decode()}"}


def forged_postmark(_):
    body, secret = json.dumps({"RecordType": "Bounce", "MessageID": "m", "ID": 1}).encode(), SECRETS["postmark"]
    good = basic(secret)["Authorization"]
    yield "a bit of the password", body, basic(turned(secret))
    yield "a bit of what is sent", body, {"Authorization": turned(good, -3)}
    yield "another password", body, basic("hook:another")
    yield "another name", body, basic("other:a password")
    yield "the password alone", body, basic("a password")
    yield "more behind the password", body, basic(secret + " ")
    yield "an empty password", body, basic("hook:")
    yield "nothing", body, {}
    yield "an empty header", body, {"Authorization": ""}
    yield "the word alone", body, {"Authorization": "Basic"}
    yield "truncated", body, {"Authorization": good[:-4]}
    yield "another word", body, basic(secret, "Bearer")
    yield "not encoded", body, {"Authorization": f"Basic {secret}"}
    yield "hexadecimal", body, {"Authorization": f"Basic {secret.encode().hex()}"}
    yield "in the address", body, {"X-Original-Url": f"https://{secret}@hooks.example.com/"}


# --- a row of the configuration: everything is signed ---

def own(body=None, at=0, secret=SECRETS["own"], hash=hashlib.sha512, label="sha512", encode=base64.b64encode, method="POST", path="hmac"):
    body = body or json.dumps({"id": secrets.token_hex(4), "type": "thing.done"}, indent=1).encode()
    identity, when = secrets.token_hex(4), str(int((time.time() + at) * 1000))
    text = f"{method}https://hooks.example.com/webhooks/{path} {identity} {when} ".encode() + body
    return body, {"X-Time": when, "X-Id": identity, "X-Sig": f"{label}=" + encode(hmac.new(secret.encode(), text, hash).digest()).decode()}


def forged_own(_):
    body, good = own()
    signature = good["X-Sig"]
    yield "a bit of the body", body[:9] + bytes([body[9] ^ 1]) + body[10:], good
    yield "a bit of the signature", body, {**good, "X-Sig": turned(signature)}
    yield "another secret", *own(secret="another")
    yield "the signature of another body", body, {**good, "X-Sig": own()[1]["X-Sig"]}
    yield "stale", *own(at=-HOUR)
    yield "of the future", *own(at=HOUR)
    for name in good:
        yield f"no {name}", body, {key: value for key, value in good.items() if key != name}
    yield "an empty signature", body, {**good, "X-Sig": ""}
    yield "a truncated signature", body, {**good, "X-Sig": signature[:-4]}
    yield "a truncated body", body[:-1], good
    yield "a weaker hash under its name", *own(hash=hashlib.sha1, label="sha1")
    yield "a weaker hash under ours", *own(hash=hashlib.sha256)
    yield "no label", body, {**good, "X-Sig": signature.removeprefix("sha512=")}
    yield "re-serialised JSON", json.dumps(json.loads(body)).encode(), good
    yield "hexadecimal", *own(encode=lambda raw: raw.hex().encode())
    yield "another case", body, {**good, "X-Sig": signature.swapcase()}
    yield "another time", body, {**good, "X-Time": str(int(good["X-Time"]) + 1)}
    yield "another id", body, {**good, "X-Id": "x"}
    yield "another method", *own(method="PUT")
    yield "another address", *own(path="other")


GENUINE = {
    "paypal": paypal,
    "sns": lambda world: (json.dumps(sns(world)).encode(), {}),
    "mailgun": lambda _: (json.dumps(mailgun()).encode(), {}),
    "postmark": lambda _: (json.dumps({"RecordType": "Bounce", "MessageID": secrets.token_hex(4), "ID": 1}).encode(), basic(SECRETS["postmark"])),
    "hmac": lambda _: own(),
}
FORGED = {"paypal": forged_paypal, "sns": forged_sns, "mailgun": forged_mailgun, "postmark": forged_postmark, "hmac": forged_own}
TYPES = {"paypal": "wallet.>", "sns": "topics.>", "mailgun": "mail.>", "postmark": "post.>", "hmac": "own.>"}


@pytest.mark.parametrize("scheme", FORGED)
def test_every_kind_of_forgery_is_refused_without_a_word_and_the_genuine_one_is_an_event(world, scheme):
    before, kinds = len(world.log("--type", TYPES[scheme])), 0
    for kind, body, headers in FORGED[scheme](world):
        status, answer = world.post(scheme, body, headers)
        assert status == 401, (scheme, kind, answer)
        assert json.loads(answer)["code"] == "signature_invalid" and b"secret" not in answer, (kind, answer)
        kinds += 1
    assert kinds >= 10, kinds
    assert len(world.log("--type", TYPES[scheme])) == before
    status, answer = world.post(scheme, *GENUINE[scheme](world))
    assert status == 200, answer
    assert len(world.log("--type", TYPES[scheme])) == before + 1


def test_how_sns_writes_its_json_does_not_count_since_its_fields_are_what_is_signed(world):
    message = sns(world)
    first = world.post("sns", json.dumps(message).encode(), {})
    again = world.post("sns", json.dumps(dict(reversed(message.items())), indent=2).encode(), {})
    assert first[0] == again[0] == 200 and first[1] == again[1], "the same message is one event"

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The certificates that PayPal and Amazon SNS name are fetched over TLS from hosts of theirs, checked, and kept; nothing else is taken
for one. The providers' hosts stand on this machine, in a network of the test's own (apart.py)."""
import base64
import concurrent.futures
import contextlib
import http.server
import json
import multiprocessing
import secrets
import socket
import ssl
import subprocess
import time
import zlib
from datetime import datetime, timezone

import apart
import harness
import pytest

TOPIC = "arn:aws:sns:us-west-2:123456789012:shop"
WEBHOOK_ID = "1JE4291016473214C"
ADDRESS, NOBODY = "54.239.1.1", "54.239.1.2"  # public ones: what is private is refused before it is asked
SNS, PAYPAL = "sns.us-west-2.amazonaws.com", "api.paypal.com"
HOSTS = {
    SNS: ADDRESS, PAYPAL: ADDRESS,
    "sns.other-name.amazonaws.com": ADDRESS,      # shows a certificate for another name
    "sns.expired.amazonaws.com": ADDRESS,         # shows one that has ended
    "sns.unknown.amazonaws.com": ADDRESS,         # shows one of an authority that is not trusted
    "sns.down.amazonaws.com": NOBODY,             # nobody listens
    "sns.inside.amazonaws.com": "127.0.0.1",      # a name of the provider's, an address of ours
    "sns.us-west-2.amazonaws.com.evil.test": ADDRESS, "evil.test": ADDRESS,
}
SLOW_S, WITHIN_S = 20, 12  # the gateway waits 5 s for a certificate


# --- certificates ---

class Authority:
    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def pem(self, name=None):
        return (self.directory / f"{name or self.name}.pem").read_text()

    def issue(self, file, common_name, days=3, names=()):
        """file.pem and file.key."""
        extensions = self.directory / f"{file}.ext"
        extensions.write_text("basicConstraints=CA:FALSE\n" + ("subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n" if names else ""))
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={common_name}", "-keyout", f"{file}.key", "-out", f"{file}.csr")
        self.openssl("x509", "-req", "-in", f"{file}.csr", "-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key", "-days", str(days),
                     "-extfile", str(extensions), "-out", f"{file}.pem")
        return self.pem(file)


def context(directory, file):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(directory / f"{file}.pem", directory / f"{file}.key")
    return made


# --- the providers' host ---

class Provider(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(self.server.asked, "a", encoding="ascii") as file:
            file.write(f"{self.headers['Host']} {self.path}\n")
        name = self.path.removeprefix("/")
        with contextlib.suppress(OSError):  # the gateway goes away where it has seen enough
            getattr(self, "be_" + name.split(".")[0].split("?")[0], self.serve)(name)

    def log_message(self, *_):
        pass

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for key, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(key, str(value))
        self.end_headers()
        self.wfile.write(body)

    def serve(self, name):
        path = self.server.directory / f"served-{name}"
        body = path.read_bytes() if path.is_file() else b"no such file"
        self.answer(body, 200 if path.is_file() else 404)

    def be_moved(self, _):
        self.answer(b"", 302, Location=f"https://{SNS}/good.pem")

    def be_slow(self, _):
        self.send_response(200)
        self.send_header("Content-Length", "10000")
        self.end_headers()
        for _ in range(SLOW_S * 4):
            self.wfile.write(b"-")
            time.sleep(0.25)

    def be_oversized(self, name):
        self.answer((self.server.directory / "served-good.pem").read_bytes() + b"\n" * (64 << 10))

    def be_(self, _):  # GET /?Action=ConfirmSubscription
        self.answer(b"<ConfirmSubscriptionResponse/>")


def serve(directory, address):
    """Until it is ended. The name that the caller asks for chooses the certificate."""
    server = http.server.ThreadingHTTPServer((address, 443), Provider)
    server.directory, server.asked = directory, directory / "asked"
    default = context(directory, "tls")
    of = {f"sns.{name}.amazonaws.com": context(directory, f"tls-{name}") for name in ("other-name", "expired", "unknown")}

    def choose(connection, name, _):
        connection.context = of.get(name, default)
    default.sni_callback = choose
    server.socket = default.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


class World:
    def __init__(self, directory):
        self.directory = directory
        trusted, unknown = Authority(directory, "trusted-authority"), Authority(directory, "unknown-authority")
        trusted.issue("tls", "hosts of the test", names=[SNS, PAYPAL, "sns.inside.amazonaws.com", "sns.down.amazonaws.com"])
        trusted.issue("tls-other-name", "elsewhere", names=["elsewhere.example"])
        trusted.issue("tls-expired", "expired", days=-1, names=["sns.expired.amazonaws.com"])
        unknown.issue("tls-unknown", "unknown", names=["sns.unknown.amazonaws.com"])
        self.authority = trusted.pem()
        signing = trusted.issue("signing", "messages.paypal.com")
        served = {"good.pem": signing, "again.pem": signing, "inside.pem": signing, "good": signing, "late.pem": signing,
                  "ended.pem": trusted.issue("ended", "sns.amazonaws.com", days=-1), "no-certificate.pem": "<html>hello</html>",
                  "ended": trusted.issue("ended-paypal", "messages.paypal.com", days=-1),
                  "untrusted": unknown.issue("untrusted", "messages.paypal.com"),
                  "foreign": trusted.issue("foreign", "paypal.com.evil.test")}
        for name, text in served.items():
            (directory / f"served-{name}").write_text(text)
        self.asked_file = directory / "asked"
        self.asked_file.touch()
        self.system = None

    def asked(self, path):
        return sum(line.endswith(f"/{path}") for line in self.asked_file.read_text().splitlines())

    def sign(self, text, key="signing"):
        done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.directory / f"{key}.key"], input=text.encode(), check=True, capture_output=True)
        return base64.b64encode(done.stdout).decode()

    def sns(self, url, key="signing", path="sns", **more):
        """(status, headers, answer) of a message whose certificate is at this address."""
        message = {"Type": "Notification", "MessageId": secrets.token_hex(8), "TopicArn": TOPIC, "Message": "m",
                   "Timestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.123Z"), "SignatureVersion": "2", "SigningCertURL": url, **more}
        fields = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        message["Signature"] = self.sign("".join(f"{field}\n{message[field]}\n" for field in fields if field in message), key)
        return harness.http_call(self.system.port, "POST", f"/webhooks/{path}", json.dumps(message).encode(), {"Content-Type": "text/plain; charset=UTF-8"})

    def paypal(self, url, key="signing"):
        identity, at = secrets.token_hex(16), datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED"}'
        headers = {"PAYPAL-TRANSMISSION-ID": identity, "PAYPAL-TRANSMISSION-TIME": at, "PAYPAL-CERT-URL": url, "PAYPAL-AUTH-ALGO": "SHA256withRSA",
                   "PAYPAL-TRANSMISSION-SIG": self.sign(f"{identity}|{at}|{WEBHOOK_ID}|{zlib.crc32(body)}", key)}
        return harness.http_call(self.system.port, "POST", "/webhooks/paypal", body, headers)

    def said(self, url):
        """Why the certificate at this address was not taken."""
        lines = [line for line in self.system.said().splitlines() if "CERTIFICATE_FAILED" in line and url + ":" in line]
        return lines[-1] if lines else None

    def reason(self, url):
        return harness.wait_for(f"the operator learns why {url} was not taken", lambda: self.said(url))


@contextlib.contextmanager
def listening(world, *addresses):
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=serve, args=(world.directory, address), daemon=True) for address in addresses]
    for process in processes:
        process.start()
    try:
        for address in addresses:
            harness.wait_for(f"the provider's host listens on {address}", lambda: listens(address))
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def listens(address):
    with contextlib.suppress(OSError):
        socket.create_connection((address, 443), 1).close()
        return True
    return False


INTEGRATIONS = f"""  topics:
    webhooks:
      - {{ path: sns, scheme: sns, secrets: [file:topic] }}
      - {{ path: confirming, scheme: sns, secrets: [file:topic], confirm_subscription: true }}
  wallet:
    webhooks: [{{ path: paypal, scheme: paypal, secrets: [file:webhook_id] }}]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    why = apart.why_not()
    if why:
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("apart")
    made = World(directory)
    with apart.apart(directory, HOSTS, made.authority), listening(made, ADDRESS, "127.0.0.1"):
        home = tmp_path_factory.mktemp("system")
        with harness.System(home, integrations=INTEGRATIONS, secrets={"topic": TOPIC, "webhook_id": WEBHOOK_ID}) as made.system:
            yield made


def test_snss_certificate_is_fetched_once_and_its_messages_are_events(world):
    url = f"https://{SNS}/good.pem"
    for _ in range(3):
        status, _, answer = world.sns(url)
        assert status == 200, answer
    assert world.asked("good.pem") == 1
    assert len(world.system.log("--type", "topics.Notification")) == 3
    assert world.sns(url, key="untrusted")[0] == 401, "another key's signature"
    assert world.asked("good.pem") == 1


def test_paypals_certificate_is_fetched_once_and_its_messages_are_events(world):
    url = f"https://{PAYPAL}/good"
    for _ in range(2):
        status, _, answer = world.paypal(url)
        assert status == 200, answer
    assert world.asked("good") == 1
    assert [row["type"] for row in world.system.log("--type", "wallet.>")] == ["wallet.PAYMENT.CAPTURE.COMPLETED"] * 2
    assert world.paypal(url, key="untrusted")[0] == 401


def test_requests_that_come_together_wait_for_one_fetch(world):
    url = f"https://{SNS}/again.pem"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {status for status, _, _ in pool.map(lambda _: world.sns(url), range(16))} == {200}
    assert world.asked("again.pem") == 1


# what stands at the address, and what the operator reads
NOT_TAKEN = {
    "a redirect, even to the right one": (f"https://{SNS}/moved.pem", "status 302"),
    "nothing": (f"https://{SNS}/none.pem", "status 404"),
    "no certificate": (f"https://{SNS}/no-certificate.pem", "certificate"),
    "one that has ended": (f"https://{SNS}/ended.pem", "ended"),
    "more than a certificate": (f"https://{SNS}/oversized.pem", "over 65536 bytes"),
    "a host that shows a certificate for another name": ("https://sns.other-name.amazonaws.com/good.pem", "another name"),
    "a host whose certificate has ended": ("https://sns.expired.amazonaws.com/good.pem", "expired"),
    "a host whose authority is not trusted": ("https://sns.unknown.amazonaws.com/good.pem", "not trusted: unable to get local issuer"),
    "a host that does not listen": ("https://sns.down.amazonaws.com/good.pem", "connect"),
    "a name that nobody knows": ("https://sns.nowhere.amazonaws.com/good.pem", "resolve"),
    "a name of the provider's with an address of ours": ("https://sns.inside.amazonaws.com/inside.pem", "may not be called"),
}


@pytest.mark.parametrize("what", NOT_TAKEN)
def test_what_cannot_be_trusted_is_answered_come_again_and_the_operator_learns_why(world, what):
    url, reason = NOT_TAKEN[what]
    began = len(world.system.log("--type", "topics.>"))
    status, headers, answer = world.sns(url)
    assert (status, json.loads(answer)["code"]) == (503, "unavailable"), answer
    assert int(headers["Retry-After"]) == 30
    assert reason in world.reason(url), world.reason(url)
    assert len(world.system.log("--type", "topics.>")) == began
    assert world.sns(url)[0] == 503 and world.asked("inside.pem") == 0


def test_an_address_that_failed_is_left_alone_for_a_while(world):
    path = "none.pem"
    if not world.asked(path):
        world.sns(f"https://{SNS}/{path}")
    asked = world.asked(path)
    for _ in range(5):
        assert world.sns(f"https://{SNS}/{path}")[0] == 503
    assert world.asked(path) == asked


@pytest.mark.parametrize("path, reason", [("ended", "ended"), ("untrusted", "unable to get local issuer"), ("foreign", "paypal.com")])
def test_paypals_must_come_from_an_authority_and_be_in_its_name(world, path, reason):
    url = f"https://{PAYPAL}/{path}"
    assert world.paypal(url, key={"ended": "ended-paypal"}.get(path, path))[0] == 503
    assert reason in world.reason(url), world.reason(url)


def test_a_host_that_drips_is_given_up(world):
    began = time.monotonic()
    assert world.sns(f"https://{SNS}/slow.pem")[0] == 503
    assert time.monotonic() - began < WITHIN_S, "the sender waited for all of it"
    assert "timed out" in world.reason(f"https://{SNS}/slow.pem")


FOREIGN = ["https://evil.test/good.pem", "https://sns.us-west-2.amazonaws.com.evil.test/good.pem", f"http://{SNS}/good.pem", f"https://{SNS}:443/good.pem",
           f"https://user@{SNS}/good.pem", f"https://evil.test#@{SNS}/good.pem", f"https://{SNS}/good.pem?x", f"https://{SNS}/good"]


def test_no_other_address_is_ever_opened(world):
    before = world.asked_file.read_text()
    for url in FOREIGN:
        assert world.sns(url)[0] == 401, url
    for url in ("https://evil.test/good", "https://api.paypal.com.evil.test/good", f"http://{PAYPAL}/good", f"https://{PAYPAL}:443/good", f"https://{SNS}/good"):
        assert world.paypal(url)[0] == 401, url
    assert world.asked_file.read_text() == before


def test_a_subscription_is_confirmed_at_amazon_where_that_is_asked_for(world):
    def question(path, token):
        url = f"https://{SNS}/?Action=ConfirmSubscription&Token={token}"
        status, _, answer = world.sns(f"https://{SNS}/good.pem", path=path, Type="SubscriptionConfirmation", SubscribeURL=url, Token=token)
        assert status == 200, answer
    question("sns", "not-asked-for")
    question("confirming", "asked-for")
    harness.wait_for("Amazon is told", lambda: "Token=asked-for" in world.asked_file.read_text())
    harness.wait_for("the operator is, too", lambda: "SUBSCRIPTION_CONFIRMED" in world.system.said())
    assert "Token=not-asked-for" not in world.asked_file.read_text()
    assert "Token=asked-for" not in world.system.said(), "whoever has the address may confirm"


def test_a_provider_that_comes_back_is_asked_again(world):
    """The address is left alone for half a minute; then a delivery that comes again is taken."""
    url = "https://sns.down.amazonaws.com/late.pem"
    assert world.sns(url)[0] == 503
    assert "connect" in world.reason(url)
    with listening(world, NOBODY):
        harness.wait_for("a delivery is taken", lambda: world.sns(url)[0] == 200, 60, 1)
    assert world.asked("late.pem") == 1
    assert world.sns(url)[0] == 200, "it is kept while the provider is away again"

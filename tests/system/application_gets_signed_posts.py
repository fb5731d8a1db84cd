# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""An application without ZeroMQ is a full subscriber: every event of its types is posted to it, signed, until it says 2xx."""
import base64
import contextlib
import http.server
import json
import re
import secrets
import socket
import subprocess
import threading
import time

import harness
import pytest


def whsec():
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Application(http.server.BaseHTTPRequestHandler):
    """It keeps every post, and answers as `answers` says: a list of (status, headers), then 204."""
    protocol_version = "HTTP/1.1"
    posts, answers = [], []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        Application.posts.append({"at": time.time(), "path": self.path, "body": body,
                                  "headers": {name: self.headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}})
        status, headers = Application.answers.pop(0) if Application.answers else (204, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def application():
    Application.posts, Application.answers = [], []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


DELIVER = """deliver:
  - {{ name: app, types: ["order.>"], to: "http://127.0.0.1:{port}/hooks/in", secret: "{secret}", allow_private_network: true{more} }}
"""


@contextlib.contextmanager
def running(directory, port, secret="file:app_secret", more="", key=None, **system):
    system = harness.System(directory, extra=DELIVER.format(port=port, secret=secret, more=more),
                            **{"secrets": {"app_secret": key or whsec()}, **system})
    try:
        with system:
            harness.wait_for("it has joined", lambda: has_joined(system), 20)
            yield system
    finally:
        system.stop()


def has_joined(system):
    return any(one["name"] == "deliver" and one["connected"] for one in json.loads(system.api("GET", "/v1/status")[2])["sessions"])


def publish(system, n, start=0):
    for i in range(start, start + n):
        status, _, body = system.api("POST", "/v1/events", {"specversion": "1.0", "id": f"e{i}", "source": "test", "type": "order.placed", "data": {"n": i, "text": "\u00fc"}},
                                     headers={"Content-Type": "application/cloudevents+json"})
        assert status == 202, body


def ids(posts=None):
    return [post["headers"]["webhook-id"] for post in (Application.posts if posts is None else posts)]


def test_posts_are_what_standard_webhooks_verifies(tmp_path, application):
    verify, why = harness.node("standardwebhooks")
    if not verify:
        pytest.skip(why)
    key = whsec()
    with running(tmp_path, application, key=key) as system:
        publish(system, 5)
        harness.wait_for("all are posted", lambda: len(Application.posts) >= 5, 20)
        assert sorted(ids()) == [f"e{i}" for i in range(5)]
        post = Application.posts[0]
        assert post["path"] == "/hooks/in"
        body = json.loads(post["body"])
        assert body["type"] == "order.placed" and body["id"] == post["headers"]["webhook-id"] and body["data"]["text"] == "\u00fc"
        assert time.strptime(body["timestamp"][:19], "%Y-%m-%dT%H:%M:%S")
        lines = [{"secret": key, **post} for post in Application.posts]
        lines.append({"secret": whsec(), **post})  # another's
        lines.append({"secret": key, **post, "body": post["body"].replace("order", "offer")})
        lines.append({"secret": key, **post, "headers": {**post["headers"], "webhook-timestamp": str(int(post["headers"]["webhook-timestamp"]) - 1)}})
        said = verify("verify.mjs", "\n".join(map(json.dumps, lines))).splitlines()
        assert said[:5] == ["ok"] * 5 and "ok" not in said[5:], said


def test_both_secrets_sign_while_one_is_rotated(tmp_path, application):
    verify, why = harness.node("standardwebhooks")
    if not verify:
        pytest.skip(why)
    old, new = whsec(), whsec()
    system = harness.System(tmp_path, extra=DELIVER.format(port=application, secret="vault:app_hook", more=""))
    try:
        system.sandbox.start()
        system.write_config()
        system.cli("secret", "set", "app_hook", input=old)
        system.start()
        system.cli("secret", "rotate", "app_hook", "--keep-old", "1h", input=new)
        system.cli("reload")
        harness.wait_for("it has joined", lambda: has_joined(system), 20)
        publish(system, 1)
        harness.wait_for("it is posted", lambda: Application.posts, 20)
        post = Application.posts[-1]
        assert len(post["headers"]["webhook-signature"].split()) == 2
        said = verify("verify.mjs", "\n".join(json.dumps({"secret": key, **post}) for key in (old, new))).splitlines()
        assert said == ["ok", "ok"]
        for path in [tmp_path / "up.err", *(tmp_path / "data").rglob("*")]:
            if path.is_file():
                assert old[6:].encode() not in path.read_bytes() and new[6:].encode() not in path.read_bytes(), path
    finally:
        system.stop()


def test_what_is_refused_comes_again_as_the_same(tmp_path, application):
    Application.answers = [(500, {}), (302, {"Location": "http://127.0.0.1:1/"}), (429, {"Retry-After": "2"})]
    with running(tmp_path, application) as system:
        publish(system, 1)
        harness.wait_for("it is taken in the end", lambda: len(Application.posts) >= 4, 60)
        assert ids() == ["e0"] * 4
        assert Application.posts[3]["at"] - Application.posts[2]["at"] >= 2
        assert len({post["headers"]["webhook-timestamp"] for post in Application.posts}) >= 2  # signed anew
        audit = system.settled()
        assert audit["unaccounted"] == 0
        assert [row["status"] for row in system.log("--type", "order.placed")] == ["Success"]


def test_what_is_refused_for_ever_is_given_up_and_found(tmp_path, application):
    Application.answers = [(400, {"Retry-After": "0"})] * 20
    with running(tmp_path, application, more=", attempts: 2") as system:
        publish(system, 1)
        system.settled()
        row = system.log("--type", "order.placed")[0]
        assert row["status"] == "Failed" and row["error_class"] == "exhausted" and "answered 400" in row["error_msg"], row
        assert len(Application.posts) == 2


def test_killed_in_the_middle_it_loses_nothing(tmp_path, application):
    with running(tmp_path, application) as system:
        publish(system, 40)
        harness.wait_for("some are posted", lambda: len(Application.posts) >= 5, 20)
        system.kill("deliver")
        publish(system, 40, start=40)
        system.settled(90)
        assert set(ids()) == {f"e{i}" for i in range(80)}


def test_gone_stops_it_and_the_events_wait(tmp_path, application):
    Application.answers = [(410, {})]
    with running(tmp_path, application, more=", concurrency: 1") as system:
        publish(system, 3)
        harness.wait_for("it says so", lambda: "DELIVER_GONE" in system.said(), 20)
        harness.wait_for("it has left", lambda: not has_joined(system), 20)
        posted = len(Application.posts)
        publish(system, 2, start=3)
        assert system.audit()["pending"] == 5
        assert len(Application.posts) == posted
        system.kill("deliver")  # started again, it tries again
        system.settled(60)
        assert set(ids()) == {f"e{i}" for i in range(5)}


def test_a_private_address_needs_the_operators_word(tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.5)
    extra = f'deliver:\n  - {{ name: app, types: ["order.>"], to: "https://127.0.0.1:{listener.getsockname()[1]}/", secret: "file:app_secret", attempts: 2 }}\n'
    with harness.System(tmp_path, extra=extra, secrets={"app_secret": whsec()}) as system:
        harness.wait_for("it has joined", lambda: has_joined(system), 20)
        publish(system, 1)
        system.settled()
        row = system.log("--type", "order.placed")[0]
        assert row["status"] == "Failed" and "private" in row["error_msg"], row
        with pytest.raises(TimeoutError):
            listener.accept()
    config = tmp_path / "other.yaml"
    config.write_text("deliver:\n  - { name: app, types: [a], to: 'http://127.0.0.1/', secret: 'file:x' }\n")
    done = harness.subprocess.run([harness.program("signalbox"), "config", "check", "-c", str(config)], capture_output=True, text=True)
    assert done.returncode == 2 and "not encrypted" in done.stdout + done.stderr


def test_a_secret_that_is_none_does_not_start(tmp_path, application):
    with pytest.raises(AssertionError):
        with harness.System(tmp_path, extra=DELIVER.format(port=application, secret="file:app_secret", more=""), secrets={"app_secret": "whsec_short"}) as system:
            harness.wait_for("it has joined", lambda: has_joined(system), 3)
    said = (tmp_path / "up.err").read_text()
    assert "24 to 64 bytes" in said and "whsec_short" not in said


def made_as_the_guide_says(directory):
    """(whsk_..., whpk_...) by the commands of docs/guide/deliver.md."""
    guide = (harness.ROOT / "docs/guide/deliver.md").read_text()
    commands = re.search(r"^    openssl genpkey -algorithm ed25519.*?(?=^\S|^$)", guide, re.M | re.S)[0]
    assert "signalbox secret set app_hook" in commands
    commands = commands.replace("signalbox secret set app_hook", "cat > whsk")
    done = subprocess.run(["bash", "-euc", commands], cwd=directory, capture_output=True, text=True, check=True)
    assert not (directory / "pair.der").exists()
    return (directory / "whsk").read_text().strip(), done.stdout.strip()


def test_an_application_that_has_the_public_key_alone_can_verify(application, tmp_path):
    pair, public = made_as_the_guide_says(tmp_path)
    assert pair.startswith("whsk_") and public.startswith("whpk_") and len(base64.b64decode(public[5:])) == 32
    peer = "  peer:\n    webhooks: [{ path: peer, scheme: standard-webhooks, secrets: [file:public_key] }]\n"
    (tmp_path / "system").mkdir()
    with running(tmp_path / "system", application, integrations=peer, secrets={"app_secret": pair, "public_key": public}) as system:
        publish(system, 1)
        post = harness.wait_for("it is posted", lambda: Application.posts and Application.posts[0])
        headers, body = post["headers"], post["body"].encode()
        assert headers["webhook-signature"].startswith("v1a,") and " " not in headers["webhook-signature"]
        (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + base64.b64decode(public[5:]))  # RFC 8410
        (tmp_path / "text").write_bytes(f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body)
        (tmp_path / "signature").write_bytes(base64.b64decode(headers["webhook-signature"][4:]))
        judged = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin", "-in", "text",
                                 "-sigfile", "signature"], cwd=tmp_path, capture_output=True, text=True)
        assert judged.returncode == 0, judged

        def at_our_own_gateway(text):
            return harness.http_call(system.port, "POST", "/webhooks/peer", text, {"Content-Type": "application/json", **headers})[0]
        assert (at_our_own_gateway(body + b" "), at_our_own_gateway(body)) == (401, 200), "another signalbox takes it"
        assert [row["type"] for row in system.log("--type", "peer.>")] == ["peer.order.placed"]
        assert pair not in system.said() and pair[5:] not in json.dumps(Application.posts)

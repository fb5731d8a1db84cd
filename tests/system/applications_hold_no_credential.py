# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Through the proxy an application calls its provider without the credential: passed on, streamed, logged, once, whatever dies."""
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time

import harness
import mailserver
import models
import pytest

KEY = "sk_test_held_by_the_proxy_alone"


def stanza(name, port, upstream, provider="openai", more="", limits="timeout: 20s", secret="proxy_key"):
    return f"""  {name}:
    connector: proxy
    provider: {provider}
    service: {name}
    base_url: http://127.0.0.1:{upstream}
    allow_private_network: true
    secrets: {{ api_key: file:{secret} }}
    limits: {{ {limits} }}
    options:
      listen: 127.0.0.1:{port}
{more}"""


class World:
    def __init__(self, directory, answers, upstream=None, files=None, **more):
        self.provider = models.Provider(answers)
        self.port = harness.free_port()
        self.system = harness.System(directory, integrations=stanza("models", self.port, upstream or self.provider.port, **more),
                                     secrets={"proxy_key": KEY, **(files or {})})

    def __enter__(self):
        self.provider.__enter__()
        self.system.__enter__()
        harness.wait_for("the proxy listens", lambda: harness.listens(self.port))
        return self

    def __exit__(self, *_):
        self.system.__exit__()
        self.provider.__exit__()

    def ask(self, method="POST", path="/v1/chat/completions", body=b'{"model":"m"}', headers=None):
        return harness.http_call(self.port, method, path, body, {"Content-Type": "application/json", **(headers or {})})

    def rows(self):
        return [row for row in self.system.log() if row["service"] == "models"]

    def row(self, seconds=15):
        """The one row of the log, once it is settled."""
        return harness.wait_for("one call is settled", lambda: next((r for r in self.rows() if r["status"] != "Pending"), None), seconds)


def chat(handler, body):
    handler.whole(200, {"id": "chatcmpl-1", "model": "m", "choices": [{"message": {"role": "assistant", "content": "Hello"}}],
                        "usage": {"prompt_tokens": 9, "completion_tokens": 1}}, {"x-request-id": "req_1"})


ANSWERS = {"/v1/chat/completions": chat, "/v1/models": (200, {"object": "list", "data": []}),
           "/v1/embeddings": (429, {"error": {"message": "slow down"}}, {"Retry-After": "7"}),
           "/v1/responses": (400, {"error": {"message": "no such model", "type": "invalid_request_error"}}),
           "/v1/moderations": (500, {"error": {"message": "broken"}})}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("proxy"), ANSWERS) as running:
        yield running


def last(world, before):
    return harness.wait_for("a further call is settled", lambda: next((r for r in world.rows() if r["id"] not in before and r["status"] != "Pending"), None))


def test_the_credential_is_put_in_and_the_applications_own_is_left_out(world):
    world.provider.seen.clear()
    status, headers, body = world.ask(path="/models/v1/chat/completions?a=1%202", headers={
        "Authorization": "Bearer of-the-application", "Cookie": "c=1", "X-Forwarded-For": "10.0.0.1", "OpenAI-Project": "p", "x-api-key": "k"})
    assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "Hello")
    seen = world.provider.seen[0]
    assert (seen["path"], seen["body"]) == ("/v1/chat/completions?a=1%202", b'{"model":"m"}')
    assert seen["headers"]["authorization"] == f"Bearer {KEY}"
    assert seen["headers"]["openai-project"] == "p"
    assert not {"cookie", "x-forwarded-for", "x-api-key"} & set(seen["headers"])
    assert headers["x-request-id"] == "req_1"
    row = next(r for r in world.rows() if r["id"] == headers["signalbox-event"])
    assert (row["type"], row["status"]) == ("proxy.call.requested", "Success")  # it is there before the answer has ended


def test_an_answer_that_fails_is_the_applications_and_failed_in_the_log(world):
    for path, method, status, kind, part in (("/v1/responses", "POST", 400, "permanent", "no such model"), ("/v1/embeddings", "POST", 429, "exhausted", "slow down"),
                                             ("/v1/moderations", "POST", 500, "unknown", "broken"), ("/v1/models/none", "GET", 404, "permanent", "no such thing")):
        answer = world.ask(method, path, b"" if method == "GET" else b"{}")
        row = next(r for r in world.rows() if r["id"] == answer[1]["signalbox-event"])
        assert (answer[0], row["status"], row["error_class"]) == (status, "Failed", kind), (answer, row)
        assert part in row["error_msg"] and part in answer[2].decode()
        assert "Retry-After" not in answer[1] or answer[1]["Retry-After"] == "7"


def test_what_is_not_allowed_reaches_neither_provider_nor_log(world):
    before, seen = len(world.rows()), len(world.provider.seen)
    for method, path, headers, status in (("POST", "/v1/files", {}, 403), ("DELETE", "/v1/models/m", {}, 403), ("GET", "/v1/chat/completions", {}, 403),
                                          ("POST", "/v1/x/../chat/completions", {}, 400), ("POST", "/v1/x/%2e%2e/chat/completions", {}, 400),
                                          ("POST", "/v1//chat/completions", {}, 400), ("POST", "/v1/chat%2fcompletions", {}, 400),
                                          ("POST", "/v1/chat/completions", {"Origin": "https://evil.test"}, 403),
                                          ("POST", "/v1/chat/completions", {"Host": "evil.test"}, 403)):
        answer = world.ask(method, path, b"{}", headers)
        assert answer[0] == status, (path, answer)
        assert json.loads(answer[2])["error"]["message"]
    assert (len(world.rows()), len(world.provider.seen)) == (before, seen)


def test_nothing_secret_is_in_the_log(world):
    world.ask(path="/v1/chat/completions?secret=in-the-query", body=b'{"prompt":"in-the-body"}')
    text = world.system.cli("log", "--json", "--records", "--limit", "100000").stdout
    assert KEY not in text and "in-the-query" not in text and "in-the-body" not in text
    assert KEY not in world.system.said()


# --- answers as they come ---


def test_a_stream_goes_through_piece_by_piece(tmp_path):
    go = threading.Semaphore(0)

    def slowly(handler, body):
        handler.begin()
        for n in range(3):
            handler.piece(b"data: %d\n\n" % n)
            assert go.acquire(timeout=20)  # the next piece only once the application has this one
        handler.end()
    with World(tmp_path, {"/v1/chat/completions": slowly}) as world:
        connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=20)
        connection.request("POST", "/v1/chat/completions", b"{}")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
        for n in range(3):
            assert answer.read1() == b"data: %d\n\n" % n
            assert world.rows()[0]["status"] == "Pending"
            go.release()
        assert answer.read() == b""
        row = world.rows()[0]  # the end is held back until the outcome is there
        assert row["status"] == "Success"


def test_a_large_answer_to_a_slow_reader_is_held_up_at_its_source(tmp_path):
    sent, size = [], 64 << 20

    def much(handler, body):
        handler.begin("application/octet-stream")
        for _ in range(size >> 16):
            handler.piece(b"x" * 65536)
            sent.append(65536)
        handler.end()
    with World(tmp_path, {"/v1/chat/completions": much}) as world:
        connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=30)
        connection.request("POST", "/v1/chat/completions", b"{}")
        answer = connection.getresponse()
        assert len(answer.read(1000)) == 1000
        at = [-1]

        def still():
            before, at[0] = at[0], len(sent)
            return before == len(sent)
        harness.wait_for("the source stands still", still, pause=0.5)
        assert sum(sent) < size / 2
        assert len(answer.read()) == size - 1000
        assert rss(world.system.pids()["proxy"]) < 100 << 20


def rss(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10


def open_call(world, answers_first=False):
    """A connection on which a call is under way at the provider."""
    before = len(world.provider.seen)
    connection = socket.create_connection(("127.0.0.1", world.port), 20)
    connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
    harness.wait_for("the provider has the call", lambda: len(world.provider.seen) > before)
    return connection


def hanging(ended, begin):
    def answer(handler, body):
        if begin:
            handler.begin()
            handler.piece(b"data: 1\n\n")
        ended.append(handler.connection.recv(1) == b"")  # until the proxy closes
        handler.close_connection = True
    return answer


@pytest.mark.parametrize("begin", [False, True])
def test_an_application_that_leaves_takes_its_call_with_it(tmp_path, begin):
    ended = []
    with World(tmp_path, {"/v1/chat/completions": hanging(ended, begin)}) as world:
        connection = open_call(world)
        while begin and b"data: 1" not in connection.recv(4096):
            pass
        connection.close()
        row = world.row()
        assert (row["status"], row["error_class"]) == ("Failed", "unknown"), row
        assert f"went away after {9 if begin else 0} bytes" in row["error_msg"]
        harness.wait_for("the call is broken off", lambda: ended == [True])


def test_a_proxy_that_dies_leaves_unknown_and_one_effect(tmp_path):
    ended = []
    with World(tmp_path, {"/v1/chat/completions": hanging(ended, False)}) as world:
        connection = open_call(world)
        assert world.rows()[0]["status"] == "Pending"
        world.system.kill("proxy")
        assert connection.recv(100) == b""
        row = world.row(60)
        assert (row["status"], row["error_class"]) == ("Failed", "unknown"), row
        assert len(world.provider.seen) == 1
        harness.wait_for("the proxy is back", lambda: harness.listens(world.port))
        world.provider.answers["/v1/chat/completions"] = chat
        assert harness.wait_for("it serves again", lambda: world.ask()[0] == 200)
        assert world.system.settled()["unaccounted"] == 0


def test_a_silent_provider_is_given_up_when_its_time_is_over(tmp_path):
    with World(tmp_path, {"/v1/chat/completions": hanging([], True), "/v1/models": hanging([], False)}, limits="timeout: 500ms") as world:
        with pytest.raises(http.client.IncompleteRead):
            world.ask()
        assert "stopped coming" in world.row()["error_msg"]
        status, _, body = world.ask("GET", "/v1/models", None)
        assert (status, json.loads(body)["error"]["code"]) == (502, "not_answered")


def test_what_cannot_begin_in_time_is_not_begun(tmp_path):
    with World(tmp_path, {"/v1/chat/completions": hanging([], False)}, limits="concurrency: 1", more="      wait_ms: 500\n") as world:
        with contextlib.closing(open_call(world)):
            status, headers, body = world.ask()
            assert (status, headers["Retry-After"], json.loads(body)["error"]["code"]) == (503, "1", "not_started"), body
            assert len(world.provider.seen) == 1
            assert sorted(row["error_class"] or "" for row in world.rows()) == ["", "deadline"]


def test_a_provider_that_is_not_there_is_said_so(tmp_path):
    with World(tmp_path, {}, upstream=harness.free_port()) as world:
        status, _, body = world.ask()
        assert (status, json.loads(body)["error"]["code"]) == (502, "not_answered")
        row = world.row()
        assert (row["error_class"], "not sent" in row["error_msg"]) == ("exhausted", True)


def test_calls_wait_while_the_broker_is_away(tmp_path):
    with World(tmp_path, {"/v1/chat/completions": chat}) as world:
        world.system.kill("broker")
        assert world.ask()[0] == 200


# --- who may ask ---


def test_with_tokens_only_a_token_that_may_call_opens_it(tmp_path):
    with World(tmp_path, {"/v1/chat/completions": chat}, more="      access: token\n") as world:
        token = {scope: world.system.cli("token", "new", f"t-{scope}", "--scope", scope).stdout.split()[-1] for scope in ("call", "read")}
        assert world.ask()[0] == 401
        assert world.ask(headers={"Authorization": "Bearer sbx_" + "x" * 43})[0] == 401
        assert world.ask(headers={"Authorization": f"Bearer {token['read']}"})[0] == 403
        assert world.provider.seen == []
        assert world.ask(headers={"Authorization": f"Bearer {token['call']}"})[0] == 200
        assert world.ask(headers={"x-api-key": token["call"]})[0] == 200
        assert {s["headers"]["authorization"] for s in world.provider.seen} == {f"Bearer {KEY}"}
        assert token["call"] not in world.system.cli("log", "--json", "--records").stdout


def test_without_tokens_it_listens_on_loopback_only(tmp_path):
    with World(tmp_path, {}) as world:
        text = (world.system.home / "signalbox.yaml").read_text()
        (tmp_path / "open.yaml").write_text(text.replace(f"listen: 127.0.0.1:{world.port}", "listen: 0.0.0.0:0"))
        done = harness.start([harness.program("signalbox-proxy"), "-c", str(tmp_path / "open.yaml"), "--integration", "models"],
                             {"bus": "x", "api_key": KEY}, tmp_path / "open.err")
        assert done.wait(20) == 2
        assert "expected a loopback address, or access: token" in (tmp_path / "open.err").read_text()


def certificate(directory):
    """{file: PEM} of a door on this machine."""
    directory.mkdir()
    mailserver.certificate(directory)
    return {"door_cert": (directory / "cert.pem").read_text(), "door_key": (directory / "key.pem").read_text()}


def over_tls(world, directory):
    """(the answer's status, the certificate that was shown) of a call that trusts this certificate alone."""
    context = ssl.create_default_context(cafile=directory / "cert.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", world.port, timeout=20, context=context)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/chat/completions", b"{}", {"Content-Type": "application/json"})
        shown = connection.sock.getpeercert(binary_form=True)
        return connection.getresponse().status, shown


def test_with_a_certificate_the_door_speaks_tls_and_takes_a_renewed_one(tmp_path):
    files = certificate(tmp_path / "first")
    with World(tmp_path, {"/v1/chat/completions": chat}, files=files,
               secret="proxy_key, tls_certificate: file:door_cert, tls_key: file:door_key") as world:
        status, first = over_tls(world, tmp_path / "first")
        assert status == 200
        with pytest.raises((OSError, http.client.HTTPException)):
            world.ask()  # in the clear
        for name, text in certificate(tmp_path / "second").items():
            (world.system.home / name).write_text(text)
        world.system.cli("reload")

        def renewed():
            with contextlib.suppress(OSError, http.client.HTTPException):
                return over_tls(world, tmp_path / "second")
        status, second = harness.wait_for("the renewed certificate is shown", renewed)
        assert status == 200 and second != first
        assert files["door_key"].splitlines()[1] not in world.system.said()

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Through the proxy an application calls its provider without the credential: passed on, streamed, logged, once, whatever dies."""
import contextlib
import http.client
import json
import socket
import threading
import time

import harness
import models
import pytest

KEY = "sk_test_held_by_the_proxy_alone"


def stanza(name, port, upstream, provider="openai", more="", limits="timeout: 20s"):
    return f"""  {name}:
    connector: proxy
    provider: {provider}
    service: {name}
    base_url: http://127.0.0.1:{upstream}
    allow_private_network: true
    secrets: {{ api_key: file:proxy_key }}
    limits: {{ {limits} }}
    options:
      listen: 127.0.0.1:{port}
{more}"""


class World:
    def __init__(self, directory, answers, **more):
        self.provider = models.Provider(answers)
        self.port = harness.free_port()
        self.system = harness.System(directory, integrations=stanza("models", self.port, self.provider.port, **more), secrets={"proxy_key": KEY})

    def __enter__(self):
        self.provider.__enter__()
        self.system.__enter__()
        harness.wait_for("the proxy listens", self.listens)
        return self

    def __exit__(self, *_):
        self.system.__exit__()
        self.provider.__exit__()

    def listens(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True

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

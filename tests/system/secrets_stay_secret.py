# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""No secret in an event, a log line, a file, an output, an answer, a command line, an environment, a core, or the memory of whom it is not for, in any usual spelling."""
import contextlib
import http.server
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import harness
import mailserver
import pytest
from canary import Canaries
from canary import spellings as canary_spellings
from mails_and_messages_go_out_once import REFUSED, SENDS

FORMS = {"stripe_api_key": "sk_test_{}", "stripe_webhook": "whsec_{}", "resend_api_key": "re_sandbox_{}", "resend_webhook": "whsec_{}",
         "sendgrid_api_key": "SG.sandbox.{}", "slack_bot_token": "xoxb-sandbox-{}", "slack_webhook": "{}", "twilio_auth_token": "{}",
         "openai_api_key": "sk-sandbox{}", "openai_webhook": "whsec_{}", "anthropic_api_key": "sk-ant-sandbox{}", "anthropic_webhook": "whsec_{}",
         "google_api_key": "AIza{}",
         "shop_id": "id-{}", "shop_secret": "cs_{}", "basic_password": "pw-{}", "header_token": "tk_{}", "odd_token": "{}", "odd_other": "key/{}+=",
         "post_password": "pw {}", "app_hook": "whsec_{}"}
CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}
CALLS = [("payment.charge", "stripe", {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa"}),
         ("payment.charge", "stripe", {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa_chargeDeclined"}),
         ("payment.charge", "stripe", {"amount": -1}),
         ("ai.chat", "openai", {"model": "gpt-4o-mini", **CHAT}),
         ("ai.chat", "anthropic", {"model": "no-such-model", **CHAT}),
         ("maps.geocode", "google", {"address": "Unter den Linden 1, Berlin"}),
         *((operation, provider, data) for provider, (operation, data) in SENDS.items()),
         *((SENDS[provider][0], provider, data) for provider, (data, _) in REFUSED.items()),
         *(("http.read", name, {"path": f"/echo/{status}"}) for name in ("shop", "basic", "header") for status in (200, 400)),
         ("http.call", "shop", {"method": "POST", "path": "/echo/500", "body": {"n": 1}}),
         ("email.send", "post", {"from": "a@example.com", "to": ["b@example.com"], "subject": "Order", "text": "Thank you"}),
         *(("odd.do", "strange", {"what": what}) for what in ("succeed", "fail", "retry", "die"))]
UNCALLED = [("stripe", "charge.refunded"), ("resend", "email.opened"), ("slack", "message"), ("twilio", "message.delivered"), ("openai", "response.completed")]

# What echoes its secrets wherever it can.
ODD = r'''
import base64, json, os, signal, sys
MANIFEST = {"name": "odd", "version": "1", "operations": [{"name": "do", "repeat": "safe"}], "secrets": [{"name": "token", "what": "any"}, {"name": "other", "what": "any"}]}
if sys.argv[-1] == "--manifest":
    print(json.dumps(MANIFEST)); sys.exit()
secrets = json.load(os.fdopen(int(os.environ["SIGNALBOX_SECRETS_FD"])))
both = " ".join(secrets.values())
for line in sys.stdin:
    question = json.loads(line)
    what = question["event"]["data"]["what"]
    print("at", what, "with", both, file=sys.stderr, flush=True)
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "retry" and question["attempt"] == 1:
        print(json.dumps({"retry": {"after_ms": 50, "message": both}}), flush=True); continue
    print(json.dumps({"failed": {"class": "permanent", "message": both, "data": secrets}} if what == "fail" else {"succeeded": secrets}), flush=True)
'''

MORE = """  shop:
    connector: http
    base_url: http://127.0.0.1:{echo}
    allow_private_network: true
    default: true
    secrets: {{ client_id: vault:shop_id, client_secret: vault:shop_secret }}
    options: {{ auth: oauth2, token_url: "http://127.0.0.1:{echo}/token" }}
  basic:
    connector: http
    base_url: http://127.0.0.1:{echo}
    allow_private_network: true
    secrets: {{ password: vault:basic_password }}
    options: {{ auth: basic, user: shop }}
  header:
    connector: http
    base_url: http://127.0.0.1:{echo}
    allow_private_network: true
    secrets: {{ token: vault:header_token }}
    options: {{ auth: header, auth_header: X-Shop-Token }}
  door:
    connector: proxy
    provider: openai
    service: Door
    base_url: http://127.0.0.1:{echo}
    allow_private_network: true
    secrets: {{ api_key: vault:header_token }}
    options: {{ listen: "127.0.0.1:{door}" }}
  strange:
    connector: odd
    command: [{python}, odd.py]
    secrets: {{ token: vault:odd_token, other: vault:odd_other }}
    limits: {{ attempts: 2 }}
  post:
    connector: email
    provider: smtp
    base_url: smtps://localhost:{smtp}
    ca_file: {ca_file}
    allow_private_network: true
    secrets: {{ password: vault:post_password }}
    options: {{ user: shop }}
    limits: {{ attempts: 1 }}
deliver:
  - {{ name: app, types: ["payment.>", "odd.>", "http.>"], to: "http://127.0.0.1:{echo}/app", secret: vault:app_hook, allow_private_network: true }}
"""


class Echo(http.server.BaseHTTPRequestHandler):
    """A provider that says back what it was sent, an authorization server, and an application that posts go to."""
    protocol_version = "HTTP/1.1"
    canaries, posted = None, []

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/app":
            Echo.posted.append(body + str(self.headers).encode())
            return self.say(200, {})
        if self.path == "/token":
            return self.say(200, {"access_token": Echo.canaries.values["access_token"], "token_type": "Bearer", "expires_in": 3600, "echo": str(self.headers)})
        return self.echo(body)

    def do_GET(self):
        self.echo(b"")

    def echo(self, body):
        status = int(self.path.split("?")[0].rsplit("/", 1)[1]) if self.path.startswith("/echo/") else 400
        self.say(status, {"error": {"message": f"you said {self.headers} {self.path}", "headers": dict(self.headers)}, "body": body.decode(errors="replace")})

    def say(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status, "you said " + self.headers.get("Authorization", ""))
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Request-Id", self.headers.get("Authorization", "none"))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def refuse_mails(listener, context):
    """A mail server that refuses every login, and says the login in its reason."""
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as sock, sock.makefile("rwb") as file:
            file.write(b"220 mail.example.com\r\n")
            file.flush()
            for line in file:
                word = line.split()[0].upper()
                file.write(b"250-mail.example.com\r\n250 AUTH PLAIN LOGIN\r\n" if word == b"EHLO" else
                           b"535 5.7.8 not known: " + line.strip() + b"\r\n" if word == b"AUTH" else b"221 bye\r\n" if word == b"QUIT" else b"503 log in first\r\n")
                file.flush()


class World(harness.Practice):
    """The sandbox's system, and all connectors that it leaves out, with a canary for every secret there is."""

    def __enter__(self):
        self.canaries = Canaries()
        self.canaries.make("access_token", "at_{}")
        Echo.canaries, Echo.posted = self.canaries, []
        self.echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        threading.Thread(target=self.echo.serve_forever, daemon=True).start()
        self.serve_mail()
        super().__enter__()
        try:
            self.fill()
        except BaseException:
            self.__exit__()
            raise
        return self

    def fill(self):
        """All that it has beyond the sandbox's own, and a canary for each secret."""
        self.home = self.config.parent
        (self.home / "odd.py").write_text(ODD)
        self.door = harness.free_port()
        self.told = b""
        self.config.write_text(self.config.read_text() + MORE.format(echo=self.echo.server_port, door=self.door, python="/usr/bin/python3",
                                                                     smtp=self.mail.getsockname()[1], ca_file=self.directory / "mail/cert.pem"))
        for name, form in FORMS.items():
            done = self.tell("secret", "set", name, input=self.canaries.make(name, form))
            assert done.returncode == 0, done.stderr
        self.holders = [self.home / "signalbox.key", self.home / "data/api-token", self.directory / "mail/key.pem"]
        self.token = self.holders[1].read_text().strip()
        self.canaries.add("the API's token", self.token)
        self.canaries.add("the master key", self.holders[0].read_text().strip())
        assert self.tell("reload").returncode == 0
        harness.wait_for("all have joined", self.all_joined, 60)

    def __exit__(self, *_):
        super().__exit__()
        self.echo.shutdown()
        self.echo.server_close()
        self.mail.close()

    def serve_mail(self):
        (self.directory / "mail").mkdir()
        mailserver.certificate(self.directory / "mail")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "mail/cert.pem", self.directory / "mail/key.pem")
        self.mail = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=refuse_mails, args=(self.mail, context), daemon=True).start()

    def all_joined(self):
        sessions = json.loads(self.cli("status", "--json").stdout)["broker"]["sessions"]
        names = {one["name"] for one in sessions if one["connected"]}
        return set(self.integrations()) | {"gateway", "deliver"} <= names

    def integrations(self):
        return re.findall(r"^  ([a-z]+):$", self.config.read_text().split("integrations:")[1].split("deliver:")[0], re.M)

    def tell(self, *args, **more):
        """A command, and what it says is kept."""
        done = self.cli(*args, **more)
        self.told += (done.stdout + done.stderr).encode()
        return done

    def ask(self, method, path, body=None, headers=None):
        """A question to the API, and what it answers is kept."""
        with contextlib.suppress(OSError):
            status, headers, answer = harness.http_call(self.gateway_port(), method, path, body, {"Authorization": f"Bearer {self.token}", **(headers or {})})
            self.told += f"{status} {headers}".encode() + answer

    def gateway_port(self):
        return int(re.search(r"gateway: \{ listen: 127.0.0.1:(\d+)", self.config.read_text())[1])

    def owned(self, pid):
        """The names of the secrets that a process is to have; all of them for who hands them over."""
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        program, text = Path(argv[0]).name, self.config.read_text()
        if program == "signalbox":
            return {*FORMS, "the API's token"}
        if program == "signalbox-sandbox":
            return {name for name in FORMS if name.split("_")[0] in ("stripe", "resend", "sendgrid", "slack", "twilio", "openai", "anthropic", "google")}
        if program == "signalbox-gateway":
            return {*re.findall(r"vault:(\w+)", " ".join(re.findall(r"path: .*", text))), "the API's token"}
        if program == "signalbox-deliver":
            return {"app_hook"}
        if program.startswith("python3"):
            return {"odd_token", "odd_other"}
        if "--integration" not in argv:
            return set()
        name = argv[argv.index("--integration") + 1]
        own = re.search(rf"^  {name}:\n((?:    .*\n)+)", text, re.M)[1]
        return {*re.findall(r"vault:(\w+)", "\n".join(re.findall(r"^    secrets: .*", own, re.M))), *(["access_token"] if name == "shop" else [])}

    def processes(self):
        found = [self.up.pid]
        for pid in found:
            found += harness.children(pid)
        return found


def everything_is_tried(world):
    for operation, integration, data in CALLS:
        world.tell("call", operation, "--integration", integration, "--wait", "20s", "--data", json.dumps(data), "--json")
    for kind in ("cut", "garbage", "500"):
        world.fault("stripe", kind=kind, next=1)
        world.tell("call", *(CALLS[0][0], "--integration", "stripe", "--wait", "20s", "--data", json.dumps(CALLS[0][2]), "--json"))
    for endpoint, event in UNCALLED:
        for fault in ((), ("--fault", "tampered"), ("--fault", "wrong-secret"), ("--fault", "stale")):
            world.tell("simulate", endpoint, event, *fault)
    for path in ("/door/v1/chat/completions", "/door/v1/models", "/door/echo/200"):  # the application gets no key, whatever the provider says
        status, headers, answer = harness.http_call(world.door, "POST", path, json.dumps({"model": "m", **CHAT}).encode(), {"Content-Type": "application/json"})
        world.told += f"{status} {headers}".encode() + answer


def everything_is_asked(world):
    ids = [json.loads(line)["id"] for line in world.tell("log", "--json", "--limit", "10000").stdout.splitlines()]
    for command in (("status", "--json"), ("status",), ("log", "--json", "--records", "--limit", "10000"), ("audit", "--json"), ("webhooks", "--json"),
                    ("secret", "list"), ("secret", "list", "--json"), ("cost", "--json"), ("log", "verify"), ("config", "check"), ("doc", "--check"),
                    ("doc",), ("doc", "--format", "html"), ("doc", "--all", "-o", str(world.directory / "documents")), ("backup", str(world.directory / "backup")),
                    ("secret", "remove", "no_such"), ("reload",), *(("trace", one, "--json") for one in ids)):
        world.tell(*command)
    for path in ("/v1/log?limit=1000", "/v1/status", "/v1/audit", "/v1/integrations", "/metrics", "/readyz", "/healthz", "/v1/openapi.json",
                 *(f"/v1/integrations/{name}/document" for name in world.integrations()), *(f"/v1/events/{one}{more}" for one in ids for more in ("", "/trace"))):
        world.ask("GET", path)
    world.ask("GET", "/v1/status", headers={"Authorization": "Bearer of nothing"})
    world.ask("POST", "/v1/events", b"{", {"Content-Type": "application/cloudevents+json"})
    assert len(ids) > 40 and b"Success" in world.told and b"Failed" in world.told and b"Bearer" in world.told


class Watch(threading.Thread):
    """Command lines and environments of all processes that come and go meanwhile."""

    def __init__(self, canaries):
        super().__init__(daemon=True)
        self.canaries, self.found, self.seen, self.ended = canaries, [], set(), threading.Event()

    def run(self):
        while not self.ended.wait(0.02):
            for proc in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    both = (proc / "cmdline").read_bytes() + b"\n" + (proc / "environ").read_bytes()
                    if (proc.name, both) not in self.seen:
                        self.seen.add((proc.name, both))
                        self.found += self.canaries.hits(f"a process {both[:60]}", both)


def what_was_rotated_is_gone(world):
    """Once the old version is dropped nobody has it any more, not even who hands them out."""
    old = "header_token"
    marks = world.canaries.own_marks[old]
    assert world.tell("secret", "rotate", old, "--keep-old", "1h", input=world.canaries.make(old, FORMS[old])).returncode == 0
    assert world.tell("secret", "remove", old, "--old").returncode == 0
    assert world.tell("reload").returncode == 0
    harness.wait_for("all are there again with the new one", world.all_joined, 60)
    world.canaries.own_marks["the one before"] = marks

    def left():
        had = [pid for pid in world.processes() if old in world.owned(pid)]
        return [hit for pid in had for hit in world.canaries.in_process(pid, world.owned(pid)) if "the one before" in hit]
    with contextlib.suppress(AssertionError):
        harness.wait_for("those that ended are gone", lambda: not left(), 20, 1)
    return left()


def test_every_secret_is_with_its_owners_alone(tmp_path):
    """All connectors, both branches, providers that say back what they were sent, webhooks right and forged; then everything that anybody was told or has."""
    with World(tmp_path) as world:
        watch = Watch(world.canaries)
        watch.start()
        everything_is_tried(world)
        everything_is_asked(world)
        watch.ended.set()
        watch.join()
        found = watch.found + world.canaries.hits("what was told", world.told)
        harness.wait_for("the application was posted to", lambda: len(Echo.posted) > 5)
        found += world.canaries.hits("what was posted to the application", b"\n".join(Echo.posted))
        harness.wait_for("all are there again after the reload", world.all_joined, 60)
        pids = world.processes()
        names = {Path(f"/proc/{pid}/exe").readlink().name for pid in pids}
        assert {"signalbox", *(f"signalbox-{name}" for name in ("logger", "broker", "gateway", "sandbox", "payment", "email", "ai", "maps", "messaging", "http",
                                                                "exec", "proxy", "deliver"))} <= names, names
        for pid in pids:
            owned = world.owned(pid)
            found += world.canaries.in_process(pid, owned)
        has = {name for name in FORMS if name in "\n".join(world.canaries.in_process(world.up.pid))}
        assert has == set(FORMS), "the search finds them where they are to be"
        found += what_was_rotated_is_gone(world)
    found += world.canaries.in_files(tmp_path, world.holders)
    assert not found, "\n".join(found)


def test_the_search_finds_what_is_hidden(tmp_path):
    canaries = Canaries()
    value = canaries.make("one")
    canaries.make("other", "whsec_{}")
    for raw in (value.encode(), canaries.marker[1:].encode()):  # the whole, or a part of it
        for spelling in canary_spellings(raw):
            (tmp_path / "file").write_bytes(os.urandom(1000) + spelling + os.urandom(1000))
            assert canaries.in_files(tmp_path), spelling
    holder = subprocess.Popen([sys.executable, "-c", "import sys; value = sys.stdin.readline(); print(flush=True); sys.stdin.read()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder.stdin.write(value + "\n")
    holder.stdin.flush()
    holder.stdout.readline()
    assert any("one" in hit for hit in canaries.in_process(holder.pid))
    assert not canaries.in_process(holder.pid, {"one"}) and canaries.in_process(holder.pid, {"other"})
    holder.communicate()


NOBODY = 65534
LOOK = """import os, sys
for name in ("environ", "mem", "maps", "fd"):
    try:
        os.listdir(f"/proc/{sys.argv[1]}/fd") if name == "fd" else open(f"/proc/{sys.argv[1]}/{name}", "rb").close()
        print("open", name)
    except PermissionError:
        print("closed", name)
"""


def as_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def test_processes_with_secrets_cannot_be_looked_into_by_their_own_user(system):
    """Their user's other programs can neither read them nor attach to them; nor do they leave a core."""
    for name, pid in system.pids().items():
        with open(f"/proc/{pid}/limits") as limits:
            core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4] == "0", name
    if os.geteuid():
        pytest.skip("only root can be somebody else")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o755)
        for name in ("signalbox", "signalbox-sandbox"):
            shutil.copy(harness.program(name), home / name)
        (home / "signalbox.yaml").write_text("data: ./data\n")
        shutil.chown(home, NOBODY)
        started = {"closed": [subprocess.Popen([home / "signalbox-sandbox", "--port", "0"], stdout=subprocess.PIPE, cwd=home, preexec_fn=as_nobody),
                              subprocess.Popen([home / "signalbox", "secret", "set", "hook"], stdin=subprocess.PIPE, cwd=home, preexec_fn=as_nobody)],
                   "open": [subprocess.Popen(["/usr/bin/cat"], stdin=subprocess.PIPE, preexec_fn=as_nobody)]}
        try:
            started["closed"][0].stdout.readline()  # it serves
            harness.wait_for("it asks for the secret", lambda: (home / "data/vault.lock").exists())
            for state, processes in started.items():
                for process in processes:
                    told = subprocess.run([sys.executable, "-I", "-c", LOOK, str(process.pid)], preexec_fn=as_nobody, capture_output=True, text=True)
                    assert told.stdout.split("\n")[:4] == [f"{state} {name}" for name in ("environ", "mem", "maps", "fd")], (process.args, told)
        finally:
            for process in sum(started.values(), []):
                process.kill()
                process.communicate()


def test_a_process_that_aborts_leaves_no_core_with_them(tmp_path):
    """With `ulimit -c unlimited`, and its own limit taken away from outside; that the kernel writes cores here at all is shown by a process that is not ours."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    here = Path.cwd()
    os.chdir(tmp_path)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        with harness.System(tmp_path) as system:
            for name, pid in system.pids().items():
                with contextlib.suppress(PermissionError):  # forced, where that is allowed: its own limit is 0
                    resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
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

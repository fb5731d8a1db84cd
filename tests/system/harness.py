# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The world of the system tests and of bench: real processes in a temporary directory, and a provider to practise on.

`System` is a whole signalbox under `signalbox up`.  `Parts` starts logger and broker, and gateway or a connector when asked,
handing them their keys as `up` would; bench uses it, and tests that need one process under a tool such as strace.
"""
import contextlib
import functools
import hashlib
import hmac
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SIGNALBOX_BUILD", ROOT / "build-check/gcc")).resolve()
PROGRAMS = {"signalbox": "cli", "signalbox-broker": "broker", "signalbox-logger": "logger", "signalbox-gateway": "gateway",
            "signalbox-payment": "connectors", "signalbox-ai": "connectors", "signalbox-maps": "connectors", "signalbox-exec": "connectors", "signalbox-http": "connectors", "signalbox-deliver": "deliver", "signalbox-proxy": "proxy", "signalbox-email": "connectors", "signalbox-messaging": "connectors", "signalbox-sandbox": "sandbox", "signalbox-bench": "bench",
            "signalbox-once": "tests/system"}
WEBHOOK_SECRET = "whsec_test_of_the_system_tests"
API_KEY = "sk_test_of_the_system_tests"


def program(name, build=None):
    """The path of one of our programs: installed below the build directory, since they find each other beside themselves, or in it."""
    build = Path(build or BUILD)
    for path in (build / "prefix/bin" / name, build / PROGRAMS[name] / name, build / PROGRAMS[name] / name.replace("signalbox-", "") / name):
        if path.is_file():
            return str(path)
    raise FileNotFoundError(f"{name} is not built in {build}")


def wait_for(what, condition, seconds=15, pause=0.02):
    """The first true answer of condition(); fails with what was waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(pause)
    raise AssertionError(f"after {seconds} s still not: {what}")


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def with_secrets(values):
    """A descriptor to read the secrets from, as `signalbox up` hands them over."""
    read, write = os.pipe()
    os.write(write, json.dumps(values).encode())
    os.close(write)
    return read


def start(command, values=None, log=None, **more):
    """Start a process, with secrets on an inherited descriptor when there are any; stderr goes to `log`."""
    fds = ()
    if values is not None:
        fd = with_secrets(values)
        command = [*command, "--secrets-fd", str(fd)]
        fds = (fd,)
    with open(log, "ab") if log else contextlib.nullcontext(subprocess.DEVNULL) as err:
        process = subprocess.Popen(command, pass_fds=fds, stderr=err, **more)
    for fd in fds:
        os.close(fd)
    return process


def stop(process, seconds=10):
    """Ask a process to end, insist after a while; its exit status."""
    if process is None or process.poll() is not None:
        return process and process.returncode
    process.terminate()
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def children(pid):
    """The pids of a process's children."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def session(sid):
    """The pids of all processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == sid:
                found.append(int(path.parent.name))
    return found


def http_call(port, method, path, body=None, headers=None, timeout=30):
    """(status, headers, body as bytes) of one request to loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def stripe_signature(body, secret=WEBHOOK_SECRET, at=None):
    """The header Stripe would send with these bytes."""
    at = int(time.time() if at is None else at)
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def stripe_event(kind="checkout.session.completed", **data):
    """The bytes of a Stripe event with an id of its own, spaced as Stripe does."""
    event = {"id": "evt_" + secrets.token_hex(12), "object": "event", "api_version": "2026-10-28.endive", "created": int(time.time()),
             "data": {"object": {"id": "cs_test_" + secrets.token_hex(8), "object": kind.rsplit(".", 1)[0], **data}},
             "livemode": False, "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None}, "type": kind}
    return json.dumps(event, indent=2).encode()


def port_answers(port, path):
    """Does a GET say 200?"""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return http_call(port, "GET", path, timeout=2)[0] == 200
    return False


def listens(port):
    """Does anybody?"""
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


@functools.lru_cache
def npm_install(folder):
    """Why npm cannot install what the folder's package.json names; None when it did. Asked once: without a registry it takes long."""
    try:
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        return "npm got no answer from its registry in 180 s"
    return f"npm cannot install what is needed here: {done.stderr.strip().splitlines()[:1]}" if done.returncode else None


def node(*packages):
    """Runs a script of node/ with text on its standard input; installs the packages once. None, and why, where that cannot be."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None, "node and npm are not installed"
    folder = ROOT / "build-check/node"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (Path(__file__).parent / "node").iterdir():
        shutil.copy(path, folder)
    if not all((folder / "node_modules" / name).is_dir() for name in packages):
        why = npm_install(folder)
        if why:
            return None, why

    def run(script, text, *args):
        done = subprocess.run(["node", script, *args], cwd=folder, input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run, None


class Sandbox:
    """The practice Stripe."""

    def __init__(self, directory, webhook_url=None, build=None):
        self.directory, self.build, self.webhook_url = Path(directory), build, webhook_url
        self.process, self.port = None, 0

    def start(self):
        command = [program("signalbox-sandbox", self.build), "--port", str(self.port)]
        if self.webhook_url:
            command += ["--webhook-url", self.webhook_url]
        self.process = start(command, {"api_key": API_KEY, "webhook": WEBHOOK_SECRET}, self.directory / "sandbox.err",
                             stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line, (self.directory / "sandbox.err").read_text()
        ports = json.loads(line)
        self.port, self.wrong_tls_port = ports["port"], ports["wrong_tls_port"]
        return self

    def stop(self):
        stop(self.process)

    def get(self, path):
        status, _, body = http_call(self.port, "GET", path)
        assert status == 200, (status, body)
        return json.loads(body)

    def effects(self):
        """{idempotency key: charges and refunds it caused}"""
        return self.get("/sandbox/effects")

    def fault(self, **rule):
        status, _, body = http_call(self.port, "POST", "/sandbox/faults", json.dumps(rule))
        assert status == 200, body

    def no_faults(self):
        http_call(self.port, "DELETE", "/sandbox/faults")

    def webhook(self, event, fault=None, data=None):
        wish = {"event": event, **({"fault": fault} if fault else {}), **({"data": data} if data else {})}
        status, _, body = http_call(self.port, "POST", "/sandbox/webhook", json.dumps(wish), timeout=60)
        assert status == 200, body
        return json.loads(body)


class Parts:
    """Logger and broker alone, with bus keys of their own. `wrap` is put before the logger's command line."""

    def __init__(self, directory, config, integrations=(), build=None, wrap=()):
        self.directory, self.build, self.wrap = Path(directory), build, list(wrap)
        self.config = self.directory / "signalbox.yaml"
        self.config.write_text(config)
        self.keys = {f"bus.{name}": secrets.token_hex(16) for name in ("gateway", *integrations)}
        self.logger = self.broker = None
        self.others = []
        self.endpoint = f"ipc://{self.directory}/run/bus.sock"

    def start_logger(self):
        self.logger = start([*self.wrap, program("signalbox-logger", self.build), "-c", str(self.config)], None, self.directory / "logger.err")

    def start_broker(self):
        self.broker = start([program("signalbox-broker", self.build), "-c", str(self.config)], self.keys, self.directory / "broker.err")

    def start(self):
        self.start_logger()
        self.start_broker()
        wait_for("the broker serves", self.serves, 30)
        return self

    def start_gateway(self, port, **webhook_secrets):
        """Secrets by `<integration>__<path>`."""
        values = {"bus.gateway": self.keys["bus.gateway"], **{"webhook." + name.replace("__", "."): value for name, value in webhook_secrets.items()}}
        self.others.append(start([program("signalbox-gateway", self.build), "-c", str(self.config)], values, self.directory / "gateway.err"))
        wait_for("the gateway is ready", lambda: port_answers(port, "/readyz"), 20)

    def start_connector(self, name, integration, **values):
        values = {"bus": self.keys[f"bus.{integration}"], **values}
        command = [program(f"signalbox-{name}", self.build), "-c", str(self.config), "--integration", integration]
        self.others.append(start(command, values, self.directory / f"{name}.err"))
        wait_for("the connector has joined", lambda: f"SESSION_STARTED name={integration}" in self.log("broker"), 20)

    def serves(self):
        for name, process in (("logger", self.logger), ("broker", self.broker)):
            assert process.poll() is None, f"the {name} ended: {self.log(name)}"
        return "PROCESS_READY" in self.log("broker")

    def log(self, name):
        path = self.directory / f"{name}.err"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self):
        for process in self.others:
            stop(process)
        stop(self.broker)
        if self.logger and self.wrap:  # the tool in front of it ends with it
            for pid in children(self.logger.pid):
                os.kill(pid, signal.SIGTERM)
            self.logger.wait(15)
        stop(self.logger)


CONFIG = """data: ./data
run: ./run
gateway: {{ listen: "127.0.0.1:{port}" }}
log: {{ segment_size: 16MiB, reserve: 4MiB }}
{extra}
integrations:
  stripe:
    connector: payment
    provider: stripe
    service: Stripe
    base_url: http://127.0.0.1:{sandbox}
    allow_private_network: true
    secrets: {{ api_key: file:api_key }}
    webhooks:
      - {{ path: stripe, scheme: stripe, secrets: [file:webhook_secret] }}
    limits: {{ {limits} }}
{integrations}"""


class System:
    """A whole signalbox in a directory, with the sandbox as Stripe. `with System(tmp_path) as s: ...`"""

    def __init__(self, directory, extra="", limits="timeout: 5s", home=None, build=None, integrations="", secrets=None):
        self.directory, self.build = Path(directory), build
        self.home = Path(home or directory)  # where configuration, data and run are
        self.extra, self.limits, self.integrations = extra, limits, integrations  # `integrations`: further ones, as they stand in the file
        self.secrets = {"api_key": API_KEY, "webhook_secret": WEBHOOK_SECRET, **(secrets or {})}  # files beside it
        self.port = free_port()
        self.sandbox = Sandbox(self.directory, f"http://127.0.0.1:{self.port}/webhooks/stripe", build)
        self.up = None

    def __enter__(self):
        self.sandbox.start()
        try:
            self.write_config()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def write_config(self):
        text = CONFIG.format(port=self.port, sandbox=self.sandbox.port, extra=self.extra, limits=self.limits, integrations=self.integrations)
        (self.home / "signalbox.yaml").write_text(text)
        for name, value in self.secrets.items():
            path = self.home / name
            path.write_text(value)
            path.chmod(0o600)
        os.sync()  # they are the operator's, and are there before the power goes

    # --- life ---

    def start(self, seconds=20):
        self.up = start([program("signalbox", self.build), "up", "-c", str(self.home / "signalbox.yaml")], None, self.directory / "up.err",
                        stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_for("the system is ready", self.is_ready, seconds)

    def is_ready(self):
        assert self.up.poll() is None, f"signalbox up ended: {self.said()}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return http_call(self.port, "GET", "/readyz", timeout=2)[0] == 200 and self.knows_the_connector()
        return False

    def knows_the_connector(self):
        """The connector has joined, and what it said is committed: until then its endpoint and its operations are closed."""
        status = json.loads(self.api("GET", "/v1/status")[2])
        return status.get("staged_bytes") == 0 and any(one["role"] == "connector" and one["connected"] for one in status["sessions"])

    def stop(self):
        stop(self.up)
        self.sandbox.stop()

    def said(self):
        """What the processes told their operator."""
        return (self.directory / "up.err").read_text(errors="replace")

    def pids(self):
        """{"broker": pid, "logger": ..., "gateway": ..., "payment": ...} of what runs now."""
        found = {}
        for pid in children(self.up.pid):
            with contextlib.suppress(OSError):
                name = Path(os.readlink(f"/proc/{pid}/exe")).name
                found[name.removeprefix("signalbox-")] = pid
        return found

    def kill(self, name):
        pid = self.pids().get(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
        return pid

    def kill_all(self):
        """All at once: `up` and everything it started."""
        for pid in [self.up.pid, *session(self.up.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.up.wait()
        wait_for("no process is left", lambda: not alive_below(self.home))

    # --- asking ---

    def token(self):
        return (self.home / "data/api-token").read_text().strip()

    def api(self, method, path, body=None, headers=None, timeout=30):
        headers = {"Authorization": f"Bearer {self.token()}", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
        return http_call(self.port, method, path, body, headers, timeout)

    def webhook(self, body, signature=None, timeout=30):
        headers = {"Content-Type": "application/json", "Stripe-Signature": signature or stripe_signature(body)}
        return http_call(self.port, "POST", "/webhooks/stripe", body, headers, timeout)

    def charge(self, key=None, wait="10s", deadline=None, timeout=40, **data):
        """(status, answer) of a charge over HTTP; its deadline is the wait unless it is given."""
        data = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", **data}
        headers = {"Idempotency-Key": key} if key else {}
        status, _, body = self.api("POST", f"/v1/calls/payment/charge?wait={wait}" + (f"&deadline={deadline}" if deadline else ""), data, headers, timeout)
        return status, json.loads(body)

    def call(self, operation, data, wait="10s", integration=None, timeout=70):
        """(status, answer) of `connector.operation` over HTTP; the first one may come before its connector has joined."""
        path = f"/v1/calls/{operation.replace('.', '/')}?wait={wait}" + (f"&integration={integration}" if integration else "")

        def answer():
            status, _, body = self.api("POST", path, data, {}, timeout)
            return None if status == 404 and b"no_handler" in body else (status, json.loads(body))
        return wait_for(f"a connector handles {operation}", answer)

    def cli(self, *args, check=True, **more):
        done = subprocess.run([program("signalbox", self.build), *args, "-c", str(self.home / "signalbox.yaml")], capture_output=True, text=True,
                              timeout=120, **more)
        assert not check or done.returncode == 0, f"{args}: {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done

    def log(self, *args):
        """Rows of `signalbox log`, as dictionaries."""
        return [json.loads(line) for line in self.cli("log", "--json", "--limit", "1000000", *args).stdout.splitlines()]

    def audit(self):
        done = self.cli("audit", "--json", check=False)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def settled(self, seconds=60):
        """Wait until nothing is pending; the audit then."""
        def nothing_pending():
            audit = self.audit()
            return audit if audit["pending"] == 0 else None
        return wait_for(f"nothing is pending: {self.audit()}", nothing_pending, seconds, 0.3)


class Practice:
    """`signalbox up --sandbox` in a directory of its own: every provider to practise on, under one system."""

    def __init__(self, directory):
        self.directory, self.up = Path(directory), None

    def __enter__(self):
        self.up = start([program("signalbox"), "up", "--sandbox", "--dir", str(self.directory / "sandbox")], None,
                        self.directory / "up.err", stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                        env={**os.environ, "SIGNALBOX_LOOKUP_AFTER_MS": "200"})  # the practice providers have nothing on its way
        line = self.up.stdout.readline()
        assert "signalbox is up" in line, (self.directory / "up.err").read_text()
        self.config = self.directory / "sandbox/signalbox.yaml"
        text = self.config.read_text()
        self.port = int(text.split("base_url: http://127.0.0.1:")[1].split()[0].split("/")[0])
        return self

    def __exit__(self, *_):
        stop(self.up, 20)

    def cli(self, *args, **more):
        return subprocess.run([program("signalbox"), *args, "-c", str(self.config)], capture_output=True, text=True, timeout=120, **more)

    def call(self, integration, operation, data, wait="30s"):
        """The outcome of `signalbox call`; the first one may come before the connector has joined."""
        def answer():
            done = self.cli("call", operation, "--integration", integration, "--wait", wait, "--data", json.dumps(data), "--json")
            assert done.stdout or "no_handler" in done.stderr, done.stderr
            return done.stdout
        return json.loads(wait_for(f"{integration} handles {operation}", answer))

    def log(self, *args):
        return [json.loads(line) for line in self.cli("log", "--json", "--limit", "100000", *args).stdout.splitlines()]

    def sandbox(self, method, path, body=None):
        status, _, answer = http_call(self.port, method, path, json.dumps(body) if body else None)
        assert status == 200, answer
        return json.loads(answer)

    def effects(self, provider):
        return sum(self.sandbox("GET", f"/sandbox/effects?provider={provider}").values())

    def fault(self, provider, **rule):
        self.sandbox("POST", "/sandbox/faults", {"provider": provider, **rule})


def alive_below(directory):
    """Pids of our programs that run with a configuration below this directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().decode(errors="replace")
            if "signalbox" in line.split("\0", 1)[0] and str(directory) in line and "sandbox" not in line.split("\0", 1)[0]:
                found.append(int(path.parent.name))
    return found

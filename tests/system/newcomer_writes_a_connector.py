# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""An author elsewhere makes a connector, builds it, checks it and tries it, in C and in Python, with what is installed and nothing else."""
import http.server
import json
import os
import shutil
import subprocess
import threading
import time

import harness
import pytest

PREFIX = harness.BUILD / "prefix"


def environment():
    found = list(PREFIX.glob("lib/**/signalbox.pc"))
    assert len(found) == 1, f"signalbox.pc is not installed below {PREFIX}"
    return {**os.environ, "PATH": f"{PREFIX / 'bin'}:/usr/bin:/bin", "PKG_CONFIG_PATH": str(found[0].parent)}


def run(*command, cwd, check=True, timeout=180):
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=timeout)
    assert not check or done.returncode == 0, f"{command}: {done.returncode}: {done.stdout[-4000:]}{done.stderr[-2000:]}"
    return done


def scenarios(text):
    """[(result, operation, claim)] of `connector check --json`."""
    lines = [json.loads(line) for line in text.splitlines()]
    return [(line["result"], line.get("operation"), line["scenario"]) for line in lines]


class Service(http.server.BaseHTTPRequestHandler):
    """What a new connector calls: it makes things, and refuses one name."""
    seen = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Service.seen.append((self.headers["Authorization"], self.headers["Idempotency-Key"], body))
        good = body["name"] != "refused"
        answer = json.dumps({"id": "t_7", "name": body["name"]} if good else {"error": {"message": "no such name"}}).encode()
        self.send_response(200 if good else 422)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    Service.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The C connector, as the first page of its README says; the time it took."""
    directory = tmp_path_factory.mktemp("author")
    start = time.monotonic()
    run("signalbox", "connector", "new", "weather", cwd=directory)
    run("meson", "setup", "build", cwd=directory / "weather")
    run("meson", "test", "-C", "build", cwd=directory / "weather")
    print(f"from nothing to a connector that conforms: {time.monotonic() - start:.1f} s")
    return directory / "weather"


def test_a_connector_in_c_is_made_built_and_conforms(made):
    done = run("signalbox", "connector", "check", "build/signalbox-weather", "--json", cwd=made)
    results = scenarios(done.stdout)
    assert all(result != "FAILED" for result, _, _ in results)
    assert sum(result == "ok" for result, _, _ in results) >= 20
    assert {operation for _, operation, _ in results} == {None, "create", "get"}


def test_a_dry_run_shows_the_request_and_no_credential(made):
    done = run("signalbox", "connector", "run", "build/signalbox-weather", "--once", "event.json", "--dry-run", cwd=made)
    request = json.loads(done.stdout)
    assert (request["method"], request["target"], request["body"]) == ("POST", "/v1/things", {"name": "test"})
    assert set(request["headers"]["Authorization"]) == {"*"}


@pytest.mark.parametrize("name, status", [("test", 0), ("refused", 1)])
def test_one_event_is_tried_against_the_service(made, service, tmp_path, name, status):
    (tmp_path / "key").write_text("a-key-of-the-author\n")
    case = {"operation": "create", "data": {"name": name}, "base_url": f"http://127.0.0.1:{service}", "secrets": {"api_key": f"file:{tmp_path}/key"}}
    (tmp_path / "case.json").write_text(json.dumps(case))
    done = run("signalbox", "connector", "run", made / "build/signalbox-weather", "--once", tmp_path / "case.json", cwd=tmp_path, check=False)
    assert done.returncode == status, done.stderr
    outcome = json.loads(done.stdout)
    if status == 0:
        assert outcome["status"] == "Success" and outcome["data"] == {"id": "t_7"}
    else:
        assert outcome["status"] == "Failed" and outcome["error_class"] == "permanent" and "no such name" in outcome["error_msg"]
    assert Service.seen[0][0] == "Bearer a-key-of-the-author" and Service.seen[0][1]


def test_a_secret_that_is_needed_is_asked_for(made):
    done = run("signalbox", "connector", "run", "build/signalbox-weather", "--once", "event.json", cwd=made, check=False)
    assert done.returncode == 1 and 'the secret `api_key`: it is needed ("secrets": {"api_key": "file:PATH"}' in done.stderr


def test_a_connector_in_python_is_made_and_conforms(tmp_path, service):
    start = time.monotonic()
    run("signalbox", "connector", "new", "tide", "--lang", "python", "-o", "elsewhere", cwd=tmp_path)
    run("/usr/bin/python3", "-m", "unittest", cwd=tmp_path / "elsewhere")
    print(f"from nothing to a connector in Python that conforms: {time.monotonic() - start:.1f} s")
    (tmp_path / "key").write_text("a-key")
    (tmp_path / "case.json").write_text(json.dumps({"operation": "create", "data": {"name": "test"}, "secrets": {"api_key": f"file:{tmp_path}/key"},
                                                    "options": {"base_url": f"http://127.0.0.1:{service}"}}))
    done = run("signalbox", "connector", "run", "/usr/bin/python3", "elsewhere/tide.py", "--once", "case.json", cwd=tmp_path)
    assert json.loads(done.stdout)["data"] == {"id": "t_7"}
    assert Service.seen[0][0] == "Bearer a-key"


def test_what_is_there_is_not_written_over(tmp_path):
    run("signalbox", "connector", "new", "tide", cwd=tmp_path)
    done = run("signalbox", "connector", "new", "tide", cwd=tmp_path, check=False)
    assert done.returncode == 1 and "File exists" in done.stderr
    for bad in (["new", "Tide!"], ["new", "tide", "--lang", "cobol"], ["mend", "tide"], ["run", "x"], ["check", "/no/such/program"]):
        assert run("signalbox", "connector", *bad, cwd=tmp_path, check=False).returncode in (1, 2)


# What is broken in the source, and the claim that has to fail.
FAULTS = {
    "a refusal is taken for a success": ("return sb_default(outcome", "return SB_DONE; return sb_default(outcome", "its failed branch"),
    "input is not looked at": ("if (!name || !*name)", "if (name == (const char *)1)", "bad input is refused"),
    "no key is said to live": (".key_lifetime_s = 24 * 3600,", "", "it joins"),
    "it ends in the middle": ("const char *id = sb_text(sb_answer_json(answer), \"id\");\n\n    (void)event;\n    if (!id)\n        return sb_unclear(outcome, \"the answer has no id\");",
                              "__builtin_trap(); const char *id = 0; (void)event; (void)answer;", "its succeeded branch"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_kit_finds_what_is_broken(made, tmp_path, fault):
    before, after, claim = FAULTS[fault]
    for name in ("weather.c", "meson.build"):
        shutil.copy(made / name, tmp_path)
    source = (tmp_path / "weather.c").read_text()
    assert before in source, "the template has changed: mend this test"
    (tmp_path / "weather.c").write_text(source.replace(before, after, 1))
    run("meson", "setup", "build", cwd=tmp_path)
    run("ninja", "-C", "build", cwd=tmp_path)
    done = run("signalbox", "connector", "check", "build/signalbox-weather", "--json", cwd=tmp_path, check=False)
    if claim == "it joins":  # it does not even say what it can do
        assert done.returncode == 1 and "key_lifetime_s" in done.stderr
        return
    assert done.returncode == 1, done.stdout
    assert any(result == "FAILED" and claim in scenario for result, _, scenario in scenarios(done.stdout)), done.stdout


# The template's `create` as a service has it that knows no keys, but can be asked for what it has made.
LOOKUP = {
    "/* --- get: {id} --- */": """static enum sb_verdict create_lookup(const struct sb_event *event, struct sb_request *request, struct sb_outcome *outcome)
{
    (void)outcome;
    sb_call(request, "GET", "/v1/things");
    sb_field(request, "reference", sb_idempotency_key(event));
    return SB_DONE;
}

static enum sb_verdict create_found(const struct sb_event *event, const struct sb_answer *answer, struct sb_outcome *outcome)
{
    if (sb_status(answer) == 404)
        return sb_absent(outcome);
    if (sb_status(answer) != 200)
        return sb_default(outcome, "the lookup was answered %u", sb_status(answer));
    return create_succeeded(event, answer, outcome);
}

/* --- get: {id} --- */""",
    '.repeat = SB_REPEAT_KEYED, /* the service takes an Idempotency-Key ... */': '''.repeat = SB_REPEAT_NEVER,
     .lookup_request = create_lookup,
     .lookup_answer = create_found,
     .example_found = "{\\"id\\":\\"t_1\\",\\"reference\\":\\"@KEY@\\"}",
     .example_absent = "{}",
     .absent_status = 404,''',
    ".key_lifetime_s = 24 * 3600, /* ... and remembers it for a day */": "",
}
LOST, DOUBT = "a lost answer is looked up, not sent again", "doubt is looked up before anything is sent"
# What is broken in it, and the claim that has to fail; nothing: all hold.
LOOKUP_FAULTS = {
    "nothing": ("", "", None),
    "what happened is not seen": ("if (sb_status(answer) == 404)", "if (sb_status(answer) < 500)", LOST),
    "whatever it says is taken for a success": ("if (sb_status(answer) == 404)", "if (sb_status(answer) == 404 || sb_status(answer) == 403) { sb_put_text(sb_result(outcome), \"id\", \"t_1\"); return SB_DONE; } if (0)", LOST),
    "the lookup does it once more": ('sb_call(request, "GET", "/v1/things");\n    sb_field(request, "reference", sb_idempotency_key(event));', 'sb_call(request, "POST", "/v1/things");', LOST),
    "another refusal than 404 means that it did not happen": ("sb_status(answer) == 404", "sb_status(answer) >= 400", DOUBT),
}


@pytest.mark.parametrize("fault", LOOKUP_FAULTS)
def test_the_kit_tries_lookups(made, tmp_path, fault):
    before, after, claim = LOOKUP_FAULTS[fault]
    shutil.copy(made / "meson.build", tmp_path)
    source = (made / "weather.c").read_text()
    for old, new in [*LOOKUP.items(), (before, after)]:
        assert old in source, "the template has changed: mend this test"
        source = source.replace(old, new, 1)
    (tmp_path / "weather.c").write_text(source)
    run("meson", "setup", "build", cwd=tmp_path)
    run("ninja", "-C", "build", cwd=tmp_path)
    done = run("signalbox", "connector", "check", "build/signalbox-weather", "--json", cwd=tmp_path, check=False)
    results = scenarios(done.stdout)
    assert {(LOST, "get", "skipped"), (DOUBT, "get", "skipped")} <= {(scenario, operation, result) for result, operation, scenario in results}
    if claim:
        assert done.returncode == 1 and ("FAILED", "create", claim) in results, done.stdout
    else:
        assert done.returncode == 0 and {("ok", "create", LOST), ("ok", "create", DOUBT)} <= set(results), done.stdout


def test_a_program_of_lines_that_has_an_address_is_tried_like_the_others(tmp_path):
    run("signalbox", "connector", "new", "tide", "--lang", "python", cwd=tmp_path)
    done = run("signalbox", "connector", "check", "/usr/bin/python3", "tide/tide.py", "--json", cwd=tmp_path)
    assert {result for result, operation, scenario in scenarios(done.stdout) if "look" not in scenario} == {"ok"}, done.stdout
    shown = json.loads(run("signalbox", "connector", "run", "/usr/bin/python3", "tide/tide.py", "--once", "tide/event.json", "--dry-run", cwd=tmp_path).stdout)
    assert (shown["method"], shown["target"], shown["body"]) == ("POST", "/v1/things", {"name": "test"})
    assert set(shown["headers"]["Authorization"]) == {"*"} and shown["headers"]["Idempotency-Key"]
    source = (tmp_path / "tide/tide.py").read_text()
    for before, after, claim in (('int(wish) * 1000', '0', "429 gives"), ('question["key"]', 'os.urandom(16).hex()', "doubt is minded"),
                                 ('"failed": {"class": "permanent", "message": f"the', '"succeeded": {"message": f"the', "its failed branch")):
        assert before in source, "the template has changed: mend this test"
        (tmp_path / "tide/broken.py").write_text(source.replace(before, after))
        done = run("signalbox", "connector", "check", "/usr/bin/python3", "tide/broken.py", "--json", cwd=tmp_path, check=False)
        assert any(result == "FAILED" and claim in scenario for result, _, scenario in scenarios(done.stdout)), (claim, done.stdout)


def test_a_program_of_lines_without_an_address_says_why_there_is_no_dry_run(tmp_path):
    (tmp_path / "case.json").write_text('{"operation": "level", "data": {"sku": "tea"}}')
    done = run("signalbox", "connector", "run", "/usr/bin/python3", harness.ROOT / "docs/examples/exec_connector.py", "stock.db", "--once", "case.json",
               "--dry-run", cwd=tmp_path, check=False)
    assert done.returncode == 2 and "no option `base_url`" in done.stderr


# Each with each of its providers. What has a lookup says what one answers; what has no example is a mail server's, which the kit is not.
OWN = [("payment", "stripe"), ("http", None), ("email", "sendgrid"), ("email", "resend"), ("email", "smtp"), ("messaging", "slack"), ("messaging", "twilio"),
       ("ai", "openai"), ("ai", "anthropic"), ("maps", "google"), ("maps", "nominatim"), ("exec", None)]


@pytest.mark.parametrize("name, provider", OWN)
def test_our_own_conform(tmp_path, name, provider):
    program = ["/usr/bin/python3", str(harness.ROOT / "docs/examples/exec_connector.py"), "stock.db"] if name == "exec" else [harness.program(f"signalbox-{name}")]
    done = run("signalbox", "connector", "check", *program, *(["--provider", provider] if provider else []), cwd=tmp_path)
    assert "it conforms" in done.stdout and "no `example_found`" not in done.stdout
    assert ("no `example`" in done.stdout) == (provider == "smtp")


def started_by_hand(way, made, folder):
    """(address, words, name of an operation) of a connector that its author starts beside the kit."""
    if way == "wire":
        address = f"ipc://{folder}/kit.sock"
        return address, ["/usr/bin/python3", harness.ROOT / "docs/examples/wire_connector.py", "--bus", address, "--integration", "words"], "count"
    run("signalbox", "connector", "new", "tide", "--lang", "python", cwd=folder)
    (folder / "run").mkdir()
    stanza = {"c": f"weather\n    base_url: http://127.0.0.1:9\n    allow_private_network: true",
              "exec": f"tide\n    command: [/usr/bin/python3, {folder}/tide/tide.py]\n    options: {{ base_url: http://127.0.0.1:9 }}"}[way]
    (folder / "signalbox.yaml").write_text(f"data: ./data\nrun: ./run\nintegrations:\n  mine:\n    connector: {stanza}\n")
    program = made / "build/signalbox-weather" if way == "c" else PREFIX / "bin/signalbox-exec"
    return f"ipc://{folder}/run/bus.sock", [program, "-c", folder / "signalbox.yaml", "--integration", "mine"], "create"


@pytest.mark.parametrize("way", ["c", "exec", "wire"])
def test_a_connector_that_was_started_by_hand_is_checked_at_an_address(way, made, tmp_path):
    address, words, operation = started_by_hand(way, made, tmp_path)
    kit = subprocess.Popen(["signalbox", "connector", "check", address, "--json"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    connector = harness.start(words, None if way == "wire" else {"bus": "a-key", "api_key": "a-key-of-the-author"}, tmp_path / "connector.err", cwd=tmp_path)
    try:
        out, err = kit.communicate(timeout=120)
        results = scenarios(out)
        assert kit.returncode == 0, (out, err, (tmp_path / "connector.err").read_text())
        assert ("ok", operation, "its succeeded branch: one outcome") in results
        assert ("ok", None, "it comes again, and sends again what was not answered") in results
        assert ("skipped", None, "it ends when it is asked, and says BYE") in results
    finally:
        kit.kill()
        harness.stop(connector)

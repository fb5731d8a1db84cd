# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""/metrics is what Prometheus takes, and its figures are those of the log."""
import math
import os
import re
import shutil
import signal
import subprocess

import harness
import pytest

SAMPLE = re.compile(r'^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (-?[0-9.]+(?:e[+-]?\d+)?|\+Inf|NaN)$')
LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')


def scrape(system):
    status, headers, body = system.api("GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return body.decode()


def labels_of(text):
    found = LABEL.findall(text or "")
    assert ",".join(f'{name}="{value}"' for name, value in found) == (text or ""), text
    assert len({name for name, _ in found}) == len(found), text
    return dict(found)


def check(text):
    """{(name, labels as frozenset): value}, after holding the text to the format and to Prometheus' rules of naming."""
    assert text.endswith("\n")
    samples, types, helped, family, seen = {}, {}, set(), None, []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert words and name not in helped, line
            helped.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name in helped and name not in types and kind in ("counter", "gauge", "histogram"), line
            assert (kind == "counter") == name.endswith("_total"), line
            types[name], family = kind, name
            seen.append(name)
        else:
            found = SAMPLE.match(line)
            assert found, line
            name = found[1]
            ending = name.removeprefix(family)
            assert name.startswith(family) and ending in (("_bucket", "_sum", "_count") if types[family] == "histogram" else ("",)), line
            key = (name, frozenset(labels_of(found[2]).items()))
            assert key not in samples, line
            samples[key] = math.inf if found[3] == "+Inf" else float(found[3])
    assert len(seen) == len(set(seen)) == len(helped)
    check_histograms(samples, [name for name, kind in types.items() if kind == "histogram"])
    return samples


def check_histograms(samples, names):
    for name in names:
        series = {}
        for (sample, labels), value in samples.items():
            if sample == name + "_bucket":
                rest = frozenset(pair for pair in labels if pair[0] != "le")
                series.setdefault(rest, []).append((float(dict(labels)["le"].replace("+Inf", "inf")), value))
        assert series, name
        for labels, buckets in series.items():
            values = [value for _, value in sorted(buckets)]
            assert values == sorted(values) and sorted(buckets)[-1][0] == math.inf
            assert values[-1] == samples[(name + "_count", labels)]


def value(samples, name, **labels):
    return samples[("signalbox_" + name, frozenset(labels.items()))]


def test_the_text_is_what_prometheus_takes(shared):
    shared.charge()
    check(scrape(shared))


def promtool(text):
    """(status, all it says) of Prometheus' own judge."""
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_promtool_has_nothing_to_say(shared):
    shared.charge()
    body = harness.stripe_event()
    shared.webhook(body)
    shared.webhook(body, "t=1,v1=00")
    text = scrape(shared)
    assert promtool(text) == (0, "")
    wrong = text.replace("signalbox_http_connections", "signalbox_http_connectionsTotal").replace("# HELP signalbox_broker_up", "# HALP signalbox_broker_up")
    assert promtool(wrong)[0] != 0, "it would have said so"


def test_the_figures_are_those_of_the_log_and_of_the_answers(shared):
    def quiet():  # the practice provider sends webhooks of its own after a charge
        audit, now = shared.audit(), check(scrape(shared))
        settled = value(now, "group_success_total", group="stripe", kind="integration") + value(now, "group_failed_total", group="stripe", kind="integration")
        return now if audit["pending"] == 0 and value(now, "requests_total") == audit["requests"] == settled else None
    before = harness.wait_for("log and metrics agree", quiet, 30)
    body = harness.stripe_event()
    assert shared.webhook(body)[0] == 200
    assert shared.webhook(body, "t=1,v1=00")[0] == 401
    assert shared.charge()[0] == 200

    def grew(after, name, **labels):
        key = ("signalbox_" + name, frozenset(labels.items()))
        return after[key] - before.get(key, 0)

    after = harness.wait_for("log and metrics agree", quiet, 30)
    assert value(after, "facts_total") == shared.audit()["facts"]
    assert value(after, "webhooks_accepted_total", integration="stripe", endpoint="stripe") == \
        value(after, "http_requests_total", method="POST", route="/webhooks/*", code="200")
    assert grew(after, "webhooks_refused_total", integration="stripe", endpoint="stripe") == 1
    assert grew(after, "http_requests_total", method="POST", route="/webhooks/*", code="401") == 1
    assert grew(after, "http_requests_total", method="POST", route="/v1/calls/*/*", code="200") == 1
    assert grew(after, "http_request_duration_seconds_count", method="POST", route="/v1/calls/*/*") == 1
    assert grew(after, "group_success_total", group="stripe", kind="integration") == grew(after, "requests_total") >= 2
    assert value(after, "group_pending", group="stripe", kind="integration") == 0
    assert value(after, "broker_up") == 1 and value(after, "log_full") == 0


def test_what_is_unaccounted_is_a_metric(shared):
    def audited():
        samples = check(scrape(shared))
        return samples if ("signalbox_unaccounted", frozenset()) in samples else None
    samples = harness.wait_for("the first audit", audited, 60)
    assert value(samples, "unaccounted") == 0
    assert value(samples, "audit_timestamp_seconds") > 1e9


def test_without_a_broker_the_gateways_own_figures_are_there(shared):
    broker = shared.pids()["broker"]
    os.kill(broker, signal.SIGSTOP)
    try:
        samples = check(scrape(shared))
    finally:
        os.kill(broker, signal.SIGCONT)
    assert value(samples, "broker_up") == 0 and ("signalbox_requests_total", frozenset()) not in samples
    assert value(samples, "http_connections") >= 1
    harness.wait_for("the broker answers again", lambda: value(check(scrape(shared)), "broker_up") == 1, 40)


def test_figures_need_a_token(shared):
    assert harness.http_call(shared.port, "GET", "/metrics")[0] == 401

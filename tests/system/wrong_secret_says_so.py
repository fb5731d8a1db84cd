# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A credential that does not fit is named, never shown, and never tried over and over."""
import harness


def test_a_wrong_api_key_is_a_permanent_failure_that_names_it(tmp_path):
    system = harness.System(tmp_path)
    system.sandbox.start()
    try:
        system.write_config()
        (tmp_path / "api_key").write_text("sk_test_of_somebody_else")
        system.start()
        status, problem = system.charge("order-1")
        assert (status, problem["code"], problem["class"]) == (502, "call_failed", "permanent"), problem
        assert "api_key" in problem["error_msg"], problem
        assert "somebody" not in str(problem) + system.said()
        assert system.sandbox.get("/sandbox/status")["calls"] == 1
    finally:
        system.stop()


def test_a_wrong_webhook_secret_is_a_refusal_with_the_reason_for_the_operator(tmp_path):
    system = harness.System(tmp_path)
    system.sandbox.start()
    try:
        system.write_config()
        (tmp_path / "webhook_secret").write_text("whsec_of_somebody_else")
        system.start()
        assert system.sandbox.webhook("checkout.session.completed")["status"] == 401
        harness.wait_for("the reason", lambda: "matches none of 1 secret" in system.said(), 5)
        assert "whsec_" not in system.said()
    finally:
        system.stop()


def test_what_verifies_and_is_no_event_is_in_the_log_with_the_reason(shared):
    for body in (b"[]", b'{"id":"evt_1"}', b"plain"):
        assert shared.webhook(body)[0] == 400
    said = harness.wait_for("the refusals are in the log", lambda: [row for row in shared.log("--class", "unverified") if "no event" in row["error_msg"]][2:])
    assert said[0]["type"] == "signalbox.webhook.refused" and said[0]["service"] == "Stripe"


def test_a_wrong_token_opens_nothing(shared):
    for token in ("", "sbx_wrong", shared.token()[:-1], shared.token() + "x"):
        for method, path in (("GET", "/v1/log"), ("POST", "/v1/events"), ("POST", "/v1/calls/payment/charge"), ("GET", "/v1/audit")):
            assert harness.http_call(shared.port, method, path, b"{}", {"Authorization": f"Bearer {token}"})[0] == 401, (method, path)


def test_a_secret_file_that_others_can_read_is_refused(tmp_path):
    system = harness.System(tmp_path)
    system.sandbox.start()
    try:
        system.write_config()
        (tmp_path / "api_key").chmod(0o644)
        done = system.cli("up", check=False)
        assert done.returncode == 2, done
        assert "api_key" in done.stderr and "600" in done.stderr
    finally:
        system.stop()


def test_a_broken_configuration_starts_nothing_and_says_where(tmp_path):
    system = harness.System(tmp_path, extra="log: { segment_size: 16MiB }\nintegratons: {}")
    system.write_config()
    done = system.cli("up", check=False)
    assert done.returncode == 2
    assert "signalbox.yaml:" in done.stderr and "integrations" in done.stderr
    assert not harness.alive_below(tmp_path)

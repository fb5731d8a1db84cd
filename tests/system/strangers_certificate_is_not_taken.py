# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A provider behind a certificate that nobody should trust is called by no connector: nothing goes out, the request is tried again later."""
import harness
import pytest

INTEGRATION = """  other:
    connector: {connector}
    provider: {provider}
    base_url: https://127.0.0.1:{port}/{provider}
    allow_private_network: true
    secrets: {{ {secret}: file:api_key }}
    {options}
"""
PROVIDERS = [
    ("email", "resend", "api_key", "", "email.send", {"from": "f@example.com", "to": ["a@example.com"], "subject": "S", "text": "T"}),
    ("messaging", "slack", "bot_token", "", "messaging.send", {"to": "C1", "text": "hello"}),
    ("messaging", "twilio", "auth_token", 'options: { account_sid: AC1, from: "+15005550006" }', "messaging.send",
     {"to": "+15551234567", "text": "hello"}),
]


@pytest.mark.parametrize("connector,provider,secret,options,operation,data", PROVIDERS)
def test_nothing_is_sent_past_a_strangers_certificate(tmp_path, connector, provider, secret, options, operation, data):
    system = harness.System(tmp_path)
    system.sandbox.start()
    system.integrations = INTEGRATION.format(connector=connector, provider=provider, port=system.sandbox.wrong_tls_port, secret=secret, options=options)
    try:
        system.write_config()
        system.start()
        status, answer = system.call(operation, data, wait="0")
        assert status == 202, answer
        harness.wait_for("the certificate was looked at", lambda: "the call was not sent: the service's certificate is not trusted" in system.said(), 30)
        assert [row["id"] for row in system.log("--status", "pending")] == [answer["id"]]
        assert system.sandbox.get("/sandbox/status")["calls"] == 0
    finally:
        system.stop()

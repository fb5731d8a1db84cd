# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A mail is handed to a mail server once, refusals are told apart, and what nobody can know is said to be unknown."""
import base64

import harness
import mailserver
import pytest

SMTP = """  post:
    connector: email
    provider: smtp
    service: Post
    base_url: smtp://127.0.0.1:{port}
    allow_private_network: true
    {more}
    options: {{ from: "The Shop <shop@example.com>"{options} }}
"""
LOGIN = f', user: {mailserver.USER}'


def start(directory, port, more="", options=""):
    return harness.System(directory, integrations=SMTP.format(port=port, more=more, options=options), secrets={"password": mailserver.PASSWORD})


@pytest.fixture(scope="module")
def exim():
    if mailserver.missing():
        pytest.skip(mailserver.missing())
    with mailserver.Exim() as server:
        yield server


@pytest.fixture
def system(tmp_path, exim):
    with start(tmp_path, exim.port, f"ca_file: {exim.ca_file}\n    secrets: {{ password: file:password }}", LOGIN) as running:
        yield running


def send(system, to, wait="30s", **more):
    mail = {"to": to, "subject": "Grüße", "text": "Dear reader,\n.\nthis line was after a dot\n", **more}
    return system.call("email.send", mail, wait=wait)


def delivered(exim, subject):
    return [mail for mail in exim.mails() if mail["Subject"] == subject]


def test_a_mail_arrives_as_it_was_written_over_tls_with_a_login(system, exim):
    pdf = bytes(range(256)) * 4
    status, outcome = send(system, ["Anna Ä <a@example.com>"], subject="Grüße aus dem Test", html="<p>Dear</p>", reply_to="r@example.com",
                           attachments=[{"filename": "Rechnung ä.pdf", "content_type": "application/pdf", "content": base64.b64encode(pdf).decode()}])
    assert status == 200 and outcome["status"] == "Success", outcome
    mail, = harness.wait_for("the mail is there", lambda: delivered(exim, "Grüße aus dem Test"))
    assert outcome["data"]["message_id"] == mail["Message-ID"] == f"<{outcome['id']}@example.com>"
    assert (mail["From"], mail["To"], mail["Reply-To"]) == ("The Shop <shop@example.com>", "Anna Ä <a@example.com>", "r@example.com")
    assert mail["Return-path"] == "<shop@example.com>"
    assert mail.get_body(("plain",)).get_content() == "Dear reader,\n.\nthis line was after a dot\n"
    assert mail.get_body(("html",)).get_content() == "<p>Dear</p>"
    attachment, = mail.iter_attachments()
    assert attachment.get_filename() == "Rechnung ä.pdf" and attachment.get_content() == pdf
    assert f"A=plain:{mailserver.USER}" in exim.log() and "X=TLS" in exim.log()
    assert mailserver.PASSWORD not in system.said()


def test_hidden_recipients_get_the_mail_and_stay_hidden(system, exim):
    status, outcome = send(system, ["a@example.com"], subject="hidden", cc=["c@example.com"], bcc=["secret@example.com"])
    assert status == 200, outcome
    assert outcome["data"]["recipients"] == 3
    mails = harness.wait_for("three mails are there", lambda: len(found := delivered(exim, "hidden")) == 3 and found)
    assert sorted(mail["Envelope-to"] for mail in mails) == ["a@example.com", "c@example.com", "secret@example.com"]
    assert "secret@example.com" not in "".join(f"{key}: {value}" for key, value in mails[0].items() if key != "Envelope-to")


def test_one_refused_recipient_is_named_and_the_others_have_the_mail(system, exim):
    status, outcome = send(system, ["nobody@example.com", "a@example.com"], subject="partly")
    assert status == 200 and outcome["data"]["recipients"] == 1, outcome
    assert outcome["data"]["refused"] == [{"recipient": "nobody@example.com", "code": 550, "reason": "5.1.1 there is no such user"}]
    harness.wait_for("the mail is there", lambda: len(delivered(exim, "partly")) == 1)
    row, = [row for row in system.log("--type", "email.bounced") if row["data"]["request"] == outcome["id"]]
    assert row["data"]["recipient"] == "nobody@example.com" and row["data"]["kind"] == "permanent"


def test_a_permanent_refusal_fails_at_once_and_a_temporary_one_is_tried_again(system, exim):
    status, problem = send(system, ["nobody@example.com"])
    assert status == 502 and "nobody@example.com (550): 5.1.1 there is no such user" in problem["error_msg"], problem
    status, answer = send(system, ["busy@example.com"], wait="0")
    assert status == 202, answer
    harness.wait_for("it was tried twice", lambda: exim.log().count("busy@example.com") >= 2, 60)
    row, = system.log("--type", "email.send.requested", "--status", "pending")
    assert row["id"] == answer["id"]
    status, problem = send(system, ["a@example.com"], subject="spam")
    assert status == 502 and "(554): 5.6.0 this looks like spam" in problem["error_msg"], problem


def test_a_wrong_password_says_so_and_shows_nothing(tmp_path, exim):
    with start(tmp_path, exim.port, f"ca_file: {exim.ca_file}\n    secrets: {{ password: file:api_key }}", LOGIN) as system:
        status, problem = send(system, ["a@example.com"])
        assert status == 502 and "does not accept the login (535)" in problem["error_msg"], problem
        assert harness.API_KEY not in problem["error_msg"]


def test_a_certificate_of_nobody_known_is_not_taken(tmp_path, exim):
    with start(tmp_path, exim.port, "secrets: { password: file:password }", LOGIN) as system:
        _, answer = send(system, ["a@example.com"], wait="0", subject="strange certificate")
        harness.wait_for("the certificate was looked at", lambda: "the call was not sent" in system.said(), 30)
        assert not delivered(exim, "strange certificate")
        assert system.log("--type", "email.send.requested", "--status", "pending")[0]["id"] == answer["id"]


def test_a_connection_lost_before_the_message_is_tried_again_and_after_it_is_unknown(tmp_path):
    with mailserver.Breaker("data") as server, start(tmp_path, server.port) as system:
        _, answer = send(system, ["a@example.com"], wait="0")
        harness.wait_for("it was tried again", lambda: server.connections >= 2, 60)
        server.at = None
        harness.wait_for("it is there", lambda: len(server.mails) == 1, 60)
        assert system.settled(60)["unaccounted"] == 0
        server.at = "dot"
        status, problem = send(system, ["b@example.com"])
        assert status == 502, problem
        assert [row["error_class"] for row in system.log("--status", "failed")] == ["unknown"]
        assert len(server.mails) == 2  # once each, whatever nobody knows
        assert answer["id"].encode() in server.mails[0] and problem["id"].encode() in server.mails[1]


def test_a_server_that_is_silent_about_one_mail_has_the_others_meanwhile(tmp_path):
    with mailserver.Breaker("silent") as server, start(tmp_path, server.port) as system:
        _, answer = send(system, ["a@example.com"], wait="0")
        harness.wait_for("the server has the first mail and says nothing", lambda: len(server.mails) == 1)
        for _ in range(3):
            status, outcome = send(system, ["b@example.com"])
            assert status == 200, outcome
        row, = system.log("--status", "pending")
        assert row["id"] == answer["id"]
        server.released.set()
        system.settled()
        row, = system.log("--status", "failed")
        assert (row["id"], row["error_class"]) == (answer["id"], "unknown")

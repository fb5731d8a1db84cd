# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A token of the list opens what its scopes say, as long as it is valid; the running gateway follows the list."""
import json

import harness

READS, PUBLISHES, CALLS = ("GET", "/v1/log"), ("POST", "/v1/events"), ("POST", "/v1/calls/payment/charge")
ADDRESSES = (READS, PUBLISHES, CALLS)


def status(system, token, address):
    return harness.http_call(system.port, *address, body=b"" if address[0] == "POST" else None,
                             headers={"Authorization": f"Bearer {token}"})[0]


def opens(system, token):
    """Which of the addresses let it in, whatever they say to what was sent."""
    found = {address: status(system, token, address) for address in ADDRESSES}
    return {address for address, said in found.items() if said not in (401, 403)}


def test_a_token_opens_what_its_scopes_say_and_nothing_else(shared):
    for scopes, expected in (("read", {READS}), ("publish,call", {PUBLISHES, CALLS}), ("admin", set())):
        name = "t-" + scopes.replace(",", "-")
        made = json.loads(shared.cli("token", "new", name, "--scope", scopes, "--json").stdout)
        assert opens(shared, made["token"]) == expected, scopes
        assert (status(shared, made["token"], READS) == 403) == (READS not in expected)


def test_a_revoked_token_opens_nothing_from_the_next_request_on(shared):
    token = shared.cli("token", "new", "shop", "--scope", "read").stdout.strip()
    assert status(shared, token, READS) == 200
    shared.cli("token", "revoke", "shop")
    assert status(shared, token, READS) == 401


def test_a_rotated_token_lives_on_as_long_as_it_was_given(shared):
    first = shared.cli("token", "new", "app", "--scope", "read").stdout.strip()
    second = shared.cli("token", "rotate", "app", "--keep-old", "1h").stdout.strip()
    assert (status(shared, first, READS), status(shared, second, READS)) == (200, 200)
    third = shared.cli("token", "rotate", "app").stdout.strip()
    assert (status(shared, second, READS), status(shared, third, READS)) == (401, 200)


def test_an_expired_token_opens_nothing(shared):
    token = shared.cli("token", "new", "short", "--scope", "read", "--expires", "2s").stdout.strip()
    harness.wait_for("it has ended", lambda: status(shared, token, READS) == 401, 10, 0.1)


def test_the_list_shows_names_and_scopes_and_no_token(shared):
    token = shared.cli("token", "new", "listed", "--scope", "call,read").stdout.strip()
    rows = [json.loads(line) for line in shared.cli("token", "list", "--json").stdout.splitlines()]
    assert next(row for row in rows if row["name"] == "listed")["scopes"] == "call,read"
    path = shared.home / "data/tokens"
    assert path.stat().st_mode & 0o777 == 0o600
    assert token not in path.read_text() and token not in shared.cli("token", "list").stdout


def test_wrong_commands_say_what_is_expected(shared):
    for arguments, said in ((("new", "a"), "--scope"), (("new", "a", "--scope", "root"), "root"), (("new", "admin", "--scope", "read"), "admin"),
                            (("revoke", "nobody"), "nobody"), (("rotate", "nobody"), "nobody"), (("steal",), "expected")):
        done = shared.cli("token", *arguments, check=False)
        assert done.returncode in (1, 2) and said in done.stderr, (arguments, done)

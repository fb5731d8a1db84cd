# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""HTTPS without anything in front: a certificate from files, a renewed one by `reload`, a bad one refused with the old one in force."""
import contextlib
import http.client
import socket
import ssl
import subprocess

import harness
import pytest


def make_certificate(directory, name):
    """PEM files of a certificate for 127.0.0.1 that signs itself."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
                   check=True, capture_output=True)
    key.chmod(0o600)
    return certificate, key


class Https(harness.System):
    """The system behind a certificate of its own."""

    def write_config(self):
        make_certificate(self.directory, "one")
        for end in ("pem", "key"):
            (self.directory / f"tls.{end}").write_bytes((self.directory / f"one.{end}").read_bytes())
        (self.directory / "tls.key").chmod(0o600)
        super().write_config()
        path = self.home / "signalbox.yaml"
        path.write_text(path.read_text().replace("gateway: { listen", "gateway: { tls: { certificate: tls.pem, key: tls.key }, listen"))

    def ask(self, path, trusted="one"):
        context = ssl.create_default_context(cafile=str(self.directory / f"{trusted}.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token()}"})
        answer = connection.getresponse()
        return answer.status, answer.read(), connection.sock.version()

    def is_ready(self):
        assert self.up.poll() is None, f"signalbox up ended: {self.said()}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("/readyz")[0] == 200
        return False


@pytest.fixture(scope="module")
def https(tmp_path_factory):
    with Https(tmp_path_factory.mktemp("system")) as running:
        yield running


def renew(system, name):
    for end in ("pem", "key"):
        (system.directory / f"tls.{end}").write_bytes((system.directory / f"{name}.{end}").read_bytes())


def test_requests_are_served_over_tls_of_today(https):
    status, body, version = https.ask("/v1/log")
    assert status == 200 and b"events" in body and version in ("TLSv1.2", "TLSv1.3")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_tls_and_plain_text_are_not_spoken(https):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.raises((ssl.SSLError, ConnectionError)), socket.create_connection(("127.0.0.1", https.port), timeout=10) as plain:
        context.wrap_socket(plain)
    with socket.create_connection(("127.0.0.1", https.port), timeout=15) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"200" not in plain.recv(1000)


def test_a_renewed_certificate_counts_from_the_reload_on(https):
    make_certificate(https.directory, "two")
    renew(https, "two")
    assert "gateway: other secrets" in https.cli("reload").stdout

    def shows_the_new_one():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return https.ask("/healthz", "two")[0] == 200
    harness.wait_for("the new certificate is shown", shows_the_new_one, 30)
    renew(https, "one")
    https.cli("reload")
    harness.wait_for("the old one again", https.is_ready, 30)


@pytest.mark.parametrize("harm, said", [("another key", "the key is not the certificate's"), ("open", "others can read it"), ("garbage", "not one in PEM")])
def test_a_bad_certificate_is_refused_and_the_old_one_stays(https, harm, said):
    key = https.directory / "tls.key"
    if harm == "another key":
        make_certificate(https.directory, "other")
        key.write_bytes((https.directory / "other.key").read_bytes())
    elif harm == "open":
        key.chmod(0o644)
    else:
        key.write_bytes(b"-----BEGIN")
    done = https.cli("reload", check=False)
    key.chmod(0o600)
    renew(https, "one")
    assert done.returncode == 2 and said in done.stdout + done.stderr, done
    assert https.ask("/healthz")[0] == 200

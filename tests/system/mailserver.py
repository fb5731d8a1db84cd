# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Mail servers for tests: a real one (Exim, with TLS and AUTH), and one that breaks off where it is told to."""
import email
import email.policy
import os
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
from pathlib import Path

import harness

USER, PASSWORD = "shop", "password_of_the_system_tests"

CONF = """
primary_hostname = localhost
spool_directory = {dir}/spool
log_file_path = {dir}/spool/log/%slog
pid_file_path = {dir}/exim.pid
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = {dir}/cert.pem
tls_privatekey = {dir}/key.pem
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_mail = acl_mail
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
never_users =
queue_only = false
smtp_accept_max = 100
keep_environment =

begin acl
acl_mail:
  accept
acl_rcpt:
  deny message = 550 5.1.1 there is no such user
       local_parts = nobody
  defer message = 450 4.2.1 the mailbox is busy
       local_parts = busy
  accept authenticated = *
  deny message = 550 5.7.1 log in first
acl_data:
  deny message = 554 5.6.0 this looks like spam
       condition = ${{if match{{$h_subject:}}{{spam}}}}
  accept

begin routers
all:
  driver = accept
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = {dir}/maildir
  maildir_format
  envelope_to_add
  return_path_add
  user = Debian-exim

begin retry
* * F,2h,15m

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
"""


def missing():
    """Why Exim cannot run here; None when it can."""
    if not shutil.which("exim4"):
        return "exim4-daemon-light is not installed"
    return None if os.geteuid() == 0 else "Exim takes a configuration of one's own from root only"


def certificate(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
                   check=True, capture_output=True)


class Exim:
    """`with Exim() as server:` a server at 127.0.0.1:server.port with the certificate server.ca_file.

    In a directory of its own beside pytest's: Exim serves and delivers as a user of its own, and every pytest that starts closes the
    directory of all of them to other users."""

    def __init__(self):
        self.port = harness.free_port()

    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="signalbox-exim-"))
        self.directory.chmod(0o755)
        certificate(self.directory)
        self.ca_file = self.directory / "cert.pem"
        for name in ("spool", "maildir"):
            (self.directory / name).mkdir()
        for path in (self.directory, self.directory / "spool", self.directory / "key.pem", self.directory / "cert.pem"):
            shutil.chown(path, "Debian-exim", "Debian-exim")
        shutil.chown(self.directory / "maildir", "Debian-exim", "Debian-exim")
        conf = self.directory / "exim.conf"
        conf.write_text(CONF.format(dir=self.directory, port=self.port, user=USER, password=PASSWORD))
        self.process = harness.start(["exim4", "-C", str(conf), "-bdf", "-q1h"], None, self.directory / "exim.err")
        harness.wait_for("Exim answers", self.answers)
        return self

    def __exit__(self, *_):
        harness.stop(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)  # a delivery may be at work still

    def answers(self):
        assert self.process.poll() is None, (self.directory / "exim.err").read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
                return sock.recv(100).startswith(b"220")
        except OSError:
            return False

    def mails(self):
        """What was delivered: one for each recipient."""
        paths = sorted((self.directory / "maildir").glob("new/*"))
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]

    def log(self):
        return (self.directory / "spool/log/mainlog").read_text()


class Breaker:
    """A server without TLS that takes mails and closes the connection at `at`: "data" (before the message), "dot" (after its end, without
    a reply, "silent": for one mail, and only when released), or None. `mails` are those whose end was seen."""

    def __init__(self, at=None):
        self.at, self.mails, self.connections, self.released = at, [], 0, threading.Event()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer.connections += 1
                outer.serve(self.rfile, self.wfile)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def serve(self, lines, out):
        def say(text):
            out.write(text.encode() + b"\r\n")
            out.flush()

        say("220 localhost")
        for line in lines:
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                if self.at == "data":
                    return
                say("354 go on")
                message = b""
                for text in lines:
                    if text == b".\r\n":
                        break
                    message += text
                self.mails.append(message)
                if self.at == "silent":
                    self.at = None
                    self.released.wait(60)
                    return
                if self.at == "dot":
                    return
                say("250 taken")
            elif word == b"EHLO":
                say("250 localhost")
            elif word == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

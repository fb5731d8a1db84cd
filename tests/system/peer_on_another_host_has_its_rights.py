# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""More hosts: a connector in another network namespace serves its integration with its key, and nobody without a key, without encryption or
without the right gets anything; a peer whose line is cut is found, and its work goes elsewhere."""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import harness
import pytest
import wire
import zmq

HERE = Path(__file__).parent


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Host:
    """A network namespace, joined to ours by a cable of its own. `address` is our end."""

    def __init__(self):
        self.name = f"sb{os.getpid()}"
        net = os.getpid() % 16384 * 4  # a /30 of 198.18.0.0/16, which is kept free for tests
        self.address, self.other = (f"198.18.{net >> 8 & 255}.{(net & 255) + i}" for i in (1, 2))

    def __enter__(self):
        ip("netns", "add", self.name)
        try:
            ip("link", "add", f"{self.name}a", "type", "veth", "peer", "name", f"{self.name}b", "netns", self.name)
            ip("address", "add", f"{self.address}/30", "dev", f"{self.name}a")
            ip("link", "set", f"{self.name}a", "up")
            ip("-n", self.name, "address", "add", f"{self.other}/30", "dev", f"{self.name}b")
            ip("-n", self.name, "link", "set", f"{self.name}b", "up")
            ip("-n", self.name, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("netns", "delete", self.name)

    def start(self, command, **more):
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], **more)

    def cut(self):
        ip("-n", self.name, "link", "set", f"{self.name}b", "down")


class TwoHosts(harness.System):
    """The broker here, the connector of `stripe` on a host of its own, with its own configuration, its own secrets and the provider."""

    def __init__(self, directory, host):
        super().__init__(directory)
        self.host, self.port_of_bus, self.port_of_live = host, harness.free_port(), harness.free_port()
        self.far = self.directory / "far"
        self.far_up = None
        self.keys = {}

    def key(self, name, *more):
        done = subprocess.run([harness.program("signalbox"), "key", "new", name, "-o", str(self.directory / f"{name}.key"), "--json", *more],
                              capture_output=True, text=True, check=True)
        said = json.loads(done.stdout)
        secret = (self.directory / f"{name}.key").read_text()
        assert (self.directory / f"{name}.key").stat().st_mode & 0o777 == 0o600
        assert secret not in done.stdout + done.stderr
        self.keys[name] = (secret, said["public_key"])

    def write_config(self):
        for name in ("stripe-host", "app", "holder", "watcher", "stranger"):
            self.key(name)
        self.extra = f"""groups:
  orders: {{ types: ["order.>"] }}
  others: {{ types: ["other.>"] }}
bus:
  listen: {self.host.address}:{self.port_of_bus}
  live: {self.host.address}:{self.port_of_live}
  peers:
    stripe-host: {{ public_key: "{self.keys['stripe-host'][1]}", role: connector, integration: stripe }}
    app: {{ public_key: "{self.keys['app'][1]}", publish: ["order.*"], groups: [orders] }}
    holder: {{ public_key: "{self.keys['holder'][1]}", groups: [orders] }}
    watcher: {{ public_key: "{self.keys['watcher'][1]}", observe: true }}
"""
        super().write_config()
        (self.home / "api_key").unlink()  # the credential is on the other host only
        self.server = json.loads(self.cli("key", "server", "--json").stdout)["public_key"]
        self.far.mkdir()
        (self.far / "signalbox.yaml").write_text(f"""data: ./data
run: ./run
bus: {{ connect: "{self.host.address}:{self.port_of_bus}", broker_key: "{self.server}", key_file: {self.directory}/stripe-host.key }}
integrations:
  stripe:
    connector: payment
    provider: stripe
    service: Stripe
    base_url: http://127.0.0.1:{self.sandbox.port}
    allow_private_network: true
    secrets: {{ api_key: file:api_key }}
""")
        (self.far / "api_key").write_text(harness.API_KEY)
        (self.far / "api_key").chmod(0o600)

    def knows_the_connector(self):
        return self.far_up is None or super().knows_the_connector()

    def start_far(self):
        with open(self.directory / "far.err", "ab") as err:
            self.far_up = self.host.start([harness.program("signalbox"), "up", "-c", str(self.far / "signalbox.yaml")], stderr=err,
                                          stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True)
        harness.wait_for("the connector on the other host has joined", self.is_ready, 30)

    def stop(self):
        harness.stop(self.far_up)
        super().stop()

    def far_said(self):
        return (self.directory / "far.err").read_text(errors="replace")

    def endpoint(self):
        return f"tcp://{self.host.address}:{self.port_of_bus}"

    def peer(self, name, server=None):
        secret, public = self.keys[name]
        return wire.Peer(self.endpoint(), (secret, public, server or self.server))

    def status(self):
        return json.loads(self.api("GET", "/v1/status")[2])

    def refused(self):
        return self.status()["refused"]


class FarSandbox(harness.Sandbox):
    """The provider, on the connector's host."""

    def __init__(self, directory, host):
        super().__init__(directory)
        self.host = host

    def start(self):
        before, harness.program = harness.program, lambda name, build=None: self.wrapper(before(name, build))
        try:
            return super().start()
        finally:
            harness.program = before

    def wrapper(self, program):
        path = self.directory / "far-sandbox"
        path.write_text(f'#!/bin/sh\nexec ip netns exec {self.host.name} "{program}" "$@"\n')
        path.chmod(0o700)
        return str(path)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and iproute2")
    with Host() as host:
        system = TwoHosts(tmp_path_factory.mktemp("hosts"), host)
        system.sandbox = FarSandbox(system.directory, host)
        with system:
            yield system


def test_nothing_is_lost_before_the_connector_is_there_and_it_serves_once_it_is(hosts):
    assert "payment" not in hosts.pids()  # `up` starts none here: it is elsewhere
    hosts.start_far()
    assert [name for name in hosts.far_said().split() if name in ("signalbox-broker", "signalbox-logger", "signalbox-gateway")] == []
    status, outcome = hosts.charge()
    assert (status, outcome["status"], outcome["data"]["status"]) == (200, "Success", "succeeded"), (outcome, hosts.far_said())
    session = next(one for one in hosts.status()["sessions"] if one["role"] == "connector")
    assert (session["peer"], session["pid"]) == ("stripe-host", 0)


def test_a_strangers_key_gets_no_answer_and_is_counted(hosts):
    before = hosts.refused()["strangers"]
    with hosts.peer("stranger") as peer:
        assert peer.ask(wire.hello("client", "app"), 2) == (None, None)
    harness.wait_for("it is counted", lambda: hosts.refused()["strangers"] > before)
    assert re.search(r"PEER_REFUSED address=\S+ key=.* its key is in no entry of bus.peers", hosts.said())


def test_nor_does_one_without_encryption_or_with_another_idea_of_the_broker(hosts):
    before = hosts.refused()["strangers"]
    with wire.Peer(hosts.endpoint()) as peer:
        assert peer.ask(wire.hello("client", "app"), 1) == (None, None)
    harness.wait_for("it is counted", lambda: hosts.refused()["strangers"] > before)
    before = hosts.refused()["strangers"]
    with hosts.peer("app", server=hosts.keys["stranger"][1]) as peer:
        assert peer.ask(wire.hello("client", "app"), 1) == (None, None)
    harness.wait_for("it is counted", lambda: hosts.refused()["strangers"] > before)


@pytest.mark.parametrize("name,role,as_name", [("app", "gateway", "gateway"), ("app", "connector", "stripe"), ("stripe-host", "client", "app"),
                                               ("stripe-host", "connector", "paypal")])
def test_a_key_is_one_peer_in_one_role(hosts, name, role, as_name):
    with hosts.peer(name) as peer:
        kind, body = peer.ask(wire.hello(role, as_name, manifest='{"name":"payment","operations":[],"webhooks":[]}'))
        assert (kind, body["code"]) == (wire.REFUSED, "bad_identity")


def test_a_peer_says_and_takes_what_its_entry_names(hosts):
    with hosts.peer("app") as peer:
        assert peer.ask(wire.hello("client", "app"))[0] == wire.WELCOME
        assert peer.ask(wire.frame(wire.PUBLISH, wire.record(wire.FACT, b"order.made"), ref=1, count=1))[0] == wire.PUBLISHED
        for ref, event_type in enumerate((b"other.made", b"stripe.checkout.session.completed", b"order.item.made"), 2):
            kind, body = peer.ask(wire.frame(wire.PUBLISH, wire.record(wire.FACT, event_type), ref=ref, count=1))
            assert (kind, body["code"]) == (wire.REFUSED, "forbidden"), event_type
        for request in (wire.frame(wire.SUBSCRIBE, b"\x81\xa5group\xa6others"), wire.frame(wire.ADMIN, b"\x81\xa7command\xa6status"),
                        wire.frame(wire.REPLAY, bytes(16))):
            kind, body = peer.ask(request)
            assert (kind, body["code"]) == (wire.REFUSED, "forbidden"), request
    assert "RIGHT_REFUSED name=app" in hosts.said()


def test_an_acknowledgement_of_anothers_event_is_not_taken(hosts):
    with hosts.peer("holder") as holder, hosts.peer("app") as forger:
        for peer, name in ((holder, "holder"), (forger, "app")):
            assert peer.ask(wire.hello("client", name))[0] == wire.WELCOME
        holder.send(wire.frame(wire.SUBSCRIBE, b"\x81\xa5group\xa6orders"))
        forger.ask(wire.frame(wire.PUBLISH, wire.record(wire.FACT, b"order.forged"), ref=1, count=1))
        mine = None
        while not mine:  # what the tests before this one published comes too
            delivery = holder.receive(10)
            assert delivery and delivery[3] == wire.DELIVER
            mine = next(((block, index) for block, index, event_type in wire.positions(delivery) if event_type == "order.forged"), None)
        before = hosts.refused()["results_not_held"]
        forger.send(wire.frame(wire.SUBSCRIBE, b"\x82\xa5group\xa6orders\xaccredit_events\x00"))
        forger.ask(wire.frame(wire.RESULT, wire.ack(*mine), ref=2, count=1))
        assert hosts.refused()["results_not_held"] == before + 1
        assert "RESULT_NOT_HELD name=app" in hosts.said()
        orders = next(group for group in hosts.status()["groups"] if group["name"] == "orders")
        assert orders["pending"] >= 1
        assert holder.ask(wire.frame(wire.RESULT, wire.ack(*mine), ref=1, count=1))[0] == wire.SETTLED


def subscriber(hosts, name):
    context = zmq.Context()
    sub = context.socket(zmq.SUB)
    sub.linger = 0
    sub.curve_secretkey, sub.curve_publickey = (key.encode() for key in hosts.keys[name])
    sub.curve_serverkey = hosts.server.encode()
    sub.subscribe(b"order.")
    sub.connect(f"tcp://{hosts.host.address}:{hosts.port_of_live}")
    return context, sub


def test_live_topics_are_for_those_who_may_observe(hosts):
    watching, other = subscriber(hosts, "watcher"), subscriber(hosts, "app")
    try:
        with hosts.peer("app") as peer:
            assert peer.ask(wire.hello("client", "app"))[0] == wire.WELCOME

            def is_seen():
                is_seen.ref += 1
                peer.ask(wire.frame(wire.PUBLISH, wire.record(wire.FACT, b"order.seen"), ref=is_seen.ref, count=1))
                return watching[1].poll(200)
            is_seen.ref = 0
            harness.wait_for("the one that may sees the topic", is_seen)
        assert watching[1].recv_multipart()[0] == b"order.seen"
        assert not other[1].poll(200)
    finally:
        for context, _ in (watching, other):
            context.destroy()


def test_a_peer_whose_line_is_cut_is_found_and_its_work_goes_elsewhere(hosts):
    with hosts.peer("app") as settler:  # what is left of the tests before is settled here, so that the next one is alone
        assert settler.ask(wire.hello("client", "app"))[0] == wire.WELCOME
        settler.send(wire.frame(wire.SUBSCRIBE, b"\x81\xa5group\xa6orders"))
        ref = 0
        while (delivery := settler.receive(3)) is not None:
            if delivery[3] == wire.DELIVER:
                ref += 1
                settler.send(wire.frame(wire.RESULT, b"".join(wire.ack(block, index) for block, index, _ in wire.positions(delivery)), ref=ref))
        settler.send(wire.frame(wire.BYE, b"\x80"))
    secret, public = hosts.keys["holder"]
    far = hosts.host.start([sys.executable, str(HERE / "netpeer.py"), hosts.endpoint(), "orders", secret, public, hosts.server],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(far.stdout.readline()) == {"joined": True}
        with hosts.peer("app") as peer:
            assert peer.ask(wire.hello("client", "app"))[0] == wire.WELCOME
            assert peer.ask(wire.frame(wire.PUBLISH, wire.record(wire.FACT, b"order.cut"), ref=1, count=1))[0] == wire.PUBLISHED
            assert json.loads(far.stdout.readline()) == {"got": ["order.cut"]}
            hosts.host.cut()
            peer.send(wire.frame(wire.SUBSCRIBE, b"\x81\xa5group\xa6orders"))

            def comes():
                peer.send(wire.frame(wire.PING))
                got = peer.receive(1)
                return got and got[3] == wire.DELIVER and "order.cut" in [event_type for _, _, event_type in wire.positions(got)]
            harness.wait_for("the event goes to the one that can be reached, long before the lease of 30 s", comes, 22)
    finally:
        far.kill()
        far.wait()


def test_who_may_observe_no_more_is_put_out_though_it_was_connected(hosts):
    def publish(peer, ref):
        return peer.ask(wire.frame(wire.PUBLISH, wire.record(wire.FACT, b"order.watched"), ref=ref, count=1))[0] == wire.PUBLISHED

    context, sub = subscriber(hosts, "watcher")
    try:
        with hosts.peer("app") as peer:
            assert peer.ask(wire.hello("client", "app"))[0] == wire.WELCOME
            refs = iter(range(1, 1000))
            harness.wait_for("it is connected", lambda: publish(peer, next(refs)) and sub.poll(200))
        path = hosts.home / "signalbox.yaml"
        path.write_text(path.read_text().replace("observe: true", "observe: false"))
        broker = hosts.pids()["broker"]
        hosts.cli("reload")
        harness.wait_for("another broker serves", lambda: hosts.pids().get("broker", broker) != broker and
                         harness.port_answers(hosts.port, "/readyz"), 30)
        while sub.poll(100):
            sub.recv_multipart()
        with hosts.peer("app") as peer:
            harness.wait_for("the broker knows us", lambda: peer.ask(wire.hello("client", "app"))[0] == wire.WELCOME)
            assert publish(peer, 1)
            assert not sub.poll(1500)
    finally:
        context.destroy()

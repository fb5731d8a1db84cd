#!/usr/bin/python3
# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A connector on the bare wire protocol, from proto/README.md alone (Debian: python3-zmq, python3-msgpack, python3-xxhash).

It serves the operation `text.count`: {"text": "..."} -> {"words": 2, "letters": 9}. On the broker's host:

    signalbox key server                                    # shows BROKER_KEY
    signalbox key new counter --integration words           # makes counter.key, prints the stanza for bus.peers

    bus: { listen: 127.0.0.1:7070, peers: { counter: { public_key: "...", role: connector, integration: words } } }
    integrations: { words: { connector: text } }

and here:

    wire_connector.py --bus tcp://127.0.0.1:7070 --broker-key BROKER_KEY --key-file counter.key --integration words

The conformance kit tries it:

    signalbox connector check ipc:///tmp/kit.sock           # waits for it
    wire_connector.py --bus ipc:///tmp/kit.sock --integration words
"""
import argparse
import json
import os
import secrets
import struct
import sys
import time

import msgpack
import xxhash
import zmq

HEADER = struct.Struct("<HBBHHIIQ")  # magic, version, type, flags, 0, body_len, count, ref
RECORD = struct.Struct("<IIHBBBBBBQQQQ16s16sII")
SLICE = struct.Struct("<QIIIHHQ")  # block, index, count, bytes, attempt, flags, timestamp_us
POSITION = struct.Struct("<QII")
HELLO, WELCOME, REFUSED, SUBSCRIBE, DELIVER, RESULT, SETTLED, PING, BYE = 1, 2, 5, 6, 8, 9, 10, 16, 18
OUTCOME, SUCCESS, FAILED, PERMANENT, DEADLINE, IS_JSON, ERROR_MSG = 2, 1, 2, 1, 3, 16, 10
ANSWER_S = 5  # without an answer for so long the connection is made anew
MANIFEST = {"name": "text", "version": "1", "summary": "counts words", "operations": [
    {"name": "count", "summary": "Count the words and letters of a text", "repeat": "safe", "example": {"text": "two words"}}], "webhooks": [], "publishes": []}


class Refused(Exception):
    """The request can not be done; the text says why and is stored."""


def count(data):
    """The operation: its data as an object -> the outcome's data, or Refused."""
    text = data.get("text") if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise Refused("`text` is missing; expected {\"text\": \"...\"}")
    return {"words": len(text.split()), "letters": sum(letter.isalpha() for letter in text)}


# --- bytes ---

def frame(kind, body=b"", ref=0, number=0):
    return HEADER.pack(0x4253, 1, kind, 0, 0, len(body), number, ref) + body


def new_id():
    """A UUIDv7: 48 bits of milliseconds, the rest random."""
    raw = bytearray(int(time.time() * 1000).to_bytes(6, "big") + secrets.token_bytes(10))
    raw[6], raw[8] = raw[6] & 0x0F | 0x70, raw[8] & 0x3F | 0x80
    return bytes(raw)


def outcome(request, status, data, error=None, why=PERMANENT):
    """The record that settles a request."""
    event_type = f"text.count.{'succeeded' if status == SUCCESS else 'failed'}".encode()
    attributes = msgpack.packb({ERROR_MSG: error}) if error else b""
    body = json.dumps(data).encode()
    length = (RECORD.size + len(event_type) + len(attributes) + len(body) + 7) // 8 * 8
    head = RECORD.pack(length, len(body), len(attributes), OUTCOME, status, why if error else 0, IS_JSON, len(event_type), request["attempt"],
                       xxhash.xxh3_64_intdigest(event_type), 0, time.time_ns() // 1000, request["block"], new_id(), request["id"], 0, request["index"])
    return (head + event_type + attributes + body).ljust(length, b"\0")


def requests_of(body):
    """The records of a DELIVER."""
    at = 0
    while at < len(body):
        block, index, n, _, attempt, _, _ = SLICE.unpack_from(body, at)
        at += SLICE.size
        for i in range(n):
            fields = RECORD.unpack_from(body, at)
            length, data_len, attr_len, type_len, own = fields[0], fields[1], fields[2], fields[7], fields[13]
            start = at + RECORD.size + type_len + attr_len
            yield {"block": block, "index": index + i, "attempt": attempt, "id": own, "deadline_us": fields[12], "data": body[start:start + data_len]}
            at += length


# --- the session ---

class Connector:
    def __init__(self, options):
        self.options, self.instance = options, secrets.token_bytes(16)
        self.secret = None  # on the same host, where there is no encryption
        if options.key_file:
            with open(options.key_file) as file:
                self.secret = file.read().strip().encode()
        self.context, self.socket = zmq.Context(), None
        self.number = 0      # of the last RESULT
        self.unanswered = {}  # number -> (frame, positions): kept until they are committed
        self.joined, self.heard, self.pinged, self.ping_s = False, 0, 0, 2

    def connect(self):
        if self.socket:
            self.socket.close()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger, self.socket.immediate, self.socket.maxmsgsize = 0, True, 4 << 20
        if self.secret:
            self.socket.curve_secretkey, self.socket.curve_publickey = self.secret, zmq.curve_public(self.secret)
            self.socket.curve_serverkey = self.options.broker_key.encode()
        self.socket.connect(self.options.bus)
        self.hello()

    def hello(self):
        self.joined, self.heard = False, time.monotonic()
        running = sorted(position for _, positions in self.unanswered.values() for position in positions)
        self.send(frame(HELLO, msgpack.packb({
            "version": 1, "role": "connector", "name": self.options.integration, "instance": self.instance, "pid": os.getpid(),
            "manifest": json.dumps(MANIFEST), "batch": self.number, "running": b"".join(POSITION.pack(*position, 0) for position in running)})))

    def send(self, message):
        try:
            self.socket.send(message, zmq.NOBLOCK)
        except zmq.Again:  # no connection yet, or a full pipe: all that matters is sent again
            pass

    def on_welcome(self, body):
        terms = msgpack.unpackb(body)
        self.joined, self.ping_s = True, terms["ping_ms"] / 1000
        print("joined", flush=True)
        self.unanswered = {number: kept for number, kept in self.unanswered.items() if number > terms["last_batch"]}
        for number in sorted(self.unanswered):
            self.send(self.unanswered[number][0])
        self.send(frame(SUBSCRIBE, msgpack.packb({"group": self.options.integration, "credit_events": 64, "credit_bytes": 4 << 20}), ref=1 << 61))

    def on_refused(self, body, ref):
        why = msgpack.unpackb(body)
        if why["code"] == "not_joined":  # the broker was restarted: join again
            self.hello()
        elif ref in self.unanswered:
            print(f"a result was refused: {why}", file=sys.stderr)
            del self.unanswered[ref]
        elif not why["retry_after_ms"]:
            sys.exit(f"the broker refused this connector: {why['code']}: {why['detail']}")
        else:
            time.sleep(why["retry_after_ms"] / 1000)
            self.hello()

    def on_deliver(self, body):
        records, positions = [], []
        for request in requests_of(body):
            if 0 < request["deadline_us"] < time.time_ns() // 1000:
                records.append(outcome(request, FAILED, {}, "the deadline passed before an attempt could start", DEADLINE))
                positions.append((request["block"], request["index"]))
                continue
            try:
                records.append(outcome(request, SUCCESS, count(json.loads(request["data"]))))
            except (Refused, ValueError) as error:
                records.append(outcome(request, FAILED, {}, str(error)))
            positions.append((request["block"], request["index"]))
        self.number += 1
        self.unanswered[self.number] = frame(RESULT, b"".join(records), ref=self.number, number=len(records)), positions
        self.send(self.unanswered[self.number][0])

    def hear(self, message):
        _, _, kind, _, _, _, _, ref = HEADER.unpack_from(message)
        body, self.heard = message[HEADER.size:], time.monotonic()
        if kind == WELCOME:
            self.on_welcome(body)
        elif kind == REFUSED:
            self.on_refused(body, ref)
        elif kind == DELIVER:
            self.on_deliver(body)
        elif kind == SETTLED:
            self.unanswered.pop(ref, None)

    def run(self):
        self.connect()
        while True:
            if self.socket.poll(200):
                self.hear(self.socket.recv())
            now = time.monotonic()
            if now - self.heard > ANSWER_S:
                self.connect()
            elif self.joined and now - self.pinged > self.ping_s:
                self.pinged = now
                self.send(frame(PING))  # nothing is started and not answered between two turns
            elif not self.joined and now - self.heard > 1:
                heard = self.heard
                self.hello()
                self.heard = heard


def main():
    parser = argparse.ArgumentParser(description="the operation text.count as a connector on the bare wire")
    parser.add_argument("--bus", required=True)
    parser.add_argument("--integration", required=True)
    parser.add_argument("--broker-key")
    parser.add_argument("--key-file")
    options = parser.parse_args()
    if options.bus.startswith("tcp:") and not (options.broker_key and options.key_file):
        parser.error("tcp is encrypted: --broker-key and --key-file are needed")
    connector = Connector(options)
    try:
        connector.run()
    except KeyboardInterrupt:
        connector.send(frame(BYE, msgpack.packb({"reason": "stopped"})))
        connector.socket.close(500)


if __name__ == "__main__":
    main()

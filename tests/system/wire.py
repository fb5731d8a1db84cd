# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The bus as seen by a program that has only proto/README.md: frames, records, a peer. What it sends need not be right."""
import os
import struct

import msgpack
import zmq

HEADER = struct.Struct("<HBBHHIIQ")
RECORD = struct.Struct("<IIHBBBBBBQQQQ16s16sII")
SLICE = struct.Struct("<QIIIHHQ")
ACK = struct.Struct("<IIIIQ")
HELLO, WELCOME, PUBLISH, PUBLISHED, REFUSED, SUBSCRIBE, CREDIT, DELIVER, RESULT, SETTLED = range(1, 11)
WAIT, OUTCOME, REPLAY, ADMIN, ANSWER, PING, PONG, BYE = range(11, 19)
REQUEST, FACT, RECORD_ACK = 1, 3, 18


def frame(kind, body=b"", ref=1, count=0, length=None, flags=0):
    return HEADER.pack(0x4253, 1, kind, flags, 0, len(body) if length is None else length, count, ref) + body


def hello(role, name, instance=None, **more):
    return frame(HELLO, msgpack.packb({"version": 1, "role": role, "name": name, "instance": instance or os.urandom(16), "pid": os.getpid(),
                                       "batch": 0, **more}))


def record(kind, event_type, data=b"{}", type_hash=None, **fields):
    """A record; its hash is right when python3-xxhash is there and none is given, which a test of refusals does not need."""
    if type_hash is None:
        try:
            import xxhash
            type_hash = xxhash.xxh3_64_intdigest(event_type)
        except ImportError:
            type_hash = 0
    attributes = fields.get("attributes", b"")
    body = event_type + attributes + data
    length = (RECORD.size + len(body) + 7) // 8 * 8
    head = RECORD.pack(length, len(data), len(attributes), kind, fields.get("status", 0), fields.get("error_class", 0), fields.get("flags", 0), len(event_type),
                       0, type_hash if event_type else 0, 0, 0, fields.get("cause_block", 0), fields.get("id", os.urandom(16)), bytes(16), 0,
                       fields.get("cause_index", 0))
    return (head + body).ljust(length, b"\0")


def ack(block, first, count=1):
    return record(RECORD_ACK, b"", ACK.pack(0, first, count, 1, block), id=bytes(16))


def positions(message):
    """(block, index, type) of each record of a DELIVER."""
    body, at, found = message[HEADER.size:], 0, []
    while at < len(body):
        block, index, count, size, _, _, _ = SLICE.unpack_from(body, at)
        at += SLICE.size
        for i in range(count):
            head = RECORD.unpack_from(body, at)
            found.append((block, index + i, body[at + RECORD.size:at + RECORD.size + head[7]].decode()))
            at += head[0]
        assert size
    return found


class Peer:
    """A DEALER at the bus of a system, or at an endpoint with keys (our secret, our public, the broker's public)."""

    def __init__(self, endpoint, keys=None):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        if keys:
            self.socket.curve_secretkey, self.socket.curve_publickey, self.socket.curve_serverkey = (key.encode() for key in keys)
        self.socket.connect(endpoint)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.destroy()

    def send(self, message):
        self.socket.send(message)

    def receive(self, seconds=3):
        """The next frame; None when there is none."""
        return self.socket.recv() if self.socket.poll(seconds * 1000) else None

    def ask(self, message, seconds=3):
        """(message type, body as a map) of the first answer; (None, None) when there is none."""
        self.send(message)
        answer = self.receive(seconds)
        if answer is None:
            return None, None
        return answer[3], msgpack.unpackb(answer[HEADER.size:]) if answer[3] in (WELCOME, REFUSED) else answer

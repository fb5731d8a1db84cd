# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Watch events as they are committed, and miss none: python3 subscribe.py RUN [TYPE-PREFIX] prints one JSON object a line.

RUN is the directory `run` of signalbox.yaml.  Live topics are a view that may drop what a subscriber is too slow for.  Each event
carries `seq`, a count of its type, so that a gap is seen, and `block` and `index`, where it stands in the log, so that the gap is
filled by a replay over the bus.  Needs pyzmq and msgpack.  The wire is described in proto/README.md.
"""
import json
import os
import struct
import sys

import msgpack
import zmq

HEADER, RECORD, SLICE = struct.Struct("<HBBHHIIQ"), struct.Struct("<IIHBBBBBBQQQQ16s16sII"), struct.Struct("<QIIIHHQ")
HELLO, WELCOME, REFUSED, CREDIT, DELIVER, REPLAY, PING, BYE = 1, 2, 5, 7, 8, 13, 16, 18
EVENTS, BYTES, SILENCE_MS = 1000, 4 << 20, 10000


def send(socket, kind, body=b""):
    socket.send(HEADER.pack(0x4253, 1, kind, 0, 0, len(body), 0, 1) + body)


def records(body):
    """(position, type, id, data) of each record of a DELIVER."""
    at = 0
    while at < len(body):
        block, index, count, _, _, _, _ = SLICE.unpack_from(body, at)
        at += SLICE.size
        for i in range(count):
            length, data_len, attr_len, _, _, _, _, type_len, _, _, _, _, _, event_id, _, _, _ = RECORD.unpack_from(body, at)
            start = at + RECORD.size
            data = start + type_len + attr_len
            yield (block, index + i), body[start:start + type_len].decode(), event_id.hex(), body[data:data + data_len]
            at += length


def replay(context, run, after, until, event_type):
    """The events of a type between two positions, both left out, from the log."""
    bus = context.socket(zmq.DEALER)
    bus.linger = 1000
    bus.connect(f"ipc://{run}/bus.sock")
    send(bus, HELLO, msgpack.packb({"version": 1, "role": "client", "name": "subscribe.py", "instance": os.urandom(16), "pid": os.getpid(), "batch": 0}))
    while bus.poll(SILENCE_MS):
        frame = bus.recv()
        kind, body = HEADER.unpack_from(frame)[2], frame[HEADER.size:]
        if kind == WELCOME:
            send(bus, CREDIT, struct.pack("<II", EVENTS, BYTES))
            send(bus, REPLAY, struct.pack("<QII", after[0], after[1] + 1, 0))
        elif kind == REFUSED:
            raise SystemExit(f"the gap before block {until[0]} cannot be filled: {msgpack.unpackb(body)}")
        elif kind == DELIVER:
            found = list(records(body))
            yield from (one for one in found if after < one[0] < until and one[1] == event_type)
            if found[-1][0] >= until:
                send(bus, BYE, msgpack.packb({"reason": "done"}))
                bus.close()
                return
            send(bus, CREDIT, struct.pack("<II", len(found), len(body)))
    raise SystemExit("the broker is silent")


def show(position, event_type, event_id, data, **more):
    print(json.dumps({"type": event_type, "id": event_id.replace("-", ""), "block": position[0], "index": position[1], **more,
                      "data": data.decode(errors="replace")}), flush=True)


def main(run, prefix=""):
    context = zmq.Context()
    live = context.socket(zmq.SUB)
    live.connect(f"ipc://{run}/live.sock")
    live.subscribe(prefix)
    last = {}  # type -> (seq, position)
    print("subscribed", file=sys.stderr, flush=True)
    while True:
        event_type, packed = live.recv_multipart()
        event = msgpack.unpackb(packed, strict_map_key=False)
        event_type, position = event_type.decode(), (event["block"], event["index"])
        seq, seen = last.get(event_type, (event["seq"] - 1, (0, 0)))
        if seen >= position:
            continue  # the replay has shown it
        if event["seq"] != seq + 1:  # also when the broker began anew
            print(f"gap in {event_type}: {seq} to {event['seq']}", file=sys.stderr, flush=True)
            for one in replay(context, run, seen, position, event_type):
                show(*one, replayed=True)
        show(position, event_type, event["id"], event["data"])
        last[event_type] = event["seq"], position


if __name__ == "__main__":
    main(*sys.argv[1:])

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A consumer that holds what it is given, for tests that run it in another network namespace: says each delivery as a JSON line and goes on
pinging; ends with its standard input."""
import json
import select
import sys
import time

import msgpack
import wire


def main(endpoint, group, *keys):
    with wire.Peer(endpoint, keys) as peer:
        said, _ = peer.ask(wire.hello("client", "netpeer"), 10)
        print(json.dumps({"joined": said == wire.WELCOME}), flush=True)
        peer.send(wire.frame(wire.SUBSCRIBE, msgpack.packb({"group": group, "credit_events": 100, "credit_bytes": 1 << 20})))
        pinged = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            if time.monotonic() - pinged > 1:
                peer.send(wire.frame(wire.PING))
                pinged = time.monotonic()
            got = peer.receive(0.2)
            if got and got[3] == wire.DELIVER:
                print(json.dumps({"got": [event_type for _, _, event_type in wire.positions(got)]}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

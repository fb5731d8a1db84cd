# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes that a proxy in front could read as other requests than we do: one answer, and nothing behind it is a request."""
import re
import socket

import pytest

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"  # answered 200 if it were taken for a request
POST = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /readyz HTTP/1.1\r\n"

HEADS = {
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    "two equal lengths": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "a signed length": POST + b"Content-Length: +5\r\n\r\nhello",
    "a negative length": POST + b"Content-Length: -5\r\n\r\nhello",
    "a hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "a length with a tail": POST + b"Content-Length: 5 5\r\n\r\nhello",
    "two encodings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an encoding before chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked and a name": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown encoding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /v1/events HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "a blank before the name": POST + b" Content-Length: 5\r\n\r\nhello",
    "a folded line": POST + b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a folded encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a lone LF between headers": POST + b"X-A: b\nContent-Length: 0\r\n\r\n",
    "a lone LF at the end": POST + b"Content-Length: 0\r\n\n",
    "a lone CR in a value": POST + b"X-A: b\rContent-Length: 5\r\nContent-Length: 0\r\n\r\n",
    "a NUL in a value": POST + b"X-A: b\0c\r\nContent-Length: 0\r\n\r\n",
    "a NUL in a name": POST + b"X\0A: b\r\nContent-Length: 0\r\n\r\n",
    "a NUL in the target": b"GET /readyz\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header without a colon": POST + b"X-A b\r\nContent-Length: 0\r\n\r\n",
    "a header without a name": POST + b": b\r\nContent-Length: 0\r\n\r\n",
    "a quoted name": POST + b'"X": b\r\nContent-Length: 0\r\n\r\n',
    "two hosts": GET + b"Host: x\r\nHost: y\r\n\r\n",
    "no host": GET + b"\r\n",
    "no version": b"GET /readyz\r\n\r\n",
    "two blanks": b"GET  /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab for a blank": b"GET\t/readyz HTTP/1.1\r\nHost: x\r\n\r\n",
    "four words": b"GET /readyz HTTP/1.1 X\r\nHost: x\r\n\r\n",
    "a method of no token": b"G{T /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
}
BODIES = {  # the framing of a chunked body
    "a size in C's way": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a blank behind a size": b"5 \r\nhello\r\n0\r\n\r\n",
    "a blank before a size": b" 5\r\nhello\r\n0\r\n\r\n",
    "a signed size": b"+5\r\nhello\r\n0\r\n\r\n",
    "a negative size": b"-1\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "an extension alone": b";x\r\nhello\r\n0\r\n\r\n",
    "more than the size": b"5\r\nhelloXX0\r\n\r\n",
    "no end of line": b"5\r\nhello0\r\n\r\n",
}
LARGE = {
    "a header of 100 KiB": POST + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n",
    "ten thousand headers": POST + b"X-A: b\r\n" * 10_000 + b"\r\n",
    "a target of 100 KiB": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}
# Both may end a body elsewhere than the sender meant; they are read, and then the connection is over.
ENDS_THE_CONNECTION = {
    "an extension": b"5;a=b\r\nhello\r\n0\r\n\r\n",
    "an extension that ends in LF": b"5;a\nhello\r\n0\r\n\r\n",
    "LF for line ends": b"5\nhello\n0\n\n",
    "a lone CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "a trailer with a length": b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n",
}


def statuses(port, data):
    """The statuses of all answers until the connection ends; it must end."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as s:
        try:
            s.sendall(data)
            while more := s.recv(65536):
                got += more
        except ConnectionError:
            pass  # it was ended while we still sent
    return answers(got)


def answers(got):
    """The statuses of the answers in these bytes, as their lengths say. libmicrohttpd writes the head of its own refusals twice: the
    second is within what the first says is its body."""
    found = []
    while got.startswith(b"HTTP/1.1 "):
        head, _, rest = got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: (\d+)", head, re.M)
        found.append(int(head[9:12]))
        got = rest[int(length[1]):] if length else b""
    return found


@pytest.mark.parametrize("name", HEADS)
def test_a_head_with_two_meanings_is_400(shared, name):
    assert statuses(shared.port, HEADS[name] + HIDDEN) == [400]


@pytest.mark.parametrize("name", BODIES)
def test_a_chunked_body_that_is_none_is_400(shared, name):
    assert statuses(shared.port, CHUNKED + BODIES[name] + HIDDEN) == [400]


@pytest.mark.parametrize("name", ENDS_THE_CONNECTION)
def test_nothing_behind_a_chunked_body_is_a_request(shared, name):
    assert statuses(shared.port, CHUNKED + ENDS_THE_CONNECTION[name] + HIDDEN) == [401]


@pytest.mark.parametrize("name", LARGE)
def test_a_head_over_the_limit_is_refused(shared, name):
    found = statuses(shared.port, LARGE[name] + HIDDEN)
    assert found in ([], [400], [413], [414], [431]), found  # [] where the end came before the answer was read


def test_another_version_is_505(shared):
    assert statuses(shared.port, b"GET /readyz HTTP/3.0\r\nHost: x\r\n\r\n" + HIDDEN) == [505]


def test_the_gateway_serves_on(shared):
    assert shared.is_ready()

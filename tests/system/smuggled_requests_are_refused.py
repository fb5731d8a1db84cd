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
    "two lengths in two cases": POST + b"Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "two lengths in a list": POST + b"Content-Length: 5, 6\r\n\r\nhello",
    "a folded length": POST + b"Content-Length:\r\n 5\r\n\r\nhello",
    "a length folded by a tab": POST + b"X-A: b\r\n\tContent-Length: 5\r\n\r\nhello",
    "a tab before the colon": POST + b"Content-Length\t: 5\r\n\r\nhello",
    "an LF before the colon": POST + b"Content-Length\n: 5\r\n\r\nhello",
    "the request line ends in LF": b"GET /readyz HTTP/1.1\nHost: x\r\n\r\n",
    "the request line ends in CR CR LF": b"GET /readyz HTTP/1.1\r\r\nHost: x\r\n\r\n",
    "the request line is folded": b"GET /readyz HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n",
    "a blank behind the version": b"GET /readyz HTTP/1.1 \r\nHost: x\r\n\r\n",
    "a version in small letters": b"GET /readyz http/1.1\r\nHost: x\r\n\r\n",
    "a version of two digits": b"GET /readyz HTTP/1.10\r\nHost: x\r\n\r\n",
    "a version with a zero before": b"GET /readyz HTTP/01.1\r\nHost: x\r\n\r\n",
    "a version without its second half": b"GET /readyz HTTP/1\r\nHost: x\r\n\r\n",
    "a control character in the target": b"GET /rea\x01dyz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a byte of no ASCII in the target": b"GET /readyz\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "a fragment in the target": b"GET /readyz#x HTTP/1.1\r\nHost: x\r\n\r\n",
    "a bell in a value": POST + b"X-A: b\x07c\r\nContent-Length: 0\r\n\r\n",
    "a DEL in a value": POST + b"X-A: b\x7fc\r\nContent-Length: 0\r\n\r\n",
    "brackets in a name": POST + b"X(A): b\r\nContent-Length: 0\r\n\r\n",
    "a name of no ASCII": POST + "X-\u00c4: b\r\nContent-Length: 0\r\n\r\n".encode(),
    "a length and chunks of a GET": GET + b"Host: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}
for name, value in {  # of Content-Length
        "none": b"", "a blank": b" ", "a fraction": b"5.0", "an exponent": b"5e0", "a comma behind": b"5,", "a comma before": b",5", "a vertical tab": b"\x0b5",
        "a NUL": b"5\0", "a blank of no ASCII": b"\xa05", "quotes": b'"5"', "minus zero": b"-0", "an underscore": b"1_0", "a digit of no ASCII": b"\xd9\xa5"}.items():
    HEADS[f"a length: {name}"] = POST + b"Content-Length: " + value + b"\r\n\r\nhello"
for name, lines in {  # of Transfer-Encoding, which one reader takes for chunked and another does not
        "a blank before the colon": b"Transfer-Encoding : chunked", "a tab before the colon": b"Transfer-Encoding\t: chunked",
        "a vertical tab": b"Transfer-Encoding: \x0bchunked", "a form feed": b"Transfer-Encoding: chunked\x0c", "a blank of no ASCII": b"Transfer-Encoding: \xa0chunked",
        "a DEL": b"Transfer-Encoding: chunked\x7f", "a NUL": b"Transfer-Encoding: chunked\0", "a NUL in the name": b"Transfer-Encoding\0: chunked",
        "a CR in the name": b"Transfer\rEncoding: chunked", "behind a CR": b"X: y\rTransfer-Encoding: chunked", "behind an LF": b"X: y\nTransfer-Encoding: chunked",
        "folded by LF": b"Transfer-Encoding:\n chunked", "a comma behind": b"Transfer-Encoding: chunked,", "a comma before": b"Transfer-Encoding: ,chunked",
        "chunked twice": b"Transfer-Encoding: chunked, chunked", "quotes": b'Transfer-Encoding: "chunked"', "a parameter": b"Transfer-Encoding: chunked;q=1",
        "nothing": b"Transfer-Encoding:", "identity": b"Transfer-Encoding: identity", "a letter less": b"Transfer-Encoding: chunke",
        "identity, then chunked": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "chunked, then nothing": b"Transfer-Encoding: chunked\r\nTransfer-Encoding:",
        "another case, and a length": b"content-length: 0\r\nTRANSFER-ENCODING: CHUNKED", "and an empty length": b"Content-Length:\r\nTransfer-Encoding: chunked"}.items():
    HEADS[f"an encoding: {name}"] = POST + lines + b"\r\n\r\n0\r\n\r\n"
for name, value in {"with a user": b"u@x", "with a path": b"x/y", "in a list": b"x, y", "with a blank": b"x y", "with a backslash": b"x\\y", "with a query": b"x?y"}.items():
    HEADS[f"a host {name}"] = GET + b"Host: " + value + b"\r\n\r\n"
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
    "a digit that is none": b"5g\r\nhello\r\n0\r\n\r\n",
    "an underscore in a size": b"0_5\r\nhello\r\n0\r\n\r\n",
    "a comma behind a size": b"5,\r\nhello\r\n0\r\n\r\n",
    "a tab behind a size": b"5\t\r\nhello\r\n0\r\n\r\n",
    "a blank before an extension": b"5 ;a=b\r\nhello\r\n0\r\n\r\n",
    "a vertical tab behind a size": b"5\x0b\r\nhello\r\n0\r\n\r\n",
    "a NUL behind a size": b"5\0\r\nhello\r\n0\r\n\r\n",
    "a CR for the end of a size": b"5\rhello\r\n0\r\n\r\n",
    "CR CR LF behind a size": b"5\r\r\nhello\r\n0\r\n\r\n",
    "CR LF within an extension's quotes": b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n',
    "a trailer without a colon": b"5\r\nhello\r\n0\r\nX y\r\n\r\n",
    "a last size in C's way": b"5\r\nhello\r\n0x0\r\n\r\n",
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
    "a trailer with an encoding": b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a trailer with a host": b"5\r\nhello\r\n0\r\nHost: evil\r\n\r\n",
    "a folded trailer": b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
    "a trailer that ends in LF": b"5\r\nhello\r\n0\r\nX: y\n\r\n",
    "a NUL in a trailer": b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
    "a NUL in an extension": b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "an extension of 20 KB": b"5;" + b"a" * 20_000 + b"\r\nhello\r\n0\r\n\r\n",
    "an extension of the last chunk": b"5\r\nhello\r\n0;a\r\n\r\n",
    "LF behind a chunk": b"5\r\nhello\n0\r\n\r\n",
    "a size with 5,000 zeros before": b"0" * 5_000 + b"5\r\nhello\r\n0\r\n\r\n",
    "two zeros for the last size": b"5\r\nhello\r\n00\r\n\r\n",
}
# All that follows is body, or no request at all: there is never an answer.
SWALLOWS_ALL = {
    "a size of 64 bits": CHUNKED + b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "a size that is negative for others": CHUNKED + b"8000000000000000\r\nhello\r\n0\r\n\r\n",
    "a size over what follows": CHUNKED + b"500\r\nhello\r\n0\r\n\r\n",
    "a length over what follows": POST + b"Content-Length: 500\r\n\r\nhello",
    "a blank before the request": b" GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
}
# Over any limit, in numbers that a careless reader wraps to small ones.
TOO_LARGE = {
    "a length of 2^64 + 5": POST + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "a length of 2^63 + 5": POST + b"Content-Length: 9223372036854775813\r\n\r\nhello",
    "a length of forty digits": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nhello",
    "a size of 2^64 + 5": CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n",
}


def statuses(port, data, is_all=False):
    """The statuses of all answers until the connection ends; it must end. is_all: we say that nothing follows."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as s:
        try:
            s.sendall(data)
            if is_all:
                s.shutdown(socket.SHUT_WR)
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


@pytest.mark.parametrize("name", SWALLOWS_ALL)
def test_what_is_body_or_nothing_is_never_a_request(shared, name):
    assert statuses(shared.port, SWALLOWS_ALL[name] + HIDDEN, is_all=True) == []


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_number_over_every_limit_is_413_and_never_a_small_one(shared, name):
    assert statuses(shared.port, TOO_LARGE[name] + HIDDEN) == [413]


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/3.0"])
def test_another_version_is_505(shared, version):
    assert statuses(shared.port, b"GET /readyz " + version + b"\r\nHost: x\r\n\r\n" + HIDDEN) == [505]


def test_nothing_behind_an_error_is_a_request_but_behind_a_good_answer_it_is(shared):
    last = GET + b"Host: x\r\nConnection: close\r\n\r\n"
    assert statuses(shared.port, POST + b"Content-Length: 5, 5\r\n\r\n" + HIDDEN * 3) == [400]
    assert statuses(shared.port, GET + b"Host: x\r\n\r\n" + HIDDEN + last) == [200, 200, 200]
    assert statuses(shared.port, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" + last) == [404, 200]


@pytest.mark.parametrize("first", [b"GET /readyz", b"POST /nothing", b"POST /v1/events", b"PUT /webhooks/stripe"])
def test_a_request_within_a_body_is_body(shared, first):
    """However the first one is answered: with, without and before its body was wanted."""
    head = first + b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
    found = statuses(shared.port, head + HIDDEN + b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert len(found) in (1, 2) and found[1:] in ([], [404]), found


def test_what_two_readers_cannot_differ_about_is_taken(shared):
    """The strictness is no end in itself: spellings that every reader takes alike pass."""
    for lines in (b"Transfer-Encoding:chunked", b"TRANSFER-ENCODING: CHUNKED"):
        assert statuses(shared.port, POST + lines + b"\r\n\r\n0\r\n\r\n" + GET + b"Host: [::1]:80\r\nConnection: close\r\n\r\n")[0] == 401
    assert statuses(shared.port, POST + b"Content-Length: 0000000005\r\nConnection: close\r\n\r\nhello") == [401]


def test_the_gateway_serves_on(shared):
    assert shared.is_ready()

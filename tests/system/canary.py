# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets made to be searched for: all of a run share a marker, whole or half of it in any usual spelling gives any of them away; a part of its own says which."""
import base64
import contextlib
import secrets
import string
import urllib.parse
from pathlib import Path

HALF, OWN = 9, 12  # bytes
LARGEST = 1 << 30  # of a mapping: larger ones are address space and not memory
SMALL = 32 << 20  # of outputs and files, without their zeros
AROUND = 2000  # bytes before and behind a marker in which the own part of its secret stands, in whatever spelling


def random_text(n):
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(n))


def base64_inside(raw):
    """Of base64, what stands for these bytes alone, wherever in a text of three bytes' steps they begin."""
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + raw + b"\0\0")
        yield text[-(-offset * 8 // 6):(offset + len(raw)) * 8 // 6]


def spellings(raw):
    """Bytes as they stand, and as encodings would write them; also where they are a part of a longer text."""
    text = raw.decode("latin-1")
    found = {raw, raw[::-1], raw.hex().encode(), raw.hex().upper().encode(), raw.hex(" ").encode(), raw.hex(":").encode(),
             urllib.parse.quote(raw, safe="").encode(), text.encode("utf-16-le"), text.encode("utf-16-be"), text.encode("utf-32-le"),
             text.replace("/", "\\/").encode("latin-1"), ",".join(str(byte) for byte in raw).encode(), ", ".join(str(byte) for byte in raw).encode(),
             text.swapcase().encode("latin-1")}
    for form in ("%{:02X}", "%{:02x}", "\\u{:04x}", "\\u{:04X}", "\\x{:02x}", "&#{};", "&#x{:x};", "\\{:03o}"):
        found.add("".join(form.format(byte) for byte in raw).encode())
    for once in base64_inside(raw):
        for twice in (once, *base64_inside(once)):
            found |= {twice, twice.replace(b"+", b"-").replace(b"/", b"_"), urllib.parse.quote(twice, safe="").encode()}
    return found


class Canaries:
    """Values by name. What else is searched for (`others`: a key, a token) is known by the whole of its value."""

    def __init__(self):
        self.marker = random_text(2 * HALF)
        self.own, self.values, self.others = {}, {}, {}
        self.marks = spellings(self.marker[:HALF].encode()) | spellings(self.marker[HALF:].encode())
        self.own_marks, self.other_marks, self.ends = {}, {}, {}

    def make(self, name, form="sk_test_{}"):
        """`{}` is the secret; with whsec_ in front it is base64, as in Standard Webhooks."""
        own = random_text(OWN)
        raw = (self.marker + own).encode()
        text = base64.b64encode(raw).decode() if form.startswith("whsec_") else raw.decode()
        self.values[name] = form.format(text)
        self.own_marks[name] = spellings(own.encode())
        self.ends[name] = {own[-HALF:].encode(), *base64_inside(own[-HALF:].encode()), own[-HALF:].encode().hex().encode()}
        return self.values[name]

    def add(self, name, value):
        self.others[name] = value
        self.other_marks[name] = spellings(value.encode())

    def hits(self, where, content, owned=()):
        """What of them stands in it, but those that are owned there."""
        content = b"\n".join(without_zeros(content))
        found = [f"{where}: {name}, as {mark[:8]}..." for name, marks in self.other_marks.items() if name not in owned for mark in marks if mark in content]
        windows = [content[max(0, at - AROUND):at + AROUND] for mark in self.marks for at in places(content, mark)]
        if windows and not owned:
            found.append(f"{where}: a marker, {windows[0][AROUND - 20:AROUND + 20]!r}")
        near = b"\n".join(windows)
        if not owned and len(content) < SMALL:  # also what is left of one whose marker was covered
            found += [f"{where}: the end of {name}" for name, parts in self.ends.items() if any(part in content for part in parts)]
        found += [f"{where}: {name}, at {near[max(0, places_of(near, marks) - 100):][:200]!r}" for name, marks in self.own_marks.items() if windows and name not in owned and any(mark in near for mark in marks)]
        return found

    def in_files(self, directory, but=()):
        return [hit for path in sorted(directory.rglob("*")) if path.is_file() and not path.is_symlink() and path not in but
                for hit in self.hits(path, path.read_bytes())]

    def in_process(self, pid, owned=()):
        """Command line and environment show none; memory its own at most; no descriptor is left that holds any."""
        proc = Path(f"/proc/{pid}")
        name = " ".join(proc.joinpath("cmdline").read_bytes().decode().split("\0"))[:80]
        found = [hit for file in ("cmdline", "environ", "comm") for hit in self.hits(f"{file} of {name}", (proc / file).read_bytes())]
        for fd in (proc / "fd").iterdir():
            with contextlib.suppress(OSError):
                found += [f"a descriptor of {name}: {fd.readlink()}"] if "memfd:secrets" in str(fd.readlink()) else []
        return found + [hit for where, content in memory(proc) for hit in self.hits(f"memory of {name} ({where})", content, owned)]


def without_zeros(content, step=1 << 14):
    """The parts of it that are not long runs of zeros: most of a log that was written ahead, and of a stack."""
    zeros, first = bytes(step), 0
    for at in range(0, len(content) + step, step):
        if at >= len(content) or content[at:at + step] == zeros[:len(content) - at]:
            if first < at:
                yield content[first:at]
            first = at + step


def places_of(content, marks):
    return min(at for at in (content.find(mark) for mark in marks) if at >= 0)


def places(content, mark):
    at = content.find(mark)
    while at >= 0:
        yield at
        at = content.find(mark, at + 1)


def memory(proc):
    """(name, content) of everything the process has written itself: heaps, stacks, data."""
    with open(proc / "mem", "rb", 0) as mem:
        for line in (proc / "maps").read_text().splitlines():
            span, rights, _, _, _, *name = line.split(maxsplit=5)
            first, last = (int(part, 16) for part in span.split("-"))
            if not rights.startswith("rw") or last - first > LARGEST or (name and name[0].startswith("/dev/")):
                continue
            with contextlib.suppress(OSError):  # it went meanwhile
                mem.seek(first)
                yield (name[0] if name else "anonymous"), read(mem, last - first)


def read(mem, n):
    parts = []
    while n > 0 and (part := mem.read(min(n, 1 << 24))):
        parts.append(part)
        n -= len(part)
    return b"".join(parts)

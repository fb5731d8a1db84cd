# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Who may include what: include <- lib/base <- proto <- lib/* <- processes, and each third-party library in one place."""
import re

import tree

PROCESSES = {"broker", "logger", "gateway", "deliver", "proxy", "sandbox", "cli", "bench"}

# The one place that may know each library. A pattern over the name in the include, and a pattern over the path.
LIBRARIES = {
    r"zmq": r"lib/wire/",
    r"lmdb": r"lib/store/",
    r"(curl/|openssl/|microhttpd)": r"lib/http/",
    r"yaml": r"lib/config/",
    r"msgpack": r"proto/attrs\.c$",
    r"jansson": r"lib/base/json\.c$",
    r"xxh(3|ash)\.h": r"lib/base/hash\.c$",
    r"(isa-l|crc\.h)": r"lib/base/hash\.c$",
    r"cmocka": r"tests/",
}
# Tests and fuzzers check the translations themselves, so they may hold a library against its owner.
FREE = re.compile(r"tests/")


def layer(path):
    """The layer a path belongs to: include, lib/base, proto, lib/NAME, or a process."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "lib" else parts[0]


def may_include(frm, to):
    if frm == to:
        return True
    if frm == "connectors":
        return to == "include"
    below = {"include": set(), "lib/base": {"include"}, "proto": {"include", "lib/base"}}
    if frm in below:
        return to in below[frm]
    if (frm, to) == ("bench", "broker"):
        return True  # a made log has the checkpoints of the broker's core
    if frm.startswith("lib/"):
        return to in ("include", "proto") or to.startswith("lib/")
    return to in ("include", "proto") or to.startswith("lib/")


def own_includes(path):
    for line, name, angled in tree.includes(path):
        if name.startswith("signalbox/"):
            yield line, "include"
        elif not angled:
            yield line, layer(name) if "/" in name else layer(str(path))


def test_each_layer_includes_only_what_is_below_it():
    wrong = [f"{path}:{line}: {layer(str(path))} may not include {to}"
             for path in tree.c_files() if not FREE.match(str(path))
             for line, to in own_includes(path) if not may_include(layer(str(path)), to)]
    assert not wrong, "\n".join(wrong)


def test_connectors_see_only_the_public_headers_and_the_c_library():
    wrong = [f"{path}:{line}: {name}"
             for path in tree.c_files() if path.parts[0] == "connectors"
             for line, name, angled in tree.includes(path)
             if "/" in name and not name.startswith(("signalbox/", "sys/"))]
    assert not wrong, "\n".join(wrong)


def test_each_library_is_known_in_one_place():
    wrong = [f"{path}:{line}: {name} belongs to {place}"
             for path in tree.c_files() if not FREE.match(str(path))
             for line, name, _ in tree.includes(path)
             for library, place in LIBRARIES.items()
             if re.match(library, name) and not re.match(place, str(path))]
    assert not wrong, "\n".join(wrong)


def test_folders_of_lib_do_not_include_each_other_in_a_circle():
    uses = {}
    for path in tree.c_files():
        if path.parts[0] == "lib":
            frm = layer(str(path))
            uses.setdefault(frm, set()).update(to for _, to in own_includes(path) if to != frm)
    settled = set()
    while True:
        free = {name for name, needs in uses.items() if name not in settled and not (needs & set(uses)) - settled}
        if not free:
            break
        settled |= free
    circle = sorted(set(uses) - settled)
    assert not circle, f"these need each other: {', '.join(circle)}"


# Files of broker/ that are the process around the core.
SHELL = ("main.", "broker.", "settings.", "link.", "live.")


def test_the_brokers_core_touches_no_socket_file_or_clock():
    forbidden = re.compile(r"(sys/(socket|epoll|stat|mman|time)|fcntl|unistd|poll|time|dirent)\.h$|lib/(wire|http|loop|sdk|service|base/clock)")
    wrong = [f"{path}:{line}: {name}"
             for path in tree.c_files() if path.parts[0] == "broker" and not path.name.startswith(SHELL)
             for line, name, _ in tree.includes(path) if forbidden.match(name)]
    assert not wrong, "\n".join(wrong)

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""proto/vectors, read by a second reader that takes the layouts from proto/README.md: the bytes say what the JSON beside them says."""
import json
import re
import struct
import uuid

import msgpack
import pytest
import tree
import xxhash

FOLDER = tree.ROOT / "proto/vectors"
NAMES = sorted(path.stem for path in FOLDER.glob("*.bin"))
HEADER = struct.Struct("<HBBHHIIQ")
RECORD = struct.Struct("<IIHBBBBBBQQQQ16s16sII")
README = tree.text(tree.Path("proto/README.md"))
CODES = {"u64": "Q", "u32": "I", "u16": "H", "u8": "B", "u8[16]": "16s"}


def layouts():
    """The fixed structs as the README has them: {name, or kind of control record: (struct, [field])}."""
    found = {}
    for name, kind, said, fields in re.findall(r"^    (\w+)(?: (\d\d))? +(\d+)  (u\d\S* .*)$", README.split("## Fixed structs")[1], re.M):
        words = fields.split()
        form = struct.Struct("<" + "".join(CODES[code] for code in words[::2]))
        assert form.size == int(said), name
        found[int(kind) if kind else name] = (form, words[1::2])
    return found


def attributes():
    """The numbers of the attributes as the README has them."""
    text = README.split("Attributes, by their numbers")[1].split("Kinds:")[0]
    return {int(number): name for number, name in re.findall(r"(\d+) ([a-z_]+)", text)}


def messages():
    """The numbers of the messages as the README has them."""
    text = README.split("Types of messages:")[1].split("\n\n")[0]
    return {int(number): name for number, name in re.findall(r"(\d+) ([A-Z]+)", text)}


STRUCTS, ATTRIBUTES, MESSAGES = layouts(), attributes(), messages()
STATUS = ["Pending", "Success", "Failed"]
CLASSES = "none permanent exhausted deadline poison budget unverified missed unknown cancelled".split()
MAPS, RECORDS, SLICES, POSITIONS, EMPTY = {1, 2, 5, 6, 14, 15, 18}, {3, 9}, {8, 12}, {11, 13, 16}, {10, 17}
NUMBERS, HEADS = {64, 68, 70}, {65, 67, 69}


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def plain(name, value):
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value))
    return f"{value:016x}" if name.endswith("_hash") else value


def fixed(which, data, at=0):
    form, names = STRUCTS[which]
    return {name: plain(name, value) for name, value in zip(names, form.unpack_from(data, at)) if name not in ("_", "magic", "verdicts")}


def size(which):
    return STRUCTS[which][0].size


def mapped(data):
    return {ATTRIBUTES.get(key, key): {"hex": value.hex()} if isinstance(value, bytes) else value
            for key, value in (msgpack.unpackb(data, strict_map_key=False) if data else {}).items()}


def record(data, at):
    (length, data_len, attr_len, kind, status, error_class, flags, type_len, attempt, type_hash, key_hash, time_us, either, own, cause, integration,
     cause_index) = RECORD.unpack_from(data, at)
    ends = [at + RECORD.size, at + RECORD.size + type_len, at + RECORD.size + type_len + attr_len, at + RECORD.size + type_len + attr_len + data_len]
    event_type, attributes, body = (data[ends[i]:ends[i + 1]] for i in range(3))
    assert length % 8 == 0 and 0 <= at + length - ends[3] < 8 and not any(data[ends[3]:at + length])
    assert type_hash == (xxhash.xxh3_64_intdigest(event_type) if event_type else 0)
    found = {"kind": kind, "len": length, "status": STATUS[status], "error_class": CLASSES[error_class], "flags": flags, "attempt": attempt,
             "type": event_type.decode(), "type_hash": f"{type_hash:016x}", "key_hash": f"{key_hash:016x}", "time_us": time_us,
             "cause_block" if kind == 2 else "deadline_us": either, "id": str(uuid.UUID(bytes=own)), "cause": str(uuid.UUID(bytes=cause)),
             "integration": integration, "cause_index": cause_index, "attributes": mapped(attributes)}
    key = found["attributes"].get("key")
    assert key_hash == (xxhash.xxh3_64_intdigest(key.encode()) if key else 0)
    if kind in STRUCTS:
        found["control"] = fixed(kind, body)
        if kind == 24:
            found["piece_bytes"] = {"hex": body[size(kind):].hex()}
        else:
            assert len(body) == size(kind)
    else:
        found["data"] = json.loads(body) if flags & 16 or kind >= 16 else {"hex": body.hex()}
    return found, at + length


def records(data, at=0, end=None):
    found = []
    while at < (len(data) if end is None else end):
        one, at = record(data, at)
        found.append(one)
    return found


def block(data):
    assert data[:4] == b"SBB1"
    found = fixed("block", data)
    assert found["crc"] == crc32c(data[:4] + bytes(4) + data[8:])
    assert found["len"] == len(data)
    found["records"] = records(data, size("block"))
    assert found["count"] == len(found["records"])
    return found


def slices(data):
    found, at = [], 0
    while at < len(data):
        one = fixed("slice", data, at)
        at += size("slice")
        one["records"] = records(data, at, at + one["bytes"])
        at += one["bytes"]
        found.append(one)
    return found


def body_of(kind, data):
    if kind in MAPS:
        return mapped(data)
    if kind in RECORDS:
        return records(data)
    if kind in SLICES:
        return slices(data)
    if kind in POSITIONS:
        return [fixed("position", data, at) for at in range(0, len(data), size("position"))]
    if kind in NUMBERS:
        return struct.unpack("<Q", data)[0]
    if kind in HEADS:
        return fixed("log_head", data)
    if kind == 4:
        n = struct.unpack_from("<I", data, 12)[0]
        return {**fixed("published", data), "verdicts": [fixed("verdict", data, size("published") + i * size("verdict")) for i in range(n)]}
    if kind == 7:
        return fixed("credit", data)
    if kind == 66:
        return block(data)
    assert kind in EMPTY and not data
    return None


def frame(data):
    magic, version, kind, flags, reserved, length, count, ref = HEADER.unpack_from(data)
    assert (magic, version, reserved, length) == (0x4253, 1, 0, len(data) - HEADER.size)
    return {"message": MESSAGES[kind], "type": kind, "flags": flags, "count": count, "ref": ref, "body": body_of(kind, data[HEADER.size:])}


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_say_what_the_json_says(name):
    data = (FOLDER / f"{name}.bin").read_bytes()
    said = json.loads((FOLDER / f"{name}.json").read_text())
    found = records(data)[0] if name.startswith("record_") else block(data) if name == "block" else frame(data)
    assert found == said


def test_the_specification_numbers_the_attributes_as_the_header_does():
    header = re.findall(r'^    ATTR\((\d+), \w+, "(\w+)"', tree.text(tree.Path("proto/attrs.h")), re.M)
    assert {int(number): name for number, name in header} == ATTRIBUTES


def test_the_specification_numbers_the_messages_as_the_table_does():
    table = re.findall(r"^MESSAGE\((\d+), +(\w+),", tree.text(tree.Path("proto/messages.def")), re.M)
    assert {int(number): name for number, name in table} == MESSAGES


def test_there_is_one_of_each():
    kinds = {name.lower() for name in re.findall(r"^    RECORD_(\w+) = \d+,(?= |$)", tree.text(tree.Path("proto/record.h")), re.M)} - {"foreign_id"}
    have = set(NAMES)
    assert set(MESSAGES.values()) <= have, set(MESSAGES.values()) - have
    for kind in "request outcome fact batch idempotency ack retry manifest integration session schedule checkpoint note start".split():
        assert kind in kinds and f"record_{kind}" in have

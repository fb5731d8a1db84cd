# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""What a newer signalbox wrote (vault, log, checkpoint, backup) is refused with a text that says so, and not one byte of it is changed."""
import json
import struct
import subprocess
import time

import harness
import pytest

MAGIC, VERSION_AT, HEADER = b"SBB1", 52, 80  # of a block: proto/README.md
CHECKPOINT, FLAGS_AT, HAS_CHECKPOINT = 24, 48, 2
TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def blocks(content):
    """{number: [(offset, length)]} of the blocks in a segment's file: pages that LMDB has given up may hold one more copy."""
    found, at = {}, content.find(MAGIC)
    while at >= 0:
        crc, length, number = struct.unpack_from("<4xI4xIQ", content, at)
        if HEADER <= length <= len(content) - at and crc32c(content[at:at + 4] + bytes(4) + content[at + 8:at + length]) == crc:
            found.setdefault(number, []).append((at, length))
        at = content.find(MAGIC, at + 4)
    return dict(sorted(found.items()))


def alter(content, at, length, change, previous):
    """Change a block, have it follow the one before, and seal it; returns its new checksum."""
    change(content, at)
    if previous is not None:
        content[at + 8:at + 12] = previous
    content[at + 4:at + 8] = bytes(4)
    content[at + 4:at + 8] = struct.pack("<I", crc32c(content[at:at + length]))
    return content[at + 4:at + 8]


def alter_from(content, numbers, change):
    """Change the first of these blocks; what follows it follows it still."""
    found, previous = blocks(content), None
    for number in numbers:
        crcs = {bytes(alter(content, at, length, change, previous)) for at, length in found[number]}
        assert len(crcs) == 1
        previous, change = crcs.pop(), lambda content, at: None


def newer_block(content):
    """The last block is of the next version."""
    alter_from(content, list(blocks(content))[-1:], lambda content, at: struct.pack_into("<I", content, at + VERSION_AT, 2))


def newer_checkpoint(content):
    """The last checkpoint is of the next form."""
    found = blocks(content)
    last = max(number for number, copies in found.items() if struct.unpack_from("<I", content, copies[0][0] + FLAGS_AT)[0] & HAS_CHECKPOINT)

    def change(content, at):
        record = at + HEADER
        while content[record + 10] != CHECKPOINT:
            record += struct.unpack_from("<I", content, record)[0]
        content[record + 88 + content[record + 14] + struct.unpack_from("<H", content, record + 8)[0] + 8] += 1
    alter_from(content, [number for number in found if number >= last], change)


def files(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.suffix == ".mdb" and path.name != "views.mdb"}


def start_fails(system, says):
    up = subprocess.Popen([harness.program("signalbox"), "up", "-c", str(system.home / "signalbox.yaml")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    told, until = "", time.monotonic() + 30
    try:
        while says not in told and time.monotonic() < until and (line := up.stderr.readline()):
            told += line
    finally:
        harness.stop(up)
    assert says in told, told
    return told


@pytest.fixture
def stopped(tmp_path):
    """A system that has worked, and stands still."""
    with harness.System(tmp_path) as system:
        system.charge()
        system.settled()
        system.stop()
        system.start()  # writes a checkpoint and nothing behind it
        system.stop()
        yield system


@pytest.mark.parametrize("newer,says", [(newer_block, "of a version this program does not know"), (newer_checkpoint, "checkpoint is of another form")])
def test_a_newer_log(stopped, newer, says):
    segment = max(path for path in (stopped.home / "data/log").glob("0*.mdb") if blocks(path.read_bytes()))
    content = bytearray(segment.read_bytes())
    newer(content)
    segment.write_bytes(content)
    before = files(stopped.home / "data/log")
    start_fails(stopped, says)
    after = files(stopped.home / "data/log")
    assert {path.name for path, was in before.items() if after.get(path) != was} == set()
    if newer is newer_block:
        checked = stopped.cli("log", "verify", check=False)
        assert checked.returncode == 1 and says in checked.stdout + checked.stderr
        assert stopped.cli("audit", check=False).returncode == 1


def test_a_newer_vault(tmp_path):
    (tmp_path / "signalbox.yaml").write_text("integrations: { hooks: { webhooks: [{ path: a, scheme: github, secrets: [vault:hook] }] } }\n")

    def cli(*args, **more):
        return subprocess.run([harness.program("signalbox"), *args], cwd=tmp_path, capture_output=True, text=True, **more)
    assert cli("secret", "set", "hook", input="of-the-test").returncode == 0
    vault = tmp_path / "data/vault"
    newer = b"SBVAULT2" + vault.read_bytes()[8:]
    vault.write_bytes(newer)
    for command, value in ((("secret", "list"), None), (("secret", "set", "hook"), "another"), (("secret", "remove", "hook"), None)):
        done = cli(*command, input=value)
        assert done.returncode == 2 and "of form 2, this program knows form 1: it needs a newer signalbox" in done.stderr, done
    assert vault.read_bytes() == newer


def test_a_newer_backup(stopped, tmp_path):
    stopped.cli("backup", str(tmp_path / "backup"))
    manifest = tmp_path / "backup/backup.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "form": 2}))
    before = files(tmp_path / "backup")
    (tmp_path / "new").mkdir()
    config = tmp_path / "new/signalbox.yaml"
    config.write_text((stopped.home / "signalbox.yaml").read_text())
    done = subprocess.run([harness.program("signalbox"), "restore", str(tmp_path / "backup"), "-c", str(config)], capture_output=True, text=True)
    assert done.returncode == 1 and "of form 2" in done.stderr, done
    assert files(tmp_path / "backup") == before and not (tmp_path / "new/data/log").exists()


def test_a_newer_range_of_the_log(stopped, tmp_path):
    file = tmp_path / "range"
    stopped.cli("log", "export", "-o", str(file))
    content = file.read_bytes()
    assert content.startswith(b"SBXHEAD1")
    file.write_bytes(b"SBXHEAD2" + content[8:])
    (tmp_path / "new").mkdir()
    config = tmp_path / "new/signalbox.yaml"
    config.write_text((stopped.home / "signalbox.yaml").read_text())
    done = subprocess.run([harness.program("signalbox"), "log", "import", str(file), "-c", str(config)], capture_output=True, text=True)
    assert done.returncode == 1 and "needs a newer signalbox" in done.stderr, done
    assert not list((tmp_path / "new").rglob("0*.mdb"))

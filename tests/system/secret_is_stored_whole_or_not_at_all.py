# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""`secret set`: the value as it was given, or a reason; whatever goes wrong, the vault holds the old one or the new one, and nobody else's is lost."""
import ctypes
import ctypes.util
import os
import shutil
import signal
import struct
import subprocess
import threading

import harness
import pytest

CONFIG = "data: ./data\nintegrations: { hooks: { webhooks: [{ path: a, scheme: github, secrets: [vault:hook] }] } }\n"
MAGIC, NONCE, TAG, TAG_IS = b"SBVAULT1", 12, 16, 0x11
LIMIT = 8192  # bytes of a value


def opened(home):
    """The vault read without signalbox: {name: [(version, value)]}, from the words of lib/vault/vault.h and libcrypto alone."""
    content, key = (home / "data/vault").read_bytes(), bytes.fromhex((home / "signalbox.key").read_text())
    assert content.startswith(MAGIC)
    nonce, sealed, tag = content[8:8 + NONCE], content[8 + NONCE:-TAG], content[-TAG:]
    lib, n = ctypes.CDLL(ctypes.util.find_library("crypto")), ctypes.c_int()
    for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
        getattr(lib, name).restype = ctypes.c_void_p
    context, plain = ctypes.c_void_p(lib.EVP_CIPHER_CTX_new()), ctypes.create_string_buffer(len(sealed) + 16)
    assert lib.EVP_DecryptInit_ex(context, ctypes.c_void_p(lib.EVP_aes_256_gcm()), None, key, nonce) == 1
    assert lib.EVP_DecryptUpdate(context, None, ctypes.byref(n), MAGIC, 8) == 1
    assert lib.EVP_DecryptUpdate(context, plain, ctypes.byref(n), sealed, len(sealed)) == 1
    assert lib.EVP_CIPHER_CTX_ctrl(context, TAG_IS, TAG, ctypes.create_string_buffer(tag, TAG)) == 1
    assert lib.EVP_DecryptFinal_ex(context, plain, ctypes.byref(n)) == 1
    lib.EVP_CIPHER_CTX_free(context)
    return dict(entries(plain.raw[:len(sealed)]))


def entries(plain):
    at = 0

    def take(form):
        nonlocal at
        values = struct.unpack_from("<" + form, plain, at)
        at += struct.calcsize("<" + form)
        return values[0] if len(values) == 1 else values

    while at < len(plain):
        name = take(f"{take('I')}s").decode()
        versions = []
        for _ in range(take("I")):
            number, _, _ = take("IQQ")
            versions.append((number, take(f"{take('I')}s")))
        yield name, versions


class Place:
    def __init__(self, home):
        self.home = home
        (home / "signalbox.yaml").write_text(CONFIG)

    def set(self, value, name="hook", wrap=(), command="set", **more):
        given = {"input": value.encode() if isinstance(value, str) else value} if value is not None else {}
        return subprocess.run([*wrap, harness.program("signalbox"), "secret", command, name], cwd=self.home, capture_output=True, check=False, timeout=60, **given, **more)

    def value(self, name="hook"):
        return opened(self.home)[name][0][1]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.mark.parametrize("given,stored", [("whsec_x", b"whsec_x"), ("whsec_x\n", b"whsec_x"), ("whsec_x\r\n", b"whsec_x"), ("whsec_x\n\n", b"whsec_x"),
                                          (" a b ", b" a b "), ("ä€😀\n", "ä€😀".encode()), ("x" * LIMIT + "\n", b"x" * LIMIT), ("\"quoted\" \\", b"\"quoted\" \\")])
def test_it_is_stored_as_it_was_given(place, given, stored):
    for way in ("pipe", "file"):
        (place.home / "value").write_text(given, newline="")
        with open(place.home / "value", "rb") as file:
            done = place.set(given) if way == "pipe" else place.set(None, stdin=file)
        assert done.returncode == 0, done.stderr
        assert place.value() == stored
        assert not done.stdout and stored not in done.stderr
    assert [number for number, _ in opened(place.home)["hook"]] == [2]


@pytest.mark.parametrize("given,says", [("", "is empty"), ("\n", "is empty"), ("\r\n", "is empty"), ("x" * (LIMIT + 1), "larger than 8 KiB"), ("x" * 100_000, "larger than 8 KiB"),
                                        ("a\nb", "one line of UTF-8"), (b"a\0b", "one line of UTF-8"), (b"\xff\xfe-not-utf8", "one line of UTF-8"), (b"\0", "one line of UTF-8")])
def test_what_cannot_be_a_secret_changes_nothing(place, given, says):
    done = place.set(given)
    assert done.returncode == 2 and says in done.stderr.decode(), done
    assert not (place.home / "data/vault").exists() and not (place.home / "signalbox.key").exists()
    place.set("before")
    done = place.set(given)
    assert done.returncode == 2 and place.value() == b"before"
    assert b"not-utf8" not in done.stderr


def test_a_value_on_the_command_line_is_refused(place):
    done = subprocess.run([harness.program("signalbox"), "secret", "set", "hook", "whsec_seen_by_all"], cwd=place.home, capture_output=True, text=True)
    assert done.returncode == 2 and "never stands on the command line" in done.stderr and "seen_by_all" not in done.stderr
    assert not (place.home / "data/vault").exists()


@pytest.mark.parametrize("name", ["", "A", "1a", "a.b", "a/b", "../a", "x" * 65])
def test_a_name_that_is_none_is_refused(place, name):
    done = place.set("value", name)
    assert done.returncode == 2 and "is no name" in done.stderr.decode(), done
    assert not (place.home / "data/vault").exists()


def test_the_master_key_must_be_private_and_the_right_one(place):
    assert place.set("before").returncode == 0
    vault, key = place.home / "data/vault", place.home / "signalbox.key"
    content, good = vault.read_bytes(), key.read_text()
    for mode in (0o640, 0o604, 0o660):
        key.chmod(mode)
        done = place.set("after")
        assert done.returncode == 2 and b"expected mode 0600" in done.stderr, done
    key.chmod(0o600)
    for wrong, says in (("0" * 64, b"another key, or a damaged file"), ("short", b"64 hexadecimal digits"), ("", b"64 hexadecimal digits")):
        key.write_text(wrong)
        done = place.set("after")
        assert done.returncode == 2 and says in done.stderr, done
    key.unlink()
    done = place.set("after")
    assert done.returncode == 2 and b"its master key" in done.stderr and not key.exists(), "a new key would make the old secrets unreadable for good"
    key.write_text(good)
    key.chmod(0o600)
    assert vault.read_bytes() == content and place.value() == b"before"


def test_no_changed_byte_goes_unnoticed_and_none_is_overwritten(place):
    place.set("before")
    vault = place.home / "data/vault"
    content = vault.read_bytes()
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        vault.write_bytes(damaged)
        for command in (["set", "hook"], ["list"]):
            done = subprocess.run([harness.program("signalbox"), "secret", *command], cwd=place.home, capture_output=True, input=b"after")
            assert done.returncode == 2 and (b"damaged" in done.stderr or b"no vault" in done.stderr or b"newer" in done.stderr), (at, done)
        assert vault.read_bytes() == damaged
    for length in (0, 7, 8, 20, len(content) - 1):
        vault.write_bytes(content[:length])
        assert place.set("after").returncode == 2 and vault.read_bytes() == content[:length]
    vault.write_bytes(content)
    assert place.value() == b"before"


def test_many_at_once_all_count(place):
    assert place.set("first").returncode == 0
    done = []
    threads = [threading.Thread(target=lambda n=n: done.append(place.set(f"value-{n}", f"own_{n}" if n % 2 else "hook").returncode)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [0] * 16
    held = opened(place.home)
    assert {name: versions[0][1] for name, versions in held.items() if name != "hook"} == {f"own_{n}": f"value-{n}".encode() for n in range(1, 16, 2)}
    assert held["hook"][0][0] == 9 and held["hook"][0][1] in {f"value-{n}".encode() for n in range(0, 16, 2)}


# --- it dies, and the disk says no ---

CALLS = ("openat", "write", "fsync", "rename", "link", "unlink", "close", "flock", "mkdir")


@pytest.fixture
def strace():
    if not shutil.which("strace"):
        pytest.skip("needs strace, to kill and to fail at one call")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")

    def wrap(call, what, when):
        return ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{what}:when={when}"]
    return wrap


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("call", CALLS)
def test_killed_at_any_call_it_is_the_old_or_the_new(place, strace, call, is_first):
    """Killed before the n-th of each of the calls that open, write, sync and name files; the next one works."""
    if not is_first:
        place.set("before")
    killed = 0
    for when in range(1, 100):
        done = place.set(f"value-{when}", wrap=strace(call, "signal=KILL", when))
        vault = place.home / "data/vault"
        assert is_first or vault.exists()
        if vault.exists():
            assert opened(place.home)["hook"][0][1] in {b"before", *(f"value-{n}".encode() for n in range(1, when + 1))}
        if done.returncode == 0:
            break
        assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), done
        killed += 1
        listed = subprocess.run([harness.program("signalbox"), "secret", "list"], cwd=place.home, capture_output=True, text=True)
        assert listed.returncode == 0, listed
    assert place.set("last").returncode == 0 and place.value() == b"last"
    assert killed or call == "rename" or not is_first


@pytest.mark.parametrize("call,error", [("write", "ENOSPC"), ("write", "EIO"), ("fsync", "EIO"), ("fsync", "ENOSPC"), ("rename", "EIO"), ("rename", "ENOSPC")])
def test_when_the_disk_says_no_the_old_one_is_there_and_the_reason_is_told(place, strace, call, error):
    place.set("before")
    for when in range(1, 6):
        done = place.set("after", wrap=strace(call, f"error={error}", f"{when}"))
        value = place.value()
        if done.returncode == 0:  # it was not a call of the storing
            assert value == b"after"
            break
        assert done.returncode in (1, 2) and value in (b"before", b"after"), done
        assert os.strerror(getattr(__import__("errno"), error)).encode() in done.stderr, done
        assert b"after" not in done.stderr.replace(b"after copying", b"")
    assert not list(place.home.rglob("vault.new"))


def test_a_full_disk(place):
    """A real one: a file system of a few pages."""
    if os.geteuid():
        pytest.skip("only root mounts")
    data = place.home / "data"
    data.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=100", "tmpfs", data], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        assert place.set("before").returncode == 0
        (data / "filler").write_bytes(b"x" * 4096)
        rest = os.open(data / "rest", os.O_WRONLY | os.O_CREAT)
        with pytest.raises(OSError):
            while os.write(rest, b"x" * 512):
                pass
        os.close(rest)
        done = place.set("after" * 1000)
        assert done.returncode == 1 and b"No space left on device" in done.stderr, done
        assert place.value() == b"before" and not (data / "vault.new").exists()
        (data / "filler").unlink()
        assert place.set("after").returncode == 0 and place.value() == b"after"
    finally:
        subprocess.run(["umount", "-l", data], check=False)

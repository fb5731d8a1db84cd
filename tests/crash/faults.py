# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Faults to inflict, and the programs they are inflicted on."""
import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import pytest

BUILD = pathlib.Path(os.environ.get("SIGNALBOX_BUILD", "build")).resolve()
ROUNDS = int(os.environ.get("SIGNALBOX_ROUNDS", "20"))
DRIVER = BUILD / "tests/crash/store_driver"
PRODUCER = BUILD / "tests/crash/producer"
LOGGER = BUILD / "logger/signalbox-logger"
DISK = BUILD / "tests/crash/disk.so"
EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2  # as when the power goes: what is not on the disk is gone
IO_ERROR = 74     # EX_IOERR, the logger's last word


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, **options)


def need_root():
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount and to cut")


class Disk:
    """An ext4 of its own in a file, whose power can be cut."""

    def __init__(self, folder, megabytes=192):
        self.image, self.path = folder / "disk.img", folder / "disk"
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", "-F", self.image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.path)

    def cut(self):
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def unmount(self):
        for _ in range(50):
            if subprocess.run(["umount", self.path], capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        run("umount", "-l", self.path)


@contextlib.contextmanager
def disk(folder, **options):
    need_root()
    try:
        made = Disk(folder, **options)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no loop-mounted ext4 here: {getattr(error, 'stderr', error)}")
    try:
        yield made
    finally:
        made.unmount()


@contextlib.contextmanager
def small_tmpfs(folder, megabytes):
    need_root()
    path = folder / "small"
    path.mkdir()
    try:
        run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no tmpfs here: {error.stderr}")
    try:
        yield path
    finally:
        run("umount", "-l", path)


@contextlib.contextmanager
def short_folder():
    """A folder with a short name: the path of a socket must fit 108 bytes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="sbx-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Program:
    """A program of ours, its stdout in a file outside of the disk that fails."""

    def __init__(self, folder, *command, env=None):
        self.out = folder / f"{pathlib.Path(str(command[0])).name}.out"
        self.err = self.out.with_suffix(".err")
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err, env=env)

    def said(self):
        return self.out.read_text(errors="replace")

    def complained(self):
        return self.err.read_text(errors="replace")

    def lines(self):
        return self.said().count("\n")

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


def preload(directory, trace=None, fail=None, lie=None, kill=None):
    """The environment of a program whose disk is recorded, fails or lies, as disk.c says; `directory` is where its log is."""
    wanted = {"LD_PRELOAD": DISK, "DISK_DIR": pathlib.Path(directory).resolve(), "DISK_TRACE": trace, "DISK_FAIL": fail, "DISK_LIE": lie, "DISK_KILL": kill}
    return {**os.environ, **{name: str(value) for name, value in wanted.items() if value}}


def wait_for(what, condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds} s in vain: {what}"
        time.sleep(0.005)


def has_open(pid, ending):
    """Has the process a file open whose name ends so?"""
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since the folder was read
            if os.readlink(fd).endswith(ending):
                return True
    return False


def check_store(directory, acknowledged):
    """Every acknowledged block is there, the chain holds, the log goes on. Returns (ok, what the check said)."""
    found = subprocess.run([str(DRIVER), "check", str(directory)], input=acknowledged, capture_output=True, text=True)
    assert found.returncode in (0, 1), f"the check itself died: {found.returncode} {found.stdout} {found.stderr}"
    return found.returncode == 0, found.stdout


class Logger:
    """signalbox-logger with a configuration of its own."""

    def __init__(self, folder, data=None, settings="segment_size: 16MiB, reserve: 8MiB"):
        self.folder, self.data, self.program = folder, data or folder / "data", None
        self.config = folder / "signalbox.yaml"
        self.config.write_text(f"data: {self.data}\nrun: {folder}/run\nlog: {{ {settings} }}\n")
        self.endpoint = f"ipc://{folder}/run/logger.sock"

    def start(self, *wrapper):
        self.program = Program(self.folder, *wrapper, LOGGER, "-c", self.config)
        return self

    def wait_ready(self):
        wait_for("the logger serves", lambda: "PROCESS_READY" in self.program.complained())
        return self

    def stop(self):
        return self.program.kill(signal.SIGTERM)

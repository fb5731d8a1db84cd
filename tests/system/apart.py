# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A network and a mount namespace of this process's own, so that a provider's host can stand on this machine: its name in /etc/hosts, a
public address on the loopback, an authority that is trusted here and nowhere else. Our programs run in it as they are: no option of
theirs makes them less careful."""
import contextlib
import ctypes
import os
import shutil
import subprocess

NEW_MOUNTS, NEW_NETWORK = 0x00020000, 0x40000000  # sched.h
LIBC = ctypes.CDLL(None, use_errno=True)


def must(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


def why_not():
    """Why there can be no namespaces here; None when there can."""
    for tool in ("ip", "mount", "openssl", "unshare"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    done = subprocess.run(["unshare", "--net", "--mount", "--propagation", "private", "mount", "--bind", "/etc/hosts", "/etc/hosts"],
                          capture_output=True, text=True)
    return f"namespaces are not allowed here (root with CAP_SYS_ADMIN is needed): {done.stderr.strip()}" if done.returncode else None


@contextlib.contextmanager
def apart(directory, hosts, authority):
    """`hosts`: {name: address}; those that are not of loopback are put on it. `authority`: PEM of the one that is trusted, alone."""
    trusted = directory / "trusted"
    trusted.mkdir()
    (trusted / "ca-certificates.crt").write_text(authority)
    (trusted / "authority.pem").write_text(authority)
    run("openssl", "rehash", trusted)
    (directory / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in hosts.items()))
    (directory / "resolv.conf").write_text("")  # nobody is asked
    home = os.getcwd()
    outside = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "mnt")]
    must(LIBC.unshare(NEW_MOUNTS | NEW_NETWORK))
    try:
        run("mount", "--make-rprivate", "/")
        for path, over in ((trusted, "/etc/ssl/certs"), (directory / "hosts", "/etc/hosts"), (directory / "resolv.conf", "/etc/resolv.conf")):
            run("mount", "--bind", path, os.path.realpath(over))
        run("ip", "link", "set", "lo", "up")
        for address in {address for address in hosts.values() if not address.startswith("127.")}:
            run("ip", "address", "add", f"{address}/32", "dev", "lo")
        yield
    finally:
        for fd in outside:
            must(LIBC.setns(fd, 0))
            os.close(fd)
        os.chdir(home)

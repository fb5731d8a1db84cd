# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A terminal with somebody at it: what a program shows there and asks for."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

ASKED = re.compile(r"Value of (\w+) \(not shown\): ")


class Terminal:
    """A program on a terminal of its own, and somebody who types when asked."""
    COLUMNS = 100

    def __init__(self, command, cwd, environment=None):
        self.shown, self.typed = "", 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a runner in the background hands it down as ignored
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, self.COLUMNS, 0, 0))
            os.execvpe(command[0], command, environment or os.environ)

    def is_silent(self):
        return not termios.tcgetattr(self.fd)[3] & termios.ECHO

    def read(self, until, seconds=60):
        """Until the pattern is shown (behind what was read up to before), or the program ends (None)."""
        end = time.monotonic() + seconds
        while not (found := re.compile(until).search(self.shown, self.typed)):
            assert time.monotonic() < end, f"not shown: {until}: {self.shown}"
            if not self.take(0.1):
                return None
        self.typed = found.end()
        return found

    def take(self, seconds):
        """What is shown within this time; False when the program has ended."""
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                self.shown += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:  # EIO: nobody has the terminal open any more
                return False
        return True

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """How it ended: its status, or minus the signal."""
        self.read(r"(?!)")
        with contextlib.suppress(OSError):
            os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

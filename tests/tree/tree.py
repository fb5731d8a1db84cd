# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""What is in the tree: the files git knows or would take, by folder and kind."""
import functools
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@functools.lru_cache(None)
def files():
    """All files of the tree as paths relative to its root, ignored ones left out."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file())


def c_files(*suffixes):
    return [path for path in files() if path.suffix in (suffixes or (".c", ".h"))]


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def includes(path):
    """(line number, name, in angle brackets) of each include of a C file."""
    for number, line in enumerate(text(path).splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)', line)
        if found:
            yield number, found[2], found[1] == "<"

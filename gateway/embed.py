# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""embed.py IN OUT NAME: a JSON file as a C array, without the spaces it is written with."""
import json
import sys

source, target, name = sys.argv[1:]
with open(source, encoding="utf-8") as file:
    data = json.dumps(json.load(file), separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
with open(target, "w", encoding="ascii") as file:
    file.write(f"static const unsigned char {name}[] = {{{','.join(str(byte) for byte in data)}}};\n")

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""embed.py ROOT OUT FILE...: the templates as a table of C, {path below ROOT without .in, lines}."""
import os
import sys


def quoted(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'\n         "{escaped}\\n",'


root, out, *files = sys.argv[1:]
with open(out, "w", encoding="utf-8") as table:
    table.write('#include "cli/connector/template.h"\n\nconst struct template_file template_files[] = {\n')
    for path in files:
        with open(path, encoding="utf-8") as file:
            table.write(f'    {{"{os.path.relpath(path, root).removesuffix(".in")}",\n     (const char *const[]){{{"".join(map(quoted, file.read().splitlines()))}\n         0}}}},\n')
    table.write("    {0, 0},\n};\n")

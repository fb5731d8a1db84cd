# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""House rules over the text of the tree: headers alone, folders, functions, durability flags, licences, examples."""
import concurrent.futures
import os
import re
import subprocess

import pytest
import tree

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"]
# Headers that only make sense beside the one header that a library's own file includes.
LIBRARY_FLAGS = ["-I", str(tree.ROOT), "-I", str(tree.ROOT / "include")]


def compile_alone(command, path):
    """'' or what the compiler says about a file that includes nothing but this header."""
    done = subprocess.run([*command, *WARNINGS, *LIBRARY_FLAGS, "-fsyntax-only", "-include", str(tree.ROOT / path), "-"],
                          input="extern int here;\n", capture_output=True, text=True)
    return "" if done.returncode == 0 else f"{path}:\n{done.stderr}"


def compile_all(command, headers):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [said for said in pool.map(lambda path: compile_alone(command, path), headers) if said]


def test_every_header_compiles_alone_as_c11():
    wrong = compile_all(["gcc", "-std=c11", "-x", "c"], tree.c_files(".h"))
    assert not wrong, "\n".join(wrong)


def test_public_headers_compile_alone_as_cxx():
    public = [path for path in tree.c_files(".h") if path.parts[0] == "include"]
    compilers = [name for name in ("g++", "clang++") if subprocess.run(["which", name], capture_output=True).returncode == 0]
    if not compilers:
        pytest.skip("no C++ compiler")
    wrong = compile_all([compilers[0], "-std=c++17", "-x", "c++"], public)
    assert not wrong, "\n".join(wrong)


def test_public_headers_need_only_the_c_library():
    allowed = {"stddef.h", "stdint.h", "stdbool.h"}
    wrong = [f"{path}:{line}: {name}" for path in tree.c_files(".h") if path.parts[0] == "include"
             for line, name, _ in tree.includes(path) if name not in allowed and not name.startswith("signalbox/")]
    assert not wrong, "\n".join(wrong)


def test_every_folder_says_what_it_is_in_ten_lines():
    folders = {path.parent for path in tree.c_files()}
    folders = {f for f in folders if not str(f).startswith(("tests/unit", "include", "connectors/"))}
    folders |= {f for name in ("include", "tests", "tests/unit", "tests/system", "tests/tree") for f in [tree.Path(name)]}
    wrong = []
    for folder in sorted(folders):
        readme = tree.ROOT / folder / "README.md"
        if not readme.is_file():
            wrong.append(f"{folder}: no README.md")
        elif str(folder) != "proto" and len(readme.read_text().splitlines()) > 10:  # proto's is the wire specification
            wrong.append(f"{folder}/README.md: more than ten lines")
    assert not wrong, "\n".join(wrong)


def functions(path):
    """(name, first line, lines) of each function: clang-format puts its braces in the first column."""
    start, name = 0, ""
    for number, line in enumerate(tree.text(path).splitlines(), 1):
        found = re.match(r"[A-Za-z_].*?\b(\w+)\(", line)
        if found and not line.endswith(";"):
            name = found[1]
        if line == "{":
            start = number
        elif line == "}" and start:
            yield name, start, number - start + 1
            start = 0


def test_no_function_is_over_eighty_lines():
    wrong = [f"{path}:{line}: {name} has {n} lines" for path in tree.c_files(".c")
             for name, line, n in functions(path) if n > 80]
    assert not wrong, "\n".join(wrong)


def test_the_log_is_never_opened_with_a_flag_that_weakens_a_commit():
    """NOMETASYNC may lose the last transactions, so it is for the views only, which are rebuilt from the log."""
    forbidden = r"MDB_(NOSYNC|WRITEMAP|MAPASYNC|NOLOCK|DUPSORT|NOMETASYNC)"
    wrong = []
    for path in tree.c_files():
        if path.parts[0] == "tests":
            continue
        code = re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: "\n" * m[0].count("\n"), tree.text(path), flags=re.S)
        for number, line in enumerate(code.splitlines(), 1):
            for flag in re.findall(forbidden, line):
                if not (flag == "NOMETASYNC" and path.name == "views.c"):
                    wrong.append(f"{path}:{number}: MDB_{flag}")
    assert not wrong, "\n".join(wrong)


def test_tls_verification_is_never_switched_off():
    wrong = [f"{path}" for path in tree.c_files() if re.search(r"SSL_VERIFY(PEER|HOST),\s*0", tree.text(path))]
    assert not wrong, "\n".join(wrong)


def test_every_c_file_names_its_licence():
    wrong = [str(path) for path in tree.c_files()
             if not re.match(r"/\* SPDX-FileCopyrightText: .*\n \* SPDX-License-Identifier: Apache-2.0", tree.text(path))]
    assert not wrong, "\n".join(wrong)


def test_text_files_end_with_a_newline_and_have_no_trailing_blanks():
    kinds = {".c", ".h", ".def", ".md", ".py", ".build", ".yaml", ".txt"}
    wrong = []
    for path in tree.files():
        if path.suffix in kinds and not str(path).startswith("tests/fuzz/corpus"):
            content = tree.text(path)
            if content and not content.endswith("\n"):
                wrong.append(f"{path}: no newline at the end")
            wrong += [f"{path}:{n}: trailing blanks" for n, line in enumerate(content.split("\n"), 1)
                      if line != line.rstrip() and "\r" not in line]
    assert not wrong, "\n".join(wrong)


def test_the_list_of_log_messages_is_in_order():
    names = re.findall(r"^LOG\((\w+),", tree.text(tree.Path("lib/base/log.def")), re.M)
    assert names == sorted(names)


def yaml_examples():
    """Every configuration in the documents: files in docs/examples, and all blocks fenced as yaml."""
    for path in tree.files():
        if path.suffix == ".yaml" and path.parts[:2] == ("docs", "examples"):
            yield str(path), tree.text(path)
        elif path.suffix == ".md":
            for block in re.findall(r"^```yaml\n(.*?)^```", tree.text(path), re.M | re.S):
                yield str(path), block


def test_every_example_configuration_loads(tmp_path):
    program = os.path.join(os.environ.get("SIGNALBOX_BUILD", str(tree.ROOT / "build-check/gcc")), "cli", "signalbox")
    if not os.path.exists(program):
        pytest.skip("signalbox is not built here (SIGNALBOX_BUILD)")
    wrong, n = [], 0
    for name, content in yaml_examples():
        (tmp_path / "signalbox.yaml").write_text(content)
        n += 1
        done = subprocess.run([program, "config", "check", "-c", str(tmp_path / "signalbox.yaml")], capture_output=True, text=True)
        if done.returncode:
            wrong.append(f"{name}: {done.stdout}{done.stderr}")
    assert not wrong, "\n".join(wrong)
    assert n > 0, "the documents show no configuration at all"

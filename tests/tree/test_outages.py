# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""No answer of 5xx without a documented reason: gateway/outages.def has each, and the code, the description and the manual agree with it."""
import json
import re

import tree
from test_manual import differences, entries, section, words

TABLE = tree.Path("gateway/outages.def")


def outages():
    """{code: (when, what then)}"""
    rows = re.findall(r'^OUTAGE\((\w+), "(.*?)", "(.*)"\)$', tree.text(TABLE), re.M)
    assert len(rows) == len(re.findall(r"^OUTAGE\(", tree.text(TABLE), re.M)) > 0
    return {name: (when, then) for name, when, then in rows}


def errors():
    """{code: (status, may be tried again)}"""
    rows = re.findall(r"^ERROR\((\w+), *\d+, *(\d+), (\d),", tree.text(tree.Path("proto/errors.def")), re.M)
    return {name: (int(status), again == "1") for name, status, again in rows}


def answers():
    """(operation, status, answer) of each 5xx of the description."""
    for path, item in json.loads(tree.text(tree.Path("gateway/openapi.json")))["paths"].items():
        for method, operation in item.items():
            for status, answer in operation.get("responses", {}).items() if isinstance(operation, dict) else ():
                if status.startswith("5"):
                    yield f"{method} {path}", int(status), answer


def test_whatever_the_gateway_or_the_broker_may_answer_with_5xx_has_its_reason():
    used = {name for path in tree.c_files(".c") if path.parts[0] in ("gateway", "broker")
            for name in re.findall(r"\bERR_(\w+)", tree.text(path)) if errors()[name][0] >= 500}
    assert used == set(outages())


def test_the_description_names_the_codes_of_each_5xx_and_where_it_may_be_tried_again():
    wrong, named = [], set()
    for where, status, answer in answers():
        codes = answer.get("x-codes", [])
        named |= set(codes)
        wrong += [f"{where} {status}: no x-codes"] if not codes else []
        wrong += [f"{where} {status}: {code} is none of outages.def" for code in codes if code not in outages()]
        wrong += [f"{where} {status}: {code} is {errors()[code][0]}" for code in codes if errors()[code][0] != status]
        wrong += [f"{where} {status}: {code}: Retry-After" for code in codes if errors()[code][1] != ("Retry-After" in answer.get("headers", {}))]
    wrong += [f"no answer has {code}" for code in outages() if code not in named]
    assert not wrong, "\n".join(wrong)


def test_every_reason_is_in_the_manual():
    told = [(code, f"(HTTP {errors()[code][0]}{', Retry-After' if errors()[code][1] else ''})", f"{when} {then}")
            for code, (when, then) in outages().items()]
    page = section("gateway/signalbox-gateway.8.scd", "ANSWERS OF 5XX").replace("\\_", "_")
    wrong = differences("signalbox-gateway(8)", told, entries(page))
    assert not wrong and "505" in words(page), "\n".join(wrong)

# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of the payment connector against Stripe's OpenAPI description. Exit 77: skipped."""
import json
import os
import re
import subprocess
import sys
from urllib.parse import unquote, urlsplit

SKIP = 77


def nested(form):
    """a[b][0]=1 -> {"a": {"b": {"0": "1"}}}; names are split before they are decoded, as a server does."""
    tree = {}
    for field in filter(None, form.split("&")):
        name, _, value = field.partition("=")
        top, inner = re.match(r"([^\[]+)((?:\[[^\[\]]*\])*)$", name).groups()
        path = [unquote(part) for part in [top, *re.findall(r"\[([^\[\]]*)\]", inner)]]
        at = tree
        for part in path[:-1]:
            at = at.setdefault(part, {})
        if path[-1] in at:
            raise ValueError(f"{name} comes twice")
        at[path[-1]] = unquote(value)
    return tree


def resolve(schema, spec):
    while "$ref" in schema:
        at = spec
        for part in schema["$ref"].lstrip("#/").split("/"):
            at = at[part]
        schema = at
    return schema


def typed(value, schema, spec):
    """The text of a form as the JSON type its schema names; left as it is where it does not fit."""
    schema = resolve(schema, spec)
    kinds = schema.get("anyOf") or [schema]
    for kind in (resolve(k, spec) for k in kinds):
        if isinstance(value, dict) and kind.get("type") == "array":
            return [typed(value[key], kind["items"], spec) for key in sorted(value, key=int)]
        if isinstance(value, dict) and kind.get("type") == "object":
            members, rest = kind.get("properties", {}), kind.get("additionalProperties", {})
            rest = rest if isinstance(rest, dict) else {}
            return {key: typed(inner, members.get(key, rest), spec) for key, inner in value.items()}
        if isinstance(value, str) and kind.get("type") == "integer" and re.fullmatch(r"-?\d+", value):
            return int(value)
        if isinstance(value, str) and kind.get("type") == "boolean" and value in ("true", "false"):
            return value == "true"
    return value


def schema_of(method, path, spec):
    operation = spec["paths"][path][method.lower()]
    if method != "GET":
        return operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    query = [p for p in operation["parameters"] if p["in"] == "query"]
    return {"type": "object", "additionalProperties": False, "properties": {p["name"]: p["schema"] for p in query},
            "required": [p["name"] for p in query if p.get("required")]}


def main():
    path = os.path.join(os.environ.get("SIGNALBOX_SHARED", ""), "specs", "stripe.json")
    try:
        import jsonschema
    except ImportError:
        print("skipped: python3-jsonschema is not installed")
        return SKIP
    if not os.path.isfile(path):
        print("skipped: SIGNALBOX_SHARED names no folder with specs/stripe.json")
        return SKIP
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    lines = subprocess.run(sys.argv[1], check=True, capture_output=True, text=True).stdout.splitlines()
    for request in map(json.loads, lines):
        url = urlsplit(request["url"])
        schema = schema_of(request["method"], url.path, spec)
        value = typed(nested(url.query if request["method"] == "GET" else request["body"]), schema, spec)
        resolver = jsonschema.RefResolver.from_schema(spec)
        jsonschema.Draft7Validator(schema, resolver=resolver).validate(value)
        print("fits:", request["method"], url.path, json.dumps(value))
    return 0 if lines else 1


sys.exit(main())

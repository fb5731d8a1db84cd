# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of a connector (one a line: spec, method, url, body) against its providers' OpenAPI descriptions. Exit 77: skipped."""
import json
import os
import re
import subprocess
import sys
from urllib.parse import parse_qsl, urlsplit

SKIP = 77
PREFIX = {"sendgrid": "/v3", "slack": "/api", "twilio": ""}  # of the service's address before the description's paths


def strict(schema):
    """A member that the description does not have is an error, not an extension."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not {"allOf", "anyOf", "oneOf", "additionalProperties"} & schema.keys():
        schema["additionalProperties"] = False
    return schema


def find_path(path, spec):
    for template in spec["paths"]:
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
            return template
    raise ValueError(f"there is no {path}")


def typed(name, value, schema):
    """A form's text as what its schema says it is."""
    kind = schema.get("properties", {}).get(name, {}).get("type")
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if kind == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    return [value] if kind == "array" else value


def body_of(request, content):
    if "application/json" in content:
        return json.loads(request["body"]), content["application/json"]["schema"]
    schema = content["application/x-www-form-urlencoded"]["schema"]
    return {name: typed(name, value, schema) for name, value in parse_qsl(request["body"], True, True)}, schema


def main():
    try:
        import jsonschema
    except ImportError:
        print("skipped: python3-jsonschema is not installed")
        return SKIP
    folder = os.path.join(os.environ.get("SIGNALBOX_SHARED", ""), "specs")
    lines = subprocess.run(sys.argv[1], check=True, capture_output=True, text=True).stdout.splitlines()
    for request in map(json.loads, lines):
        name = os.path.join(folder, request["spec"] + ".json")
        if not os.path.isfile(name):
            print(f"skipped: SIGNALBOX_SHARED names no folder with specs/{request['spec']}.json")
            return SKIP
        with open(name, encoding="utf-8") as file:
            spec = strict(json.load(file))
        path = urlsplit(request["url"]).path
        assert path.startswith(PREFIX[request["spec"]]), path
        operation = spec["paths"][find_path(path[len(PREFIX[request["spec"]]):], spec)][request["method"].lower()]
        value, schema = body_of(request, operation["requestBody"]["content"])
        jsonschema.Draft7Validator(schema, resolver=jsonschema.RefResolver.from_schema(spec)).validate(value)
        print("fits:", request["method"], path, json.dumps(value))
    return 0 if lines else 1


sys.exit(main())

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
BY_SDK = "anthropic-|resend"  # no description: tests/system/vendors_types_take_our_requests.py has their SDKs judge
PREFIX = {"sendgrid": "/v3", "slack": "/api", "twilio": "", "openai": "/v1", "gmaps": "", "nominatim": ""}  # of the service's address before the description's paths


def parts_of_wholes(schema):
    """The components that some schema is put together from (allOf): each alone has not all members."""
    if isinstance(schema, list):
        return set().union(*map(parts_of_wholes, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    own = {one["$ref"].rsplit("/", 1)[1] for one in schema.get("allOf", []) if "$ref" in one}
    return own.union(*map(parts_of_wholes, schema.values()))


def strict(schema, is_part=False, parts=frozenset()):
    """A member that the description does not have is an error, not an extension."""
    if isinstance(schema, list):
        return [strict(one, is_part, parts) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value, key == "allOf" or key in parts, parts) for key, value in schema.items()}
    if "allOf" in schema and not is_part:
        schema["unevaluatedProperties"] = False
    elif isinstance(schema.get("properties"), dict) and not is_part and not {"allOf", "anyOf", "oneOf", "additionalProperties"} & schema.keys():
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
    if kind == "number" and re.fullmatch(r"-?[\d.]+", value):
        return float(value)
    return [value] if kind == "array" else value


def query_of(request, operation, spec):
    """A query as an object, and the schema that its parameters make. The key is a matter of `security`."""
    parameters = [spec["components"]["parameters"][one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one for one in operation["parameters"]]
    known = {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}
    schema = {"properties": known, "additionalProperties": False, "required": [one["name"] for one in parameters if one.get("required") and one["in"] == "query"]}
    value = dict(parse_qsl(urlsplit(request["url"]).query, True, True))
    assert value.pop("key", None) == ("AIza0123456789" if request["spec"] == "gmaps" else None)
    return {name: [float(x) for x in text.split(",")] if known.get(name, {}).get("type") == "array" else typed(name, text, schema)
            for name, text in value.items()}, schema


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
        if re.match(BY_SDK, request["spec"]):
            continue
        name = os.path.join(os.path.dirname(__file__), request["spec"] + ".json")
        if not os.path.isfile(name):  # our own words, where the service has no description
            name = os.path.join(folder, request["spec"] + ".json")
        if not os.path.isfile(name):
            print(f"skipped: SIGNALBOX_SHARED names no folder with specs/{request['spec']}.json")
            return SKIP
        with open(name, encoding="utf-8") as file:
            spec = json.load(file)
        spec = strict(spec, parts=parts_of_wholes(spec))
        path = urlsplit(request["url"]).path
        assert path.startswith(PREFIX[request["spec"]]), path
        operation = spec["paths"][find_path(path[len(PREFIX[request["spec"]]):], spec)][request["method"].lower()]
        if request["method"] == "GET":
            value, schema = query_of(request, operation, spec)
        else:
            value, schema = body_of(request, operation["requestBody"]["content"])
        jsonschema.Draft201909Validator(schema, resolver=jsonschema.RefResolver.from_schema(spec)).validate(value)
        print("fits:", request["method"], path, json.dumps(value))
    return 0 if lines else 1


sys.exit(main())

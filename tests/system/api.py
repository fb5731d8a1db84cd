# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The description at /v1/openapi.json, and a client that holds each answer of the running gateway to it."""
import json
import re

import harness
import jsonschema

METHODS = {"get", "post", "put", "delete", "patch", "head", "options"}


class Api:
    """The system, and its description; ask() holds each answer to it."""

    def __init__(self, system):
        self.system = system
        status, headers, body = harness.http_call(system.port, "GET", "/v1/openapi.json")
        assert status == 200 and headers["Content-Type"] == "application/json"
        self.doc = json.loads(body)
        self.seen, self.codes = set(), set()

    def operations(self):
        return {(method, path): operation for path, item in self.doc["paths"].items() for method, operation in item.items() if method in METHODS}

    def find(self, method, target):
        path = target.split("?")[0]
        fitting = [known for (m, known) in self.operations() if m == method.lower() and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), path)]
        return max(fitting, key=lambda known: (known == path, len(known)))

    def validate(self, value, schema):
        root = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": self.doc["components"], "allOf": [schema]}
        jsonschema.Draft202012Validator(root, format_checker=jsonschema.FormatChecker()).validate(value)

    def check(self, method, path, status, headers, body):
        operation = self.operations()[(method.lower(), path)]
        assert str(status) in operation["responses"], (method, path, status, body[:300])
        response = operation["responses"][str(status)]
        media = headers["Content-Type"].split(";")[0]
        assert media in response["content"], (method, path, status, media)
        for name in response.get("headers", {}):
            assert name in headers, (method, path, status, name)
        if status >= 500:
            code = json.loads(body)["code"]
            assert code in response["x-codes"], (method, path, status, code)
            assert ("Retry-After" in headers) == ("Retry-After" in response.get("headers", {})), (method, path, status, code)
            self.codes.add(code)
        if media.endswith("json"):
            self.validate(json.loads(body), response["content"][media]["schema"])
        self.seen.add((method.lower(), path, status))

    def ask(self, method, target, body=None, headers=None, expect=None, token=None):
        """The answer's body, parsed where it is JSON."""
        return self.answer(method, target, body, headers, expect, token)[1]

    def answer(self, method, target, body=None, headers=None, expect=None, token=None):
        """(status, body)"""
        headers = {"Authorization": f"Bearer {token or self.system.token()}", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
        status, answered, content = harness.http_call(self.system.port, method, target, body, headers)
        self.check(method, self.find(method, target), status, answered, content)
        assert expect is None or status == expect, (status, content)
        return status, json.loads(content) if content[:1] in b"{[" else content

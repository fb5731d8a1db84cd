#!/usr/bin/env python3
# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""A connector that is a program: the stock of a warehouse in a SQLite file. Python's standard library is all it needs.

In signalbox.yaml:

    integrations:
      warehouse:
        connector: stock
        command: [/usr/bin/python3, exec_connector.py, warehouse.db]
        workers: 2
        secrets: { signing_key: vault:stock_signing_key }

It reads a line of JSON for each event and writes one back; docs/guide/exec.md says what stands in them.
"""
import hashlib
import hmac
import json
import os
import sqlite3
import sys

MANIFEST = {
    "exec": 1,
    "name": "stock",
    "version": "1",
    "summary": "The stock of a warehouse",
    "operations": [
        {"name": "reserve", "summary": "Take pieces of an article out of the stock", "repeat": "keyed", "key_lifetime_s": 10 * 365 * 86400,
         "transition": "order: accepted -> reserved", "transition_failed": "order: accepted -> sold out",
         "degrade": "offer another article, or a later day", "price": "none", "test": "reserve 0 pieces of any article",
         "example": {"sku": "tea", "quantity": 1}},
        {"name": "level", "summary": "How many pieces are there", "repeat": "safe", "price": "none", "degrade": "show no number",
         "test": "changes nothing", "example": {"sku": "tea"}},
        {"name": "changes", "summary": "What was reserved since the last run", "repeat": "safe", "is_poll": True, "price": "none",
         "degrade": "the next run takes up where the last one ended", "test": "changes nothing", "example": {}},
    ],
    "publishes": ["stock.reserved"],
    "options": [{"name": "page", "type": "int", "default": "100", "help": "changes in one run"}],
    "secrets": [{"name": "signing_key", "what": "any text of 20 characters or more; tickets are signed with it",
                 "rotate": "tickets stay good only under the key they were signed with: let open orders run out first"}],
    "failures": [{"name": "sold out", "seen_as": "permanent: only N pieces are left", "then": "never tried again; order more"}],
    "tests": "a new file has 10 pieces of tea; what is reserved from a copy of the file changes nothing else",
}


def open_stock(path):
    stock = sqlite3.connect(path, timeout=5, isolation_level=None)
    stock.execute("CREATE TABLE IF NOT EXISTS article (sku TEXT PRIMARY KEY, pieces INTEGER CHECK (pieces >= 0))")
    stock.execute("CREATE TABLE IF NOT EXISTS reservation (n INTEGER PRIMARY KEY, key TEXT UNIQUE, sku TEXT, quantity INTEGER)")
    stock.execute("INSERT OR IGNORE INTO article VALUES ('tea', 10)")
    return stock


def reserve(stock, secrets, question, data):
    sku, quantity = data.get("sku"), data.get("quantity")
    if not isinstance(sku, str) or type(quantity) is not int or quantity < 0:
        return {"failed": {"class": "permanent", "message": "expected {\"sku\": a text, \"quantity\": a whole number}"}}
    stock.execute("BEGIN IMMEDIATE")
    try:
        # The key is the same at every attempt: what was reserved under it is not reserved again.
        if not stock.execute("SELECT 1 FROM reservation WHERE key = ?", (question["key"],)).fetchone():
            row = stock.execute("SELECT pieces FROM article WHERE sku = ?", (sku,)).fetchone()
            if row is None or row[0] < quantity:
                return {"failed": {"class": "permanent", "message": f"only {row[0] if row else 0} pieces are left", "data": {"sku": sku}}}
            stock.execute("UPDATE article SET pieces = pieces - ? WHERE sku = ?", (quantity, sku))
            stock.execute("INSERT INTO reservation (key, sku, quantity) VALUES (?, ?, ?)", (question["key"], sku, quantity))
        stock.execute("COMMIT")
    finally:
        if stock.in_transaction:
            stock.execute("ROLLBACK")
    ticket = hmac.new(secrets["signing_key"].encode(), question["key"].encode(), hashlib.sha256).hexdigest()
    return {"succeeded": {"sku": sku, "quantity": quantity, "ticket": ticket}}


def level(stock, _secrets, _question, data):
    row = stock.execute("SELECT pieces FROM article WHERE sku = ?", (data.get("sku"),)).fetchone()
    if row is None:
        return {"failed": {"class": "permanent", "message": "there is no such article"}}
    return {"succeeded": {"sku": data["sku"], "pieces": row[0]}}


def changes(stock, _secrets, question, _data):
    page, cursor = question["options"]["page"], int(question.get("cursor") or 0)
    rows = stock.execute("SELECT n, sku, quantity FROM reservation WHERE n > ? ORDER BY n LIMIT ?", (cursor, page)).fetchall()
    facts = [{"type": "stock.reserved", "key": sku, "data": {"n": n, "sku": sku, "quantity": quantity}} for n, sku, quantity in rows]
    return {"succeeded": {"count": len(rows)}, "facts": facts, "cursor": str(rows[-1][0] if rows else cursor), "more": len(rows) == page}


def answer(stock, secrets, question):
    event = question["event"]
    data = event.get("data")
    if not isinstance(data, dict):
        return {"failed": {"class": "permanent", "message": "the data must be a JSON object"}}
    operation = event["type"].split(".")[1]
    try:
        return {"reserve": reserve, "level": level, "changes": changes}[operation](stock, secrets, question, data)
    except sqlite3.OperationalError as busy:  # nothing was changed: the transaction was rolled back
        return {"retry": {"after_ms": 200, "message": f"the stock is not available: {busy}"}}


def main():
    if sys.argv[-1] == "--manifest":
        print(json.dumps(MANIFEST))
        return
    with os.fdopen(int(os.environ["SIGNALBOX_SECRETS_FD"])) as file:
        secrets = json.load(file)
    stock = open_stock(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(answer(stock, secrets, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

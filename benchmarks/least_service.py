"""The least that a service which remembers has to do: the floor under what a request can cost where one is asked for.

It reads a request, keeps resource, effect and answer in SQLite, looks its key up, notes the attempt and answers. It
knows no fault, no time, no operation and no law, takes what it is sent for well-formed, and serves one client. What has
no key it answers by the bytes it was given.
"""

from __future__ import annotations

import json
import sqlite3
from hashlib import blake2b

import httptools
from stub import StubSocket

from pytest_retrychaos.service.database import SCHEMA

TOGETHER = 96
WRITES = (
    "INSERT INTO resources VALUES (?, ?, ?, ?, ?, ?, ?)",
    "INSERT INTO effects (attempt, method, host, path, target, key, body, at_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
)


class LeastService(StubSocket):
    """A socket object with that service behind it; what it writes goes to SQLite in batches, as ours does."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self._parser = httptools.HttpRequestParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._target, self._body = b"", b""
        self._attempts: list[tuple[object, ...]] = []
        self._answers: dict[str, bytes] = {}
        self._writes: list[tuple[str, tuple[object, ...]]] = []
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        for statement in SCHEMA.split(";"):
            self._database.execute(statement)

    def sendall(self, data: bytes, flags: int = 0) -> None:
        self._parser.feed_data(data)

    def send(self, data: bytes, flags: int = 0) -> int:
        self._parser.feed_data(data)
        return len(data)

    def close(self) -> None:
        self._database.close()

    def on_url(self, url: bytes) -> None:
        self._target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self._fields]
        named, path = dict(fields), self._target.decode("latin-1")
        key = named.get("idempotency-key")
        if key is None:
            self._waiting = self._answer
        else:
            if key not in self._answers:
                self._answers[key] = self._carry_out(path, named["host"], key)
            self._waiting = self._answers[key]
        self._attempts.append((path, fields, self._body, key, self._waiting))
        self._fields, self._body = [], b""

    def _carry_out(self, path: str, host: str, key: str) -> bytes:
        number = len(self._attempts) + 1
        identifier = "pay_" + blake2b(b"%d" % number, digest_size=12).hexdigest()
        made = {"id": identifier, "status": "succeeded", "created": 1893456000, **json.loads(self._body)}
        content = json.dumps(made).encode()
        etag = f'"{blake2b(content, digest_size=8).hexdigest()}"'
        place = f"{path}/{identifier}"
        rows = (
            (place, path, number, "application/json", content, etag, 0),
            (number, "POST", host, path, path, key, self._body, 0),
            (host, key, "POST", path, "json", self._body, 201, etag, content, 0),
        )
        self._writes += zip(WRITES, rows, strict=True)
        if len(self._writes) >= TOGETHER:
            self._write()
        head = (
            f"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nLocation: {place}\r\nETag: {etag}\r\n"
            f"Date: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    def _write(self) -> None:
        self._database.execute("BEGIN")
        for statement, row in self._writes:
            self._database.execute(statement, row)
        self._database.execute("COMMIT")
        self._writes.clear()

"""The idempotency layer at work: which keys are in flight, which answers are kept.

A key is in flight in this process only: a killed one leaves none behind.
"""

from __future__ import annotations

import threading
from hashlib import blake2b
from typing import NamedTuple

from pytest_retrychaos.model import Headers, Request, Response
from pytest_retrychaos.service.database import Database
from pytest_retrychaos.service.idempotency import (
    Arrival,
    Idempotency,
    Record,
    Refuse,
    Replay,
    decide,
)
from pytest_retrychaos.service.payload import media_type

Slot = tuple[str, str]
"""Where a key is one key: the space that the scope makes, and the key."""


class Claim(NamedTuple):
    """A key taken by a request that is being carried out."""

    slot: Slot
    arrival: Arrival


class Layer:
    """The keys of a service. `keep` is called inside the caller's transaction."""

    def __init__(self, database: Database, now_ns: int) -> None:
        self._database = database
        self._in_flight: dict[Slot, Arrival] = {}
        self._known: set[Slot] = set(database.all("SELECT space, key FROM keys"))
        """Every key with a row, so that the database is not asked for one that was never kept."""
        self._gate = threading.Lock()
        with database:  # virtual time begins anew with each run, and how long ago the last one was is not known
            if self._known:
                database.write("UPDATE keys SET at_ns = ?", (now_ns,))

    def admit(
        self, request: Request, key: str | None, settings: Idempotency, now_ns: int
    ) -> Claim | Replay | Refuse | None:
        """Let a request in, with a claim on its key where it has one, or say what to answer instead."""
        slot = None if key is None else slot_of(request, key, settings)
        arrival = Arrival(
            request.method,
            request.target,
            media_type(request.headers.by_name),
            request.content,
            None if slot is None else slot[1],
        )
        with self._gate:
            running = None if slot is None else self._in_flight.get(slot)
            record = None if slot is None else self._find(slot)  # after that: who is in flight no longer has kept it
            decision = decide(settings, arrival, record, running, now_ns)
            if isinstance(decision, Replay | Refuse):
                return decision
            if slot is None or not decision.keyed:
                return None
            self._in_flight[slot] = arrival
        return Claim(slot, arrival)

    def release(self, claim: Claim) -> None:
        """Note that the claim's request is no longer in flight."""
        self._in_flight.pop(claim.slot, None)

    def keep(self, claim: Claim, response: Response, at_ns: int) -> None:
        """Keep an answer; an earlier one under the key, long expired, makes room."""
        arrival = claim.arrival
        self._known.add(claim.slot)
        headers = "\n".join([f"{name}:{value}" for name, value in response.headers.pairs])
        self._database.write(
            "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *claim.slot,
                arrival.method,
                arrival.target,
                arrival.kind,
                arrival.body,
                response.status,
                headers,
                response.body,
                at_ns,
            ),
        )

    def _find(self, slot: Slot) -> Record | None:
        if slot not in self._known:
            return None
        row = self._database.one(
            "SELECT method, target, kind, body, status, headers, answer, at_ns FROM keys WHERE space = ? AND key = ?",
            slot,
        )
        if row is None:
            return None
        method, target, kind, body, status, headers, answer, at_ns = row
        pairs = (line.partition(":") for line in headers.split("\n") if line)
        response = Response(status, Headers((name, value) for name, _, value in pairs), answer)
        return Record(Arrival(method, target, kind, body, slot[1]), response, at_ns)


def slot_of(request: Request, key: str, settings: Idempotency) -> Slot:
    """Say within what this key is one key."""
    if settings.quoted and len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if settings.scope == "endpoint":
        return f"{request.method} {request.path}", key
    if settings.scope == "everywhere":
        return "", key
    host = request.host.lower()
    if settings.scope == "host":
        return host, key
    return f"{host} {_credentials(request)}", key


_CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-auth-token", "x-goog-api-key")
"""What tells accounts apart. No cookies: a server may set new ones with each answer."""


def _credentials(request: Request) -> str:
    """Digest the credentials, so that a store file holds no secret."""
    sent = [request.headers.get(name, "") for name in _CREDENTIALS]
    return blake2b("\n".join(sent).encode(), digest_size=8).hexdigest()

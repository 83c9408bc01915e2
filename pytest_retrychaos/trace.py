"""The record of one run: attempts, the operations they belong to, scopes, scripts and effects.

Laws of this module:
1. A trace is a value. Everything a law needs stands in it.
2. ``numbered()`` replaces keys, credentials and other volatile values by numbers of first appearance (K1, C1,
   V1). What remains depends on no machine, hour, process, address or random number: the same seed gives the
   same bytes of JSON. Equal values stay equal and different ones different, so laws judge both alike.
3. ``Trace.from_json(trace.to_json()) == trace.numbered()``: a verdict can be reached anywhere.
4. Times are integer nanoseconds of virtual time since the run began.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from pytest_retrychaos.model import SECOND, Effect, Headers
from pytest_retrychaos.volatile import NUMBERED_HEADERS

FORMAT = 1
"""Version of the JSON form; a reader refuses another one."""

WHOLE = 64 * 1024
"""Bodies up to this many bytes are kept whole; of longer ones the first KiB."""


@dataclass(frozen=True, slots=True)
class Body:
    """A message body as the trace keeps it: whole up to 64 KiB, then length, digest and the first KiB."""

    size: int
    sha256: str
    """Of the bytes with the volatile values left out."""
    start: bytes
    announced: int | None = None
    """The ``Content-Length`` that was promised, where fewer bytes came."""

    @property
    def is_whole(self) -> bool:
        """Whether ``start`` is all of it."""
        return self.size <= WHOLE


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of a request. ``None`` stands for what never happened or is not known."""

    index: int
    """Counts from 1, in the order in which attempts began."""
    operation: int
    """Which operation it belongs to: an index into `Trace.operations`."""
    joined: str
    """Why it belongs there: began, key, retry, sent again, leg, not sent."""
    lineage: int
    """The thread or task that sent it, numbered by first appearance."""
    site: int | None
    """From which place of the test function the call came, numbered by first appearance."""
    scope: int | None
    """Index into `Trace.scopes`, where the test opened one."""

    scheme: str
    host: str
    method: str | None
    """``None`` where nothing was sent."""
    target: str | None
    headers: Headers
    body: Body
    key: str | None
    """The idempotency key as sent."""
    key_carrier: str | None
    """Where it was found: ``Idempotency-Key``, ``body:ClientToken``, …"""
    credentials: str | None
    """The credentials sent (``Authorization`` without its scheme, ``Cookie``, an API key header)."""
    volatile: tuple[str, ...]
    """Values in headers, query and body that may differ on every attempt: request ids, nonces, timestamps."""
    body_relation: str
    """To the first attempt of its operation: first, same, volatile (but for volatile fields), rest (what was
    left of a consumed body), different."""
    is_read: bool
    """It changes nothing: GET, a query by POST, a route declared ``effect=False``."""
    is_guarded: bool
    """It carries a precondition under which repeating it does nothing."""

    fault: str | None
    """The script's step, as written; ``None`` where no step was met and the service answered."""
    script: int | None
    """Index into `Trace.scripts` of the script that chose the fault."""
    status: int | None
    """The status that was sent, if an answer was."""
    response_headers: Headers
    response_body: Body
    own_answer: bool
    """The answer was the service's own, not a scripted status."""
    reached: bool
    """The service received it (a refused connection did not)."""
    committed: bool
    """The service carried it out; a scripted fault may have struck after that."""
    effects: int
    """How many rows of the ledger it wrote."""
    replayed: bool
    """The service answered from what it had stored for the key."""

    began_ns: int
    arrived_ns: int | None
    """The whole request had arrived."""
    headers_ns: int | None
    """The answer's headers were handed to the client."""
    last_byte_ns: int | None
    """The whole answer was handed to the client."""
    ended_ns: int | None
    """The attempt ended in the client's eyes."""
    error: str | None
    """The error that the transport gave the client, as ``Type: message``."""
    failed: bool
    """The client got no complete success (see `Operation`)."""
    cut: bool
    """The client closed it while an answer was on its way."""
    timeout_ns: int | None
    """The client's own timeout for a wait on this connection, as last seen."""
    was_silent: bool
    """It met silence with no deadline at all."""
    wall_ns: int | None
    """The wall clock (epoch) when the answer's headers were handed over."""

    @property
    def started(self) -> float:
        """Seconds since the run began."""
        return self.began_ns / SECOND

    @property
    def ended(self) -> float | None:
        """Seconds since the run began, or ``None`` while it has not ended."""
        return None if self.ended_ns is None else self.ended_ns / SECOND

    @property
    def was_sent(self) -> bool:
        """Whether a request left the client."""
        return self.method is not None


@dataclass(frozen=True, slots=True)
class Operation:
    """One request that the code under test wants carried out once, with all its attempts.

    An attempt *failed* where the client got no complete success: an exception, its own timeout, a damaged
    body, a scripted status of 400 or more, or the service's own 408, 425, 429 or 5xx. The service's own other
    4xx are answers.
    """

    name: str
    """``POST /payments``, or the scope's name (``name``, ``name/2``, …)."""
    attempts: tuple[int, ...]
    """Attempt indexes (from 1), legs included, in order."""
    legs: tuple[int, ...]
    """Those of them that followed a redirect."""
    scope: int | None
    one_or_two: bool
    """It follows a failed operation with an equal body, from another line of the test: one or two?"""
    reused_key_of: int | None
    """An earlier operation that had used its idempotency key."""
    follows: int | None = None
    """Which operation that is, where it is one or two."""


@dataclass(frozen=True, slots=True)
class Raised:
    """One exception of a chain, the outermost first."""

    type: str
    """``module.QualifiedName``."""
    bases: tuple[str, ...]
    """The same for its base classes, nearest first, ``object`` left out."""
    message: str
    status: int | None = None
    """The HTTP status that it carries, where it carries one."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the caller was told: a value or an exception."""

    claims_success: bool | None
    """The value claims success, claims failure, or says neither (``None``)."""
    value: str | None
    """The value as text, shortened."""
    raised: tuple[Raised, ...] = ()
    claimed_by: str | None = None
    """What says so: ``status``, ``ok``, or ``same value`` (as an earlier success of the function returned)."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the test named: ``chaos.operation(…)`` or ``chaos.call(…)``."""

    name: str
    began_ns: int
    ended_ns: int | None
    told: Told | None
    """Only where the telling was seen (``chaos.call``)."""
    cancelled_ns: int | None = None
    """When a cancellation was asked for."""


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One step of a script and how often it struck."""

    text: str
    wanted: int | None
    """How often it should strike; ``None`` for ``*``."""
    fired: int
    is_fault: bool
    """A plain ``ok`` is none."""


@dataclass(frozen=True, slots=True)
class ScriptRecord:
    """A script that was set, fired or not."""

    where: str
    """What it was bound to: ``every request``, ``POST /payments``, …"""
    per: str
    strict: bool
    closed: bool
    """It was replaced, or its ``with`` block ended."""
    steps: tuple[ScriptStep, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole run."""

    test: str
    """The test's id, or a name given outside pytest."""
    seed: int
    script: str
    """The script for all requests, as written: what the test is run again with."""
    attempts: tuple[Attempt, ...] = ()
    operations: tuple[Operation, ...] = ()
    scopes: tuple[Scope, ...] = ()
    scripts: tuple[ScriptRecord, ...] = ()
    effects: tuple[Effect, ...] = ()
    ended: Told | None = None
    """How the test itself ended, where that is known (by an exception)."""
    finished_ns: int = 0
    """Virtual time when the trace was taken."""
    notes: tuple[str, ...] = ()
    """What was noticed beside the attempts, such as a loop that polls the clock."""

    def of(self, operation: Operation) -> tuple[Attempt, ...]:
        """The attempts of an operation, in order."""
        return tuple(self.attempts[index - 1] for index in operation.attempts)

    def numbered(self) -> Trace:
        """Return the trace with keys, credentials and volatile values numbered by first appearance."""
        return _number(self)

    def to_json(self) -> str:
        """Write the numbered trace as JSON: the same run gives the same bytes."""
        return json.dumps({"format": FORMAT, **_plain(self.numbered())}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Trace:
        """Read a trace back; `ValueError` where it is no trace or of another version."""
        try:
            value = json.loads(text)
            found = value.pop("format")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ValueError(f"this is not a trace written by Trace.to_json(): {text[:60]!r}") from error
        if found != FORMAT:
            raise ValueError(f"a trace of format {found!r}: this version reads format {FORMAT}; record it again")
        return _trace(value)


def waits(attempts: tuple[Attempt, ...] | list[Attempt]) -> list[int]:
    """Nanoseconds between the end of each attempt, as the client saw it, and the start of the next.

    Redirect legs are left out.
    """
    kept = [attempt for attempt in attempts if attempt.joined != "leg"]
    return [
        later.began_ns - (earlier.ended_ns if earlier.ended_ns is not None else later.began_ns)
        for earlier, later in itertools.pairwise(kept)
    ]


NO_BODY = Body(0, "", b"")


class _Numbers:
    """Give out numbers by first appearance."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def name(self, kind: str, value: str) -> str:
        known = self._names.get((kind, value))
        if known is None:
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self._names[kind, value] = f"{kind}{count}"
        return known


def _number(trace: Trace) -> Trace:
    """Number values by first appearance; numbering twice changes nothing."""
    numbers = _Numbers()
    attempts = []
    renamed: dict[int, list[tuple[str, str]]] = {}
    for attempt in trace.attempts:
        pairs = []
        if attempt.key:
            pairs.append((attempt.key, numbers.name("K", attempt.key)))
        if attempt.credentials:
            pairs.append((attempt.credentials, numbers.name("C", attempt.credentials)))
        pairs += [(value, numbers.name("V", value)) for value in attempt.volatile if value != attempt.key]
        pairs.sort(key=lambda pair: -len(pair[0]))
        renamed[attempt.index] = pairs
        known = dict(pairs)
        attempts.append(
            replace(
                attempt,
                key=known[attempt.key] if attempt.key else attempt.key,
                credentials=known[attempt.credentials] if attempt.credentials else attempt.credentials,
                volatile=tuple(known.get(value, value) for value in attempt.volatile),
                target=_renamed_text(attempt.target, pairs) if attempt.target else attempt.target,
                headers=_renamed_headers(attempt.headers, pairs, numbers),
                body=_renamed_body(attempt.body, pairs),
                response_headers=_renamed_headers(attempt.response_headers, pairs, numbers),
                response_body=_renamed_body(attempt.response_body, pairs),
            )
        )
    effects = tuple(
        replace(
            effect,
            key=_renamed_text(effect.key, renamed.get(effect.attempt, [])) if effect.key else effect.key,
            target=_renamed_text(effect.target, renamed.get(effect.attempt, [])),
            body=_renamed_bytes(effect.body, renamed.get(effect.attempt, [])),
        )
        for effect in trace.effects
    )
    return replace(trace, attempts=tuple(attempts), effects=effects)


def _renamed_text(text: str, pairs: list[tuple[str, str]]) -> str:
    for value, name in pairs:
        text = text.replace(value, name)
    return text


def _renamed_bytes(content: bytes, pairs: list[tuple[str, str]]) -> bytes:
    for value, name in pairs:
        content = content.replace(value.encode(), name.encode())
    return content


def _renamed_headers(headers: Headers, pairs: list[tuple[str, str]], numbers: _Numbers) -> Headers:
    return Headers(
        (name, numbers.name("V", value) if name.lower() in NUMBERED_HEADERS else _renamed_text(value, pairs))
        for name, value in headers.pairs
    )


def _renamed_body(body: Body, pairs: list[tuple[str, str]]) -> Body:
    start = _renamed_bytes(body.start, pairs)
    return body if start == body.start else replace(body, start=start)


def _plain(value: Any) -> Any:  # Any: JSON values
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Headers):
        return [list(pair) for pair in value.pairs]
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")  # one character a byte: readable where it is text, and exact always
    return value


def _body(value: dict[str, Any]) -> Body:
    return Body(**{**value, "start": value["start"].encode("latin-1")})


def _headers(value: list[list[str]]) -> Headers:
    return Headers((name, text) for name, text in value)


def _told(value: dict[str, Any] | None) -> Told | None:
    if value is None:
        return None
    raised = tuple(Raised(**{**item, "bases": tuple(item["bases"])}) for item in value["raised"])
    return Told(**{**value, "raised": raised})


def _attempt(value: dict[str, Any]) -> Attempt:
    return Attempt(
        **{
            **value,
            "headers": _headers(value["headers"]),
            "response_headers": _headers(value["response_headers"]),
            "body": _body(value["body"]),
            "response_body": _body(value["response_body"]),
            "volatile": tuple(value["volatile"]),
        }
    )


def _trace(value: dict[str, Any]) -> Trace:
    return Trace(
        **{
            **value,
            "attempts": tuple(_attempt(item) for item in value["attempts"]),
            "operations": tuple(
                Operation(**{**item, "attempts": tuple(item["attempts"]), "legs": tuple(item["legs"])})
                for item in value["operations"]
            ),
            "scopes": tuple(Scope(**{**item, "told": _told(item["told"])}) for item in value["scopes"]),
            "scripts": tuple(
                ScriptRecord(**{**item, "steps": tuple(ScriptStep(**step) for step in item["steps"])})
                for item in value["scripts"]
            ),
            "effects": tuple(Effect(**{**item, "body": item["body"].encode("latin-1")}) for item in value["effects"]),
            "ended": _told(value["ended"]),
            "notes": tuple(value["notes"]),
        }
    )

"""What a trace is made of: attempts, operations, scopes, scripts, and what callers were told.

Times are integer nanoseconds of virtual time since the run began. ``None`` stands for what never happened or
is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pytest_retrychaos import redact
from pytest_retrychaos.frozen import quick
from pytest_retrychaos.model import SECOND, Headers

RESOLUTION_NS: Final = 1_000_000
"""Times are compared with a tolerance of 1 ms, on virtual time."""

WHOLE: Final = 64 * 1024
"""Bodies up to this many bytes are kept whole; of longer ones the first KiB."""


@quick
@dataclass(frozen=True, slots=True)
class Body:
    """A message body as the trace keeps it: whole up to 64 KiB, then length, digest and the first KiB."""

    size: int
    """Bytes, as sent."""
    sha256: str
    """Of the bytes with the key and the volatile values left out; empty where there are none."""
    start: bytes
    """All of it, or the first KiB."""
    announced: int | None = None
    """The ``Content-Length`` that was promised, where fewer bytes came."""

    __repr__ = redact.written

    @property
    def is_whole(self) -> bool:
        """Whether ``start`` is all of it."""
        return self.size <= WHOLE


NO_BODY: Final = Body(0, "", b"")


@quick
@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of a request. ``None`` stands for what never happened or is not known."""

    index: int
    """Counts from 1, in the order in which attempts began."""
    operation: int
    """Which operation it belongs to: an index into `Trace.operations`."""
    joined: str
    """Why it belongs there: began, key, hedge, retry, sent again, leg, not sent."""
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
    """Values in query and body that may differ on every attempt: request ids, nonces, timestamps, a boundary."""
    body_relation: str
    """To the first attempt of its operation: first, same, volatile (but for volatile fields), rest (what was
    left of a consumed body), different."""
    is_read: bool
    """It changes nothing: GET, a query by POST, a route declared ``effect=False``."""
    is_guarded: bool
    """Repeating it does nothing: by a precondition, or since it writes by POST what a PUT would."""

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
    """The client closed it while it sent the request or while an answer was on its way."""
    timeout_ns: int | None
    """The client's own timeout for a wait on this connection, as last seen."""
    was_silent: bool
    """It met silence with no deadline at all."""
    wall_ns: int | None
    """The wall clock (epoch) when the answer's headers were handed over."""
    cancelled_ns: int | None = None
    """When the test had asked who sends it to end, if that was before it began and had not been taken back."""
    key_conflict: str | None = None
    """Why the service turned its key away, where it did: ``in flight``, ``mismatch``, ``missing``, ``too long``."""

    def __repr__(self) -> str:
        from pytest_retrychaos.trace.hiding import Hiding  # which needs what stands here

        return redact.written(Hiding(redact.current()).attempt(self))

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


@quick
@dataclass(frozen=True, slots=True)
class Lineage:
    """A thread, a task or a pool's item that sent requests, or began one that did."""

    parent: int | None
    """Who began it: an index into `Trace.lineages`; ``None`` where that is not known."""
    has_ended: bool
    """It cannot send anything more."""
    is_task: bool = False
    """It is a task of an event loop."""
    cancelled_ns: tuple[int, ...] = ()
    """When the test asked it to end: by ``cancel()``, or by a deadline that the test itself had set."""
    called_off_ns: int | None = None
    """When the code under test cancelled it, for good: the loser of a race, what runs beside the work."""
    roused_ns: int | None = None
    """When somebody last ended its wait for an event before its time was up: a worker that is to stop."""


@dataclass(frozen=True, slots=True)
class Stall:
    """Something that blocked a running event loop, and with it everything that ran there."""

    kind: str
    """``sleep``, or ``request``: a blocking connection was opened."""
    at_ns: int
    length_ns: int
    """How long it slept; 0 where that is not known beforehand."""
    place: str
    """Where in the code: ``path:line function``."""
    lineage: int
    """Of the task that ran: an index into `Trace.lineages`."""
    after: int
    """How many attempts had begun."""

    __repr__ = redact.written


@quick
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
    """It follows a failed operation with an equal body, from another line of the test, or with the same but for
    its position (``Content-Range``) or precondition (``If-Match``): one or two?"""
    reused_key_of: int | None
    """An earlier operation that had used its idempotency key."""
    follows: int | None = None
    """The failed operation that it follows, where it is one or two."""

    __repr__ = redact.written


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
    on_purpose: bool = False
    """The code under test raised it by a statement of its own, or from another exception."""

    __repr__ = redact.written


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
    held: tuple[Raised, ...] = ()
    """The exceptions inside a value that claims failure, each with its chain."""
    said: tuple[str, ...] = ()
    """Such a value's fields, or an exception's, that may say more of the failure: ``code: outcome_unknown``."""

    __repr__ = redact.written


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
    after: int = 0
    """How many attempts of the run had begun when it began."""
    ended_after: int | None = None
    """How many had begun when it ended."""
    came_after: int = 0
    """How many scopes had ended when it began."""
    ended_as: int | None = None
    """Which one it was to end, from 1."""
    herd: int | None = None
    """Index into `Trace.herds`, where it is a copy of one, or was opened inside a copy."""

    __repr__ = redact.written


@dataclass(frozen=True, slots=True)
class HerdRecord:
    """Many copies of the code under test at once: ``chaos.herd(…)``. The copies are the scopes that name it."""

    count: int
    """How many copies."""
    began_ns: int
    ended_ns: int
    over_ns: int
    """Over so long the copies came; 0 is all at one moment."""
    window_ns: int
    """Arrivals are counted in windows of this length, from the beginning."""
    cause_ended_ns: int | None
    """When what the service was made to suffer was over: the last scripted fault that struck a copy, or else, where
    the service had a limit, the coming of the last copy; ``None`` where there was neither."""
    limit: int | None = None
    """How many requests the service took in ``limit_ns``, where it had a limit."""
    limit_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the run that was not its default."""

    name: str
    value: str
    """As Python writes it."""

    __repr__ = redact.written


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One step of a script and how often it struck."""

    text: str
    wanted: int | None
    """How often it should strike; ``None`` for ``*``."""
    fired: int
    is_fault: bool
    """A plain ``ok`` is none."""

    __repr__ = redact.written


@quick
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

    __repr__ = redact.written

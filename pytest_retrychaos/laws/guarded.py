"""What a circuit breaker had to judge by: what was sent, how it ended, and what it turned away.

Laws of this module:
1. A breaker stands inside the retries, and counts attempts, or around them, and counts calls. It guards a host, a
   route, or all that a client sends. A run can be read in each way.
2. A call that was turned away leaves nothing on the wire. It is seen where the test gave it a scope: one that sent
   nothing.
3. What only the breaker's own predicate decides (a 404, a 429, an answer that the client closed) is unclear here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_retrychaos.laws.ends import ANSWER, CUT, IN_FLIGHT, RAISED, REDIRECTS, STATUS, Ended, path_of
from pytest_retrychaos.laws.limits import CUT_FROM_OUTSIDE, may_be_cut_from_outside, own_limits
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.engine.breaker_policy import Per
    from pytest_retrychaos.laws.view import View
    from pytest_retrychaos.trace import Attempt, Raised, Scope, Trace

HOPELESS: Final = frozenset({501, 505})
"""Given by a service that works (RFC 9110, 15.6): no sign of an outage to some breakers."""

SLOW_NS: Final = SECOND
"""From here on a success may be a slow call, which some breakers count as a failure (resilience4j, by 60 s; by hand,
by less)."""

BREAKER_PACKAGES: Final = frozenset({"purgatory"})
"""Libraries whose errors do not say by their names what they are."""


class Sign(enum.Enum):
    """What the end of a call tells of the service."""

    HEALTHY = "healthy"
    FAILED = "failed"
    UNCLEAR = "unclear"
    """Whether it counts is known to the breaker alone."""
    PENDING = "pending"


class Call(NamedTuple):
    """What a breaker counts as one: an attempt, or a call with all its attempts."""

    first: Attempt
    last: Attempt
    ended_ns: int | None
    sign: Sign
    admitted_ns: int
    """It was let through then or later: its sender was busy with something else until then."""
    scope: Scope | None = None

    @property
    def is_slow(self) -> bool:
        """Whether it took so long that some breakers take its success for a failure."""
        return self.ended_ns is not None and self.ended_ns - self.first.began_ns >= SLOW_NS

    @property
    def is_alone(self) -> bool:
        """Whether every scope before its own had ended when that began."""
        return self.scope is None or self.scope.came_after == self.first.scope

    def is_sequel_to(self, other: Call) -> bool:
        """Whether it began only when the other had ended for its caller, though perhaps at the same moment."""
        if self.first.lineage == other.last.lineage and self.first.index > other.last.index:
            return True
        ended_as = None if other.scope is None else other.scope.ended_as
        return self.scope is not None and ended_as is not None and self.scope.came_after >= ended_as


class Refusal(NamedTuple):
    """A scope that sent nothing, or one that ended in a breaker's own error."""

    number: int
    """Of the scope."""
    scope: Scope
    at_ns: int
    after: int
    """How many attempts had begun."""
    since_ns: int
    """When the scope began, or what it sent last had ended."""
    says_so: bool
    """It was told by a breaker's error."""

    @property
    def is_alone(self) -> bool:
        """Whether every scope before it had ended: no call was under way that had sent nothing yet."""
        return self.scope.came_after == self.number

    @property
    def is_prompt(self) -> bool:
        """Whether it was told at once: nothing else was tried before that, such as a wait for a full pool."""
        return self.at_ns == self.since_ns

    def came_beside(self, call: Call) -> bool:
        """Whether it began while the call was under way, though that may have sent nothing yet."""
        scope, number = call.scope, call.first.scope
        if scope is None or number is None or number > self.number:
            return False
        return scope.ended_as is None or scope.ended_as > self.scope.came_after


class Event(NamedTuple):
    """One thing that happened at a circuit."""

    kind: str
    """``begin`` and ``end`` of a call, ``refused`` (it sent nothing), ``tripped`` (it was sent, and told a breaker's
    error)."""
    call: Call | None = None
    refusal: Refusal | None = None


Circuits = dict[object, list[Event]]

PER: Final = ("host", "route", "client")
COUNTS: Final = ("attempts", "calls")


def circuits(view: View, per: Per, counts: str) -> Circuits:
    """Give, for each circuit of one reading, what happened there, in order.

    ``per`` is one of `PER`, or a function of an attempt that names its circuit, ``None`` where it has none.
    """
    dated: dict[object, list[tuple[tuple[int, int, int], Event]]] = {}
    names: dict[str, set[object]] = {}
    for key, call in _calls(view, per, counts):
        events = dated.setdefault(key, [])
        events.append(((call.first.began_ns, call.first.index, 0), Event("begin", call)))
        if call.ended_ns is not None:
            events.append(((call.ended_ns, call.last.index, 1), Event("end", call)))
        if call.first.scope is not None:
            names.setdefault(view.trace.scopes[call.first.scope].name, set()).add(key)
    for kind, refusal in _refusals(view):
        keys = names.get(refusal.scope.name, set(dated))
        if len(keys) == 1:
            when = refusal.at_ns, refusal.after, 2
            dated[next(iter(keys))].append((when, Event(kind, refusal=refusal)))
    return {key: [event for _, event in sorted(events, key=lambda one: one[0])] for key, events in dated.items()}


def _calls(view: View, per: Per, counts: str) -> Iterator[tuple[object, Call]]:
    admitted = _admissions(view)
    limits = own_limits(view)
    last_of = {end.attempt.scope: end.attempt.index for end in view.ends}
    groups: dict[tuple[object, object], list[Ended]] = {}
    for end in view.ends:
        attempt = end.attempt
        key = _key(view, attempt, per)
        if key is None:
            continue
        if counts == "attempts":
            scope = view.scope_of(attempt.scope)
            sign = _sign(end, scope if last_of[attempt.scope] == attempt.index else None, limits)
            yield key, Call(attempt, attempt, end.at_ns, sign, admitted[attempt.index], scope)
        else:
            whole = ("operation", attempt.operation) if attempt.scope is None else ("scope", attempt.scope)
            groups.setdefault((whole, key), []).append(end)
    for (_, key), ends in groups.items():
        yield key, _whole_call(view, ends, admitted, limits)


def _whole_call(view: View, ends: list[Ended], admitted: dict[int, int], limits: frozenset[int]) -> Call:
    first, last = ends[0].attempt, ends[-1]
    scope = view.scope_of(first.scope)
    sign, ended_ns = _sign(last, scope, limits), last.at_ns
    if scope is not None and scope.told is not None:
        ended_ns = scope.ended_ns
        raised = scope.told.raised
        if raised and (sign is Sign.HEALTHY or (raised[0].type in CUT_FROM_OUTSIDE and last.how != "timeout")):
            sign = Sign.UNCLEAR  # a deadline can end it in the wait after a failure, too
    return Call(first, last.attempt, ended_ns, sign, admitted[first.index], scope)


def _admissions(view: View) -> dict[int, int]:
    """Find of every attempt since when it can have been let through."""
    found: dict[int, int] = {}
    free: dict[tuple[str, int], int] = {}
    for end in view.ends:
        attempt = end.attempt
        scope = view.scope_of(attempt.scope)
        own = ("lineage", attempt.lineage), ("operation", attempt.operation)
        moments = [free[one] for one in own if one in free and free[one] <= attempt.began_ns]
        found[attempt.index] = max([*moments, 0 if scope is None else scope.began_ns])
        if end.at_ns is not None:
            free |= dict.fromkeys(own, end.at_ns)
    return found


def _key(view: View, attempt: Attempt, per: Per) -> object:
    if callable(per):
        return per(attempt)
    if per == "client":
        return ""
    if per == "host":
        return attempt.host
    sent = attempt
    if not attempt.was_sent:
        numbers = view.trace.operations[attempt.operation].attempts
        sent = next((one for one in (view.trace.attempts[n - 1] for n in numbers) if one.was_sent), attempt)
    return sent.method, sent.host, _shape(path_of(sent))


def _shape(path: str) -> str:
    """Write a path with its identifiers left out: ``/items/7/lines`` → ``/items/*/lines``."""
    return "/".join("*" if any(char.isdigit() for char in part) else part for part in path.split("/"))


def _sign(end: Ended, scope: Scope | None, limits: frozenset[int]) -> Sign:
    """Tell what an end says of the service; ``scope`` is the one that it ended, if it did.

    ``limits`` are the client's own, in milliseconds.
    """
    status = end.attempt.status or 200
    if end.how == IN_FLIGHT:
        return Sign.PENDING
    if end.how == ANSWER:
        return Sign.HEALTHY if status < 400 and status not in REDIRECTS else Sign.UNCLEAR
    if end.how == STATUS:
        return Sign.FAILED if status >= 500 and status not in HOPELESS else Sign.UNCLEAR
    return (
        Sign.UNCLEAR
        if end.how in (CUT, RAISED, "truncate") or may_be_cut_from_outside(end, scope, limits)
        else Sign.FAILED
    )


def _refusals(view: View) -> Iterator[tuple[str, Refusal]]:
    senders = {end.attempt.scope: end.at_ns for end in view.ends}
    for number, scope in enumerate(view.trace.scopes):
        if scope.ended_ns is None or scope.ended_after is None:
            continue
        raised = () if scope.told is None else scope.told.raised
        if number in senders:
            if raised and _is_breakers(raised[0]):
                yield (
                    "tripped",
                    Refusal(number, scope, scope.ended_ns, scope.ended_after, senders[number] or 0, says_so=True),
                )
        elif scope.ended_after == scope.after:
            says_so = any(map(_is_breakers, raised))
            yield "refused", Refusal(number, scope, scope.ended_ns, scope.after, scope.began_ns, says_so)


def silent_scopes(trace: Trace) -> dict[int, list[Scope]]:
    """Give the scopes that sent nothing, by how many attempts had begun."""
    senders = {attempt.scope for attempt in trace.attempts}
    found: dict[int, list[Scope]] = {}
    for number, scope in enumerate(trace.scopes):
        if number not in senders and scope.ended_ns is not None and scope.ended_after == scope.after:
            found.setdefault(scope.after, []).append(scope)
    return found


def _is_breakers(raised: Raised) -> bool:
    """Whether an exception is a breaker's, by the name of its class or of its package."""
    names = raised.type, *raised.bases
    return any(_says_breaker(name) for name in names)


def _says_breaker(name: str) -> bool:
    last = name.rpartition(".")[2].lower()
    return "circuit" in last or "breaker" in last or name.partition(".")[0] in BREAKER_PACKAGES

"""A trace as the laws look at it: computed once, so that all laws together stay one linear pass.

Laws of this module:
1. Nothing is decided here that a law should decide: it says how attempts ended and what followed what.
2. Every list is as long as the attempts at most, and built in one walk.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any, NamedTuple

from pytest_retrychaos.laws.ends import CUT, LOGIN, Ended, Endings, request_of
from pytest_retrychaos.trace import Attempt, Operation, Scope, Trace
from pytest_retrychaos.volatile import CREDENTIALS, is_credential, is_session


class Retry(NamedTuple):
    """Two attempts of one operation of which the later began after the earlier had ended. Legs are none."""

    before: Ended
    """What had ended last: the attempt before, or the last leg that it led to."""
    led_by: Attempt
    """The attempt before, legs left out."""
    attempt: Attempt
    number: int
    """Which retry of the operation it is, from 1."""
    wait_ns: int
    led_to: Attempt
    """The last leg that it led to, or itself."""

    @property
    def is_login(self) -> bool:
        """Whether it follows 401, 403 or 407 with other credentials."""
        before = self.before.attempt
        if before.status not in LOGIN:
            return False
        known = {_credentials(before)}
        if before.joined == "leg":  # clients keep credentials from other hosts than the one they are for
            known.add(_credentials(self.led_by))
        return _credentials(self.attempt) not in known

    @property
    def is_failover(self) -> bool:
        """Whether it went to another host, and led to another."""
        return self.before.attempt.host not in (self.attempt.host, self.led_to.host)


def _credentials(attempt: Attempt) -> tuple[object, ...]:
    """Give what a request says of who is calling, under whatever name."""
    apart = (*CREDENTIALS, (attempt.key_carrier or "").lower())  # a key names the operation, whatever its header
    named = [pair for pair in attempt.headers.pairs if pair[0].lower() not in apart and is_credential(pair[0])]
    if attempt.credentials is not None:
        named = [pair for pair in named if not is_session(pair[0])]
    return attempt.credentials, *named


@dataclass(slots=True)
class OperationView:
    """One operation with what followed what."""

    index: int
    operation: Operation
    attempts: tuple[Attempt, ...]
    tries: tuple[Attempt, ...]
    """The attempts without redirect legs."""
    ends: list[Ended]
    """How each of ``attempts`` ended."""
    retries: list[Retry]
    scope: Scope | None
    has_success: bool

    @property
    def last(self) -> Ended:
        """How its last attempt ended."""
        return self.ends[-1]

    @property
    def first_sent(self) -> Attempt | None:
        """The first attempt that left the client."""
        return next((attempt for attempt in self.attempts if attempt.was_sent), None)

    @property
    def request(self) -> str:
        """The request in words: ``POST /payments``."""
        sent = self.first_sent
        return request_of(sent if sent is not None else self.attempts[0])

    @property
    def writes(self) -> bool:
        """Whether it asks for a change: some attempt was sent and is no read."""
        sent = self.first_sent
        return sent is not None and not sent.is_read


def all_ends(trace: Trace) -> list[Ended]:
    """Tell how every attempt of a trace ended."""
    endings = Endings()
    return [endings.of(attempt) for attempt in trace.attempts]


def operation_views(trace: Trace, ends: list[Ended]) -> list[OperationView]:
    """View the operations of a trace whose attempts ended so, but for those that have none."""
    return [_operation(trace, index, ends) for index, one in enumerate(trace.operations) if one.attempts]


def _operation(trace: Trace, index: int, ends_of_all: list[Ended]) -> OperationView:
    operation = trace.operations[index]
    ends = [ends_of_all[number - 1] for number in operation.attempts]
    attempts = tuple([end.attempt for end in ends])
    legs = frozenset(operation.legs)
    tries = tuple([a for a in attempts if a.index not in legs]) if legs else attempts
    return OperationView(
        index,
        operation,
        attempts,
        tries,
        ends,
        _retries(ends, legs) if len(tries) > 1 else [],
        None if operation.scope is None else trace.scopes[operation.scope],
        any(end.is_success for end in ends),
    )


class View:
    """The whole trace, indexed."""

    __slots__ = (
        "by_scope",
        "ends",
        "first_failing",
        "last_in_scope",
        "last_with_key",
        "memo",
        "operations",
        "trace",
        "two_or_one",
        "unsent",
    )

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.memo: dict[object, Any] = {}  # Any: each family of laws knows what it keeps
        """What the laws of a family share: computed by the first that is asked."""
        self.ends = all_ends(trace)
        self.operations = operation_views(trace, self.ends)
        self.first_failing: dict[str, int] = {}
        """Of each host the first operation that failed there."""
        for end in self.ends:
            if end.attempt.failed and end.how != CUT:
                self.first_failing.setdefault(end.attempt.host, end.attempt.operation)
        self.by_scope: dict[int, list[OperationView]] = {}
        for operation in self.operations:
            if operation.operation.scope is not None:
                self.by_scope.setdefault(operation.operation.scope, []).append(operation)
        self.last_in_scope = {end.attempt.scope: end for end in self.ends if end.attempt.scope is not None}
        self.last_with_key = {end.attempt.key: end.attempt.index for end in self.ends if end.attempt.key is not None}
        self.unsent: dict[tuple[str, int | None], list[Attempt]] = {}
        """By host and scope the attempts of operations of which nothing was sent."""
        unsent = {operation.index for operation in self.operations if operation.first_sent is None}
        for end in self.ends if unsent else ():
            if end.attempt.operation in unsent:
                self.unsent.setdefault((end.attempt.host, end.attempt.scope), []).append(end.attempt)
        self.two_or_one = self._undecided()
        """Operations of which the trace cannot tell whether they are one with their neighbour."""

    @property
    def was_cut_off(self) -> bool:
        """Whether the run was ended from outside, by what ``except Exception`` does not catch."""
        ended = self.trace.ended
        if ended is None or not ended.raised:
            return False
        outermost = ended.raised[0]
        return "builtins.Exception" not in (outermost.type, *outermost.bases)

    def cancelled_at(self, operation: OperationView) -> list[int]:
        """Give the moments since its beginning at which the test cancelled who sent it, or who had begun that."""
        known = self.trace.lineages
        asked: set[int] = set()
        seen: set[int] = set()
        for attempt in operation.attempts:
            one: int | None = attempt.lineage
            while one is not None and one < len(known) and one not in seen:
                seen.add(one)
                asked.update(known[one].cancelled_ns)
                one = known[one].parent
        began = operation.attempts[0].began_ns
        return sorted(moment for moment in asked if moment >= began)

    def scope_of(self, index: int | None) -> Scope | None:
        """Return a scope by its index."""
        return None if index is None else self.trace.scopes[index]

    def equal_to(self, attempt: Attempt) -> list[Attempt]:
        """List the attempts with the same request, key and scope, itself among them, in the order in which they began.

        One with another key is another order.
        """
        known: dict[object, list[Attempt]] | None = self.memo.get(View.equal_to)
        if known is None:
            known = self.memo[View.equal_to] = {}
            for one in self.trace.attempts:
                known.setdefault(_request_of(one), []).append(one)
        return known[_request_of(attempt)]

    def _undecided(self) -> frozenset[int]:
        found: set[int] = set()
        for index, operation in enumerate(self.trace.operations):
            if operation.one_or_two:
                found |= {index} if operation.follows is None else {index, operation.follows}
        return frozenset(found)


def _request_of(attempt: Attempt) -> object:
    return attempt.scope, attempt.method, attempt.host, attempt.target, attempt.body.sha256, attempt.key


def _retries(ends: list[Ended], legs: frozenset[int]) -> list[Retry]:
    """Pair each attempt with the last one that had ended when it began; overlapping ones are no retries."""
    found: list[Retry] = []
    open_: list[tuple[int, int]] = []
    before: Ended | None = None
    led_by: Attempt | None = None
    number = 0
    for place, end in enumerate(ends):
        attempt = end.attempt
        while open_ and open_[0][0] <= attempt.began_ns:
            before = ends[heapq.heappop(open_)[1]]
        if attempt.index not in legs:
            if led_by is not None:
                number += 1
                if before is not None and attempt.joined != "hedge":
                    wait_ns = attempt.began_ns - (before.at_ns or 0)
                    found.append(Retry(before, led_by, attempt, number, wait_ns, _led_to(ends, place, legs)))
            led_by = attempt
        if end.at_ns is not None:
            heapq.heappush(open_, (end.at_ns, place))
    return found


def _led_to(ends: list[Ended], place: int, legs: frozenset[int]) -> Attempt:
    """Give the last leg that an attempt led to, or itself."""
    found = ends[place].attempt
    for later in range(place + 1, len(ends)):
        if ends[later].attempt.index not in legs:
            break
        found = ends[later].attempt
    return found

"""Homes: which operation each attempt of a run belongs to.

Laws of this module:
1. Joining is decided once, when a request has arrived, from what was known then; the reason is kept with the
   attempt.
2. An attempt that failed before it was sent has no path yet. It belongs to the next attempt to that host that
   comes from the same call, unless the client began its waiting anew; until then to what had failed there before
   in that call, else to itself.
3. Cost is constant per attempt: candidates are found by index, never by a scan of all.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from operator import attrgetter
from typing import Final

from pytest_retrychaos.record import joining, sameness
from pytest_retrychaos.record.apart import others_than
from pytest_retrychaos.record.operations import DEEPEST, Index, OperationSheet
from pytest_retrychaos.record.redirects import sent_to
from pytest_retrychaos.record.sheet import Identity, Kind, Sheet
from pytest_retrychaos.record.unsent import Unsent
from pytest_retrychaos.trace import Operation

NOT_SENT: Final = "not sent"


class Homes:
    """The operations of one run while they grow."""

    def __init__(self, name_in_scope: Callable[[int], str], *, is_sender_known: bool) -> None:
        self._name_in_scope = name_in_scope
        self._is_sender_known = is_sender_known
        self._operations: list[OperationSheet] = []
        self._index = Index()
        self._unsent = Unsent()

    def kind(self, scope: int | None, method: str, target: str) -> Kind:
        """Give what the attempts of one operation share."""
        return self._index.kind(scope, method, target)

    def has_unsent_of(self, call: int | None) -> bool:
        """Whether an attempt of a call of the test's was not sent, and its next one is not known yet."""
        return self._unsent.has_any_of(call)

    def place(self, sheet: Sheet) -> None:
        """Join an attempt whose request has arrived to its operation."""
        candidates = self._index.candidates(sheet)
        if candidates.of_key is not None and self._tell_apart(candidates.of_key, sheet.key):
            candidates = self._index.candidates(sheet)
        decision = joining.decide(sheet, candidates, is_sender_known=self._is_sender_known)
        waiting = self._unsent.take_before(sheet)
        if waiting is not None and not joining.goes_on(waiting, sheet):
            waiting = None
        operation, reason = decision.operation, decision.reason
        if decision.follows is not None:
            decision.follows.is_passed_over = True
        if operation is None and waiting is not None:
            home = waiting[0].operation
            if isinstance(home, OperationSheet) and joining.is_retry(home, sheet):
                operation, reason = home, "retry"
            else:
                operation, reason = self._begun_by(waiting, sheet), NOT_SENT
                operation.follows = decision.follows
        if operation is None:
            operation = self._new(sheet)
            operation.follows = decision.follows
        elif waiting is not None:
            _move(waiting, operation)
        self._note_key(operation, sheet)
        self._add(operation, sheet, reason)

    def place_unsent(self, sheet: Sheet) -> None:
        """Place an attempt that failed before a request could be sent."""
        waiting = self._unsent.take_before(sheet)
        if waiting is not None and joining.goes_on(waiting, sheet):
            home = waiting[-1].operation
            waiting.append(sheet)
            self._unsent.wait(waiting)
        else:
            begins_anew = waiting is not None and joining.are_in_one_call(waiting[-1], sheet)
            home = (None if begins_anew else self._failed_before(sheet)) or self._new(sheet)
            self._unsent.wait([sheet])
        assert isinstance(home, OperationSheet)
        self._add(home, sheet, NOT_SENT if home.attempts else "began")

    def expect_redirect(self, sheet: Sheet) -> None:
        """Remember where an answer sends the client, so that the request that follows it is a leg."""
        place = sent_to(sheet)
        if place is not None and isinstance(sheet.operation, OperationSheet):
            self._index.expect(sheet.operation, sheet, place)

    def note_end(self, sheet: Sheet) -> None:
        """Note for its operation that an attempt has ended."""
        operation = sheet.operation
        if not isinstance(operation, OperationSheet):
            return
        if sheet.has_succeeded:
            operation.has_succeeded = True
            operation.let_bodies_go()
        elif sheet.failed and operation.last is sheet:
            self._index.note_failure(operation)

    def freeze(self) -> tuple[Operation, ...]:
        """Make the record of the operations, in the order in which their first attempts began."""
        kept = [operation for operation in self._operations if not operation.is_merged]
        kept.sort(key=lambda operation: operation.attempts[0].index)
        for position, operation in enumerate(kept):
            operation.position = position
        return tuple([_freeze(operation) for operation in kept])

    # one operation that was two

    def _tell_apart(self, operation: OperationSheet, key: str | None) -> bool:
        """Make operations of their own of what had other keys, now that this one came back."""
        groups = others_than(key, operation.attempts)
        for group in groups:
            self._take_out(operation, group)
        if groups:
            self._settle(operation)
        return bool(groups)

    def _take_out(self, operation: OperationSheet, group: list[Sheet]) -> None:
        operation.attempts = [sheet for sheet in operation.attempts if sheet not in group]
        other = self._new(group[0])
        for sheet in group:
            sheet.relation = "first"
            self._add(other, sheet, sheet.joined if sheet.joined in ("leg", NOT_SENT) else "key")
        group[0].joined = "began"
        self._settle(other)

    def _settle(self, operation: OperationSheet) -> None:
        operation.has_succeeded = any(sheet.has_succeeded for sheet in operation.attempts)
        if operation.last.failed and operation.last.ended_ns is not None:
            self._index.note_failure(operation)

    # attempts that were not sent

    def _failed_before(self, sheet: Sheet) -> OperationSheet | None:
        """Give the operation of which an attempt that was not sent is the next, as far as is known."""
        lineage = sheet.lineage
        latest = self._index.latest(lineage)
        if latest is None:  # a task that only connects, begun after the failure, by whatever others in between
            above = (self._index.latest(one) for one in islice(lineage.line(), DEEPEST))
            latest = next((one for one in above if one is not None), None)
            if latest is None or not (latest.last.lineage.has_ended or lineage.is_begun_by(latest.last.lineage)):
                return None  # the other goes on by itself
            if lineage.branch_beside(latest.last.lineage).born <= latest.last.ended_as:
                return None
        elif latest is not None and latest.last.lineage is not lineage and not latest.last.lineage.has_ended:
            return None  # another task of its own
        if latest is None or not latest.last.failed or latest.last.host != sheet.host:
            return None
        is_next = joining.had_ended(latest, sheet) and joining.goes_on_unsent(latest, sheet)
        return latest if is_next else None

    def _begun_by(self, waiting: list[Sheet], sheet: Sheet) -> OperationSheet:
        """Give the operation that attempts which were not sent have begun, now that its request is known."""
        home = waiting[0].operation
        assert isinstance(home, OperationSheet)
        if home.attempts[0] is not waiting[0]:
            return self._new(sheet)
        if home.scope is None:
            home.name = self._name(sheet)
        return home

    # an attempt's place in its operation

    def _new(self, sheet: Sheet) -> OperationSheet:
        operation = OperationSheet(self._name(sheet), sheet.scope)
        self._operations.append(operation)
        return operation

    def _name(self, sheet: Sheet) -> str:
        if sheet.scope is None:
            path = (sheet.target or "").partition("?")[0]
            return f"{sheet.host} (nothing was sent)" if sheet.method is None else f"{sheet.method} {path}"
        return self._name_in_scope(sheet.scope)

    def _add(self, operation: OperationSheet, sheet: Sheet, reason: str) -> None:
        sheet.operation = operation
        sheet.joined = reason
        operation.attempts.append(sheet)
        if sheet.identity is not None:
            _compare(operation, sheet, sheet.identity)
        self._index.add(operation, sheet)

    def _note_key(self, operation: OperationSheet, sheet: Sheet) -> None:
        user = self._index.key_user(sheet.key)
        if user is not None and user is not operation and operation.reused_key_of is None:
            operation.reused_key_of = user


def compare_anew(operation: OperationSheet, sheet: Sheet) -> None:
    """Note anew what an attempt's body is to those before, since more of it has come."""
    if sheet.identity is not None and operation.counterpart(sheet) is not sheet:
        _compare(operation, sheet, sheet.identity)


def _compare(operation: OperationSheet, sheet: Sheet, identity: Identity) -> None:
    """Note what the body is to that of the operation's earlier attempts; keep one body to compare with."""
    earlier = operation.counterpart(sheet)
    if earlier is None:
        operation.by_identity[identity] = sheet
        return
    kind = joining.relation(earlier, sheet)
    sheet.relation = sameness.REST if kind == sameness.PART else kind
    if kind != sameness.SAME:
        operation.by_identity[identity] = earlier
        return
    operation.by_identity[identity] = sheet
    if earlier.identity == identity:
        earlier.full_body = b""


def _move(waiting: list[Sheet], operation: OperationSheet) -> None:
    """Let attempts that were not sent belong to the operation whose next attempt was."""
    home = waiting[0].operation
    assert isinstance(home, OperationSheet)
    if home is operation:
        return
    home.attempts = [sheet for sheet in home.attempts if sheet not in waiting]
    home.is_merged = not home.attempts
    has_later = bool(operation.attempts) and operation.last.index > waiting[0].index
    for sheet in waiting:
        sheet.operation = operation
        sheet.joined = NOT_SENT if operation.attempts else "began"
        operation.attempts.append(sheet)
    if has_later:
        operation.attempts.sort(key=attrgetter("index"))


def _freeze(operation: OperationSheet) -> Operation:
    follows, reused = operation.follows, operation.reused_key_of
    return Operation(
        name=operation.name,
        attempts=tuple([sheet.index for sheet in operation.attempts]),
        legs=tuple([sheet.index for sheet in operation.attempts if sheet.joined == "leg"]),
        scope=operation.scope,
        one_or_two=follows is not None,
        reused_key_of=None if reused is None else reused.position,
        follows=None if follows is None else follows.position,
    )

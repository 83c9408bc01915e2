"""The recorder: numbers attempts as they begin and notes which operation each belongs to.

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
from contextvars import ContextVar, Token
from itertools import islice
from operator import attrgetter
from types import CodeType
from typing import Final

from pytest_retrychaos.model import Request
from pytest_retrychaos.packing import said
from pytest_retrychaos.record import joining, sameness
from pytest_retrychaos.record.apart import others_than
from pytest_retrychaos.record.callsites import Callsites
from pytest_retrychaos.record.lineages import Alone, Lineages, Workers
from pytest_retrychaos.record.operations import DEEPEST, Index, OperationSheet
from pytest_retrychaos.record.redirects import sent_to
from pytest_retrychaos.record.scopes import Scopes
from pytest_retrychaos.record.sheet import Identity, Sheet
from pytest_retrychaos.record.stopped import stopped_tasks
from pytest_retrychaos.record.streaks import Runaway, Streaks
from pytest_retrychaos.record.unsent import Unsent
from pytest_retrychaos.trace import Lineage as LineageRecord
from pytest_retrychaos.trace import Operation, Scope, Stall, Told
from pytest_retrychaos.volatile import canonical_target

__all__ = ["OperationSheet", "Recorder", "Runaway"]

NOT_SENT: Final = "not sent"


class Recorder:
    """The record of one run while it grows."""

    def __init__(
        self,
        now: Callable[[], int],
        wall: Callable[[], int],
        test_code: CodeType | None = None,
        workers: Workers | None = None,
        inherited: Callable[[ContextVar[int | None]], int | None] = lambda _: None,
        *,
        sees_callers: bool = True,
    ) -> None:
        self._now = now
        self._wall = wall
        self.sheets: list[Sheet] = []
        self._operations: list[OperationSheet] = []
        self._callsites = Callsites(test_code)
        self._scopes = Scopes(now, inherited, sees_callers=sees_callers)
        self.lineages = Lineages(workers or Alone())
        self.stalls: list[Stall] = []
        """What blocked a running event loop."""
        self.sees_callers = sees_callers
        """Whether attempts begin in the thread that makes them. Where they do not (a real server), an attempt
        belongs to the one scope that is open, and no call of the test's is known."""
        self._index = Index()
        self._streaks = Streaks(counts_successes=sees_callers)
        self._hooks = self._expect_redirect, self._note_end
        self._unsent = Unsent()

    def watch(self, test_code: CodeType) -> None:
        """Name the function that makes the calls: the test."""
        self._callsites.watch(test_code)

    @property
    def stops(self) -> list[Runaway]:
        """The ends of loops that had none."""
        return self._streaks.stops

    # scopes

    @property
    def scopes(self) -> list[Scope]:
        """Those that were opened, in that order."""
        return self._scopes.all

    @property
    def is_in_scope(self) -> bool:
        """Whether a scope is open in this context."""
        return self._scopes.here() is not None

    def open_scope(self, name: str, herd: int | None = None) -> tuple[int, Token[int | None]]:
        """Begin a scope for this context; give its number and what `close_scope` needs.

        ``herd`` is the number of the herd of which it is a copy; what a copy opens belongs to its herd.
        """
        return self._scopes.open(name, self.lineages.cancellations_here(), after=len(self.sheets), herd=herd)

    def close_scope(self, number: int, token: Token[int | None], told: Told | None) -> None:
        """End a scope and note what its caller was told."""
        self._scopes.close(number, token, told, after=len(self.sheets))

    # attempts

    def begin(self, host: str, scheme: str) -> Sheet:
        """Number an attempt that begins now."""
        lineage = self.lineages.here()
        sheet = Sheet(len(self.sheets) + 1, self._now, self._wall, *self._hooks, lineage)
        sheet.host = host
        sheet.scheme = scheme
        sheet.scope = self._scopes.here()
        sheet.cancelled_ns = lineage.ends_since_ns if lineage.is_task else None
        place = self._callsites.here() if self.sees_callers else None
        if place is not None:
            sheet.site, sheet.call = place
        elif self.sees_callers and lineage.is_task and lineage.parent is not None:
            sheet.outer_call = self._callsites.around(lineage.parent.coroutine)
        self.sheets.append(sheet)
        return sheet

    def begin_request(self, head: Request) -> Sheet:
        """Number an attempt whose head has arrived."""
        sheet = self.begin(head.host, head.scheme)
        sheet.method = head.method
        sheet.target = head.target
        target = canonical_target(head.target)
        sheet.identity = (head.method, head.host, target)
        sheet.kind = self._index.kind(sheet.scope, head.method, target)
        sheet.headers = head.headers
        sheet.credentials = sameness.credentials(head.headers)
        return sheet

    def complete(self, sheet: Sheet, body: bytes, announced: int | None = None) -> None:
        """Take the body of a request, as far as it arrived, and join the attempt to its operation.

        Where more of a body has come since, the attempt stays where it is.

        Raises `Runaway` where this request was sent too often in a row.
        """
        content = said(body, sheet.headers.by_name)
        sheet.volatile = sameness.volatile_values(sheet.headers, sheet.target or "", content)
        sheet.take_body(body, content, announced)
        if isinstance(sheet.operation, OperationSheet):
            self._compare_anew(sheet.operation, sheet)
            return
        self._join(sheet)
        self._streaks.check(sheet)

    def not_sent(self, sheet: Sheet) -> None:
        """Place an attempt that failed before a request could be sent; raises `Runaway` as `complete` does."""
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
        self._streaks.check(sheet)

    def note_stall(self, kind: str, at_ns: int, length_ns: int, place: str) -> None:
        """Note what blocks the event loop that runs here."""
        lineage = self.lineages.here().number
        self.stalls.append(Stall(kind, at_ns, length_ns, place, lineage, len(self.sheets)))

    # snapshots

    def freeze_operations(self) -> tuple[Operation, ...]:
        """Make the record of the operations, in the order in which their first attempts began."""
        self._callsites.release_finished()
        kept = [operation for operation in self._operations if not operation.is_merged]
        kept.sort(key=lambda operation: operation.attempts[0].index)
        for position, operation in enumerate(kept):
            operation.position = position
        return tuple([_freeze(operation) for operation in kept])

    def freeze_lineages(self) -> tuple[LineageRecord, ...]:
        """Make the record of who sent requests, in the order of their numbers."""
        stopped = stopped_tasks(self.sheets, self.lineages.all)
        return tuple(
            LineageRecord(
                None if one.parent is None else one.parent.number,
                one.has_ended,
                one.is_task,
                one.cancelled_ns,
                one.called_off_ns,
                one.roused_ns if one.roused_ns is not None else stopped.get(one),
            )
            for one in self.lineages.all
        )

    # joining

    def _join(self, sheet: Sheet) -> None:
        candidates = self._index.candidates(sheet)
        if candidates.of_key is not None and self._tell_apart(candidates.of_key, sheet.key):
            candidates = self._index.candidates(sheet)
        decision = joining.decide(sheet, candidates, is_sender_known=self.sees_callers)
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
            self._move(waiting, operation)
        self._note_key(operation, sheet)
        self._add(operation, sheet, reason)

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

    def _failed_before(self, sheet: Sheet) -> OperationSheet | None:
        """Give the operation of which an attempt that was not sent is the next, as far as is known."""
        lineage = sheet.lineage
        latest = self._index.latest(lineage)
        if latest is None:  # a task that only connects, begun after the failure, by whatever others in between
            above = (self._index.latest(one) for one in islice(lineage.line(), DEEPEST))
            latest = next((one for one in above if one is not None), None)
            if latest is not None and lineage.branch_beside(latest.last.lineage).born <= latest.last.ended_as:
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

    def _move(self, waiting: list[Sheet], operation: OperationSheet) -> None:
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

    def _new(self, sheet: Sheet) -> OperationSheet:
        operation = OperationSheet(self._name(sheet), sheet.scope)
        self._operations.append(operation)
        return operation

    def _name(self, sheet: Sheet) -> str:
        if sheet.scope is None:
            path = (sheet.target or "").partition("?")[0]
            return f"{sheet.host} (nothing was sent)" if sheet.method is None else f"{sheet.method} {path}"
        return self._scopes.name_operation(sheet.scope)

    def _add(self, operation: OperationSheet, sheet: Sheet, reason: str) -> None:
        sheet.operation = operation
        sheet.joined = reason
        operation.attempts.append(sheet)
        if sheet.identity is not None:
            self._compare(operation, sheet, sheet.identity)
        self._index.add(operation, sheet)

    def _compare(self, operation: OperationSheet, sheet: Sheet, identity: Identity) -> None:
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

    def _compare_anew(self, operation: OperationSheet, sheet: Sheet) -> None:
        if sheet.identity is not None and operation.counterpart(sheet) is not sheet:
            self._compare(operation, sheet, sheet.identity)

    def _note_key(self, operation: OperationSheet, sheet: Sheet) -> None:
        user = self._index.key_user(sheet.key)
        if user is not None and user is not operation and operation.reused_key_of is None:
            operation.reused_key_of = user

    # what sheets report

    def _expect_redirect(self, sheet: Sheet) -> None:
        """Remember where an answer sends the client, so that the request that follows it is a leg."""
        place = sent_to(sheet)
        if place is not None and isinstance(sheet.operation, OperationSheet):
            self._index.expect(sheet.operation, sheet, place)

    def _note_end(self, sheet: Sheet) -> None:
        sheet.ended_as = self.lineages.now()
        operation = sheet.operation
        if sheet.went_well and not self._unsent.has_any_of(sheet.call):
            self._callsites.release()
        if not isinstance(operation, OperationSheet):
            return
        if sheet.has_succeeded:
            operation.has_succeeded = True
            operation.let_bodies_go()
        elif sheet.failed and operation.last is sheet:
            self._index.note_failure(operation)


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

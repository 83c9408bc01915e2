"""The recorder: numbers attempts as they begin, and notes who sent each and in which scope."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from types import CodeType

from pytest_retrychaos.model import Request
from pytest_retrychaos.packing import said
from pytest_retrychaos.record import sameness
from pytest_retrychaos.record.callsites import Callsites
from pytest_retrychaos.record.homes import Homes, compare_anew
from pytest_retrychaos.record.lineages import Alone, Lineages, Workers
from pytest_retrychaos.record.operations import OperationSheet
from pytest_retrychaos.record.scopes import Scopes
from pytest_retrychaos.record.sheet import Sheet
from pytest_retrychaos.record.stopped import stopped_tasks
from pytest_retrychaos.record.streaks import Runaway, Streaks
from pytest_retrychaos.trace import Lineage as LineageRecord
from pytest_retrychaos.trace import Operation, Scope, Stall, Told
from pytest_retrychaos.volatile import canonical_target

__all__ = ["OperationSheet", "Recorder", "Runaway"]


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
        self._callsites = Callsites(test_code)
        self._scopes = Scopes(now, inherited, sees_callers=sees_callers)
        self.lineages = Lineages(workers or Alone())
        self.stalls: list[Stall] = []
        """What blocked a running event loop."""
        self.sees_callers = sees_callers
        """Whether attempts begin in the thread that makes them. Where they do not (a real server), an attempt
        belongs to the one scope that is open, and no call of the test's is known."""
        self._homes = Homes(self._scopes.name_operation, is_sender_known=sees_callers)
        self._streaks = Streaks(counts_successes=sees_callers)
        self._hooks = self._homes.expect_redirect, self._note_end

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
        sheet.kind = self._homes.kind(sheet.scope, head.method, target)
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
            compare_anew(sheet.operation, sheet)
            return
        self._homes.place(sheet)
        self._streaks.check(sheet)

    def not_sent(self, sheet: Sheet) -> None:
        """Place an attempt that failed before a request could be sent; raises `Runaway` as `complete` does."""
        self._homes.place_unsent(sheet)
        self._streaks.check(sheet)

    def note_stall(self, kind: str, at_ns: int, length_ns: int, place: str) -> None:
        """Note what blocks the event loop that runs here."""
        lineage = self.lineages.here().number
        self.stalls.append(Stall(kind, at_ns, length_ns, place, lineage, len(self.sheets)))

    # snapshots

    def freeze_operations(self) -> tuple[Operation, ...]:
        """Make the record of the operations, in the order in which their first attempts began."""
        self._callsites.release_finished()
        return self._homes.freeze()

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
                max([moment for moment in (one.roused_ns, stopped.get(one)) if moment is not None], default=None),
            )
            for one in self.lineages.all
        )

    # what sheets report

    def _note_end(self, sheet: Sheet) -> None:
        sheet.ended_as = self.lineages.now()
        if sheet.went_well and not self._homes.has_unsent_of(sheet.call):
            self._callsites.release()
        self._homes.note_end(sheet)

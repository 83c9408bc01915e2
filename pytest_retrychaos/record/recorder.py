"""The recorder: numbers attempts as they begin and decides which operation each belongs to.

Laws of this module:
1. Joining is decided once, when a request has arrived (or failed before it was sent), from what was known
   then; the reason is kept with the attempt.
2. The rules are those of the glossary, in its order: key, retry, success sent again; scope, position and the
   test's own line speak against.
3. Cost is constant per attempt: candidates are found by index, never by a scan of all.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from types import CodeType, FrameType
from urllib.parse import urljoin, urlsplit

from pytest_retrychaos.model import Request
from pytest_retrychaos.record import sameness
from pytest_retrychaos.record.sheet import Sheet
from pytest_retrychaos.trace import Operation, Scope, Told

RUNAWAY = 2000
"""Consecutive attempts of one identity after which the run is ended."""

RECENT = 8
"""How many failed operations of one identity are compared for a consumed or volatile body."""

LEG_STATUSES = frozenset({301, 302, 303, 307, 308})


class Runaway(BaseException):
    """The code under test sent one request 2 000 times in a row; it is no `Exception`, so that it ends."""


class OperationSheet:
    """An operation while it grows."""

    __slots__ = ("attempts", "by_identity", "follows", "name", "position", "reused_key_of", "scope")

    def __init__(self, name: str, scope: int | None) -> None:
        self.name = name
        self.scope = scope
        self.attempts: list[Sheet] = []
        self.by_identity: dict[tuple[str, str, str], Sheet] = {}
        """The latest attempt of each identity: what the next one is compared with."""
        self.follows: OperationSheet | None = None
        """The failed operation with an equal body that it may be the same as."""
        self.reused_key_of: OperationSheet | None = None
        self.position = -1

    @property
    def last(self) -> Sheet:
        return self.attempts[-1]

    @property
    def has_succeeded(self) -> bool:
        return any(sheet.has_succeeded and sheet.status not in LEG_STATUSES for sheet in self.attempts[-2:])


class Recorder:
    """The record of one run while it grows."""

    def __init__(self, now: Callable[[], int], wall: Callable[[], int], test_code: CodeType | None = None) -> None:
        self._now = now
        self._wall = wall
        self._test_code = test_code
        self.sheets: list[Sheet] = []
        self.operations: list[OperationSheet | None] = []
        self.scopes: list[Scope] = []
        self._scope: ContextVar[int | None] = ContextVar("retrychaos_scope", default=None)
        self._sites: dict[object, int] = {}
        self._scope_counts: dict[int, int] = {}
        self._by_key: dict[tuple[int | None, str], OperationSheet] = {}
        self._recent: dict[tuple[object, ...], deque[OperationSheet]] = {}
        self._by_digest: dict[tuple[object, ...], OperationSheet] = {}
        self._latest: dict[int, OperationSheet] = {}  # by lineage
        self._legs: dict[int, tuple[OperationSheet, str, str]] = {}
        self._unsent: dict[tuple[str, int], OperationSheet] = {}
        self._doubtful: OperationSheet | None = None
        self._streaks: dict[int, tuple[Sheet, int]] = {}

    def watch(self, test_code: CodeType) -> None:
        """Name the function that makes the calls: the test."""
        self._test_code = test_code

    # scopes

    @property
    def is_in_scope(self) -> bool:
        """Whether a scope is open in this context."""
        return self._scope.get() is not None

    def open_scope(self, name: str) -> tuple[int, object]:
        """Begin a scope for this context; give its number and what `close_scope` needs."""
        number = len(self.scopes)
        self.scopes.append(Scope(name, self._now(), None, None))
        return number, self._scope.set(number)

    def close_scope(self, number: int, token: object, told: Told | None) -> None:
        """End a scope and note what its caller was told."""
        scope = self.scopes[number]
        self.scopes[number] = Scope(scope.name, scope.began_ns, self._now(), told, scope.cancelled_ns)
        self._scope.reset(token)  # type: ignore[arg-type]  # the token of open_scope

    # attempts

    def begin(self, host: str, scheme: str) -> Sheet:
        """Number an attempt that begins now."""
        sheet = Sheet(len(self.sheets) + 1, self._now, self._wall)
        sheet.host = host
        sheet.scheme = scheme
        sheet.scope = self._scope.get()
        sheet.site = self._site()
        self.sheets.append(sheet)
        return sheet

    def begin_request(self, head: Request) -> Sheet:
        """Number an attempt whose head has arrived."""
        sheet = self.begin(head.host, head.scheme)
        sheet.method = head.method
        sheet.target = head.target
        sheet.headers = head.headers
        sheet.credentials = sameness.credentials(head.headers)
        sheet.after = self._expect_leg
        return sheet

    def complete(self, sheet: Sheet, body: bytes, announced: int | None = None) -> None:
        """Take the body of a request, as far as it arrived, and join the attempt to its operation."""
        sheet.full_body = body
        sheet.announced = announced
        sheet.volatile = sameness.volatile_values(sheet.headers, sheet.target or "", body)
        leave_out = sheet.volatile if sheet.key is None else (sheet.key, *sheet.volatile)
        sheet.kept_body = sameness.keep(body, leave_out, announced)
        self._check_streak(sheet)
        self._join(sheet)

    def not_sent(self, sheet: Sheet) -> None:
        """Place an attempt that failed before a request could be sent."""
        waiting = self._unsent.get((sheet.host, sheet.lineage))
        if waiting is not None and _in_one_call(waiting.last, sheet):
            self._add(waiting, sheet, "not sent")
            return
        operation = self._new(sheet, f"{sheet.host} (nothing was sent)")
        self._unsent[sheet.host, sheet.lineage] = operation

    # snapshots

    def freeze_operations(self) -> tuple[Operation, ...]:
        """Make the record of the operations; those merged into others are left out."""
        kept = [operation for operation in self.operations if operation is not None]
        for position, operation in enumerate(kept):
            operation.position = position
        return tuple(
            Operation(
                name=operation.name,
                attempts=tuple(sheet.index for sheet in operation.attempts),
                legs=tuple(sheet.index for sheet in operation.attempts if sheet.joined == "leg"),
                scope=operation.scope,
                one_or_two=operation.follows is not None,
                reused_key_of=None if operation.reused_key_of is None else operation.reused_key_of.position,
                follows=None if operation.follows is None else operation.follows.position,
            )
            for operation in kept
        )

    # inside

    def _site(self) -> int | None:
        """Number the place in the test function from which this call came."""
        code = self._test_code
        if code is None:
            return None
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            if frame.f_code is code:
                return self._sites.setdefault(_place(code, frame.f_lasti), len(self._sites) + 1)
            frame = frame.f_back
        return None

    def _check_streak(self, sheet: Sheet) -> None:
        """End a loop that sends one request for ever; successes with other bodies are a day's work."""
        earlier, count = self._streaks.get(sheet.lineage, (sheet, 0))
        goes_on = _identity(earlier) == _identity(sheet) and not (
            earlier.has_succeeded and earlier.kept_body.sha256 != sheet.kept_body.sha256
        )
        count = count + 1 if goes_on else 1
        self._streaks[sheet.lineage] = (sheet, count)
        if count > RUNAWAY:
            del self._streaks[sheet.lineage]
            sheet.error = "Runaway: the run was ended here"
            sheet.ended_ns = sheet.began_ns
            self._new(sheet, f"{sheet.method} {sheet.target}")
            raise Runaway(
                f"{sheet.method} {sheet.target} was sent {RUNAWAY} times in a row: the retry loop does not end. "
                "Cap its attempts or its time; chaos.verify() can still be called"
            )

    def _join(self, sheet: Sheet) -> None:
        operation, reason = self._find(sheet)
        waiting = self._unsent.pop((sheet.host, sheet.lineage), None)
        if waiting is not None and not _in_one_call(waiting.last, sheet):
            waiting = None
        if operation is None and waiting is not None:
            operation, reason, waiting = waiting, "not sent", None
            operation.name = self._name(sheet)
        if operation is None:
            self._new(sheet, self._name(sheet))
        else:
            if waiting is not None:
                self._merge(waiting, operation)
            self._add(operation, sheet, reason)
        self._index(sheet)

    def _find(self, sheet: Sheet) -> tuple[OperationSheet | None, str]:
        self._doubtful = None
        leg = self._legs.pop(sheet.lineage, None)
        if leg is not None and leg[1:] == (sheet.host, sheet.target) and leg[0].scope == sheet.scope:
            return leg[0], "leg"
        if sheet.key is not None:
            found = self._by_key.get((sheet.scope, sheet.key))
            if found is not None and self._joins_by_key(found, sheet):
                return found, "key"
        found = self._retried(sheet)
        if found is not None:
            return found, "retry"
        latest = self._latest.get(sheet.lineage)
        if latest is not None and self._is_sent_again(latest, sheet):
            return latest, "sent again"
        return None, "began"

    def _joins_by_key(self, found: OperationSheet, sheet: Sheet) -> bool:
        earlier = found.by_identity.get(_identity(sheet)) or _of_other_host(found, sheet)
        if earlier is None or not _had_ended(found, sheet):
            return False
        relation = _relation(earlier, sheet)
        if relation == sameness.DIFFERENT:
            return False
        if found.has_succeeded and not (sheet.scope is not None and relation == sameness.SAME):
            return False
        return not self._speaks_against(found, earlier, sheet)

    def _retried(self, sheet: Sheet) -> OperationSheet | None:
        base = (sheet.scope, sheet.lineage, sheet.method, sameness.canonical_target(sheet.target or ""))
        candidates = [self._by_digest.get((*base, sheet.kept_body.sha256, sheet.kept_body.size))]
        candidates += list(self._recent.get(base, ()))
        for operation in candidates:
            if operation is None or not operation.last.failed or not _had_ended(operation, sheet):
                continue
            earlier = operation.by_identity.get(_identity(sheet)) or _of_other_host(operation, sheet)
            if earlier is None or _relation(earlier, sheet) == sameness.DIFFERENT:
                continue
            if not self._speaks_against(operation, earlier, sheet):
                return operation
            if operation.last.site != sheet.site and _relation(earlier, sheet) in (
                sameness.SAME,
                sameness.VOLATILE,
            ):
                self._doubtful = operation
        return None

    def _is_sent_again(self, latest: OperationSheet, sheet: Sheet) -> bool:
        last = latest.last
        return (
            not sheet.is_read
            and last.has_succeeded
            and last.response is not None
            and "retry-after" in last.response.headers
            and _identity(last) == _identity(sheet)
            and last.kept_body == sheet.kept_body
            and latest.scope == sheet.scope
            and _had_ended(latest, sheet)
            and not self._speaks_against(latest, last, sheet)
        )

    def _speaks_against(self, operation: OperationSheet, earlier: Sheet, sheet: Sheet) -> bool:
        if operation.scope != sheet.scope:
            return True
        for name in sameness.POSITIONS:
            if earlier.headers.get(name) != sheet.headers.get(name):
                return True
        if sheet.scope is not None:
            return False
        last = operation.last
        return last.site is not None and sheet.site is not None and last.site != sheet.site

    def _new(self, sheet: Sheet, name: str) -> OperationSheet:
        operation = OperationSheet(name, sheet.scope)
        operation.position = len(self.operations)
        self.operations.append(operation)
        operation.follows, self._doubtful = self._doubtful, None
        self._add(operation, sheet, "began")
        return operation

    def _name(self, sheet: Sheet) -> str:
        if sheet.scope is None:
            return f"{sheet.method} {(sheet.target or '').partition('?')[0]}"
        count = self._scope_counts[sheet.scope] = self._scope_counts.get(sheet.scope, 0) + 1
        name = self.scopes[sheet.scope].name
        return name if count == 1 else f"{name}/{count}"

    def _add(self, operation: OperationSheet, sheet: Sheet, reason: str) -> None:
        sheet.operation = operation
        sheet.joined = reason
        if sheet.method is not None:
            identity = _identity(sheet)
            earlier = operation.by_identity.get(identity) or _of_other_host(operation, sheet)
            if earlier is not None:
                sheet.relation = _relation(earlier, sheet)
                earlier.full_body = b"" if sheet.relation == sameness.SAME else earlier.full_body
            operation.by_identity[identity] = sheet if earlier is None or sheet.relation == sameness.SAME else earlier
        operation.attempts.append(sheet)
        self._latest[sheet.lineage] = operation

    def _merge(self, waiting: OperationSheet, operation: OperationSheet) -> None:
        """Let attempts that were never sent belong to the operation whose next attempt was."""
        for sheet in waiting.attempts:
            sheet.operation = operation
            sheet.joined = "not sent"
        operation.attempts.extend(waiting.attempts)
        self.operations[self.operations.index(waiting)] = None

    def _index(self, sheet: Sheet) -> None:
        operation = sheet.operation
        assert isinstance(operation, OperationSheet)
        if sheet.key is not None:
            user = self._by_key.get((sheet.scope, sheet.key))
            if user is not None and user is not operation and operation.reused_key_of is None:
                operation.reused_key_of = user
            elif user is None:
                others = [self._by_key[place] for place in ((None, sheet.key),) if place in self._by_key]
                if others and others[0] is not operation:
                    operation.reused_key_of = others[0]
            self._by_key[sheet.scope, sheet.key] = operation
        base = (sheet.scope, sheet.lineage, sheet.method, sameness.canonical_target(sheet.target or ""))
        self._by_digest[(*base, sheet.kept_body.sha256, sheet.kept_body.size)] = operation
        recent = self._recent.setdefault(base, deque(maxlen=RECENT))
        if not recent or recent[0] is not operation:
            recent.appendleft(operation)

    def _expect_leg(self, sheet: Sheet) -> None:
        """Remember where a redirect leads, so that the request that follows it is a leg."""
        response = sheet.response
        if sheet.status not in LEG_STATUSES or response is None or "location" not in response.headers:
            return
        base = f"{sheet.scheme}://{sheet.host}{sheet.target}"
        place = urlsplit(urljoin(base, response.headers["location"]))
        usual = ":443" if place.scheme == "https" else ":80"
        target = (place.path or "/") + ("?" + place.query if place.query else "")
        operation = sheet.operation
        if isinstance(operation, OperationSheet):
            self._legs[sheet.lineage] = (operation, place.netloc.removesuffix(usual), target)


@functools.lru_cache(maxsize=256)
def _place(code: CodeType, instruction: int) -> object:
    """Give the source range of an instruction: the compiler may copy one (a loop's condition) to two places."""
    return next(itertools.islice(code.co_positions(), instruction // 2, None), instruction)


def _identity(sheet: Sheet) -> tuple[str, str, str]:
    return sheet.method or "", sheet.host, sameness.canonical_target(sheet.target or "")


def _of_other_host(operation: OperationSheet, sheet: Sheet) -> Sheet | None:
    """Give the operation's attempt of the same request at another host: a failover."""
    wanted = _identity(sheet)
    for (method, _, target), earlier in operation.by_identity.items():
        if (method, target) == (wanted[0], wanted[2]):
            return earlier
    return None


def _relation(earlier: Sheet, sheet: Sheet) -> str:
    if earlier.kept_body.sha256 == sheet.kept_body.sha256 and earlier.kept_body.size == sheet.kept_body.size:
        is_same = not earlier.full_body or earlier.full_body == sheet.full_body  # empty: let go of
        return sameness.SAME if is_same else sameness.VOLATILE
    return sameness.relate((earlier.headers, earlier.full_body), (sheet.headers, sheet.full_body))


def _had_ended(operation: OperationSheet, sheet: Sheet) -> bool:
    """Whether an operation's last attempt had ended, in the client's eyes, before this one began."""
    ended = operation.last.ended_ns
    return operation.last is not sheet and ended is not None and ended <= sheet.began_ns


def _in_one_call(earlier: Sheet, later: Sheet) -> bool:
    """Whether two attempts come from one scope, or from one call that the test made."""
    if earlier.scope is not None or later.scope is not None:
        return earlier.scope == later.scope
    return earlier.site is not None and earlier.site == later.site

"""What the ``assert_*`` methods ask, as pure functions: ``None`` where it is so, else a finding.

Laws of this module:
1. Nothing passes because nothing happened: then the finding begins with NV01 and says "cannot tell".
2. Each answers for the whole trace, or for one operation by its index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.amplification import judge_amplification
from pytest_retrychaos.laws.asked import bk04
from pytest_retrychaos.laws.backoff import judge_envelope
from pytest_retrychaos.laws.calls import one_key, subject_of, taker_of
from pytest_retrychaos.laws.deadline import within as judge_within
from pytest_retrychaos.laws.ends import path_of
from pytest_retrychaos.laws.idempotency import id02, id04
from pytest_retrychaos.laws.policy import Policy
from pytest_retrychaos.laws.tally import ONE_OR_TWO, TWO_OPERATIONS, Tally, Terms, finding
from pytest_retrychaos.laws.verdict import Finding, LawResult, Ruling
from pytest_retrychaos.laws.view import OperationView, View
from pytest_retrychaos.laws.words import counted
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.engine.backoff import Backoff
    from pytest_retrychaos.trace import Trace

NOTHING_SENT: Final = "nothing was sent"
NOTHING_RETRIED: Final = "nothing was retried"
NO_FAILURE: Final = "nothing failed"


def retried(trace: Trace, times: int | None = None, *, operation: int | None = None) -> Finding | None:
    """Ask whether anything was retried; with ``times``, exactly so often in all."""
    _, chosen = _chosen(trace, operation)
    if not chosen:
        return cannot_tell(NOTHING_SENT)
    made = sum(len(one.tries) - 1 for one in chosen)
    if times is None and made > 0:
        return None
    if times is not None and made == times:
        return None if made or _met_failure(chosen) else cannot_tell(NO_FAILURE)
    if made == 0 and not _met_failure(chosen):
        return cannot_tell(NO_FAILURE)
    asked = "at least 1 retry was" if times is None else f"{counted(times, 'retry')} {'was' if times == 1 else 'were'}"
    return finding(
        "RT01" if times is None or made < times else "RT03",
        f"retried {counted(made, 'time')}: {asked} expected",
        operation=operation,
        marks=_failures(chosen),
        why="the test says how often the code has to try again",
        fix="change the retry policy, or what it takes for a failure that passes",
    )


def not_retried(trace: Trace, *, operation: int | None = None) -> Finding | None:
    """Ask whether what failed was left alone."""
    view, chosen = _chosen(trace, operation)
    if not chosen:
        return cannot_tell(NOTHING_SENT)
    again = next((one.tries[1].index for one in chosen if len(one.tries) > 1), None)
    if again is None and operation is None:
        again = _repeated(view)
    if again is not None:
        return finding(
            "RT02",
            f"retried: the request was sent again (#{again}), no retry was expected",
            operation=operation,
            marks=[(again, "sent again")],
            why="the test says that this failure is not to be retried",
            fix="leave it out of what the client retries, and tell the caller",
        )
    return None if _met_failure(chosen) else cannot_tell(NO_FAILURE)


def attempts(trace: Trace, number: int, *, operation: int | None = None) -> Finding | None:
    """Ask whether exactly ``number`` attempts were made, redirect legs included."""
    _, chosen = _chosen(trace, operation)
    made = sum(len(one.attempts) for one in chosen)
    if made == number:
        return None
    return finding(
        "RT03" if made > number else "RT01",
        f"{counted(made, 'attempt')} made, {number} expected",
        operation=operation,
        marks=(),
        why="the test says how many attempts the code makes",
        fix="change the retry policy, or the number in the test",
    )


def amplification(trace: Trace, at_most: float, *, operation: int | None = None) -> Finding | None:
    """Ask whether no operation made more attempts than that, through every retry layer."""
    _, chosen = _chosen(trace, operation)
    if not chosen:
        return cannot_tell(NOTHING_SENT)
    tally = Tally("LD01")
    for one in chosen:
        judge_amplification(one, at_most, tally)
    return _outcome(tally.result(noun="operation", did="", otherwise=NO_FAILURE))


def backoff(trace: Trace, policy: Backoff, *, operation: int | None = None) -> Finding | None:
    """Ask whether every wait lies inside a backoff's bounds, Retry-After added where the server asked."""
    _, chosen = _chosen(trace, operation)
    if not any(one.retries for one in chosen):
        return cannot_tell(NOTHING_RETRIED if chosen else NOTHING_SENT)
    tally = Tally("BK02")
    for one in chosen:
        judge_envelope(one, Policy(backoff=policy), tally, resolution_ns=trace.resolution_ns)
    return _outcome(
        tally.result(noun="wait", did="", otherwise="no wait was one of backoff: logins and failovers only")
    )


def retry_after_honoured(trace: Trace, *, operation: int | None = None) -> Finding | None:
    """Ask whether ``Retry-After`` was met and obeyed."""
    view, chosen = _chosen(trace, operation)
    if not chosen:
        return cannot_tell(NOTHING_SENT)
    return _outcome(bk04(_narrowed(view, chosen), Terms()))


def within(trace: Trace, limit_s: float, *, operation: int | None = None) -> Finding | None:
    """Ask whether every operation ended within so many seconds; a scope is judged as a whole."""
    view, chosen = _chosen(trace, operation)
    if not chosen:
        return cannot_tell(NOTHING_SENT)
    result = judge_within(view, chosen, round(limit_s * SECOND))
    if result.ruling is Ruling.DOES_NOT_APPLY and not _any_in_flight(chosen):
        return None if _met_failure(chosen) else cannot_tell("no time passed, and nothing failed")
    return _outcome(result)


def no_duplicates(trace: Trace, *, operation: int | None = None) -> Finding | None:
    """Ask whether no operation was carried out twice, and something was carried out or tried."""
    view, chosen = _chosen(trace, operation)
    writes = [one for one in chosen if one.writes]
    if not any(attempt.reached for one in writes for attempt in one.attempts):
        return cannot_tell("no write reached the service" if chosen else NOTHING_SENT)
    result = id04(_narrowed(view, chosen), Terms())
    if result.ruling is Ruling.BROKEN:
        return result.findings[0]
    undecided = [one for one in writes if one.index in view.two_or_one and any(a.effects for a in one.attempts)]
    return cannot_tell(ONE_OR_TWO, hint=TWO_OPERATIONS) if len(undecided) > 1 else None


def key_reused(trace: Trace, *, operation: int | None = None) -> Finding | None:
    """Ask whether every retried write carried one key on all its attempts."""
    view, chosen = _chosen(trace, operation)
    again = [one for one in chosen if len([a for a in one.tries if a.was_sent and not a.is_read]) > 1]
    if not again:
        return cannot_tell("no write was sent twice" if chosen else NOTHING_SENT)
    bare = next((one for one in again if all(attempt.key is None for attempt in one.tries)), None)
    if bare is not None:
        return finding(
            "ID01",
            f"no idempotency key: {bare.request} was sent {counted(len(bare.tries), 'time')} without a key",
            operation=bare.index,
            marks=[(bare.tries[1].index, "sent again without a key")],
            why=f"the {taker_of(bare.tries[1])} cannot tell a retry from a new {subject_of(bare.tries[1])}",
            fix=one_key(bare.tries[1]),
        )
    return _outcome(id02(_narrowed(view, again), Terms()))


ASKED: Final[Mapping[object, tuple[str, ...]]] = {
    amplification: ("LD01",),
    backoff: ("BK02",),
    retry_after_honoured: ("BK04",),
    within: ("BK05",),
    no_duplicates: ("ID04",),
    key_reused: ("ID01", "ID02"),
}
"""Which laws they ask, where what they find is about an operation."""


def _chosen(trace: Trace, operation: int | None) -> tuple[View, list[OperationView]]:
    view = View(trace.shown())
    if operation is None:
        return view, view.operations
    return view, [one for one in view.operations if one.index == operation]


def _narrowed(view: View, chosen: list[OperationView]) -> View:
    view.operations = chosen
    return view


def _outcome(result: LawResult) -> Finding | None:
    if result.ruling is Ruling.BROKEN:
        return result.findings[0]
    return None if result.ruling is Ruling.HELD else cannot_tell(result.reason)


def cannot_tell(reason: str, *, hint: str | None = None) -> Finding:
    """Say that an assertion has nothing to judge by."""
    return finding(
        "NV01",
        f"cannot tell: {reason}",
        operation=None,
        marks=(),
        why="an assertion that passes because nothing happened proves nothing",
        fix="make the code meet the fault: look at the script, and at what the test calls",
        hint=hint,
    )


def _met_failure(chosen: list[OperationView]) -> bool:
    return any(a.failed or (a.status or 0) >= 400 for one in chosen for a in one.attempts)


def _failures(chosen: list[OperationView]) -> list[tuple[int, str]]:
    last = [one.last.attempt.index for one in chosen if one.last.attempt.failed]
    return [(index, "given up") for index in last[:3]]


def _any_in_flight(chosen: list[OperationView]) -> bool:
    return any(attempt.ended_ns is None for one in chosen for attempt in one.attempts)


def _repeated(view: View) -> int | None:
    """Find an equal request right after an answer of 400 or more, though it is an operation of its own."""
    refused: set[tuple[str | None, str, str, str]] = set()
    for end in view.ends:
        attempt = end.attempt
        same = (attempt.method, attempt.host, path_of(attempt), attempt.body.sha256)
        if attempt.was_sent and same in refused:
            return attempt.index
        if (attempt.status or 0) >= 400:
            refused.add(same)
    return None

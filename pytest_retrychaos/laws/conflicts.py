"""ID06: what the client does when the service turns its key away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.ends import ANSWER, TOLERANCE_NS, Ended
from pytest_retrychaos.laws.lookback import LOOK_AHEAD
from pytest_retrychaos.laws.tally import ONE_OR_TWO, TWO_OPERATIONS, Tally, Terms, finding

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.laws.view import OperationView, Retry, View
    from pytest_retrychaos.trace import Attempt

IN_FLIGHT: Final = "in flight"
MISMATCH: Final = "mismatch"


def id06(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that key conflicts are handled: waited out with the same key, or given up; a mismatch is not retried.

    - Judged where the service's idempotency layer turned a key away and the client got that answer: a scripted 409 or
      422 may be about anything. *no-wait*: sent again at once while the first request was still running, and turned
      away again. *new-key*: the same request was sent under another key, or none, though the first was still running.
      *mismatch*: a request that was refused since its key belongs to another payload was sent again unchanged.
    - Does not apply where the client gave up while its key was in flight, which is allowed. A script that brings it
      about: `slow=9s before-commit, ok`, with a client that waits 5 s.
    - Why: The first request is being carried out: under another key there will be two of them.
    - Fix: Wait and send the same key again, or give up and say that the outcome is unknown; tell a mismatch to the
      caller.
    """
    tally = Tally("ID06")
    for operation in view.operations:
        after = {retry.before.attempt.index: retry for retry in operation.retries}
        for end in operation.ends:
            conflict = end.attempt.key_conflict if end.how == ANSWER else None
            retry = after.get(end.attempt.index)
            if conflict == MISMATCH:
                _judge_mismatch(operation, end, retry, tally)
            elif conflict == IN_FLIGHT:
                _judge_in_flight(view, operation, end, retry, tally)
    return tally.result(noun="conflict", did="was handled", otherwise="no key was turned away")


def _judge_mismatch(operation: OperationView, end: Ended, retry: Retry | None, tally: Tally) -> None:
    if retry is None or retry.attempt.key != end.attempt.key:
        tally.hold()
        return
    tally.accuse(
        finding(
            "ID06/mismatch",
            f"conflict repeated: {operation.request} was sent again after the service had refused its key for another"
            " payload",
            operation=operation.index,
            marks=[(end.attempt.index, "the key belongs to another payload"), (retry.attempt.index, "sent again")],
            why="the key stands for what was sent with it first: the same request gets the same answer, however often",
            fix=f"leave this {end.attempt.status} out of what the client retries, and tell the caller",
        )
    )


def _judge_in_flight(view: View, operation: OperationView, end: Ended, retry: Retry | None, tally: Tally) -> None:
    other = None
    if retry is None:
        other = _sent_under_another_key(view, end.attempt)
    elif retry.attempt.key != end.attempt.key:
        other = retry.attempt
    if other is not None and None not in (other.site, end.attempt.site) and other.site != end.attempt.site:
        tally.pass_over(ONE_OR_TWO)
    elif other is not None:
        tally.accuse(_new_key(operation, end.attempt, other))
    elif retry is None:
        tally.pass_over("it was given up while the first request was still running, which is allowed")
    elif retry.wait_ns < TOLERANCE_NS and retry.attempt.key_conflict == IN_FLIGHT:
        tally.accuse(_no_wait(operation, end.attempt, retry.attempt))
    else:
        tally.hold()


def _sent_under_another_key(view: View, conflict: Attempt) -> Attempt | None:
    """Find the same request, sent later under another key or none; one that was sent before is another order."""
    for later in view.trace.attempts[conflict.index : conflict.index + LOOK_AHEAD]:
        is_same = (later.method, later.host, later.target) == (conflict.method, conflict.host, conflict.target)
        if (
            is_same
            and later.body.sha256 == conflict.body.sha256
            and later.scope == conflict.scope
            and view.trace.are_related(later.lineage, conflict.lineage)
        ):
            if later.key == conflict.key:
                return None
            if later.key is None or _first_with_key(view)[later.key] > conflict.index:
                return later
    return None


def _first_with_key(view: View) -> dict[str, int]:
    """Index by each key the attempt that carried it first."""
    first: dict[str, int] | None = view.memo.get(_first_with_key)
    if first is None:
        attempts = reversed(view.trace.attempts)
        first = view.memo[_first_with_key] = {one.key: one.index for one in attempts if one.key is not None}
    return first


def _new_key(operation: OperationView, conflict: Attempt, other: Attempt) -> Finding:
    how = "without a key" if other.key is None else "under another key"
    return finding(
        "ID06/new-key",
        f"conflict sidestepped: {operation.request} was sent {how} while the first one was still running",
        operation=operation.index,
        marks=[(conflict.index, "its key is in flight"), (other.index, f"sent {how}")],
        why="the first request is being carried out: under another key this is one more",
        fix="wait and send the same key again, or give up and say that the outcome is unknown",
        hint=None if operation.scope is not None else TWO_OPERATIONS,
    )


def _no_wait(operation: OperationView, conflict: Attempt, again: Attempt) -> Finding:
    return finding(
        "ID06/no-wait",
        f"no wait: {operation.request} was sent again at once while the first one was still running",
        operation=operation.index,
        marks=[(conflict.index, "its key is in flight"), (again.index, "no wait")],
        why="the first request needs time: until it has ended, each repetition gets the same answer",
        fix="wait before each retry, longer each time, with the same key",
    )

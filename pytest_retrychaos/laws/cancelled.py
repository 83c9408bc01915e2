"""RT08: a cancelled operation makes no further attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.words import seconds

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.laws.view import OperationView, View
    from pytest_retrychaos.trace import Attempt


def rt08(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that a cancelled operation makes no further attempt.

    - Judged after a cancellation that the *test* asked for: its function, or a function inside it, calls `cancel()` on
      a task (of asyncio; in trio and anyio on a scope), or a deadline comes that the test function itself has set
      (`asyncio.timeout`, `wait_for`, `move_on_after`). A deadline or a cancellation of the code's own is its own
      business.
    - Broken where an operation that had begun is sent again by a task that was cancelled, or by one that it began
      afterwards. Another request, such as one that cleans up, is none of it.
    - Does not apply where the work went on out of the cancellation's reach: in a thread, in a task that
      `asyncio.shield` guards, or after the test had taken it back (the block of `asyncio.timeout` has ended).
    - What the test cut is no failure of the service: RT01 asks for no retry of it, RT05 and ID05 do not judge its
      telling.
    - Why: Nobody waits for the result any more: the work is done for no one, and whoever cancelled believes that it was
      not.
    - Fix: Let the cancellation pass: catch `Exception`, not `BaseException`, and raise `CancelledError` again.
    """
    tally = Tally("RT08")
    for operation in view.operations:
        asked = view.cancelled_at(operation)
        further = next((a for a in operation.attempts[1:] if a.cancelled_ns in asked), None)
        if operation.attempts[0].cancelled_ns is not None:
            tally.pass_over("it was begun after the cancellation: another request, such as one that cleans up")
        elif further is not None:
            tally.accuse(_went_on(operation, further))
        elif asked and not _had_succeeded(operation, asked[0]):
            if operation.attempts[-1].began_ns > asked[0]:
                tally.pass_over(
                    "it went on where the cancellation did not reach: in a thread or a task of its own,"
                    " or after the test had taken it back"
                )
            else:
                tally.hold()
    return tally.result(
        noun="operation",
        did="made no further attempt once the test had cancelled it",
        otherwise="the test cancelled nothing that had not ended",
    )


def _had_succeeded(operation: OperationView, moment_ns: int) -> bool:
    return any(end.is_success and (end.at_ns or 0) <= moment_ns for end in operation.ends)


def _went_on(operation: OperationView, further: Attempt) -> Finding:
    after = further.began_ns - (further.cancelled_ns or 0)
    return finding(
        "RT08",
        f"went on after a cancellation: {operation.request} was sent again"
        f" {f'{seconds(after)} after' if after else 'although'} the test had cancelled it",
        operation=operation.index,
        marks=[(further.index, "sent after the cancellation")],
        why="nobody waits for the result any more: the work is done for no one, and whoever cancelled believes"
        " that it was not",
        fix="let the cancellation pass: catch Exception, not BaseException, and raise CancelledError again",
    )

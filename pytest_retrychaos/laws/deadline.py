"""BK05 and BK07: operations end in time, and every request has a timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.ends import request_of
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.view import OperationView, View
from pytest_retrychaos.laws.words import seconds
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import LawResult


BESIDE: Final = "the test may have let the time pass itself, beside the call: make the call with chaos.call(…)"


def bk05(view: View, terms: Terms) -> LawResult:
    """Judge that the operation ends within its time budget, the attempt in flight included.

    - Without a policy: does not apply; `chaos.assert_within(seconds)` gives the figure.
    - With a policy: the time from the first attempt to the end, the attempt in flight included, is within the policy's
      `timeout`. Where a scope holds one operation its whole time counts, as a sleep after the last failure does.
    - Does not apply where a block of `chaos.operation` took longer than the call in it, which went well: the test may
      have let the time pass itself.
    - Why: The caller has stopped waiting, and the work goes on.
    - Fix: Give each attempt at most the time that is left, and start none for which too little is left.
    """
    tally = Tally("BK05")
    if terms.policy is None or terms.policy.timeout is None:
        given = "no policy was given" if terms.policy is None else "the policy has no timeout"
        return tally.result(noun="", did="", otherwise=f"{given}: no budget is known")
    budget_ns = round(terms.policy.timeout * SECOND)
    for operation in view.operations:
        alone = len(view.by_scope.get(_scope(operation), ())) == 1
        if alone and _may_be_the_tests(view, operation, budget_ns):
            tally.pass_over(BESIDE)
        else:
            judge_budget(view, operation, budget_ns, tally, whole_scope=alone)
    return _result(tally)


def _may_be_the_tests(view: View, operation: OperationView, budget_ns: int) -> bool:
    """Whether a block of ``chaos.operation`` is over the budget only by what stands beside a call that went well."""
    if operation.scope is None or operation.scope.told is not None or not operation.last.is_success:
        return False
    limit_ns = budget_ns + view.trace.resolution_ns
    call_ns, block_ns = (_time_of(view, operation, whole_scope=whole)[0] for whole in (False, True))
    return call_ns <= limit_ns < block_ns


def _scope(operation: OperationView) -> int:
    return -1 if operation.operation.scope is None else operation.operation.scope


def _time_of(view: View, operation: OperationView, *, whole_scope: bool) -> tuple[int, bool]:
    """Tell how long an operation, or the scope that holds it, took, and whether it has not ended."""
    began = operation.attempts[0].began_ns
    ends = [attempt.ended_ns for attempt in operation.attempts]
    ended = max((end for end in ends if end is not None), default=None)
    in_flight = None in ends
    scope = operation.scope
    if whole_scope and scope is not None:
        began, ended, in_flight = scope.began_ns, scope.ended_ns, scope.ended_ns is None
    if in_flight or ended is None:
        ended, in_flight = view.trace.finished_ns, True
    return ended - began, in_flight


def judge_budget(view: View, operation: OperationView, budget_ns: int, tally: Tally, *, whole_scope: bool) -> None:
    """Hold one operation, or the scope that holds it, to a time budget."""
    spent, in_flight = _time_of(view, operation, whole_scope=whole_scope)
    if spent > budget_ns + view.trace.resolution_ns:
        tally.accuse(
            finding(
                "BK05",
                f"over budget: {operation.request} took {seconds(spent)}"
                f"{' and had not ended' if in_flight else ''}, its budget is {seconds(budget_ns)}",
                operation=operation.index,
                marks=[(operation.last.attempt.index, f"{seconds(spent - budget_ns)} over budget")],
                why="the caller had stopped waiting, and the work went on",
                fix="give each attempt at most the time that is left, and start none for which too little is left",
            )
        )
    elif in_flight:
        tally.pass_over("the operation had not ended")
    elif spent == 0:
        tally.pass_over("no time passed: the budget was not put to the test")
    else:
        tally.hold()


def _result(tally: Tally) -> LawResult:
    return tally.result(noun="operation", did="ended within the budget", otherwise="no operation took any time")


def within(view: View, operations: list[OperationView], budget_ns: int) -> LawResult:
    """Judge single operations by a budget given in the test; a scope is judged as a whole."""
    tally = Tally("BK05")
    seen: set[int] = set()
    for operation in operations:
        scope = _scope(operation)
        if scope in seen:
            continue
        if operation.scope is not None:
            seen.add(scope)
        judge_budget(view, operation, budget_ns, tally, whole_scope=True)
    return _result(tally)


def bk07(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that every request has a timeout, where silence was met.

    - Broken where the service fell silent and the client had no timeout at all: it is told so at once, by an error that
      no retry loop can catch, instead of hanging. Does not apply where no silence was met.
    - Why: One silent service stops this client for good, and whoever waits for it.
    - Fix: Give every request a timeout, to connect and to read.
    """
    tally = Tally("BK07")
    for end in view.ends:
        attempt = end.attempt
        if attempt.was_silent:
            tally.accuse(
                finding(
                    "BK07",
                    f"no timeout: {request_of(attempt)} met silence and would have waited for ever",
                    operation=attempt.operation,
                    marks=[(attempt.index, "no timeout")],
                    why="a service that falls silent stops this client for good, and whoever waits for it",
                    fix="give every request a timeout, for connecting and for reading",
                )
            )
        elif end.how == "timeout":
            if attempt.timeout_ns is None:
                tally.pass_over("silence was met under a deadline from outside the client")
            else:
                tally.hold()
    return tally.result(noun="silence", did="ended at the client's timeout", otherwise="no silence was met")

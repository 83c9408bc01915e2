"""ID05: what the caller was told, against what was done: the ledger, or an effect of which only the service knew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.engine.classify import Kind
from pytest_retrychaos.laws import callers
from pytest_retrychaos.laws.doubt import may_tell_unknown, tells_unknown
from pytest_retrychaos.laws.ends import REDIRECTS, STATUS
from pytest_retrychaos.laws.tally import Tally, Terms, finding

if TYPE_CHECKING:
    from pytest_retrychaos.laws.ends import Ended
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.laws.view import OperationView, View
    from pytest_retrychaos.trace import Attempt, Told

RAISE: Final = "raise an error that says the outcome is unknown, from the failure itself (raise … from error)"

DECLINED: Final = (
    "did the answer say that nothing was done? chaos.service.route(…, effect=lambda request, response: …) tells"
)

_EXCEPTION: Final = "builtins.Exception"
_ANSWER: Final = re.compile(r"<.*([Rr]esponse|\b[45][0-9][0-9]\b)")
"""How response objects print themselves, whatever their status: ``<urllib3.response.HTTPResponse object>``."""


def id05(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that the caller was told success exactly when there is an effect, or that it is unknown.

    - Applies where the call was made with `chaos.call` and holds one unsafe request. *false-success*: success was told,
      and the ledger is empty. *false-failure*: failure was told, though it was carried out, and nothing in the
      exception's chain or in the value says that the outcome is unknown: no ambiguous failure (a timeout, a reset, a
      502), no name such as `PaymentUnknown`, no field such as `status="unknown"`. An ambiguous answer handed over as it
      is (a response with 502) is honest.
    - Does not apply where the service itself said that it did nothing (a 503) though it had; where it only sent the
      client elsewhere (a 307), and the ledger has no row; where a message may say in words that the outcome is unknown;
      where another request of the scope failed for good, which the caller may have been told of (who gives up may send
      an alert first); where another write of the scope may have undone it.
    - Why: Who believes a false failure pays again.
    - Fix: Raise the failure itself, or your own error from it (`raise … from error`).
    """
    tally = Tally("ID05")
    for index, scope, told in callers.told(view):
        operation = callers.sole(view, index)
        if isinstance(operation, str):
            tally.pass_over(operation)
        elif scope.cancelled_ns is not None:
            tally.pass_over("the operation was cancelled")
        elif _was_ended(told):
            tally.pass_over("the run was ended, since the code would not have: nobody was told anything")
        elif any(other.writes for other in view.by_scope[index] if other is not operation):
            tally.pass_over("another write of the scope may have undone or replaced it")
        elif operation.has_success and _failed_beside(view, index, operation):
            tally.pass_over("another request of the scope failed: the caller may have been told of that one")
        else:
            _judge_telling(operation, told, tally)
    return tally.result(
        noun="caller",
        did="was told what the ledger says, or that it is unknown",
        otherwise=callers.NOT_SEEN,
    )


def _was_ended(told: Told) -> bool:
    """Whether what was raised is no error of the code's, but what ended it: it waited or went on for ever."""
    raised = told.raised[0] if told.raised else None
    return raised is not None and raised.type.startswith("pytest_retrychaos.") and _EXCEPTION not in raised.bases


def _failed_beside(view: View, index: int, operation: OperationView) -> bool:
    """Whether another operation of the scope did not end in a success.

    A later one, or one before: who gives up may send an alert or undo a step, and tell of what failed. What was not
    sent may have been another request.
    """
    others = (other for other in view.by_scope[index] if other is not operation)
    return not operation.attempts[0].was_sent or any(not other.last.is_success for other in others)


def _judge_telling(operation: OperationView, told: Told, tally: Tally) -> None:
    carried_out = [end for end in operation.ends if _was_carried_out(end.attempt)]
    done = carried_out[0].attempt if carried_out else None
    if done is not None and told.claims_success is not True and all(end.kind.did_nothing for end in carried_out):
        tally.pass_over("the service itself had said that nothing was done")
    elif done is not None and told.claims_success is not True and all(_sends_on(end) for end in carried_out):
        tally.pass_over("the service sent the client elsewhere, and the ledger has no row: nothing may have been done")
    elif told.raised or told.claims_success is False:
        if done is None or tells_unknown(told) or _hands_over(operation, told):
            tally.hold()
        elif may_tell_unknown(told):
            tally.pass_over("its message may say that the outcome is unknown: that is for people to read")
        else:
            tally.accuse(_false_failure(operation, done, told, hint=_if_declined(carried_out)))
    elif told.claims_success is None:
        tally.pass_over(callers.FALLBACK)
    elif done is not None:
        tally.hold()
    elif any(attempt.own_answer and attempt.status in (409, 412) for attempt in operation.attempts):
        tally.pass_over("the service says that it is there already: success may be right")
    else:
        last = operation.last.attempt
        tally.accuse(
            finding(
                "ID05/false-success",
                f"false success: the caller was told success, and {operation.request} had no effect",
                operation=operation.index,
                marks=[(last.index, "no effect, told as success")],
                why="the ledger has no row of this operation: what the caller believes done is not done",
                fix="tell success only for a complete 2xx; raise the last error otherwise",
            )
        )


def _was_carried_out(attempt: Attempt) -> bool:
    if attempt.effects:
        return True
    if attempt.replayed:
        return attempt.status is None or attempt.status < 400
    return attempt.committed and (attempt.status is None or attempt.status < 400 or not attempt.own_answer)


def _sends_on(end: Ended) -> bool:
    """Whether an answer sent the client elsewhere, to do there what was not done here; a 303 follows what was."""
    return end.attempt.own_answer and end.attempt.status in REDIRECTS and not end.attempt.effects


def _hands_over(operation: OperationView, told: Told) -> bool:
    """Whether the last answer itself was returned, and it leaves open what was done: a response with 502, say."""
    last = operation.last
    if last.how != STATUS or last.kind is not Kind.AMBIGUOUS or told.claims_success is not False:
        return False
    return told.claimed_by == "status" and _ANSWER.match(told.value or "") is not None


def _if_declined(carried_out: list[Ended]) -> str | None:
    """Give the way out where the client had the service's whole answer, which may have said no under a 2xx."""
    is_whole = any(end.is_success and end.attempt.own_answer for end in carried_out)
    return DECLINED if is_whole else None


def _false_failure(operation: OperationView, done: Attempt, told: Told, *, hint: str | None) -> Finding:
    how, way = "a value that says so", f"{RAISE}, or give the failure in the value: Result(ok=False, error=error)"
    if told.raised:
        how, way = told.raised[0].type.removeprefix("builtins."), RAISE
    return finding(
        "ID05/false-failure",
        f"false failure: {operation.request} was carried out, and the caller was told failure",
        operation=operation.index,
        marks=[(done.index, "carried out, told as failure")],
        why=f"the caller was told by {how}: nothing in it says that the outcome is unknown, and a caller who"
        " believes it will do it again",
        fix=way,
        hint=hint,
    )

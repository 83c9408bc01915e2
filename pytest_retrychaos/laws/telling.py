"""RT05 and RT09: a success that the caller was told, against what the client had met: a failure, a damaged answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws import callers
from pytest_retrychaos.laws.ends import ANSWER, CUT, DAMAGED, IN_FLIGHT, RAISED, met
from pytest_retrychaos.laws.tally import Tally, Terms, finding

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.laws.view import OperationView, View
    from pytest_retrychaos.trace import Scope, Told

OWN_ANSWER: Final = "it ended in an answer of the service's own, which may be what the caller wanted to know"
_RESPONSE: Final = re.compile(r"<.*\b2[0-9][0-9]\b")
"""How response objects print themselves: ``<Response [200]>``, ``<HTTPResponse status=200>``."""


def _was_read_back(view: View, index: int, operation: OperationView) -> bool:
    """Whether another operation of the scope succeeded after this one: the client may have looked."""
    after = operation.last.attempt.index
    return any(
        end.is_success and end.attempt.index > after
        for other in view.by_scope[index]
        if other is not operation
        for end in other.ends
    )


def rt05(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that the failure that ended the operation reaches the caller.

    - Applies where the call was made with `chaos.call` and holds one unsafe request, or several of which all failed.
      *Success* is claimed by a response with a 2xx, by an object or mapping whose `ok` or `status` says so, or, where
      there is one request, by the same value that an earlier success of the same function returned. Any other value is
      taken for a fallback.
    - Does not apply where another request of the scope succeeded after the failure, or where the last answer was the
      service's own (a 404, say).
    - Why: A caller who is told success ships the goods.
    - Fix: Raise the last error when no attempt is left.
    """
    tally = Tally("RT05")
    for index, scope, told in callers.told(view):
        operation = callers.sole(view, index)
        if isinstance(operation, str):
            swallowed = _all_swallowed(view, index, scope, told)
            if swallowed:
                tally.accuse(_swallowed(swallowed))
            else:
                tally.pass_over(operation)
            continue
        reason = _why_no_failure(operation, scope)
        if reason is not None:
            tally.pass_over(reason)
        elif told.raised or told.claims_success is False:
            tally.hold()
        elif told.claims_success is None:
            tally.pass_over(callers.FALLBACK)
        elif _was_read_back(view, index, operation):
            tally.pass_over("another request succeeded after the failure: the caller may know from there")
        else:
            tally.accuse(_swallowed([operation]))
    return tally.result(
        noun="failure",
        did="reached the caller",
        otherwise="no operation failed whose caller was seen" if callers.told(view) else callers.NOT_SEEN,
    )


def _all_swallowed(view: View, index: int, scope: Scope, told: Told) -> list[OperationView]:
    """Give a scope's unsafe operations where all failed and a success was claimed: whichever was meant, it was none."""
    unsafe = callers.unsafe(view, index)
    claims = told.claims_success is True and told.claimed_by in ("status", "ok")
    if not claims or any(_why_no_failure(one, scope) or _was_read_back(view, index, one) for one in unsafe):
        return []
    return unsafe


def _swallowed(operations: list[OperationView]) -> Finding:
    operation = operations[-1]
    what = f"{operation.request} failed"
    if len(operations) > 1:
        what = f"{operation.request} failed, as did every unsafe request of the call ({len(operations)})"
    return finding(
        "RT05",
        f"failure swallowed: {what}, and the caller was told success",
        operation=operation.index,
        marks=[(operation.last.attempt.index, "the last failure")],
        why=f"the last attempt met {met(operation.last.what)}, and what came back claims success",
        fix="raise the last error when no attempt is left",
    )


def _why_no_failure(operation: OperationView, scope: Scope) -> str | None:
    last = operation.last
    if scope.cancelled_ns is not None:
        return "the operation was cancelled"
    if operation.has_success:
        return "no operation failed whose caller was seen"
    if last.how in (CUT, IN_FLIGHT):
        return "the last attempt was given up by the client itself, or has not ended"
    if last.how in (ANSWER, RAISED):
        return OWN_ANSWER
    return "a damaged answer is RT09's business" if last.how in DAMAGED else None


def rt09(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that a damaged answer is not taken for a success.

    - Applies where the call was made with `chaos.call` and the answer was cut short or was no HTTP. Broken where
      success was claimed all the same, as RT05 defines it; for a read only by a response with a 2xx, alone in its
      scope.
    - Why: Half of a list looks like a short list.
    - Fix: Let the HTTP library check the length, or compare it with `Content-Length`; do not count a body that was not
      read.
    """
    tally = Tally("RT09")
    for operation in view.operations:
        if not any(end.how in DAMAGED for end in operation.ends):
            continue
        if operation.last.how not in DAMAGED:
            tally.hold()
            continue
        scope = operation.scope
        told = None if scope is None else scope.told
        if told is None:
            tally.pass_over(callers.NOT_SEEN)
        elif told.raised or told.claims_success is False:
            tally.hold()
        else:
            _judge_damage(view, operation, told, tally)
    return tally.result(noun="damaged answer", did="was taken for none", otherwise="no answer was damaged")


def _judge_damage(view: View, operation: OperationView, told: Told, tally: Tally) -> None:
    index = operation.operation.scope or 0
    if told.claims_success is None:
        tally.pass_over(callers.FALLBACK)
        return
    if operation.writes:
        sole = callers.sole(view, index)
        reason = sole if isinstance(sole, str) else None
        if reason is None and _was_read_back(view, index, operation):
            reason = "another request succeeded after the damage: the caller may know from there"
    else:
        reason = None
        if len(view.by_scope[index]) > 1 or not _RESPONSE.match(told.value or ""):
            reason = "a value kept from an earlier success looks the same as a damaged one taken for success"
    if reason is not None:
        tally.pass_over(reason)
        return
    last = operation.last
    tally.accuse(
        finding(
            f"RT09/{last.how}",
            f"damaged answer taken for a success: the answer to {operation.request} was not whole",
            operation=operation.index,
            marks=[(last.attempt.index, "taken for a success")],
            why="fewer bytes came than were announced, or what came was no HTTP, and the caller was told success",
            fix="compare the length with Content-Length and check the body before it counts",
        )
    )

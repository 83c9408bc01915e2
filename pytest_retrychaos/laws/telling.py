"""RT05, RT06, RT09 and ID05: what the caller was told, against what happened.

They apply where the telling was seen: a scope that ``chaos.call`` opened, or the test's own end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.engine.classify import Kind
from pytest_retrychaos.laws.doubt import may_tell_unknown, tells_unknown
from pytest_retrychaos.laws.ends import ANSWER, CUT, DAMAGED, IN_FLIGHT, RAISED, REDIRECTS, STATUS, is_unsafe
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.view import OperationView, View
from pytest_retrychaos.laws.words import counted

if TYPE_CHECKING:
    from pytest_retrychaos.laws.ends import Ended
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.trace import Attempt, Raised, Scope, Told

PLAIN: Final = frozenset(
    f"builtins.{name}"
    for name in (
        "ValueError",
        "TypeError",
        "KeyError",
        "IndexError",
        "AttributeError",
        "OverflowError",
        "ZeroDivisionError",
        "RecursionError",
    )
)
"""Errors that a retry loop makes itself; a client's own subclass of one is not meant."""

NOT_SEEN: Final = "what the caller was told was not seen: make the call with chaos.call(…)"
OWN_ANSWER: Final = "it ended in an answer of the service's own, which may be what the caller wanted to know"
_EXCEPTION: Final = "builtins.Exception"
_RESPONSE: Final = re.compile(r"<.*\b2[0-9][0-9]\b")
"""How response objects print themselves: ``<Response [200]>``, ``<HTTPResponse status=200>``."""
_ANSWER: Final = re.compile(r"<.*([Rr]esponse|\b[45][0-9][0-9]\b)")
"""The same whatever their status: urllib3 prints ``<urllib3.response.HTTPResponse object>``."""


def _unsafe(view: View, index: int) -> list[OperationView]:
    return [o for o in view.by_scope.get(index, []) if any(is_unsafe(a) for a in o.attempts)]


def _sole(view: View, index: int) -> OperationView | str:
    """Return the one unsafe operation of a scope, whose telling is the scope's, or why there is none."""
    unsafe = _unsafe(view, index)
    if len(unsafe) == 1:
        return unsafe[0]
    if unsafe:
        return f"the scope holds {counted(len(unsafe), 'unsafe operation')}: which one was told of is not known"
    return "the scope holds no unsafe operation"


def _told(view: View) -> list[tuple[int, Scope, Told]]:
    return [(i, s, s.told) for i, s in enumerate(view.trace.scopes) if s.told is not None]


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
    for index, scope, told in _told(view):
        operation = _sole(view, index)
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
            tally.pass_over("the value that was returned is a fallback: it claims neither success nor failure")
        elif _was_read_back(view, index, operation):
            tally.pass_over("another request succeeded after the failure: the caller may know from there")
        else:
            tally.accuse(_swallowed([operation]))
    return tally.result(
        noun="failure",
        did="reached the caller",
        otherwise="no operation failed whose caller was seen" if _told(view) else NOT_SEEN,
    )


def _all_swallowed(view: View, index: int, scope: Scope, told: Told) -> list[OperationView]:
    """Give a scope's unsafe operations where all failed and a success was claimed: whichever was meant, it was none."""
    unsafe = _unsafe(view, index)
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
        why=f"the last attempt met {_article(operation.last.what)}, and what came back claims success",
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


def _article(what: str) -> str:
    return f"status {what}" if what.isdigit() else f"a fault ({what})"


def crashed(view: View, operation: OperationView) -> Raised | None:
    """Return the plain error in which the code ended right after this operation's transient failure."""
    told = _ending(view, operation)
    if told is None or not told.raised or not operation.last.is_transient:
        return None
    outermost = told.raised[0]
    return outermost if outermost.type in PLAIN and not outermost.on_purpose else None


def _ending(view: View, operation: OperationView) -> Told | None:
    """Return how the code ended, where this operation's last attempt was the last thing that happened."""
    last = operation.last
    scope = operation.scope
    if scope is not None and scope.told is not None:
        return scope.told if view.last_in_scope.get(operation.operation.scope or 0) is last else None
    return view.trace.ended if view.ends[-1] is last else None


def rt06(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that the retry loop survives: it never ends in an error of its own making.

    - Broken where the last failure would have passed and the code ended in a plain `ValueError`, `TypeError`,
      `KeyError`, `IndexError`, `AttributeError`, `OverflowError`, `ZeroDivisionError` or `RecursionError`.
    - An error is taken for the code's own word for failure, and is no breakage, if its class is a subclass of these, if
      the code (not a library) raises it by a `raise` statement, or if it is raised `from` another.
    - Why: The loop met a header or a body that it did not expect, and broke: `int("Wed, 21 Oct …")`, `time.sleep(-3)`.
    - Fix: Guard what is computed from an answer: dates, negative, huge and unreadable values, missing fields.
    """
    tally = Tally("RT06")
    for operation in view.operations:
        last = operation.last
        if not last.is_transient:
            if any(end.is_transient for end in operation.ends):
                tally.hold()
            continue
        error = crashed(view, operation)
        if error is None:
            if _ending(view, operation) is not None:
                tally.hold()
            else:
                tally.pass_over("how the code ended after the last failure was not seen: use chaos.call(…)")
            continue
        name = error.type.removeprefix("builtins.")
        message = f": {error.message[:80]}" if error.message else ""
        tally.accuse(
            finding(
                f"RT06/{name}",
                f"retry loop broke: {operation.request} ended in {name}{message}",
                operation=operation.index,
                marks=[(last.attempt.index, f"then {name}")],
                why=f"after {_article(last.what)} the code ended in an error of its own making",
                fix="guard what is computed from the answer: negative, huge and unreadable values, missing fields",
                hint="if this is how the code tells a failure: raise a class of its own",
            )
        )
    return tally.result(
        noun="operation",
        did="met a transient failure, and the loop survived it",
        otherwise="no transient failure was met",
    )


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
            tally.pass_over(NOT_SEEN)
        elif told.raised or told.claims_success is False:
            tally.hold()
        else:
            _judge_damage(view, operation, told, tally)
    return tally.result(noun="damaged answer", did="was taken for none", otherwise="no answer was damaged")


def _judge_damage(view: View, operation: OperationView, told: Told, tally: Tally) -> None:
    index = operation.operation.scope or 0
    if told.claims_success is None:
        tally.pass_over("the value that was returned is a fallback: it claims neither success nor failure")
        return
    if operation.writes:
        sole = _sole(view, index)
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


def id05(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that the caller was told success exactly when there is an effect, or that it is unknown.

    - Applies where the call was made with `chaos.call` and holds one unsafe request. *false-success*: success was told,
      and the ledger is empty. *false-failure*: failure was told, though it was carried out, and nothing in the
      exception's chain says that the outcome is unknown: no ambiguous failure (a timeout, a reset, a 502), and no name
      such as `PaymentUnknown`. An ambiguous answer handed over as it is (a response with 502) is honest.
    - Does not apply where the service itself said that it did nothing (a 503) though it had; where it only sent the
      client elsewhere (a 307), and the ledger has no row; where a message may say in words that the outcome is unknown;
      where a later request of the scope failed, which the caller may have been told of; where another write of the
      scope may have undone it.
    - Why: Who believes a false failure pays again.
    - Fix: Raise the failure itself, or your own error from it (`raise … from error`).
    """
    tally = Tally("ID05")
    for index, scope, told in _told(view):
        operation = _sole(view, index)
        if isinstance(operation, str):
            tally.pass_over(operation)
        elif scope.cancelled_ns is not None:
            tally.pass_over("the operation was cancelled")
        elif _was_ended(told):
            tally.pass_over("the run was ended, since the code would not have: nobody was told anything")
        elif any(other.writes for other in view.by_scope[index] if other is not operation):
            tally.pass_over("another write of the scope may have undone or replaced it")
        elif operation.has_success and _failed_later(view, index, operation):
            tally.pass_over("another request of the scope failed afterwards: the caller may have been told of that one")
        else:
            _judge_telling(operation, told, tally)
    return tally.result(
        noun="caller",
        did="was told what the ledger says, or that it is unknown",
        otherwise=NOT_SEEN,
    )


def _was_ended(told: Told) -> bool:
    """Whether what was raised is no error of the code's, but what ended it: it waited or went on for ever."""
    raised = told.raised[0] if told.raised else None
    return raised is not None and raised.type.startswith("pytest_retrychaos.") and _EXCEPTION not in raised.bases


def _failed_later(view: View, index: int, operation: OperationView) -> bool:
    """Whether another operation of the scope ended after this one, and not in a success."""
    after = operation.last.attempt.index
    others = (other for other in view.by_scope[index] if other is not operation)
    return any(other.last.attempt.index > after and not other.last.is_success for other in others)


def _judge_telling(operation: OperationView, told: Told, tally: Tally) -> None:
    carried_out = [end for end in operation.ends if _was_carried_out(end.attempt)]
    done = carried_out[0].attempt if carried_out else None
    if done is not None and told.claims_success is not True and all(end.kind.did_nothing for end in carried_out):
        tally.pass_over("the service itself had said that nothing was done")
    elif done is not None and told.claims_success is not True and all(_sends_on(end) for end in carried_out):
        tally.pass_over("the service sent the client elsewhere, and the ledger has no row: nothing may have been done")
    elif told.raised:
        if done is not None and not tells_unknown(told):
            if may_tell_unknown(told):
                tally.pass_over("its message may say that the outcome is unknown: that is for people to read")
                return
            tally.accuse(_false_failure(operation, done, told.raised[0].type.removeprefix("builtins.")))
        else:
            tally.hold()
    elif told.claims_success is None:
        tally.pass_over("the value that was returned is a fallback: it claims neither success nor failure")
    elif told.claims_success is (done is not None) or _hands_over(operation, told):
        tally.hold()
    elif done is not None:
        tally.accuse(_false_failure(operation, done, "a value that says so"))
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


def _false_failure(operation: OperationView, done: Attempt, how: str) -> Finding:
    return finding(
        "ID05/false-failure",
        f"false failure: {operation.request} was carried out, and the caller was told failure",
        operation=operation.index,
        marks=[(done.index, "carried out, told as failure")],
        why=f"the caller was told by {how}: nothing in it says that the outcome is unknown, and a caller who"
        " believes it will do it again",
        fix="raise an error that says the outcome is unknown, from the failure itself (raise … from error)",
    )

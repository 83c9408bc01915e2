"""RT01: what has to be sent again: after a failure that passes."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.engine.classify import Kind
from pytest_retrychaos.engine.retry_after import Asked
from pytest_retrychaos.laws.ends import TOLERANCE_NS, Ended, asked_by, is_unsafe, met, path_of
from pytest_retrychaos.laws.lookback import (
    LOOK_AHEAD,
    differs_in_numbers,
    looked,
    was_asked_elsewhere,
    was_hedged,
    was_passed_on,
    was_refused_afterwards,
    was_sent_in_parts,
    was_sent_with_more,
    was_signed_anew,
)
from pytest_retrychaos.laws.survival import crashed
from pytest_retrychaos.laws.tally import ONE_OR_TWO, Tally, Terms, finding
from pytest_retrychaos.laws.view import OperationView, View
from pytest_retrychaos.laws.words import counted
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.volatile import POSITIONS

if TYPE_CHECKING:
    from pytest_retrychaos.laws.policy import Policy
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.trace import Attempt

RETRIED: Final = frozenset({"429", "502", "503", "504", "refuse", "connect-timeout", "reset", "eof", "timeout"})
"""Failures after which one retry is asked of every client."""

LONGEST_ASKED_S: Final = 60.0
"""A client may give up where the server asks for more."""

DEADLINES: Final = frozenset({"builtins.TimeoutError", "trio.TooSlowError"})
"""What a deadline around a block raises: `asyncio.timeout`, `wait_for`, anyio's and trio's `fail_after`."""

STOPPED: Final = 'was it told to stop while it waited? let it come to its retry, or chaos.verify(ignore=("RT01",))'


def rt01(view: View, terms: Terms) -> LawResult:
    """Judge that a transient failure is retried while attempts and time remain.

    - Without a policy: asked for 429, 502, 503, 504, refused connections, resets, closed connections and timeouts,
      where the request is safe to send again, `Retry-After` asks for at most 60 s, and it is the first operation that
      fails at that host. Broken if there was one attempt only; giving up after a retry is allowed.
    - With a policy: every attempt of the policy is expected while its time lasts. Where the policy has a breaker or a
      budget, or a breaker is named, only what is asked without a policy: they may rightly end an operation early.
    - Does not apply where the client looked afterwards whether a write was carried out (a read at its path, below it,
      or of what it acts on: `/orders/7` for `/orders/7/capture`); where an equal request was under way beside this one
      (a hedge), or came afterwards from another thread or task (a worker that took it up); where the work went on
      elsewhere (another `Range`, `Content-Range`, `Upload-Offset` or `Last-Event-ID`, the next page of a read or a
      smaller one, the same file of a mirror), in a larger request (a batch that had grown) or in smaller ones (all its
      parts); where the next request differs in its assertion alone (RFC 7521), which may be signed anew for each
      attempt; where another operation's failure ended the code; where the code itself cancelled the task, as the loser
      of a race or the rest of a group, or stopped the worker in its wait (`if stop.wait(delay): return`, in an event
      loop `wait_for(stop.wait(), delay)`); where a deadline (`asyncio.timeout`) ended it in a wait; where it ended in
      an error of its own (RT06). Of a wait for anything but an event (a queue, a condition, `asyncio.wait`) it is
      not known what ended it: the finding asks.
    - Why: These failures pass. A client without a retry shows them to its users.
    - Fix: Add the failure to what the client retries, or say `ignore=("RT01",)` where a retry is not wanted.
    """
    tally = Tally("RT01")
    policy = terms.policy
    for operation in view.operations:
        goes_on = _goes_on(operation, terms)
        if policy is not None and policy.attempts == 1:
            tally.pass_over("the policy allows one attempt")
        elif policy is None or goes_on is None:
            _judge_first_failure(view, operation, tally)
        elif goes_on:
            _judge_by_policy(view, operation, policy, tally)
        elif operation.retries:
            tally.hold()
        else:
            tally.pass_over("it ended in a failure that the policy does not retry")
    return tally.result(
        noun="operation",
        did="went on after a transient failure",
        otherwise="no transient failure was met that every client should retry",
    )


def _goes_on(operation: OperationView, terms: Terms) -> bool | None:
    """Whether the policy goes on; that it does is not known where nobody knows how often or how long it tries."""
    policy = terms.policy
    if policy is None or terms.breaker is not None:
        return None
    goes_on = policy.goes_on(operation.ends)
    has_end = policy.attempts is not None or policy.patience is not None
    return goes_on if has_end or not goes_on else None


def _judge_first_failure(view: View, operation: OperationView, tally: Tally) -> None:
    failed = next((end for end in operation.ends if end.attempt.failed), None)
    if failed is None or failed.what not in RETRIED:
        return
    if operation.last is not failed:
        tally.hold()
    elif len(operation.tries) > 1:
        tally.pass_over("it was given up after a retry: the client's own maximum is not known")
    elif view.first_failing.get(failed.attempt.host) != operation.index:
        tally.pass_over("a breaker or a spent budget may rightly end an operation after an earlier failure")
    elif (reason := _may_end(view, operation, failed, LONGEST_ASKED_S)) is not None:
        tally.pass_over(reason)
    else:
        tally.accuse(_given_up(operation, failed, "after its first attempt", hint=_if_stopped(view, failed)))


def _judge_by_policy(view: View, operation: OperationView, policy: Policy, tally: Tally) -> None:
    last = operation.last
    made = len(operation.tries)
    if not last.attempt.failed or (policy.attempts is not None and made >= policy.attempts):
        if any(end.what in RETRIED for end in operation.ends):
            tally.hold()
        return
    reason: str | None = "it ended in a failure that the policy may take for permanent"
    if last.what in RETRIED:
        reason = _may_end(view, operation, last, policy.max_retry_after)
    if reason is not None or _is_out_of_time(operation, last, policy, view.trace.resolution_ns):
        tally.pass_over(reason or "no time was left for another attempt")
    else:
        most = "" if policy.attempts is None else f" of {counted(policy.attempts, 'attempt')}"
        when = f"after {made}{most}" if most else f"after {counted(made, 'attempt')}"
        tally.accuse(_given_up(operation, last, when, hint=_if_stopped(view, last)))


def _is_out_of_time(operation: OperationView, last: Ended, policy: Policy, resolution_ns: int) -> bool:
    if policy.patience is None or last.at_ns is None:
        return False
    if policy.backoff is None:
        return True
    previous = operation.retries[-1].wait_ns / SECOND if operation.retries else None
    longest_ns = policy.envelope_ns(last, len(operation.tries), previous)[1]
    spent_ns = last.at_ns - operation.attempts[0].began_ns
    return spent_ns + longest_ns >= policy.patience * SECOND - resolution_ns


def _may_end(view: View, operation: OperationView, failed: Ended, longest_s: float) -> str | None:
    """Say why an operation may rightly end with this failure; ``None`` where it may not."""
    attempt = failed.attempt
    if operation.index in view.two_or_one:
        return ONE_OR_TWO
    if view.cancelled_at(operation) or (operation.scope is not None and operation.scope.cancelled_ns is not None):
        return "the operation was cancelled"
    if attempt.was_silent or view.was_cut_off:
        return "the run was ended before the client could go on"
    if crashed(view, operation):
        return "the code ended in an error of its own (RT06)"
    if _was_called_off(view, failed):
        return "the code itself cancelled the task that would have sent it again"
    if _was_deadline(operation, failed):
        return "a deadline of the code's own ended it while it waited"
    if _was_stopped(view, failed):
        return "the code itself ended the worker's wait: it was told to stop, or a deadline came"
    if _ended_elsewhere(view, operation):
        return "the code was ended by another operation's failure before it came back to this one"
    if operation.first_sent is None:
        if _is_followed(view, operation):
            return "nothing was sent: which operation the refused connection belongs to is not known"
        if view.trace.resolution_ns > TOLERANCE_NS:
            return "nothing was sent: a real server does not see who comes back at once and is refused again"
        return None
    if was_refused_afterwards(view, attempt):
        return "a connection to its host failed afterwards: whether that was its retry is not known"
    if attempt.key and view.last_with_key[attempt.key] > attempt.index:
        return "its key was sent again, by a request that is not the same: whether that was its retry is not known"
    if was_hedged(view, attempt):
        return "an equal request was under way beside it: one of the two was enough"
    if was_passed_on(view, attempt):
        return "an equal request was sent afterwards by another thread or task: whether that was its retry is not known"
    if not attempt.is_read and looked(view, attempt):
        return "the client looked whether the request had been carried out"
    if was_signed_anew(view, attempt):
        return "the next request differs in its assertion alone: it may be its retry, signed anew"
    if was_sent_with_more(view, attempt):
        return "what it carried was sent afterwards in a larger request"
    if was_sent_in_parts(view, attempt):
        return "what it carried was sent afterwards in smaller requests"
    if _is_resumed(view, attempt) or was_asked_elsewhere(view, attempt):
        return (
            "the work went on in another way: at another host, or by the next part, page or range of the same resource"
        )
    asked = asked_by(failed)
    if isinstance(asked, Asked) and asked.seconds > longest_s:
        return f"the server asked for a wait of more than {longest_s:g} s: giving up is allowed"
    if failed.kind is Kind.AMBIGUOUS and is_unsafe(attempt) and not attempt.key:
        return "the request is not safe to send again: it has no idempotency key and may have been carried out"
    return None


def _was_called_off(view: View, failed: Ended) -> bool:
    """Whether the code cancelled who had sent the attempt, or who had begun that, then or later."""
    one: int | None = failed.attempt.lineage
    seen: set[int] = set()
    while one is not None and one < len(view.trace.lineages) and one not in seen:
        seen.add(one)
        lineage = view.trace.lineages[one]
        if lineage.called_off_ns is not None and lineage.called_off_ns >= (failed.at_ns or 0):
            return True
        one = lineage.parent
    return False


def _was_stopped(view: View, failed: Ended) -> bool:
    """Whether the worker's wait after the failure was ended by another one, and it sent nothing more."""
    lineages, mine = view.trace.lineages, failed.attempt.lineage
    roused_ns = lineages[mine].roused_ns if mine < len(lineages) else None
    if roused_ns is None or roused_ns <= (failed.at_ns or 0):  # at once: a limit of the attempt's own
        return False
    return _sent_nothing_more(view, failed)


def _was_deadline(operation: OperationView, failed: Ended) -> bool:
    """Whether the call went on after its last failure, sent nothing more, and ended in a deadline's error."""
    scope = operation.scope
    if scope is None or scope.told is None or not scope.told.raised or None in (scope.ended_ns, failed.at_ns):
        return False
    has_waited = (scope.ended_ns or 0) - (failed.at_ns or 0) > TOLERANCE_NS
    return has_waited and scope.told.raised[0].type in DEADLINES


def _ended_elsewhere(view: View, operation: OperationView) -> bool:
    """Whether the scope, or the test, ended in an exception right after a failure of another operation.

    One that was given up at once itself, by another thread or task, explains nothing.
    """
    scope = operation.scope
    told, last = view.trace.ended, view.ends[-1]
    if scope is not None:
        told, last = scope.told, view.last_in_scope[operation.operation.scope or 0]
    is_failure = last.attempt.failed or (last.attempt.status or 0) >= 400
    if told is None or not told.raised or last.attempt.operation == operation.index or not is_failure:
        return False
    if last.attempt.lineage == operation.last.attempt.lineage:
        return True
    other = bisect_left(view.operations, last.attempt.operation, key=lambda one: one.index)
    return _may_be_final(view.operations[other])


def _may_be_final(operation: OperationView) -> bool:
    """Whether an operation that ended in a failure need not have been sent once more."""
    last = operation.last
    return last.what not in RETRIED or len(operation.tries) > 1 or (is_unsafe(last.attempt) and not last.attempt.key)


def _is_followed(view: View, operation: OperationView) -> bool:
    """Whether any attempt that may be its retry came later: in its scope, or in the run."""
    last = operation.attempts[-1]
    latest = view.ends[-1] if last.scope is None else view.last_in_scope[last.scope]
    return latest.attempt.index > last.index


def _is_resumed(view: View, failed: Attempt) -> bool:
    """Whether a later request takes up the same resource elsewhere: another range, or the next page of a read."""
    is_next = True
    for later in view.trace.attempts[failed.index : failed.index + LOOK_AHEAD]:
        if later.scope != failed.scope or not view.trace.are_related(later.lineage, failed.lineage):
            continue
        if (later.method, later.host, path_of(later)) == (failed.method, failed.host, path_of(failed)):
            if any(later.headers.get(name) != failed.headers.get(name) for name in POSITIONS):  # a resumed transfer
                return True
            if is_next and failed.is_read and (later.target != failed.target or differs_in_numbers(failed, later)):
                return True
        is_next = False
    return False


def _if_stopped(view: View, failed: Ended) -> str | None:
    """Give the way out where the client may have been in its back-off when it was told to stop."""
    has_waited = failed.at_ns is not None and view.trace.finished_ns - failed.at_ns > TOLERANCE_NS
    return STOPPED if has_waited and _sent_nothing_more(view, failed) else None


def _sent_nothing_more(view: View, failed: Ended) -> bool:
    last: dict[int, int] | None = view.memo.get(_sent_nothing_more)
    if last is None:
        last = view.memo[_sent_nothing_more] = {one.lineage: one.index for one in view.trace.attempts}
    return last[failed.attempt.lineage] == failed.attempt.index


def _given_up(operation: OperationView, failed: Ended, when: str, hint: str | None = None) -> Finding:
    what = in_words(failed)
    return finding(
        f"RT01/{failed.what}",
        f"not retried: {operation.request} was given up {when}, which met {what}",
        operation=operation.index,
        marks=[(failed.attempt.index, "given up")],
        why=f"{what} is a failure that passes, and this request is safe to send again",
        fix=f"retry it: add {what} to what the client retries",
        hint=hint,
    )


def in_words(failed: Ended) -> str:
    """Write what an attempt met: ``a timeout``, ``status 503``."""
    words = {
        "refuse": "a refused connection",
        "dns": "a name that was not resolved",
        "connect-timeout": "a connect timeout",
        "tls": "a failed TLS handshake",
        "reset": "a connection reset",
        "eof": "a connection closed with no answer",
        "stale": "a connection that had gone stale",
        "timeout": "a timeout",
        "truncate": "a truncated answer",
        "garbage": "an answer that is no HTTP",
    }
    return words.get(failed.what, met(failed.what))

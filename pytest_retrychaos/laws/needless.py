"""RT02 and RT07: what is sent again to no purpose, after a permanent failure or a success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_retrychaos.engine.classify import Kind
from pytest_retrychaos.laws.ends import (
    CONTENT_FIELDS,
    LOGIN,
    SAME_REQUEST,
    STATUS,
    UNSUPPORTED,
    Ended,
    is_unsafe,
    path_of,
)
from pytest_retrychaos.laws.lookback import two_operations, was_refused_afterwards
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.volatile import signatures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.laws.view import OperationView, Retry, View
    from pytest_retrychaos.trace import Attempt

PERMANENT: Final = frozenset({400, 401, 402, 403, 404, 405, 410, 415, 422})
"""Scripted statuses that no retry will change."""

MISSING: Final = frozenset({404, 410})
"""Those that a write can change."""

LOGINS: Final = frozenset(
    {"login", "logon", "signin", "sign-in", "sso", "token", "tokens", "access_token", "session", "sessions"}
    | {"auth", "authenticate", "authentication", "authorize", "refresh"}
)
"""Last parts of a path by which a login is known."""

MANY: Final = 500
"""How many attempts before a retry are searched for what may have changed the answer."""


def rt02(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that a permanent failure is not retried.

    - Asked for a scripted 400, 401, 402, 403, 404, 405, 410, 415 or 422 without a retry hint. A login with other
      credentials after 401 or 403 is none, nor is an address that is signed anew, nor a body that is packed otherwise
      after 415, nor the same question put to another host. The service's own answers are not judged: a poll may meet
      404 as often as it likes.
    - Does not apply where another request was made after 401 or 403, and failed: a login, perhaps; or went well, to a
      path such as `/login` or `/oauth/token`, and the credentials are the same: a test's own login gives one token. Nor
      where a redirect led to one address, which refused, and then to another: signed anew, perhaps. Nor where a list
      was begun anew (an earlier page of it was read again) before the page that had been refused was asked for. Nor
      where what a read had not found was written before it was read again: at its path, above or below.
    - Why: The same request gets the same answer: a retry costs time and traffic, and a locked account.
    - Fix: Retry by a list of statuses, not by "not ok".
    """
    tally = Tally("RT02")
    for operation in view.operations:
        if not any(_is_permanent(end) for end in operation.ends):
            continue
        followed = [r for r in operation.retries if _is_permanent(r.before) and not _may_follow_refusal(r)]
        refused = [r for r in followed if not _is_led_elsewhere(r)]
        not_anew = [r for r in refused if not _was_begun_anew(view, r)]
        repeated = [r for r in not_anew if not _was_written(view, r)]
        blind = [r for r in repeated if not _was_login_tried(view, r)]
        again = next((r for r in blind if not _has_logged_in(view, r)), None)
        if blind and again is None:
            tally.pass_over(
                "a login went well in between, and the same credentials were sent: does the real one give others?"
            )
        elif again is not None:
            tally.accuse(_sent_after_refusal(operation, again))
        elif not_anew and not repeated:
            tally.pass_over("what had not been found was written before it was read again")
        elif refused and not repeated:
            tally.pass_over("the list was begun anew before the page that had been refused was asked for again")
        elif refused:
            tally.pass_over(
                "another request followed the refusal, and failed: perhaps a login, after which all began anew"
            )
        elif followed:
            tally.pass_over("a redirect led to another address than the one that had refused it: signed anew, perhaps")
        elif _is_permanent(operation.last) and was_refused_afterwards(view, operation.last.attempt):
            tally.pass_over("a connection to its host failed afterwards: whether that was its retry is not known")
        else:
            tally.hold()
    return tally.result(
        noun="operation",
        did="met a permanent failure and did not repeat the request",
        otherwise="no permanent failure was scripted and met",
    )


def _sent_after_refusal(operation: OperationView, again: Retry) -> Finding:
    status = again.before.attempt.status
    return finding(
        f"RT02/{status}",
        f"permanent failure retried: {operation.request} was sent again after {status}",
        operation=operation.index,
        marks=[(again.attempt.index, f"sent again after {status}")],
        why=f"{status} says that this request will not be taken: the same request gets the same answer",
        fix=f"leave {status} out of what the client retries, and tell the caller",
        hint=two_operations(operation, again),
    )


def _between(view: View, retry: Retry) -> Sequence[Attempt]:
    """Give what began between a refusal and its retry, or the latest of it: of many clients each has all others'."""
    last = retry.attempt.index - 1
    return view.trace.attempts[max(retry.before.attempt.index, last - MANY) : last]


def _was_login_tried(view: View, retry: Retry) -> bool:
    """Whether another request was made between a demand for a login and the retry, and failed."""
    return any(between.failed for between in _made_for(view, retry))


def _has_logged_in(view: View, retry: Retry) -> bool:
    """Whether a request between a demand for a login and the retry was a login by its path, and went well."""
    return any(
        between.method == "POST" and path_of(between).rstrip("/").rpartition("/")[2].lower() in LOGINS
        for between in _made_for(view, retry)
    )


def _made_for(view: View, retry: Retry) -> Iterator[Attempt]:
    """Give the requests between a demand for a login and the retry that may have been made for it."""
    refused = retry.before.attempt
    for between in _between(view, retry) if refused.status in LOGIN else ():
        if (
            between.operation != refused.operation
            and between.scope == refused.scope
            and (
                view.trace.are_related(between.lineage, refused.lineage)
                # A refresher that tasks share is told from their own requests by its path.
                or (path_of(between) != path_of(refused) and view.trace.are_kin(between.lineage, refused.lineage))
            )
        ):
            yield between


def _was_begun_anew(view: View, retry: Retry) -> bool:
    """Whether an earlier page of a list was read again after a page was refused: its cursor had expired, perhaps."""
    refused = retry.before.attempt
    if not refused.is_read:
        return False
    read = {one.target for one in _between(view, retry) if _is_other_page(view, one, refused)}
    before = view.trace.attempts[: refused.index - 1] if read else ()
    return any(one.target in read and _is_other_page(view, one, refused) for one in before)


def _was_written(view: View, retry: Retry) -> bool:
    """Whether a read found nothing, and the client wrote there before it read again: it may be there now."""
    refused = retry.before.attempt
    if not refused.is_read or refused.status not in MISSING:
        return False
    asked = path_of(refused).rstrip("/") + "/"
    return any(
        between.was_sent
        and not between.is_read
        and between.method != "DELETE"
        and between.status not in PERMANENT  # which says that nothing was written
        and (between.host, between.scope) == (refused.host, refused.scope)
        and _holds(path_of(between).rstrip("/") + "/", asked)
        and view.trace.are_kin(between.lineage, refused.lineage)  # any task may have written it
        for between in _between(view, retry)
    )


def _holds(one: str, other: str) -> bool:
    """Whether one of two paths, each with a slash at its end, is the other or above it."""
    return one.startswith(other) or (other.startswith(one) and one != "/")


def _is_other_page(view: View, one: Attempt, refused: Attempt) -> bool:
    """Whether an attempt read another page of the list of which one was refused."""
    same_list = (one.scope, one.method, one.host, path_of(one)) == (
        refused.scope,
        refused.method,
        refused.host,
        path_of(refused),
    )
    is_other = same_list and one.target != refused.target and not one.failed
    return is_other and view.trace.are_related(one.lineage, refused.lineage)


def _may_follow_refusal(retry: Retry) -> bool:
    """Whether it is a login, an address signed anew, a body packed otherwise, or the question put to another host."""
    return retry.is_login or retry.is_failover or _is_signed_anew(retry) or _is_packed_otherwise(retry)


def _is_packed_otherwise(retry: Retry) -> bool:
    """Whether a body was refused as it was packed or called, perhaps, and sent again otherwise."""
    refused, again = retry.before.attempt, retry.attempt
    is_other = any(refused.headers.get(name) != again.headers.get(name) for name in CONTENT_FIELDS)
    return refused.status == UNSUPPORTED and is_other


def _is_signed_anew(retry: Retry) -> bool:
    """Whether a query was refused with one signature and sent again with another: it had expired, perhaps."""
    refused = retry.before.attempt
    first, again = signatures(refused.target or ""), signatures(retry.attempt.target or "")
    return refused.status in LOGIN and bool(first) and bool(again) and first != again


def _is_led_elsewhere(retry: Retry) -> bool:
    """Whether redirects led the refused request to one address, and its repetition to another."""
    before = retry.before.attempt
    return before.joined == retry.led_to.joined == "leg" and before.target != retry.led_to.target


def _is_permanent(end: Ended) -> bool:
    attempt = end.attempt
    return end.how == STATUS and attempt.status in PERMANENT and not attempt.own_answer and end.kind is Kind.REFUSED


def rt07(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that a success is not sent again, whatever its headers.

    - Broken by an attempt of the operation that started after a success had been delivered, whatever its headers: a 201
      or 202 with `Retry-After` says when to look. Nor does it matter whether a 307 or 308 led there.
    - Does not apply where an equal unsafe request is an operation of its own: whether it was sent again or another one
      was meant is not known. Nor where the ledger has no row for what was answered (`effects=` says so): the body may
      have told that nothing was done, as GraphQL does. Nor where the client closed the connection before it had the
      whole answer: whether it had enough is not known.
    - Why: The work was done, and the client knew it.
    - Fix: Decide by the status first: a 2xx ends the loop.
    """
    tally = Tally("RT07")
    repeated = _equals(view)
    for operation in view.operations:
        if not operation.has_success:
            continue
        again = _sent_after_success(operation) if len(operation.tries) > 1 else None
        if again is None:
            if any(end.is_success and end.attempt.cut for end in operation.ends[:-1]):
                tally.pass_over("the client closed the connection before it had the whole answer: was it enough?")
            elif any(end.is_success and _did_nothing(end.attempt) for end in operation.ends[:-1]):
                tally.pass_over("what was sent again had been answered, and the ledger has no row for it")
            elif operation.index in repeated:
                tally.pass_over("an equal request followed a success: it was sent again, or another was meant")
            else:
                tally.hold()
            continue
        success, number = again
        tally.accuse(
            finding(
                "RT07",
                f"success sent again: {operation.request} was answered {success.status} and sent once more",
                operation=operation.index,
                marks=[(success.index, "success"), (number, "sent again")],
                why="the work was done and the client knew it: a Retry-After on a success"
                " says when to look, not to repeat",
                fix="decide by the status first: a 2xx ends the retry loop",
            )
        )
    return tally.result(
        noun="operation",
        did="succeeded and was not sent again",
        otherwise="no operation succeeded",
    )


def _equals(view: View) -> frozenset[int]:
    """Find the operations that an equal unsafe one follows or precedes: made again, or one more of its kind."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for operation in view.operations:
        first = operation.first_sent
        if first is not None and is_unsafe(first):
            equal = (first.scope, first.method, first.host, first.target, first.body.sha256)
            alike.setdefault(equal, []).append(operation.index)
    return frozenset(index for indices in alike.values() if len(indices) > 1 for index in indices)


def _did_nothing(attempt: Attempt) -> bool:
    """Whether the service answered an unsafe request well, and is known to have done nothing."""
    answered = attempt.own_answer and attempt.committed and not attempt.replayed
    return answered and is_unsafe(attempt) and not attempt.effects


def _sent_after_success(operation: OperationView) -> tuple[Attempt, int] | None:
    legs = frozenset(operation.operation.legs)
    success: Attempt | None = None
    status: int | None = None
    was_done = False
    for end in operation.ends:
        attempt = end.attempt
        is_leg = attempt.index in legs
        if not is_leg and success is not None and success.ended_ns is not None:
            later = attempt.began_ns - success.ended_ns
            if later > 0 or (later == 0 and attempt.lineage == success.lineage and attempt.joined != "hedge"):
                return success, attempt.index
        # What a 302 or 303 leads to is another request, a login page perhaps.
        if success is None and end.is_success and (not is_leg or status in SAME_REQUEST):
            # What was done before, and its answer lost, an app answers well again without a row.
            is_known = not attempt.cut and (was_done or not _did_nothing(attempt))
            success = attempt if is_known else None
        was_done = was_done or bool(attempt.effects)
        status = attempt.status
    return None

"""BK04: whether the client comes again when the server has asked it to."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.engine.retry_after import Unreadable
from pytest_retrychaos.laws.ends import ASKING, TOLERANCE_NS, Ended, asked_by
from pytest_retrychaos.laws.lookback import LOOK_AHEAD, distinct, may_begin_another, two_operations
from pytest_retrychaos.laws.policy import Asking
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.view import OperationView, Retry, View
from pytest_retrychaos.laws.words import seconds
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import Finding, LawResult

LONGEST_JUDGED_NS: Final = 3600 * SECOND
LATEST_NS: Final = 300 * SECOND
"""A date may be overshot by that much."""
DAY_NS: Final = 86_400 * SECOND


def bk04(view: View, terms: Terms) -> LawResult:
    """Judge that ``Retry-After`` is obeyed, and that past, zero, huge and malformed values do no harm.

    - Without a policy: judged on 413, 429 and 503, up to an hour asked for. *early*: sent again sooner. *late*: a date
      overshot by more than 300 s, most often a GMT date read as local time. *huge*, on any status: a wait of more than
      a day. Neither *late* nor *huge* where a connection to that host failed meanwhile: it may have come when it was
      asked to. Values that are past, negative or unreadable are as if absent. Giving up is allowed.
    - Does not apply where the retry went to another host, until one comes back to the host that asked; where it could
      not be sent (refused, say), and none of its operation was sent after it, or a request that was not sent before
      came later: it may have been another; where it came before a fraction of seconds (`1.5`) had passed: RFC 9110
      knows whole seconds only, so a client may ignore it.
    - With a policy: a policy that does not respect `Retry-After` is not judged.
    - Why: The server said when it will be ready; who comes sooner is turned away again, or banned.
    - Fix: Wait for the greater of back-off and `Retry-After`; read seconds and dates; give up beyond a maximum.
    """
    tally = Tally("BK04")
    if terms.policy is not None and terms.policy.asking is Asking.IGNORED:
        return tally.result(noun="", did="", otherwise="the policy does not respect Retry-After")
    for operation in view.operations:
        asked: Ended | None = None
        latest: dict[str, Ended] = {}  # by host: its last answer before the client went to another one
        for retry in operation.retries:
            if asked is not None:  # it still holds for what is sent next
                retry = _after(asked, retry)
            if retry.is_failover and retry.attempt.was_sent:
                latest[retry.before.attempt.host] = retry.before
                left = latest.pop(retry.attempt.host, None)
                if left is not None and _judge_asked(view, operation, _after(left, retry), tally, is_back=True):
                    break
            if retry.before.attempt.status is not None:
                is_unclear = may_begin_another(operation, retry) or _may_be_anothers(view, retry)
                asked = retry.before if is_unclear else None
                if asked is not None:
                    tally.pass_over("nothing was sent: it may have been another request that was not to wait")
                elif _judge_asked(view, operation, retry, tally):
                    break
        if asked_by(operation.last) is not None:
            tally.pass_over("the operation was given up after Retry-After, which is allowed")
    return tally.result(noun="wait", did="obeyed Retry-After", otherwise="no answer with Retry-After was met")


def _after(asked: Ended, retry: Retry) -> Retry:
    """Give a retry as one of an earlier attempt than the last."""
    return retry._replace(before=asked, led_by=asked.attempt, wait_ns=retry.attempt.began_ns - (asked.at_ns or 0))


def _may_be_anothers(view: View, retry: Retry) -> bool:
    """Whether a connection that failed may have been for another request than the one that was asked to wait.

    Who is asked to wait with one item of a row goes on to the next; what was not sent then is sent later, for the first
    time or once more after it had failed.
    """
    attempt, attempts = retry.attempt, view.trace.attempts
    if attempt.was_sent:
        return False
    around = attempts[max(0, attempt.index - LOOK_AHEAD) : attempt.index + LOOK_AHEAD]
    sent = [one for one in around if one.was_sent and (one.host, one.scope) == (attempt.host, attempt.scope)]
    others = [one for one in sent if one.operation != attempt.operation]
    known = [
        one for one in sent if one.index < attempt.index and (one.operation == attempt.operation or not one.failed)
    ]
    return not distinct(one for one in others if one.index > attempt.index) <= distinct(known)


def _came_in_vain(view: View, retry: Retry) -> bool:
    """Whether a connection to its host failed since it was asked to wait: its own, perhaps."""
    known: dict[object, list[int]] | None = view.memo.get(_came_in_vain)
    if known is None:
        known = view.memo[_came_in_vain] = {}
        for one in view.trace.attempts:
            if not one.was_sent:
                known.setdefault((one.host, one.scope), []).append(one.index)
    unsent = known.get((retry.attempt.host, retry.attempt.scope), [])
    place = bisect_right(unsent, retry.before.attempt.index)
    return place < len(unsent) and unsent[place] < retry.attempt.index


def _judge_asked(view: View, operation: OperationView, retry: Retry, tally: Tally, *, is_back: bool = False) -> bool:
    """Judge one retry; who comes back by way of another host (``is_back``) may have been kept there."""
    asked = asked_by(retry.before)
    if asked is None:
        return False
    if retry.is_failover:
        tally.pass_over("the retry went to another host, which had asked for nothing")
        return False
    if retry.wait_ns > DAY_NS + TOLERANCE_NS and not (is_back or _came_in_vain(view, retry)):
        tally.accuse(_huge(operation, retry))
        return True
    if retry.before.attempt.status not in ASKING:
        tally.pass_over("Retry-After came on a status other than 413, 429 and 503")
        return False
    if isinstance(asked, Unreadable):
        tally.hold()
        return False
    asked_ns = int(asked.seconds * SECOND)
    if asked_ns > LONGEST_JUDGED_NS:
        tally.pass_over("more than 3 600 s were asked for: coming sooner is not judged")
        return False
    if retry.wait_ns < asked_ns - TOLERANCE_NS:
        if asked.kind == "seconds" and "." in asked.text:
            tally.pass_over("a fraction of a second was asked for, which RFC 9110 does not know: it may be ignored")
            return False
        if retry.wait_ns >= asked_ns - view.trace.resolution_ns:
            least = seconds(view.trace.resolution_ns)
            tally.pass_over(f"it came sooner than asked by less than {least}, in real time")
            return False
        tally.accuse(_early(operation, retry, asked_ns, is_date=asked.is_date))
        return True
    is_late = asked.is_date and retry.wait_ns > asked_ns + LATEST_NS + TOLERANCE_NS
    if is_late and not (is_back or _came_in_vain(view, retry)):
        tally.accuse(_late(operation, retry, asked_ns))
        return True
    tally.hold()
    return False


def _early(operation: OperationView, retry: Retry, asked_ns: int, *, is_date: bool) -> Finding:
    why = "the server said when it would be ready: whoever comes sooner is turned away again, or banned"
    if is_date:
        why += "; a date is GMT, whatever the time zone of the client"
    return finding(
        "BK04/early",
        f"Retry-After not obeyed: {operation.request} was sent again after {seconds(retry.wait_ns)},"
        f" {seconds(asked_ns)} were asked for",
        operation=operation.index,
        marks=[(retry.attempt.index, f"{seconds(asked_ns - retry.wait_ns)} too early")],
        why=why,
        fix="wait for the greater of the backoff and Retry-After, or give up",
        hint=two_operations(operation, retry),
    )


def _late(operation: OperationView, retry: Retry, asked_ns: int) -> Finding:
    over = retry.wait_ns - asked_ns
    return finding(
        "BK04/late",
        f"Retry-After overshot: {operation.request} was sent again {seconds(over)} after the date asked for",
        operation=operation.index,
        marks=[(retry.attempt.index, f"{seconds(over)} too late")],
        why="the date was read wrongly, most often in local time: HTTP dates are GMT",
        fix="read the date as GMT and subtract the present moment in UTC",
    )


def _huge(operation: OperationView, retry: Retry) -> Finding:
    return finding(
        "BK04/huge",
        f"huge wait: {operation.request} waited {seconds(retry.wait_ns)} because Retry-After said so",
        operation=operation.index,
        marks=[(retry.attempt.index, "waited more than a day")],
        why="one wrong header stops the client for more than a day",
        fix="give up where Retry-After asks for more than the caller can wait",
    )

"""BK01, BK02 and BK04: how long the client waits before it tries again."""

from __future__ import annotations

from bisect import bisect_right
from itertools import groupby, islice
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.engine.retry_after import Asked, Unreadable
from pytest_retrychaos.laws.ends import ASKING, CUT, STATUS, TOLERANCE_NS, Ended, asked_by
from pytest_retrychaos.laws.lookback import LOOK_AHEAD, two_operations
from pytest_retrychaos.laws.policy import FOR_EVER_NS, Asking
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.view import OperationView, Retry, View
from pytest_retrychaos.laws.words import seconds
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_retrychaos.laws.policy import Policy
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.trace import Attempt

DIFFERENT: Final = "different requests? script reset or 503 in its place: then it is seen what was asked for"
"""What would settle it where nothing was sent."""

ROUNDS: Final = 50
"""How often a row of items that cannot be sent may be gone through before each is seen."""

LONG_ATTEMPT_NS: Final = SECOND
"""An attempt that itself lasted as long counts as a wait."""

LONGEST_JUDGED_NS: Final = 3600 * SECOND
LATEST_NS: Final = 300 * SECOND
"""A date may be overshot by that much."""
DAY_NS: Final = 86_400 * SECOND


def bk01(view: View, terms: Terms) -> LawResult:
    """Judge that there is a wait before every retry.

    - Without a policy: one immediate retry is allowed, `Retry-After: 0` excuses one more, and an attempt that lasted a
      second counts as a wait. From the next on there has to be a wait.
    - The first attempt at another host is failover and needs no wait. Coming back to a host is a retry: its wait counts
      from the end of the last attempt there. A login is not judged.
    - With a policy: a retry is judged where the policy's wait is more than zero.
    - Does not apply where nothing was sent, and as many different requests came later: a row of them, perhaps.
    - Why: A failing service is hit hardest by those who wait for it, all at the same moment.
    - Fix: Wait before each retry, longer each time, with jitter.
    """
    tally = Tally("BK01")
    for operation in view.operations:
        judged = list(_returns(operation))
        if not judged:
            continue
        hot, is_unclear = _first_hot(judged, terms.policy, view.trace.resolution_ns)
        if hot is None and is_unclear:
            least = seconds(view.trace.resolution_ns)
            tally.pass_over(f"in real time a wait of less than {least} cannot be told from none")
        elif hot is None:
            tally.hold()
        elif _was_row(view, operation, hot):
            tally.pass_over("nothing was sent, and different requests came later: these may have been a row of them")
        else:
            tally.accuse(
                finding(
                    "BK01",
                    f"no wait: {operation.request} was sent again at once, and not for the first time",
                    operation=operation.index,
                    marks=[(hot.attempt.index, "no wait")],
                    why="retries without a wait hit the service while it fails, from every client at the same moment",
                    fix="wait before each retry, longer each time, with jitter",
                    hint=two_operations(operation, hot) if hot.led_by.was_sent else DIFFERENT,
                )
            )
    return tally.result(noun="operation", did="waited before its retries", otherwise="no retry whose wait is judged")


def _was_row(view: View, operation: OperationView, hot: Retry) -> bool:
    """Whether what was not sent without a wait between may have been as many different requests, sent later.

    A queue or a sync goes through all of its items, waits, and goes through them again; a loop without waits comes back
    with one request. Jitter spreads them: they need not come together. The first and the last of the row may have got
    through: they are not among what is sent later.
    """
    host, scope = hot.attempt.host, hot.attempt.scope
    row = _without_waits(operation, hot.attempt)
    got_through: set[object] = set()
    if row[0].was_sent:
        got_through |= _different(row[:1])
        row = row[1:]
        if _different(row[-1:]) == got_through:  # a row has each item once: this is one that came back
            return False
    unsent = [attempt for attempt in row if not attempt.was_sent]
    if not unsent or len(row) > len(unsent) + 1 or any(attempt.was_sent for attempt in row[: len(unsent)]):
        return False
    first = unsent[-1].index
    later = islice(view.trace.attempts, first, first + ROUNDS * len(row))
    sent = (attempt for attempt in later if attempt.was_sent and (attempt.host, attempt.scope) == (host, scope))
    different: set[object] = set()
    for moment, together in groupby(sent, key=lambda attempt: attempt.began_ns):
        if moment <= row[-1].began_ns and len(row) > len(unsent):
            got_through |= _different(together)
            continue
        different |= _different(together) - got_through
        if len(different) >= len(unsent):
            return True
    return False


def _without_waits(operation: OperationView, hot: Attempt) -> list[Attempt]:
    """Give the attempts around one that each began once the one before it had ended, however long that took."""
    row: list[Attempt] = []
    for attempt in operation.attempts:
        if row and attempt.began_ns - (row[-1].ended_ns or row[-1].began_ns) >= TOLERANCE_NS:
            if row[-1].index >= hot.index:
                break
            row = []
        row.append(attempt)
    return row


def _different(attempts: Iterable[Attempt]) -> set[object]:
    return {(one.method, one.target, one.body.sha256, one.key) for one in attempts}


def _returns(operation: OperationView) -> Iterator[Retry]:
    """Give the retries whose wait is judged: each from the end of the last attempt at the same host.

    The first attempt at another host is failover; coming back to one is a retry, by a redirect or without.
    """
    ended: dict[str, Ended] = {}
    for retry in operation.retries:
        ended[retry.before.attempt.host] = retry.before
        known = [ended[host] for host in (retry.attempt.host, retry.led_to.host) if host in ended]
        before = max(known, key=lambda end: end.at_ns or 0, default=None)
        if before is not None and not retry.is_login:
            yield retry._replace(before=before, wait_ns=retry.attempt.began_ns - (before.at_ns or 0))


def _first_hot(retries: list[Retry], policy: Policy | None, resolution_ns: int) -> tuple[Retry | None, bool]:
    """Find the first immediate retry beyond the one that is allowed, and the one that ``Retry-After: 0`` excuses.

    The second value says whether another one came so soon that it may have been one, too.
    """
    allowed, excused = 1, 1
    is_unclear = False
    for retry in retries:
        before = retry.before.attempt
        lasted = (retry.before.at_ns or 0) - before.began_ns
        if retry.wait_ns >= resolution_ns or lasted >= LONG_ATTEMPT_NS - TOLERANCE_NS:
            continue
        if retry.wait_ns >= TOLERANCE_NS:
            is_unclear = True
            continue
        if policy is not None and policy.backoff is not None:
            low, high = policy.backoff.bounds(retry.number)
            if high * SECOND < TOLERANCE_NS:
                continue
            if low * SECOND >= 2 * TOLERANCE_NS:
                return retry, is_unclear
        asked = asked_by(retry.before)
        if excused and isinstance(asked, Asked) and asked.seconds == 0:
            excused = 0
        elif allowed:
            allowed = 0
        else:
            return retry, is_unclear
    return None, is_unclear


def bk02(view: View, terms: Terms) -> LawResult:
    """Judge that waits stay inside the policy's envelope, its cap included.

    - Without a policy: does not apply.
    - With a policy: every wait lies between the bounds of the policy's back-off; one that the server asked for lies
      between that and that plus the back-off. A failed answer that drips may be read before the wait: the time until
      its last byte may come on top, and one that was closed on the way sets no upper bound.
    - Why: The policy that is documented is not the one that runs: a cap forgotten, or another layer that waits too.
    - Fix: Give the client the policy that is claimed, or claim the one that it has.
    """
    tally = Tally("BK02")
    if terms.policy is None:
        return tally.result(noun="", did="", otherwise="no policy was given: chaos.verify(policy)")
    if terms.policy.backoff is None:
        return tally.result(noun="", did="", otherwise="the policy's waits are not known: chaos.verify(bounds=…)")
    for operation in view.operations:
        judge_envelope(operation, terms.policy, tally, resolution_ns=view.trace.resolution_ns)
    return tally.result(noun="wait", did="stayed inside the envelope", otherwise="no retry whose wait is judged")


def judge_envelope(operation: OperationView, policy: Policy, tally: Tally, *, resolution_ns: int) -> None:
    """Hold every wait of an operation to a policy's bounds; the first that leaves them is told."""
    previous: float | None = None
    for retry in operation.retries:
        if retry.is_login:
            return
        if not retry.is_failover:
            low, high = policy.envelope_ns(retry.before, retry.number, previous)
            high += _reading_ns(retry.before)
            if not low - resolution_ns <= retry.wait_ns <= high + resolution_ns:
                tally.accuse(_outside(operation, retry, low, high))
                return
            tally.hold()
        previous = max(retry.wait_ns, 0) / SECOND


def _reading_ns(before: Ended) -> int:
    """Tell how long the client may have read a failed answer before it began to wait.

    It need not read it, so that the least wait counts from the headers. One that drips and was closed on the way may
    have been read until then.
    """
    attempt = before.attempt
    if before.how not in (STATUS, CUT) or attempt.headers_ns is None or before.at_ns is None:
        return 0
    if attempt.last_byte_ns is not None:
        return max(0, attempt.last_byte_ns - before.at_ns)
    return FOR_EVER_NS if (attempt.fault or "").startswith("drip") else 0


def _outside(operation: OperationView, retry: Retry, low: int, high: int) -> Finding:
    side = "short" if retry.wait_ns < low else "long"
    envelope = f"between {seconds(low)} and {seconds(high)}" if low != high else f"{seconds(low)}"
    return finding(
        f"BK02/{side}",
        f"wait too {side}: retry {retry.number} of {operation.request} came after {seconds(retry.wait_ns)},"
        f" the policy says {envelope}",
        operation=operation.index,
        marks=[(retry.attempt.index, f"after {seconds(retry.wait_ns)}")],
        why="the code does not wait as its policy says: another backoff, a missing cap, or two retry layers"
        if side == "long"
        else "the code does not wait as its policy says: another backoff, or none",
        fix="give the client the policy that is claimed, or claim the one it has",
    )


def bk04(view: View, terms: Terms) -> LawResult:
    """Judge that ``Retry-After`` is obeyed, and that past, zero, huge and malformed values do no harm.

    - Without a policy: judged on 413, 429 and 503, up to an hour asked for. *early*: sent again sooner. *late*: a date
      overshot by more than 300 s, most often a GMT date read as local time. *huge*, on any status: a wait of more than
      a day. Neither *late* nor *huge* where a connection to that host failed meanwhile: it may have come when it was
      asked to. Values that are past, negative or unreadable are as if absent. Giving up is allowed.
    - Does not apply where the retry went to another host; where it could not be sent (refused, say), and a request that
      was not sent before came later: it may have been that one; where it came before a fraction of seconds (`1.5`) had
      passed: RFC 9110 knows whole seconds only, so a client may ignore it.
    - With a policy: a policy that does not respect `Retry-After` is not judged.
    - Why: The server said when it will be ready; who comes sooner is turned away again, or banned.
    - Fix: Wait for the greater of back-off and `Retry-After`; read seconds and dates; give up beyond a maximum.
    """
    tally = Tally("BK04")
    if terms.policy is not None and terms.policy.asking is Asking.IGNORED:
        return tally.result(noun="", did="", otherwise="the policy does not respect Retry-After")
    for operation in view.operations:
        asked: Ended | None = None
        for retry in operation.retries:
            if asked is not None:  # it still holds for what is sent next
                wait_ns = retry.attempt.began_ns - (asked.at_ns or 0)
                retry = retry._replace(before=asked, led_by=asked.attempt, wait_ns=wait_ns)
            if retry.before.attempt.status is not None:
                asked = retry.before if _may_be_anothers(view, retry) else None
                if asked is not None:
                    tally.pass_over("nothing was sent, and another request came later: it may have been that one")
                elif _judge_asked(view, operation, retry, tally):
                    break
        if asked_by(operation.last) is not None:
            tally.pass_over("the operation was given up after Retry-After, which is allowed")
    return tally.result(noun="wait", did="obeyed Retry-After", otherwise="no answer with Retry-After was met")


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
    return not _different(one for one in others if one.index > attempt.index) <= _different(known)


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


def _judge_asked(view: View, operation: OperationView, retry: Retry, tally: Tally) -> bool:
    asked = asked_by(retry.before)
    if asked is None:
        return False
    if retry.is_failover:
        tally.pass_over("the retry went to another host, which had asked for nothing")
        return False
    if retry.wait_ns > DAY_NS + TOLERANCE_NS and not _came_in_vain(view, retry):
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
    if is_late and not _came_in_vain(view, retry):
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

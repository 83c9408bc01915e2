"""BK01 and BK02: how long the client waits before it tries again."""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.engine.retry_after import Asked
from pytest_retrychaos.laws.ends import CUT, STATUS, TOLERANCE_NS, Ended, asked_by
from pytest_retrychaos.laws.lookback import distinct, may_begin_another, two_operations
from pytest_retrychaos.laws.policy import FOR_EVER_NS
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.view import OperationView, Retry, View
from pytest_retrychaos.laws.words import seconds
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_retrychaos.laws.policy import Policy
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.trace import Attempt

DIFFERENT: Final = "different requests? script reset or 503 in its place: then it is seen what was asked for"
"""What would settle it where nothing was sent."""

ROUNDS: Final = 50
"""How often a row of items that cannot be sent may be gone through before each is seen."""

LONG_ATTEMPT_NS: Final = SECOND
"""An attempt that itself lasted as long counts as a wait."""


def bk01(view: View, terms: Terms) -> LawResult:
    """Judge that there is a wait before every retry.

    - Without a policy: one immediate retry is allowed, `Retry-After: 0` excuses one more, and an attempt that lasted a
      second counts as a wait. From the next on there has to be a wait.
    - The first attempt at another host is failover and needs no wait. Coming back to a host is a retry: its wait counts
      from the end of the last attempt there. A login is not judged.
    - With a policy: a retry is judged where the policy's wait is more than zero.
    - Does not apply where nothing was sent, and as many different requests came later: a row of them, perhaps; nor to
      what follows an answer that the client left in the middle, of which it may have had enough.
    - Why: A failing service is hit hardest by those who wait for it, all at the same moment.
    - Fix: Wait before each retry, longer each time, with jitter.
    """
    tally = Tally("BK01")
    for operation in view.operations:
        judged = list(_returns(operation))
        if not judged:
            continue
        hot, is_unclear = _first_hot(judged, terms.policy, view.trace.resolution_ns)
        own = [retry for retry in judged if not may_begin_another(operation, retry)]
        if hot is not None and _first_hot(own, terms.policy, view.trace.resolution_ns)[0] is None:
            tally.pass_over("nothing was sent: what failed to connect at once may have been another request")
            continue
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
        got_through |= distinct(row[:1])
        row = row[1:]
        if distinct(row[-1:]) == got_through:  # a row has each item once: this is one that came back
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
            got_through |= distinct(together)
            continue
        different |= distinct(together) - got_through
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
        was_left = retry.before.how == CUT and before.headers_ns is not None  # it may have had enough
        if retry.wait_ns >= resolution_ns or lasted >= LONG_ATTEMPT_NS - TOLERANCE_NS or was_left:
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

"""BK03: whether chance spreads the waits, and as the policy says; told from the waits of many operations.

Laws of this module:
1. With a policy each wait has a place between its bounds, and those places have to be even: that is what full, equal,
   proportional and decorrelated jitter mean. A right client is accused by a chance of 1 in 10 000 at most.
2. A wait is left out by what was known before it was drawn, never by what was drawn.
3. Without such a claim, in a herd, the waits before the same retry have to differ, and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_retrychaos.laws.ends import TOLERANCE_NS, asked_by
from pytest_retrychaos.laws.spread import LEAST_COPIES, are_together, chosen, median
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.uniformity import Gap, largest_gap, largest_right
from pytest_retrychaos.laws.verdict import LawResult, Ruling
from pytest_retrychaos.laws.words import counted, seconds
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.engine.backoff import Backoff
    from pytest_retrychaos.laws.policy import Policy
    from pytest_retrychaos.laws.verdict import Finding
    from pytest_retrychaos.laws.view import OperationView, View

LEAST_WAITS: Final = 50
"""So many tell every kind from every other 99 times in 100, but for one: see benchmarks/RESULTS.md."""
LEAST_DECORRELATED: Final = 100
"""A claim of decorrelated jitter that is really proportional takes so many."""
CENSORED: Final = frozenset({"proportional", "decorrelated"})
"""Jitters that may be capped once drawn: where they reach the cap, the draw is not known."""
NARROWEST: Final = 0.02
"""Seconds: bounds that are closer leave too little of a wait that is known to a millisecond."""
TOLERANCE: Final = TOLERANCE_NS / SECOND

WHY: Final = (
    "clients that failed together come back together where chance does not spread them, and hit the service at once"
)
FIX: Final = "give the client the jitter that is claimed, or claim the one it has"


class Waited(NamedTuple):
    """One wait of an operation, in seconds."""

    retry: int
    """The number of the retry after it."""
    wait: float
    room: float = float("inf")
    """How long it could have been before the policy's timeout had ended the operation instead."""
    is_known: bool = True
    """The client chose it by its backoff alone: nobody asked for it."""


class Fit(NamedTuple):
    """How well waits fit a backoff."""

    judged: int
    """Waits that could be judged."""
    gap: Gap
    over_cap: int
    """Waits longer than the cap."""
    are_alike: bool
    """Those before the same retry are all the same."""

    @property
    def is_right(self) -> bool:
        """Whether the waits may be those of the backoff."""
        return self.gap.size <= largest_right(self.judged)


def fit(backoff: Backoff, operations: Sequence[Sequence[Waited]]) -> Fit:
    """Compare the waits of many operations, each from its first retry on, with a backoff."""
    draws: list[tuple[float, float]] = []
    reach: dict[int, tuple[float, float]] = {}
    over_cap = 0
    for waits in operations:
        previous: float | None = None
        for one in waits:
            if not one.is_known and backoff.jitter == "decorrelated":
                break
            low, high = backoff.bounds(one.retry, previous=previous)
            previous = one.wait
            if not one.is_known:
                continue
            over_cap += high >= backoff.cap and one.wait > high + TOLERANCE
            is_censored = high >= backoff.cap and backoff.jitter in CENSORED
            if high - low < NARROWEST or one.room <= high or is_censored:
                continue
            draws.append(((one.wait - low) / (high - low), TOLERANCE / (high - low)))
            least, most = reach.get(one.retry, (one.wait, one.wait))
            reach[one.retry] = min(least, one.wait), max(most, one.wait)
    are_alike = all(most - least <= TOLERANCE for least, most in reach.values())
    return Fit(len(draws), largest_gap(draws), over_cap, are_alike)


def bk03(view: View, terms: Terms) -> LawResult:
    """Judge that waits are jittered, and by the kind of jitter claimed.

    - With a policy that claims jitter (full, equal, proportional, decorrelated): each wait has a place between its
      bounds, and those places have to be even (Kolmogorov and Smirnov's test, with a bound that holds for every size).
      A right client is accused by a chance of at most 1 in 10 000. From 50 waits on, or 100 for decorrelated jitter;
      what that tells apart is in [RESULTS.md](../benchmarks/RESULTS.md).
    - Without such a claim, in a herd (`chaos.herd`): 20 copies that wait the same to the millisecond before the same
      retry break it; waits that lie a tenth apart keep it; in between it does not apply.
    - Not judged: waits that the service asked for (`Retry-After`, a rate limit's reset), failover, bounds closer than
      20 ms, waits that the policy's timeout would have cut, and proportional and decorrelated jitter at the cap.
    - Why: Clients that failed together come back together where chance does not spread them: the spike repeats.
    - Fix: Give the client the jitter that is claimed, and cap the wait last.
    """
    tally = Tally("BK03")
    policy = terms.policy
    if policy is not None and _leaves_nothing_to_chance(policy, view):
        return tally.result(noun="", did="", otherwise="the policy claims no jitter")
    if policy is None or policy.claims is None:
        return _in_herds(view, tally)
    backoff = policy.claims
    found = fit(backoff, [list(_waits(operation, policy)) for operation in view.operations])
    if found.over_cap:
        tally.accuse(_over_cap(found, backoff))
    elif found.judged < (least := LEAST_DECORRELATED if backoff.jitter == "decorrelated" else LEAST_WAITS):
        tally.pass_over(
            f"{counted(found.judged, 'wait')} can be judged, at least {least} are needed: "
            "call the code more often, or chaos.herd(100, client)"
        )
    elif found.is_right:
        seen = f"an unevenness of {_percent(largest_right(found.judged))} would show"
        held = f"{counted(found.judged, 'wait')} fit {backoff.jitter} jitter; {seen}"
        return LawResult("BK03", Ruling.HELD, held)
    else:
        tally.accuse(_none(found, backoff) if found.are_alike else _other(found, backoff))
    return tally.result(noun="", did="", otherwise="")


def _leaves_nothing_to_chance(policy: Policy, view: View) -> bool:
    """Whether a policy names one wait for each retry that was made: bounds given by hand may know of no others."""
    backoff = policy.backoff
    if backoff is None or policy.may_wait_longer:
        return False
    made = {retry.number for operation in view.operations for retry in operation.retries}
    bounds = [backoff.bounds(number) for number in sorted(made)]
    return bool(bounds) and all(low == high for low, high in bounds)


def _waits(operation: OperationView, policy: Policy) -> Iterator[Waited]:
    """Give an operation's waits in order, each with what was known before it was drawn."""
    began_ns = operation.attempts[0].began_ns
    for retry in operation.retries:
        if retry.is_login or retry.is_failover:
            return
        before_ns = retry.before.at_ns or 0
        room = float("inf") if policy.timeout is None else policy.timeout - (before_ns - began_ns) / SECOND
        yield Waited(retry.number, retry.wait_ns / SECOND, room, asked_by(retry.before) is None)


def _over_cap(found: Fit, backoff: Backoff) -> Finding:
    return finding(
        "BK03/cap",
        f"cap exceeded: {counted(found.over_cap, 'wait')} came out longer than {backoff.cap:g} s",
        operation=None,
        marks=[],
        why="chance was added after the wait had been capped, or there is no cap",
        fix="cap the wait last, once jitter has been added",
    )


def _none(found: Fit, backoff: Backoff) -> Finding:
    return finding(
        "BK03/none",
        f"no jitter: of {counted(found.judged, 'wait')}, all before the same retry are alike;"
        f" the policy says {backoff.jitter} jitter",
        operation=None,
        marks=[],
        why=WHY,
        fix=FIX,
    )


def _other(found: Fit, backoff: Backoff) -> Finding:
    gap, at = found.gap, _percent(found.gap.at)
    return finding(
        "BK03/kind",
        f"other jitter: {_percent(gap.share)} of {counted(found.judged, 'wait')} lie in the lowest {at} of their"
        f" bounds, of {backoff.jitter} jitter {at} do",
        operation=None,
        marks=[],
        why="the waits are not spread as the policy says, so the service gets another load than was planned for",
        fix=FIX,
        hint="a right client is accused by a chance of 1 in 10 000: another seed settles it",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _in_herds(view: View, tally: Tally) -> LawResult:
    """Where no kind of jitter is claimed: compare the waits before the same retry of one herd."""
    groups: dict[tuple[int, int], list[int]] = {}
    for operation in view.operations:
        herd = None if operation.scope is None else operation.scope.herd
        if herd is not None:
            for retry in chosen(operation):
                groups.setdefault((herd, retry.number), []).append(retry.wait_ns)
    for (herd, number), waits in groups.items():
        together = are_together(waits, median(waits))
        if together:
            tally.accuse(_alike(herd, number, waits))
            break
        if together is None:
            tally.pass_over(
                f"{counted(len(waits), 'wait')} of about {seconds(median(waits))} before one retry: too few, too short "
                f"or too little apart to tell; {LEAST_COPIES} are needed"
            )
        else:
            tally.hold()
    otherwise = "no kind of jitter is claimed, and there was no herd: chaos.verify(policy), or chaos.herd(100, client)"
    return tally.result(noun="retry", did="came after waits that differ from copy to copy", otherwise=otherwise)


def _alike(herd: int, number: int, waits: list[int]) -> Finding:
    return finding(
        "BK03/none",
        f"no jitter: {counted(len(waits), 'copy')} waited {seconds(median(waits))} each before retry {number}",
        operation=None,
        marks=[],
        why=WHY,
        fix='let chance spread the waits, as exponential(0.1, cap=20, jitter="full") does',
        herd=herd,
    )

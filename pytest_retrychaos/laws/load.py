"""LD02 and LD03: what many clients do to a service together: how many retries, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.ends import TOLERANCE_NS
from pytest_retrychaos.laws.spread import LEAST_COPIES, are_together, chosen, median, width_ns
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.words import counted, seconds
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.engine.budget import RetryBudget
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.laws.view import Retry, View

_NEXT_TO_NOTHING: Final = 1e-6
"""Of a retry, in shares added up as floats."""


def ld02(view: View, terms: Terms) -> LawResult:
    """Judge that retries stay within the budget that the policy claims, however many operations fail at once.

    - With a policy that has a `RetryBudget`: over all operations of the run, the retries are those that a budget, full
      at first, would have granted. A client may ask for them when an attempt has failed or when it sends the next one.
    - Does not apply where there were no more retries than the budget grants at once: it was not put to the test.
    - Why: In an outage each retry is load upon a service that cannot take it, and keeps it down.
    - Fix: Share one `RetryBudget` among all policies, threads and loops that call the service.
    """
    tally = Tally("LD02")
    budget = None if terms.policy is None else terms.policy.budget
    if budget is None:
        otherwise = "no policy with a budget was given: chaos.verify(Retry(budget=RetryBudget(ratio=0.1)))"
        return tally.result(noun="", did="", otherwise=otherwise)
    retries = [retry for operation in view.operations for retry in operation.retries if not retry.is_login]
    if len(retries) <= budget.burst:
        tally.pass_over(
            f"{counted(len(retries), 'retry')}: the budget grants {budget.burst:g} at once, "
            "so it was not put to the test; make a longer outage, or a larger herd"
        )
    else:
        slack = budget.per_second * view.trace.resolution_ns / SECOND
        begun = [operation.attempts[0].began_ns for operation in view.operations]
        # A client may ask when an attempt has failed, or when it is about to send the next one.
        spent = [_first_over(budget, begun, retries, at, slack) for at in (_failed_at, _sent_at)]
        if None in spent:
            tally.held = len(retries)
        else:
            tally.accuse(_overdrawn(budget, len(retries), len(begun), spent[0] or spent[1], view))
    return tally.result(noun="retry", did="stayed within the budget", otherwise="nothing was retried")


def _first_over(
    budget: RetryBudget, begun: list[int], retries: list[Retry], at: Callable[[Retry], int], slack: float
) -> Retry | None:
    """Find the first retry that a budget, full at first, would not have granted.

    In which order operations began and failed at one moment is not known: there, they take turns so that the most is
    granted. A full budget takes nothing in, so that one after the other they are granted more than all at once.
    """
    asked: dict[int, list[Retry]] = {}
    for retry in retries:
        asked.setdefault(at(retry), []).append(retry)
    begins: dict[int, list[int]] = {}
    for number, moment in enumerate(begun):
        begins.setdefault(moment, []).append(number)
    tokens, since = budget.burst, 0
    for moment in sorted({*begins, *asked}):
        tokens = min(budget.burst, tokens + budget.per_second * (moment - since) / SECOND)
        since, together = moment, asked.get(moment, [])
        own = {retry.attempt.operation for retry in together}
        left = dict.fromkeys(sorted(begins.get(moment, ()), key=own.__contains__, reverse=True))
        for retry in sorted(together, key=lambda one: one.attempt.operation in left):
            if retry.attempt.operation in left:  # it began before it failed
                del left[retry.attempt.operation]
                tokens = min(budget.burst, tokens + budget.ratio)
            while left and tokens < 1 - slack - _NEXT_TO_NOTHING:
                left.popitem()
                tokens = min(budget.burst, tokens + budget.ratio)
            tokens -= 1
            if tokens < -slack - _NEXT_TO_NOTHING:
                return retry
        tokens = min(budget.burst, tokens + len(left) * budget.ratio)
    return None


def _overdrawn(budget: RetryBudget, retries: int, operations: int, first: Retry | None, view: View) -> Finding:
    herd = first.attempt.scope if first is not None else None
    scope = view.scope_of(herd)
    return finding(
        "LD02",
        f"budget overdrawn: {counted(retries, 'retry')} for {counted(operations, 'operation')}, more than"
        f" {budget.ratio:.0%} of them and {budget.per_second:g} a second, {budget.burst:g} at once".replace("%", " %"),
        operation=None,
        marks=[],
        why="in an outage each retry is load upon a service that cannot take it, and keeps it down",
        fix="share one RetryBudget among all policies, threads and loops that call the service",
        hint="has each copy a budget of its own? The law judges one for all",
        herd=None if scope is None else scope.herd,
    )


def ld03(view: View, terms: Terms) -> LawResult:
    """Judge that the retries of many clients are spread out: those that failed together do not come back together.

    - Judged in a herd (`chaos.herd`), or with a policy that claims jitter. Twenty clients or more that failed in one
      moment: broken where nine in ten of them come back within a millisecond; held where they are spread over a tenth
      of their wait at least; in between, and for waits under 100 ms, it does not apply.
    - Not judged: retries that the service had told when to come (`Retry-After`, a rate limit's reset), immediate ones
      (BK01), failover.
    - Why: Each spike fails as the one before it did, and a service that is well again goes down under the next.
    - Fix: Let chance spread the waits, as `exponential(0.1, cap=20, jitter="full")` does.
    """
    tally = Tally("LD03")
    claims = None if terms.policy is None else terms.policy.claims
    claims_jitter = claims is not None and claims.jitter != "none"
    if not view.trace.herds and not claims_jitter:
        return tally.result(noun="", did="", otherwise="there was no herd: chaos.herd(100, client)")
    for herd, crowd in _crowds(view):
        wait_ns = median([retry.wait_ns for retry in crowd])
        moments = [retry.attempt.began_ns for retry in crowd]
        together = are_together(moments, wait_ns)
        if together:
            tally.accuse(_synchronised(herd, crowd, wait_ns))
            break
        if together is None:
            tally.pass_over(
                f"{counted(len(crowd), 'client')} came back within {seconds(width_ns(moments))} after waits of about "
                f"{seconds(wait_ns)}: too short to tell"
            )
        else:
            tally.hold()
    otherwise = f"no {LEAST_COPIES} clients failed in one moment and came back unasked"
    return tally.result(noun="crowd", did="that had failed together came back spread out", otherwise=otherwise)


def _crowds(view: View) -> Iterator[tuple[int | None, list[Retry]]]:
    """Give the retries of clients that had failed in one moment, where they are many; with their herd, if it is one."""
    by_herd: dict[int | None, list[Retry]] = {}
    for operation in view.operations:
        herd = None if operation.scope is None else operation.scope.herd
        if herd is not None or not view.trace.herds:
            by_herd.setdefault(herd, []).extend(chosen(operation))
    for herd, retries in by_herd.items():
        crowd: list[Retry] = []
        for retry in sorted(retries, key=_failed_at):
            if crowd and _failed_at(retry) - _failed_at(crowd[0]) > TOLERANCE_NS:
                if len(crowd) >= LEAST_COPIES:
                    yield herd, crowd
                crowd = []
            crowd.append(retry)
        if len(crowd) >= LEAST_COPIES:
            yield herd, crowd


def _failed_at(retry: Retry) -> int:
    return retry.attempt.began_ns - retry.wait_ns


def _sent_at(retry: Retry) -> int:
    return retry.attempt.began_ns


def _synchronised(herd: int | None, crowd: list[Retry], wait_ns: int) -> Finding:
    return finding(
        "LD03",
        f"synchronised retries: {counted(len(crowd), 'client')} that had failed together came back together,"
        f" after {seconds(wait_ns)}",
        operation=None,
        marks=[(crowd[0].attempt.index, "the first of them")] if herd is None else [],
        why="each spike fails as the one before it did, and a service that is well again goes down under the next",
        fix='let chance spread the waits, as exponential(0.1, cap=20, jitter="full") does',
        herd=herd,
    )

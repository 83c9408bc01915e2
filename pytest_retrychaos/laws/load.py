"""LD03: what many clients do to a service together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_retrychaos.laws.ends import TOLERANCE_NS
from pytest_retrychaos.laws.spread import LEAST_COPIES, are_together, chosen, median, width_ns
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.words import counted, seconds

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.laws.view import Retry, View


def ld03(view: View, terms: Terms) -> LawResult:
    """Judge that the retries of many clients are spread out: those that failed together do not come back together."""
    tally = Tally("LD03")
    claims_jitter = terms.policy is not None and terms.policy.backoff.jitter != "none"
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

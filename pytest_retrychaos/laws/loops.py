"""BK06: no blocking sleep inside a running event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_retrychaos.laws.ends import TOLERANCE_NS
from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.words import counted, seconds

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.laws.view import View
    from pytest_retrychaos.trace import Attempt, Stall


def bk06(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that nothing sleeps on an event loop by blocking it.

    - Broken where `time.sleep` is called while an event loop (asyncio, trio) runs in the same thread: by the code
      itself or by a library, such as a blocking client's retry layer called in a coroutine. What the test function
      itself sleeps is its own business, and a sleep of less than 1 ms is none.
    - Does not apply where only a blocking *request* was made on the loop, by a client such as requests: that stops the
      loop as well, but it is no sleep, and how long it lasts is the network's doing. It is told as the reason, with its
      place. Waits of another kind (`threading.Event.wait`, `queue.get`) are not judged either.
    - Why: While it sleeps, nothing else on that loop goes on: no other request, no timer, no cancellation.
    - Fix: `await asyncio.sleep(…)` (`trio.sleep`, `anyio.sleep`), or run blocking code by `asyncio.to_thread`.
    """
    tally = Tally("BK06")
    sleeps: dict[str, list[Stall]] = {}
    for stall in view.trace.stalls:
        if stall.kind != "sleep":
            tally.pass_over(
                f"{stall.place} made a blocking request inside a running event loop, which stands still meanwhile:"
                " that is no sleep, and how long it lasts is the network's doing"
            )
        elif stall.length_ns < TOLERANCE_NS:
            tally.pass_over("a sleep of less than 1 ms lets others run rather than waits")
        else:
            sleeps.setdefault(stall.place, []).append(stall)
    for place, stalls in sleeps.items():
        tally.accuse(_blocked(view, place, stalls))
    if not view.trace.stalls:
        for operation in view.operations:
            if any(one.wait_ns >= TOLERANCE_NS and _is_task(view, one.attempt) for one in operation.retries):
                tally.hold()
    return tally.result(
        noun="operation",
        did="waited between attempts without blocking its event loop",
        otherwise="nothing on an event loop waited between attempts",
    )


def _is_task(view: View, attempt: Attempt) -> bool:
    lineages = view.trace.lineages
    return attempt.lineage < len(lineages) and lineages[attempt.lineage].is_task


def _blocked(view: View, place: str, stalls: list[Stall]) -> Finding:
    first = stalls[0]
    slept = sum(stall.length_ns for stall in stalls)
    often = "" if len(stalls) == 1 else f" in {counted(len(stalls), 'sleep')}"
    before = _before(view, first)
    return finding(
        "BK06",
        f"event loop blocked: {place} slept {seconds(slept)}{often} inside a running event loop",
        operation=None if before is None else before.operation,
        marks=[] if before is None else [(before.index, f"then the loop was blocked for {seconds(first.length_ns)}")],
        why="while it sleeps, nothing else on that loop goes on: no other request, no timer, no cancellation",
        fix="await asyncio.sleep(…) (trio.sleep, anyio.sleep), or run blocking code by asyncio.to_thread",
    )


def _before(view: View, stall: Stall) -> Attempt | None:
    """Find the last attempt of the task, or of one close to it, that had begun."""
    attempts = view.trace.attempts[: stall.after]
    return next((one for one in reversed(attempts) if view.trace.are_related(one.lineage, stall.lineage)), None)

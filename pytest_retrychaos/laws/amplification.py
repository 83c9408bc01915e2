"""LD01: how many attempts one operation makes, through every retry layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.words import counted

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import LawResult
    from pytest_retrychaos.laws.view import OperationView, View


def ld01(view: View, terms: Terms) -> LawResult:
    """Judge that attempts per operation stay under the amplification limit through every layer.

    - Without a limit: does not apply. `chaos.verify(amplification=4)` and `chaos.assert_amplification(4)` give it.
      Counted are all attempts of one operation, whichever layer made them, hedges included; a redirect that is followed
      is none.
    - Why: Layers that retry inside each other multiply: three around three are nine, and a service that is down gets
      all of them.
    - Fix: Let one layer retry, and turn the others off.
    """
    tally = Tally("LD01")
    if terms.amplification is None:
        return tally.result(noun="", did="", otherwise="no limit was given: chaos.verify(amplification=4)")
    for operation in view.operations:
        judge_amplification(operation, terms.amplification, tally)
    return tally.result(
        noun="operation", did="stayed within the limit", otherwise="nothing failed, nothing was retried"
    )


def judge_amplification(operation: OperationView, limit: float, tally: Tally) -> None:
    """Hold one operation to a limit; a redirect that is followed is no attempt, a hedge is one."""
    made = len(operation.tries)
    if made > limit:
        tally.accuse(
            finding(
                "LD01",
                f"amplified: {operation.request} became {counted(made, 'attempt')} for one operation,"
                f" at most {limit:g} {'is' if limit == 1 else 'are'} right",
                operation=operation.index,
                marks=[(operation.tries[int(limit)].index, f"attempt {int(limit) + 1}")],
                why="layers that retry inside each other multiply: three times three is nine, and a service that is"
                " down gets all of them",
                fix="let one layer retry, and turn the others off: the SDK's (max_retries=0), or your own",
            )
        )
    elif made > 1 or any(end.attempt.failed for end in operation.ends):
        tally.hold()


def check_amplification(name: str, limit: object) -> float:
    """Return a number of attempts, 1 or more; `ValueError` names the argument, the value and the rule."""
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 1 <= limit < float("inf"):
        raise ValueError(f"{name}={limit!r}: give a number of attempts, 1 or more; 1 means no retry")
    return limit

"""NV01: every scripted fault fired, else the test cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_retrychaos.laws.tally import Tally, Terms, finding
from pytest_retrychaos.laws.words import counted, listed

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import Finding, LawResult
    from pytest_retrychaos.laws.view import View
    from pytest_retrychaos.trace import ScriptRecord, ScriptStep


def nv01(view: View, terms: Terms) -> LawResult:
    """Judge that every scripted fault fired; with ``scripts="closed"`` only of scripts replaced or closed.

    - Asked at the end of a test; by `chaos.verify()` in the middle only of scripts that were replaced, and of all once
      the run is over (`with Chaos(…) as chaos: …`, and then `chaos.verify()`).
    - A fault that was scripted and never fired fails the test, unless it is repeated for ever (`*`), the script says
      `strict=False`, or the test failed already.
    - Why: A test whose faults do not happen proves nothing.
    - Fix: Let the code go on, shorten the script, or say `strict=False`.
    """
    tally = Tally("NV01")
    for number, script in enumerate(view.trace.scripts):
        if not script.strict:
            tally.pass_over("the script is not strict: what does not fire is no fault of the test")
            continue
        if terms.scripts == "closed" and not script.closed:
            tally.pass_over("the script is still open: its faults may yet fire")
            continue
        counting = [step for step in script.steps if step.is_fault and step.wanted is not None]
        idle = [step for step in counting if step.fired < (step.wanted or 0)]
        if idle:
            tally.accuse(_idle(view, number, script, idle))
        elif counting:
            tally.hold()
    return tally.result(noun="script", did="fired every fault", otherwise="no script holds a fault that has to fire")


def _idle(view: View, number: int, script: ScriptRecord, idle: list[ScriptStep]) -> Finding:
    met = sum(attempt.script == number for attempt in view.trace.attempts)
    named = listed([_named(step) for step in idle])
    return finding(
        "NV01",
        f"cannot tell: {named} of the script for {script.where} never fired"
        if all(step.fired == 0 for step in idle)
        else f"cannot tell: {named} of the script for {script.where} did not fire as often as written",
        operation=None,
        marks=(),
        why=f"{counted(met, 'attempt')} met the script, {counted(len(view.trace.attempts), 'attempt')} arrived in all:"
        " what the code does after the missing fault was not seen",
        fix="make the code go on, shorten the script, or say strict=False where fewer attempts are meant",
    )


def _named(step: ScriptStep) -> str:
    if step.wanted == 1:
        return f'"{step.text}"'
    return f'"{step.text}" ({step.fired} of {step.wanted} times)'

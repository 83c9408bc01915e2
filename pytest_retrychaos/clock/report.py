"""The report of a deadlock: who waits for what, where, with the stacks."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

from pytest_retrychaos.clock.active import place
from pytest_retrychaos.clock.errors import Deadlock
from pytest_retrychaos.clock.strands import Strand

if TYPE_CHECKING:
    from pytest_retrychaos.clock.outside import Outside
    from pytest_retrychaos.clock.turns import Turns

_DEPTH = 12
"""Frames of each thread that are shown: its innermost."""


def deadlock(turns: Turns, outside: Outside) -> Deadlock:
    """Make the error for a run in which nobody can go on."""
    strands = turns.strands
    older = outside.older_threads(turns)
    if len(strands) == 1:
        why = (
            f"no other thread has ended the wait within {outside.patience:g} s of real time"
            if older
            else "there is no other thread that could end the wait"
        )
        return Deadlock(f"{_waits(turns.main)} without a limit, and {why}. Wait with a timeout.")
    lines = [f"{len(strands)} threads wait for each other without a limit, and nothing can wake one of them:"]
    lines += [f"  {one.name}: {_waits(one)}" for one in strands]
    lines.append("Release what is held before waiting, take locks in one order, or wait with a timeout.")
    for one in strands:
        lines += ["", f"{one.name}:", *_stack(one)]
    return Deadlock("\n".join(lines))


def _waits(strand: Strand) -> str:
    return f"{place(sys._current_frames().get(strand.ident))} waits for {strand.waits_for}"


def _stack(strand: Strand) -> list[str]:
    frame = sys._current_frames().get(strand.ident)
    if frame is None:
        return ["  it has not begun"]
    return [line.rstrip("\n") for line in traceback.format_stack(frame)[-_DEPTH:]]

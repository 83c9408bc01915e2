"""The reports of who waits for ever: for what, where, with the stacks."""

from __future__ import annotations

import traceback
from types import FrameType
from typing import TYPE_CHECKING, Any

from pytest_retrychaos.clock.active import is_foreign, is_ours, place
from pytest_retrychaos.clock.errors import Deadlock, Stuck
from pytest_retrychaos.clock.strands import Strand
from pytest_retrychaos.clock.workers import coroutine_of, tasks_since
from pytest_retrychaos.frames import thread_frames

if TYPE_CHECKING:
    from pytest_retrychaos.clock.outside import Outside
    from pytest_retrychaos.clock.turn import Turn

_TASKS = 20
"""So many are shown."""
_DEPTH = 12
"""Frames of each thread that are shown: its innermost."""


def deadlock(turn: Turn, outside: Outside) -> Deadlock:
    """Make the error for a run in which nobody can go on."""
    strands = turn.strands
    older = outside.older_threads(turn)
    if len(strands) == 1:
        why = (
            f"no other thread has ended the wait within {outside.patience_for_older():g} s of real time"
            if older
            else "there is no other thread that could end the wait"
        )
        first = f"{_waits(turn.main)} without a limit, and {why}. Wait with a timeout."
        return Deadlock("\n".join([first, *_tasks(turn)]))
    lines = [f"{len(strands)} threads wait for each other without a limit, and nothing can wake one of them:"]
    lines += [f"  {one.name}: {_waits(one)}" for one in strands]
    lines.append("Release what is held before waiting, take locks in one order, or wait with a timeout.")
    lines += _tasks(turn)
    for one in strands:
        lines += ["", f"{one.name}:", *_stack(one.ident)]
    return Deadlock("\n".join(lines))


def stuck(held: Strand, seconds: float) -> Stuck:
    """Make the error for a thread that does not give the turn back."""
    where = place(thread_frames().get(held.ident))
    first = (
        f"{held.name} has had the turn for {seconds:g} s of real time without giving it back: {where} blocks in a "
        "call that virtual time does not cover, or computes, and nobody else can run."
    )
    lines = [
        first,
        "Give the call a timeout, keep it out of the test, or raise chaos_watchdog (0 switches the watch off).",
        "",
        f"{held.name}:",
        *_stack(held.ident),
    ]
    return Stuck("\n".join(lines))


def handler_stuck(thread: int, seconds: float) -> Stuck:
    """Make the error for a handler of a real server that keeps the server's thread."""
    where = place(_called_by_us(thread_frames().get(thread)))
    first = (
        f"a handler has kept the server of transport='loopback' for {seconds:g} s of real time: it is at {where}. "
        "Handlers run one at a time in the server's thread, and one that sends a request to chaos.url waits for itself."
    )
    way_out = "Give what it waits for a limit, or raise chaos_watchdog (0 switches the watch off)."
    return Stuck("\n".join([first, way_out, "", "the handler:", *_stack(thread)]))


def left_running(strands: list[Strand]) -> str:
    """Name threads that went on when the test had ended, and where each is."""
    several = len(strands) > 1
    first = (
        f"{len(strands)} {'threads that the test started were' if several else 'thread that the test started was'} "
        f"still running when it had ended, now in real time: what {'they send' if several else 'it sends'} from now "
        "on is not simulated. Join threads in the test, or where the fixture that started them ends."
    )
    frames = thread_frames()
    places = [f"  {one.name}: {place(frames.get(one.ident)) if one.ident in frames else 'ended'}" for one in strands]
    return "\n".join([first, *places])


def _waits(strand: Strand) -> str:
    return f"{place(thread_frames().get(strand.ident))} waits for {strand.waits_for}"


def _tasks(turn: Turn) -> list[str]:
    """Say of each task where in the code's own lines it waits; a loop's thread shows the loop alone."""
    waiting = [(coroutine_of(task), _awaits(coroutine_of(task))) for task in tasks_since(turn.main.born)]
    found = [f"  {getattr(one, '__qualname__', one)}: {place(frame)}" for one, frame in waiting if frame is not None]
    more = [f"  and {len(found) - _TASKS} more"] if len(found) > _TASKS else []
    return ["The tasks that wait:", *found[:_TASKS], *more] if found else []


def _awaits(coroutine: Any) -> FrameType | None:  # Any: what a task runs
    """Give the innermost frame of the code's own in which a coroutine waits."""
    found: FrameType | None = None
    while coroutine is not None:
        frame, below = (
            next((one for name in names if (one := getattr(coroutine, name, None)) is not None), None)
            for names in (("cr_frame", "gi_frame", "ag_frame"), ("cr_await", "gi_yieldfrom", "ag_await"))
        )
        if frame is not None and not is_foreign(frame.f_code.co_filename):
            found = frame
        coroutine = below
    return found


def _called_by_us(frame: FrameType | None) -> FrameType | None:
    """Give the nearest frame that this package has called: a handler's own, not that of a client it waits in."""
    while frame is not None and frame.f_back is not None and not is_ours(frame.f_back):
        frame = frame.f_back
    return frame


def _stack(thread: int) -> list[str]:
    frame = thread_frames().get(thread)
    if frame is None:
        return ["  it has not begun"]
    return [line.rstrip("\n") for line in traceback.format_stack(frame)[-_DEPTH:]]

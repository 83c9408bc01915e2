"""A command of any language beside the server: it runs, and if it is ended, so is what it has started.

Whose parent has gone before is nobody's child, and is not found.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NoReturn

GRACE_S: Final = 5.0
"""Seconds that a command gets to end by itself, once it was told to."""

TIMED_OUT: Final = -1000
"""Stands for the exit status of a command that was ended here."""


def endings() -> list[signal.Signals]:
    """List the signals that end a command as Ctrl-C does; of nohup(1) a terminal that goes away is none."""
    return [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]


def carry_out(words: Sequence[str], environment: Mapping[str, str], limit: float | None) -> int | None:
    """Run a command for so long at most; give its exit status, `TIMED_OUT`, or ``None`` where a signal ended it.

    `OSError` where it cannot be started.
    """
    before = {one: signal.signal(one, _interrupt) for one in endings()}  # first: nobody would end the command
    try:
        return _await(subprocess.Popen(words, env=environment), limit)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _interrupt(*_: object) -> NoReturn:
    # One is enough: a terminal that goes away, or who sends SIGTERM and SIGHUP, would end the ending in its middle.
    for one in endings():
        signal.signal(one, lambda *_: None)
    raise KeyboardInterrupt


def _await(child: subprocess.Popen[bytes], limit: float | None) -> int | None:
    try:
        return child.wait(limit)
    except subprocess.TimeoutExpired:
        _end(child, tell=True)
        return TIMED_OUT
    except KeyboardInterrupt:
        _end(child, tell=False)  # a terminal has told it, too
        return None


def _end(child: subprocess.Popen[bytes], *, tell: bool) -> None:
    """See to it that a command ends, and what it has started: let it, ask it, make it."""
    steps = [signal.SIGTERM, signal.SIGKILL]
    family: dict[int, int] = {}
    try:
        if tell:
            _tell(child, family, steps.pop(0))
        while True:
            try:
                child.wait(GRACE_S if tell else GRACE_S / 5)
                if not steps or not family or _have_ended(family.values(), GRACE_S):
                    return
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                pass
            tell = True
            if steps:
                _tell(child, family, steps.pop(0))
    finally:
        for number in family.values():
            os.close(number)


def _tell(child: subprocess.Popen[bytes], family: dict[int, int], what: signal.Signals) -> None:
    # A shell that is told does not tell its programs, which would go on, and keep whoever reads their output waiting.
    # Nor do they end with it: each is held by a descriptor, so that it is told again though its parent has gone.
    # A number is another's once who had it has gone.
    alive = [one for one, number in family.items() if not _have_ended([number], 0)]
    for one in _descendants(child.pid, *alive):
        with contextlib.suppress(OSError):
            family[one] = family.get(one) or os.pidfd_open(one)
    child.send_signal(what)  # first: it would go on with what comes next
    for number in family.values():
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(number, what)


def _descendants(*pids: int) -> list[int]:
    family = [*pids]
    for one in family:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children", encoding="ascii") as text:
                    family += map(int, text.read().split())
    return family[len(pids) :]


def _have_ended(descriptors: Iterable[int], seconds: float) -> bool:
    """Whether all processes have ended in so many seconds: their descriptors can be read then (pidfd_open(2))."""
    end = time.monotonic() + seconds
    return all(select.select([one], [], [], max(0, end - time.monotonic()))[0] for one in descriptors)

"""A command of any language beside the server: it runs, and it ends, with all that it has started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
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
    if tell:
        _tell_family(child, steps.pop(0))
    while True:
        try:
            child.wait(GRACE_S if tell else GRACE_S / 5)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            tell = True
            if steps:
                _tell_family(child, steps.pop(0))
        else:
            return


def _tell_family(child: subprocess.Popen[bytes], what: signal.Signals) -> None:
    # A shell that is told does not tell its programs, which would go on, and keep whoever reads their output waiting.
    family = [child.pid]
    for one in family:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children", encoding="ascii") as text:
                    family += map(int, text.read().split())
    child.send_signal(what)  # first: it would go on with what comes next
    for one in family[1:]:
        with contextlib.suppress(OSError):
            os.kill(one, what)

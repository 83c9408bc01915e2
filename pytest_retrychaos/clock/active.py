"""Who is on virtual time: the one piece of state that the replaced functions share.

It is the process's, because the functions are. While nobody is, ``owner`` is 0: no thread's identifier.
"""

from __future__ import annotations

import functools
import os
import sys
from types import FrameType
from typing import TYPE_CHECKING

from pytest_retrychaos.clock.virtual import VirtualClock

if TYPE_CHECKING:
    from pytest_retrychaos.clock.install import Installation
    from pytest_retrychaos.clock.turns import Turns


class Active:
    """The thread that has the turn on virtual time, the clock and who schedules."""

    __slots__ = ("clock", "owner", "slot", "turns")

    def __init__(self) -> None:
        self.owner = 0
        """The identifier of the thread that is on virtual time and runs."""
        self.clock = VirtualClock()
        self.turns: Turns | None = None
        self.slot: dict[str, Installation] = {}
        """Holds the installation; ``setdefault`` decides between two threads."""


ACTIVE = Active()

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = ("site-packages", "dist-packages")


def nearest(frame: FrameType | None = None) -> FrameType | None:
    """Find the nearest frame outside this package and the library; ``frame`` is another thread's innermost one."""
    frame = frame or sys._getframe(1)
    while frame is not None:
        if not is_ours(frame) and not _is_library(frame.f_code.co_filename):
            return frame
        frame = frame.f_back
    return None


def is_ours(frame: FrameType) -> bool:
    """Whether a frame is this package's."""
    return frame.f_code.co_filename.startswith(_OURS)


def place(frame: FrameType | None = None) -> str:
    """Name the running line as ``path:line function``: the nearest outside this package and the library.

    ``frame`` is another thread's innermost one.
    """
    frame = frame or sys._getframe(1)
    found = nearest(frame) or frame
    return f"{_shown(found.f_code.co_filename)}:{found.f_lineno} {found.f_code.co_name}"


@functools.cache  # deadlines ask it of every frame that they begin in
def is_foreign(path: str) -> bool:
    """Whether a file is this package's, the standard library's or an installed one's."""
    return path.startswith((_OURS, _LIBRARY, "<frozen")) or any(f"{os.sep}{one}{os.sep}" in path for one in _INSTALLED)


def _shown(path: str) -> str:
    """Write a path so that it is the same on every machine, where that can be."""
    for name in _INSTALLED:
        _, found, rest = path.rpartition(f"{os.sep}{name}{os.sep}")
        if found:
            return rest
    return os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path


def _is_library(name: str) -> bool:
    if name.startswith("<frozen"):
        return True
    return name.startswith(_LIBRARY) and not name[len(_LIBRARY) :].startswith(_INSTALLED)

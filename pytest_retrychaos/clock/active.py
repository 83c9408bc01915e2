"""Who is on virtual time: the one piece of state that the replaced functions share.

It is the process's, because the functions are. While nobody is, ``owner`` is 0: no thread's identifier.
"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import TYPE_CHECKING

from pytest_retrychaos.clock.virtual import VirtualClock

if TYPE_CHECKING:
    from pytest_retrychaos.clock.install import Installation


class Active:
    """The thread that is on virtual time, its clock and how long real things are waited for."""

    __slots__ = ("clock", "forbid_threads", "grace", "grace_left", "owner", "patience", "slot")

    def __init__(self) -> None:
        self.owner = 0
        self.clock = VirtualClock()
        self.forbid_threads = True
        self.patience = 0.0
        """Real seconds for a wait that only something outside can end."""
        self.grace = 0.0
        """Real seconds that older threads get before time jumps to a deadline."""
        self.grace_left = 0.0
        """The same, halved each time that it was in vain."""
        self.slot: dict[str, Installation] = {}
        """Holds the installation; ``setdefault`` decides between two threads."""


ACTIVE = Active()

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = ("site-packages", "dist-packages")


def place() -> str:
    """Name the running line as ``path:line function``: the nearest outside this package and the library."""
    frame: FrameType | None = sys._getframe(1)
    nearest = frame
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_OURS) and not _is_library(name):
            nearest = frame
            break
        frame = frame.f_back
    if nearest is None:
        return "unknown"
    path = nearest.f_code.co_filename
    shown = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
    return f"{shown}:{nearest.f_lineno} {nearest.f_code.co_name}"


def _is_library(name: str) -> bool:
    if name.startswith("<frozen"):
        return True
    return name.startswith(_LIBRARY) and not name[len(_LIBRARY) :].startswith(_INSTALLED)

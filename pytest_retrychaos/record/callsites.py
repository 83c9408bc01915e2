"""Where in the test function a request comes from: which line of it, and which call.

Laws of this module:
1. At most one frame is kept: that of the latest call, and only while it runs or its last attempt failed.
2. A loop makes many calls from one line; a call with a retry loop in it is one.
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any, Final

COMPREHENSIONS: Final = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
"""Frames that are the test's own loops; from Python 3.12 on only the last is a frame at all (PEP 709)."""


class Callsites:
    """Tells the lines and calls of one test function apart."""

    def __init__(self, test_code: CodeType | None) -> None:
        self._code = test_code
        self._lines: dict[int, int] = {}
        self._calls = 0
        self._kept: FrameType | None = None
        self._depth = 1
        """How deep below `_find` the test was found last."""
        self._from: set[int] = set()
        """From which instructions of the test it was found there, each for the first time by a walk."""

    def watch(self, test_code: CodeType) -> None:
        """Name the function that makes the calls: the test."""
        self._code = test_code

    def here(self) -> tuple[int, int] | None:
        """Say from which line and which call the request comes that is being made; ``None`` where from none.

        Both are numbered by first appearance.
        """
        found = self._find()
        if found is None:
            return None
        line, called = found
        if called is not self._kept:
            self._keep(called)
        # The line alone: the compiler may write one call of the source twice, as in the test of a while loop.
        return self._lines.setdefault(line, len(self._lines) + 1), self._calls

    def around(self, coroutine: Any) -> int | None:  # Any: what a coroutine awaits may be anything
        """Say in which call of the test a suspended coroutine is, as that of the task that began a part of its work."""
        while coroutine is not None and getattr(coroutine, "cr_code", None) is not self._code:
            coroutine = getattr(coroutine, "cr_await", None)
        called = getattr(getattr(coroutine, "cr_await", None), "cr_frame", None)
        if called is None:
            return None
        if called is not self._kept:
            self._keep(called)
        return self._calls

    def _keep(self, called: FrameType | None) -> None:
        self._kept = called
        self._calls += 1

    def release(self) -> None:
        """Let go of the frame: no retry can follow."""
        self._kept = None

    def release_finished(self) -> None:
        """Let go of the frame, unless it is running."""
        found = self._find() if self._kept is not None else None
        if found is None or found[1] is not self._kept:
            self._kept = None

    def _find(self) -> tuple[int, FrameType | None] | None:
        """Find the test's line, and the frame of what it called from there.

        A client mostly comes by the same way as before. To look there first makes an object of two frames; to walk up
        makes one of each in between. Where a test calls itself, the frame at that depth may be an outer one: it is
        where it has called itself, not where it calls clients.
        """
        if self._code is None:
            return None
        frame: FrameType | None
        try:
            frame = sys._getframe(self._depth)
        except ValueError:  # not so deep now
            frame = None
        if frame is None or frame.f_code is not self._code or frame.f_lasti not in self._from:
            frame = self._walk()
        if frame is None:
            return None
        called = sys._getframe(self._depth - 1)
        is_loop = called.f_code.co_name in COMPREHENSIONS
        return frame.f_lineno, _called_in(called) if is_loop else called

    def _walk(self) -> FrameType | None:
        """Find the test's innermost frame, and remember where that was."""
        frame: FrameType | None = sys._getframe(2)
        depth = 1
        while frame is not None and frame.f_code is not self._code:
            frame, depth = frame.f_back, depth + 1
        if frame is None:
            return None
        if depth != self._depth:
            self._depth = depth
            self._from.clear()
        self._from.add(frame.f_lasti)
        return frame


def _called_in(outermost: FrameType) -> FrameType | None:
    """Find the frame of what the test's own loops have called, given the outermost of them."""
    called: FrameType | None = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name not in COMPREHENSIONS:
            called = frame
        frame = None if frame is outermost else frame.f_back
    return called

"""Whose failure it is, where no line of the test is to blame: the test function's."""

from __future__ import annotations

import traceback
from types import CodeType
from typing import NoReturn


def raise_at(code: CodeType | None, error: BaseException) -> NoReturn:
    """Raise an error so that pytest gives the test function as its place, where it has none of its own."""
    __tracebackhide__ = True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if code is None or (frames and not frames[-1].f_locals.get("__tracebackhide__")):
        raise error
    place = compile("raise error", code.co_filename, "exec")
    place = place.replace(co_firstlineno=code.co_firstlineno, co_name=code.co_name, co_qualname=code.co_qualname)
    exec(place, {"error": error.with_traceback(None)})
    raise error

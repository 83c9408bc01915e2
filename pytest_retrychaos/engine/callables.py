"""Refuse what a blocking retry cannot run: calling it does not do the work."""

from __future__ import annotations

from types import CoroutineType

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # co_flags, as module inspect lists them


def refuse_deferred(fn: object) -> None:
    """Raise `TypeError` for what is no callable, a coroutine function or a generator function."""
    if not callable(fn):
        raise TypeError(f"fn={fn!r}: it has to be callable; pass the function, not what it returned")
    flags = _flags(fn)
    if flags & _COROUTINE:
        raise TypeError(
            f"{_name(fn)} is a coroutine function, and a blocking retry would only make the coroutine, not run it; "
            "retry the blocking call around it: retry.call(lambda: asyncio.run(...))"
        )
    if flags & (_GENERATOR | _ASYNC_GENERATOR):
        raise TypeError(
            f"{_name(fn)} is a generator function: it fails while it is iterated, after the call that could be "
            "retried; retry the function that consumes it, or let it return a list"
        )


def refuse_coroutine(result: object, fn: object) -> None:
    """Raise `TypeError` where a plain function returned a coroutine that nobody has run."""
    if type(result) is CoroutineType:
        result.close()
        raise TypeError(
            f"{_name(fn)} returned a coroutine, which has done nothing yet and cannot be retried; "
            "retry the blocking call around it: retry.call(lambda: asyncio.run(...))"
        )


def _flags(fn: object) -> int:
    while hasattr(fn, "func") and hasattr(fn, "args"):  # functools.partial
        fn = fn.func
    code = getattr(fn, "__code__", None)
    if code is None and not isinstance(fn, type):  # an object that can be called
        code = getattr(vars(type(fn)).get("__call__"), "__code__", None)
    return getattr(code, "co_flags", 0)


def _name(fn: object) -> str:
    while hasattr(fn, "func") and hasattr(fn, "args"):
        fn = fn.func
    return f"{getattr(fn, '__qualname__', None) or type(fn).__qualname__}()"

"""Look at what is to be retried, and refuse what a driver cannot run: calling it would not do the work."""

from __future__ import annotations

import functools
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType

from pytest_retrychaos.engine.attempt import this_attempt

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # co_flags, as module inspect lists them
_KINDS = _GENERATOR | _COROUTINE | _ASYNC_GENERATOR


class Misused(TypeError):
    """A function of the wrong kind was given to a driver; whatever a policy is on, that is not retried."""


def is_plain(fn: object, *, is_async: bool) -> bool:
    """Tell whether ``fn`` is a function of the right kind that has no defaults: nothing else is to be looked at."""
    if type(fn) is not FunctionType or fn.__defaults__ is not None or fn.__kwdefaults__ is not None:
        return False
    return fn.__code__.co_flags & _KINDS == (_COROUTINE if is_async else 0)


def refuse_deferred(fn: object) -> None:
    """Raise `TypeError` for what is no callable, a coroutine function or a generator function."""
    if is_coroutine_function(fn):
        raise TypeError(
            f"{_name(fn)} is a coroutine function, and a blocking retry would only make the coroutine, not run it: "
            "await retry.call_async(fn, ...), or decorate it with @retry"
        )
    refuse_generator(fn)


def refuse_generator(fn: object) -> None:
    """Raise `TypeError` for what is no callable, or a generator function, async or not."""
    if not callable(fn):
        raise TypeError(f"fn={fn!r}: it has to be callable; pass the function, not what it returned")
    if _flags(fn) & (_GENERATOR | _ASYNC_GENERATOR):
        raise TypeError(
            f"{_name(fn)} is a generator function: it fails while it is iterated, after the call; "
            "retry or guard the function that consumes it, or let it return a list"
        )


def refuse_coroutine(result: object, fn: object) -> None:
    """Raise `TypeError` where a plain function returned a coroutine that nobody has run."""
    if type(result) is CoroutineType:
        result.close()
        raise TypeError(
            f"{_name(fn)} returned a coroutine, which has done nothing yet, to a blocking retry: "
            "await retry.call_async(fn, ...), or declare it with `async def` before decorating it"
        )


def refuse_unrun(result: object, fn: object) -> None:
    """Raise `TypeError` where a guarded call returned what has not run: a coroutine, or a generator of its own."""
    if type(result) is CoroutineType:
        result.close()
        raise TypeError(f"{_name(fn)} returned a coroutine, which has done nothing yet: await call_async(fn, ...)")
    if isinstance(result, (GeneratorType, AsyncGeneratorType)):
        refuse_generator(fn)


def refuse_blocking(fn: object, returned: object) -> None:
    """Raise `Misused` where a function that is to be awaited returned what cannot be."""
    if not hasattr(returned, "__await__"):
        raise Misused(
            f"{_name(fn)} is to be awaited, but returned {type(returned).__name__}: call a blocking function by "
            "call(fn, ...). It was called once"
        )


def is_coroutine_function(fn: object) -> bool:
    """Tell whether calling ``fn`` makes a coroutine, for certain."""
    return bool(_flags(fn) & _COROUTINE)


def asks_for_attempt(fn: object) -> str | None:
    """Name the keyword by which ``fn`` asks for its attempt: the one whose default is `this_attempt`."""
    function = _function(fn)
    for name, default in (getattr(function, "__kwdefaults__", None) or {}).items():
        if default is this_attempt:
            return str(name)
    if any(default is this_attempt for default in getattr(function, "__defaults__", None) or ()):
        raise TypeError(
            f"{_name(fn)} asks for its attempt by position: make it a keyword, "
            "def fn(..., *, attempt: Attempt = this_attempt)"
        )
    return None


def _function(fn: object) -> object:
    """Find the function inside what can be called: a partial, a method, an object."""
    if type(fn) is FunctionType:
        return fn
    while isinstance(fn, functools.partial):
        fn = fn.func
    if hasattr(fn, "__code__") or isinstance(fn, type):
        return fn
    return getattr(type(fn), "__call__", None)  # noqa: B004 - the function itself is wanted


def _flags(fn: object) -> int:
    code = getattr(_function(fn), "__code__", None)
    return getattr(code, "co_flags", 0)


def _name(fn: object) -> str:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return f"{getattr(fn, '__qualname__', None) or type(fn).__qualname__}()"

"""What virtual time for one thread does not cover, refused by name before it can run in real time."""

from __future__ import annotations

import functools
import sys
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE, place
from pytest_retrychaos.clock.cpython import BuiltinSwap, following_twin
from pytest_retrychaos.clock.errors import Refused

Function = Callable[..., Any]  # Any: a built-in of any signature


def _kept(text: str) -> Refused:
    """Make an error that is told at the end of the run too: a handler that is too wide may swallow it."""
    error = Refused(text)
    if get_ident() == ACTIVE.owner:
        ACTIVE.clock.refused.append(error)
    return error


def refused_loop(kind: str) -> Refused:
    """Make the error for an event loop."""
    return _kept(
        f"{place()} runs an event loop ({kind}) while chaos runs: only blocking code is on virtual time, "
        "and the loop's timers would take real time. Test the blocking client, or run the loop outside chaos."
    )


def running_loop() -> str | None:
    """Name the event loop that runs in this thread, if any."""
    events = sys.modules.get("asyncio.events")
    loop = events._get_running_loop() if events is not None else None
    if loop is not None:
        return f"{type(loop).__module__}.{type(loop).__qualname__}"
    run = sys.modules.get("trio._core._run")
    if run is not None and hasattr(run.GLOBAL_RUN_CONTEXT, "runner"):
        return "trio"
    return None


def refuse_running_loop() -> None:
    """Refuse a wait on descriptors that an event loop does: one imported during the test is met only here."""
    kind = running_loop()
    if kind is not None:
        raise refused_loop(kind)


def _set_running_loop(real: Function) -> Function:
    def set_running_loop(loop: Any) -> Any:  # Any: an event loop, or None
        if loop is not None and get_ident() == ACTIVE.owner:
            raise refused_loop(f"{type(loop).__module__}.{type(loop).__qualname__}")
        return real(loop)

    return set_running_loop


@functools.cache
def _loop_swap(builtin: Function) -> BuiltinSwap:
    return BuiltinSwap(builtin, _set_running_loop(following_twin(builtin)))


def loop_swaps() -> tuple[BuiltinSwap, ...]:
    """Make the swap of what every asyncio loop calls when it begins to run, if asyncio is loaded."""
    module = sys.modules.get("_asyncio")
    return () if module is None else (_loop_swap(module._set_running_loop),)


def trio_setup() -> tuple[Any, Function] | None:  # Any: a module
    """Find trio's function that sets up every run and what refuses in its place, if trio is loaded."""
    run = sys.modules.get("trio._core._run")
    if run is None:
        return None
    real = run.setup_runner

    def setup_runner(*args: Any, **kwargs: Any) -> Any:  # Any: as trio gives it
        if get_ident() == ACTIVE.owner:
            raise refused_loop("trio")
        return real(*args, **kwargs)

    return run, setup_runner

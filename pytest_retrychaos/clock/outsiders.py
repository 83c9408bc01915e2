"""Modules that go on seeing real time: pytest's durations, pytest-timeout, Hypothesis' deadlines.

They hold the functions of `time` under names of their own, so those names are set to real twins for a while.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from pytest_retrychaos.clock.functions import builtin, real

OUTSIDERS = (
    "_pytest.runner",
    "_pytest.subtests",
    "_pytest.timing",
    "hypothesis.core",
    "hypothesis.database",
    "hypothesis.internal.conjecture.data",
    "hypothesis.internal.conjecture.engine",
    "hypothesis.internal.conjecture.junkdrawer",
    "hypothesis.internal.conjecture.shrinker",
    "hypothesis.internal.observability",
    "hypothesis.stateful",
    "pytest_timeout",
)
THREADS = ("pytest_timeout", "execnet", "multiprocessing", "concurrent.futures.process", "pycares")
"""Whose threads live in real time, whoever starts them: they watch over a test, serve other processes, or begin once in
a process and serve it to its end."""
_NAMES = ("sleep", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")


def is_of_outsider(function: object) -> bool:
    """Whether what a thread is to run is the work of an outsider."""
    thread: Any = getattr(function, "__self__", None)  # Any: a thread's private attributes are read
    work = getattr(thread, "function", None) or getattr(thread, "_target", None) or function
    modules = [str(getattr(one, "__module__", None) or "") for one in (work, type(thread))]
    return any(module == name or module.startswith(f"{name}.") for name in THREADS for module in modules)


@functools.cache
def real_time() -> ModuleType:
    """Make a module like `time` whose functions stay on real time."""
    module = ModuleType("time", time.__doc__)
    module.__dict__.update(time.__dict__)
    module.__dict__.update({name: real(name) for name in _NAMES})
    return module


@functools.cache
def _twins() -> dict[int, object]:
    return {id(time): real_time(), **{id(builtin(name)): real(name) for name in _NAMES}}


def outside_names() -> Iterator[tuple[ModuleType, str, object]]:
    """List the module attributes that hold `time` or one of its functions, each with its real twin."""
    twins = _twins()
    for name in OUTSIDERS:
        module = sys.modules.get(name)
        if module is None:
            continue
        for attribute, value in list(module.__dict__.items()):
            twin = twins.get(id(value))
            if twin is not None:
                yield module, attribute, twin

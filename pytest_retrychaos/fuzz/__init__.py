"""Faults found by the machine: every history of a test explored, or drawn by Hypothesis; and strategies for scripts.

Names come lazily, so that exploring does not load Hypothesis.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_retrychaos.fuzz.exploring import chaos_explore
    from pytest_retrychaos.fuzz.fuzzing import chaos_fuzz
    from pytest_retrychaos.fuzz.strategies import delays, faults, outages, retry_after_values, scripts

_HOMES = {
    "pytest_retrychaos.fuzz.exploring": ("chaos_explore",),
    "pytest_retrychaos.fuzz.fuzzing": ("chaos_fuzz",),
    "pytest_retrychaos.fuzz.strategies": ("delays", "faults", "outages", "retry_after_values", "scripts"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["chaos_explore", "chaos_fuzz", "delays", "faults", "outages", "retry_after_values", "scripts"]

if not TYPE_CHECKING:  # else every misspelt name would have a type

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

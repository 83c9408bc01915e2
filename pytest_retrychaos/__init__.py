"""Find out whether code that retries is right: scripted faults, a service that remembers, virtual time, laws.

Names come lazily, so that importing the package loads nothing that a test does not use.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without its import: the engine is imported in production
if TYPE_CHECKING:
    from pytest_retrychaos.chaos import Chaos
    from pytest_retrychaos.faults import (
        ScriptError,
        connect_timeout,
        dns,
        down,
        drip,
        duplicate,
        eof,
        garbage,
        ok,
        parse,
        refuse,
        reset,
        slow,
        stale,
        status,
        timeout,
        tls,
        truncate,
    )
    from pytest_retrychaos.fuzz import chaos_explore, chaos_fuzz
    from pytest_retrychaos.model import Response
    from pytest_retrychaos.run import NoTimeout
    from pytest_retrychaos.views import CannotTell, LawsBroken

_HOMES = {
    "pytest_retrychaos.chaos": ("Chaos",),
    "pytest_retrychaos.faults": (
        "ScriptError", "connect_timeout", "dns", "down", "drip", "duplicate", "eof", "garbage", "ok",
        "parse", "refuse", "reset", "slow", "stale", "status", "timeout", "tls", "truncate",
    ),
    "pytest_retrychaos.fuzz": ("chaos_explore", "chaos_fuzz"),
    "pytest_retrychaos.model": ("Response",),
    "pytest_retrychaos.run": ("NoTimeout",),
    "pytest_retrychaos.views": ("CannotTell", "LawsBroken"),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CannotTell",
    "Chaos",
    "LawsBroken",
    "NoTimeout",
    "Response",
    "ScriptError",
    "chaos_explore",
    "chaos_fuzz",
    "connect_timeout",
    "dns",
    "down",
    "drip",
    "duplicate",
    "eof",
    "garbage",
    "ok",
    "parse",
    "refuse",
    "reset",
    "slow",
    "stale",
    "status",
    "timeout",
    "tls",
    "truncate",
]


if not TYPE_CHECKING:  # else every misspelt name would have a type

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib  # the engine is imported in production, and needs none of this

        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Find what the standard library defined, also where a test has put a stand-in in its place.

What is replaced for a run is looked up once in a process. A test may have a mock there just then (`mock.patch`,
pytest-subprocess), which is no matter of ours, and of no other test.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any


def genuine(module: ModuleType, name: str) -> Any:  # Any: a class, of which private methods are taken
    """Give a class of a module, by the name under which it was defined."""
    found = getattr(module, name)
    if _is_called(found, module.__name__, name):
        return found
    waiting: list[type] = [object]
    seen: set[type] = set()
    while waiting:
        kind = waiting.pop()
        if _is_called(kind, module.__name__, name):
            return kind
        below: list[type] = type.__subclasses__(kind)
        waiting += [one for one in below if one not in seen]
        seen.update(below)
    return found


def _is_called(kind: object, module: str, name: str) -> bool:
    return isinstance(kind, type) and (kind.__module__, kind.__qualname__) == (module, name)

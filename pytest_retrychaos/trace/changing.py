"""Frozen values with some of their fields changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")


def changed(value: T, /, **fields: Any) -> T:  # Any: fields of unlike types
    """Give a value with some fields changed, and itself where all of them are as they were.

    As `dataclasses.replace`, for dataclasses with slots, in a third of the time: it copies the slots. `AttributeError`
    for a field that is none.
    """
    changes = {
        name: given for name, given in fields.items() if given is not (old := getattr(value, name)) and given != old
    }
    if not changes:
        return value
    kind: Any = type(value)  # Any: mypy takes no type for hashable
    puts, get = _slots(kind)
    new: T = object.__new__(kind)
    for put, field in zip(puts, get(value), strict=True):
        put(new, field)
    for name, given in changes.items():
        object.__setattr__(new, name, given)  # it is frozen for others; nobody has seen it yet
    return new


@cache
def _slots(kind: Any) -> tuple[tuple[Callable[..., None], ...], Callable[[object], tuple[object, ...]]]:
    # Any: a dataclass
    names = kind.__slots__
    puts = tuple(getattr(kind, name).__set__ for name in names)
    return puts, attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)

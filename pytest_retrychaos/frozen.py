"""Frozen values that are made in a quarter of the time, and changed as soon.

The ``__init__`` of a frozen dataclass puts each field in its place by a call. One with slots can, while it is being
made, be of another class that has the same slots and is not frozen: an object may change its class where the layout is
the same. A trace has forty fields for each attempt.
The engine, which imports nothing of the package, makes its few values by itself (`engine.values`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, Final, TypeVar

T = TypeVar("T")


class _Factory:
    """Stands for a field that was not given, and has a ``default_factory``."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY: Final = _Factory()


def quick(kind: type[T]) -> type[T]:
    """Give a frozen dataclass with slots an ``__init__`` that does the same, sooner; in a subclass it is as it was.

    `TypeError` for a class whose ``__init__`` does more than to take its fields in their order.
    """
    made: Any = kind  # Any: here no type checker sees that it is a dataclass
    fields = dataclasses.fields(made)
    if hasattr(kind, "__post_init__") or not all(one.init and not one.kw_only for one in fields):
        raise TypeError(f"{kind.__name__} has __post_init__, or fields that are not given in their order")
    plain = made.__init__
    known: dict[str, Any] = {  # Any: values of all types
        "_factory": _FACTORY,
        "_kind": kind,
        "_open": type(kind.__name__, (), {"__slots__": made.__slots__}),
        "_plain": plain,
        "_set": object.__setattr__,
    }
    parameters, values, stores = [], [], []
    for one in fields:
        name, value = one.name, one.name
        if one.default is not dataclasses.MISSING:
            known[f"_default_{name}"] = one.default
        elif one.default_factory is not dataclasses.MISSING:
            known[f"_default_{name}"], known[f"_make_{name}"] = _FACTORY, one.default_factory
            value = f"_make_{name}() if {name} is _factory else {name}"
        parameters.append(f"{name}=_default_{name}" if f"_default_{name}" in known else name)
        values.append(value)
        stores.append(f"    self.{name} = {value}\n")
    source = (
        f"def __init__(self, {', '.join(parameters)}):\n"
        f"    if self.__class__ is not _kind:\n"
        f"        return _plain(self, {', '.join(values)})\n"
        f"    _set(self, '__class__', _open)\n{''.join(stores)}    self.__class__ = _kind\n"
    )
    found: dict[str, Any] = {}  # Any: what exec defines has no type
    exec(source, known, found)
    init = found["__init__"]
    init.__annotations__ = plain.__annotations__
    init.__qualname__, init.__module__ = plain.__qualname__, kind.__module__
    made.__init__ = init
    return kind


def changed(value: T, /, **fields: Any) -> T:  # Any: fields of unlike types
    """Give a value with some fields changed, and itself where all of them are as they were.

    As `dataclasses.replace`, for dataclasses with slots, sooner. `AttributeError` for a field that is none.
    """
    changes = {
        name: given for name, given in fields.items() if given is not (old := getattr(value, name)) and given != old
    }
    if not changes:
        return value
    kind: Any = type(value)  # Any: mypy takes no type for hashable
    places, get = _read(kind)
    values = [*get(value)]
    for name, given in changes.items():
        values[places[name]] = given
    new: T = kind(*values)
    return new


@cache
def _read(kind: Any) -> tuple[dict[str, int], Callable[[object], tuple[object, ...]]]:  # Any: a dataclass
    names = kind.__slots__
    places = {name: place for place, name in enumerate(names)}
    return places, attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)

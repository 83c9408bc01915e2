"""What a herd is to do: the arguments of ``chaos.herd``, checked, and when each copy comes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from pytest_retrychaos.model import SECOND

WAYS: Final = ("threads", "tasks")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a herd is to do: its arguments, checked."""

    count: int
    client: Callable[..., object]
    is_async: bool
    takes_number: bool
    over_ns: int
    window_ns: int
    name: str

    @classmethod
    def read(cls, how: str, n: object, client: object, *, over: object, window: object, as_: object) -> Plan:
        """Check the arguments of ``chaos.herd`` or ``chaos.herd_async`` (``how``); errors name what is wrong."""
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"{how}({n!r}, …): it has to be a whole number of copies")
        if n < 1:
            raise ValueError(f"{how}({n!r}, …): there has to be a copy at least; 1 is chaos.call(client)")
        if not callable(client):
            raise TypeError(
                f"{how}({n}, {client!r}): give the function itself, not its call, as in {how}({n}, client) "
                f"or {how}({n}, lambda number: client(order=number))"
            )
        name = getattr(client, "__qualname__", type(client).__name__)
        is_async = _way(how, client, name, as_)
        return cls(
            count=n,
            client=client,
            is_async=is_async,
            takes_number=_takes_number(how, client, name),
            over_ns=_seconds(how, "over", over, "0 is all at one moment"),
            window_ns=_seconds(
                how, "window", window, "arrivals are counted in windows of that length", above_zero=True
            ),
            name=name,
        )

    def moments(self, seed: int, number: int) -> list[int]:
        """Draw when each copy comes: nanoseconds from the beginning, the earliest first."""
        if not self.over_ns:
            return [0] * self.count
        chance = Random(f"herd {seed} {number}")
        return sorted(chance.randrange(self.over_ns) for _ in range(self.count))

    def call(self, number: int) -> object:
        """Call the code under test as one copy."""
        return self.client(number) if self.takes_number else self.client()


def _way(how: str, client: Callable[..., object], name: str, as_: object) -> bool:
    """Tell whether the copies are tasks."""
    if as_ is not None and as_ not in WAYS:
        raise ValueError(f'{how}(as_={as_!r}): it is "threads", "tasks" or, to go by the function, None')
    if inspect.isgeneratorfunction(client) or inspect.isasyncgenfunction(client):
        raise TypeError(
            f"{how}(…, {name}): a generator does nothing until somebody iterates it; give the function that does, "
            f"as in lambda: list({name}())"
        )
    is_async = inspect.iscoroutinefunction(client) or inspect.iscoroutinefunction(type(client).__call__)
    if is_async and as_ == "threads":
        raise TypeError(
            f'{how}({name}, as_="threads"): this is an async function, whose copies are tasks; leave as_ out, '
            f"or give a function that blocks"
        )
    return is_async or as_ == "tasks"


def _takes_number(how: str, client: Callable[..., object], name: str) -> bool:
    """Tell whether a copy is given its number: where the function needs one argument, and only then."""
    try:
        parameters = inspect.signature(client).parameters.values()
    except (TypeError, ValueError):  # written in C, without a signature
        parameters = ()  # type: ignore[assignment]  # an empty view
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [one for one in parameters if one.default is one.empty and one.kind in (*positional, one.KEYWORD_ONLY)]
    if len(needed) > 1 or any(one.kind is one.KEYWORD_ONLY for one in needed):
        names = ", ".join(one.name for one in needed)
        raise TypeError(
            f"{how}(…, {name}): it needs the arguments {names}, and a copy is given its number, from 0, or nothing; "
            f"write lambda number: {name}(…)"
        )
    return bool(needed)


def _seconds(how: str, name: str, value: object, way_out: str, *, above_zero: bool = False) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{how}({name}={value!r}): it has to be a number of seconds; {way_out}")
    if not 0 <= value < float("inf") or (above_zero and not round(value * SECOND)):
        rule = "finite and above 0" if above_zero else "finite, and 0 or more"
        raise ValueError(f"{how}({name}={value!r}): seconds have to be {rule}; {way_out}")
    return round(value * SECOND)

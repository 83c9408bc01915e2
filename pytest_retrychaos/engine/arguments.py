"""Check what users pass: each function returns the value it was given or raises with name, value, rule and way out.

A value of the wrong type is a `TypeError`, one out of range a `ValueError`. ``True`` and ``False`` are no numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def seconds(name: str, value: object, *, above_zero: bool = False, way_out: str = "") -> float:
    """Return a number of seconds as a float: finite, and not negative (or above zero)."""
    number = finite(name, value, unit="seconds", way_out=way_out)
    if number < 0 or (above_zero and number == 0):
        rule = "above 0" if above_zero else "0 or more"
        raise ValueError(_text(name, value, f"it has to be {rule} seconds", way_out))
    return number


def finite(name: str, value: object, *, unit: str = "", way_out: str = "") -> float:
    """Return a finite number as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        rule = f"it has to be a number{f' of {unit}' if unit else ''}, an int or a float"
        raise TypeError(_text(name, value, rule, way_out))
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(_text(name, value, "it has to be a finite number", way_out))
    return number


def count(name: str, value: object, *, way_out: str = "") -> int:
    """Return a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(_text(name, value, "it has to be a whole number, an int", way_out))
    if value < 1:
        raise ValueError(_text(name, value, "it has to be 1 or more", way_out))
    return value


def one_of(name: str, value: object, words: Iterable[str]) -> str:
    """Return one of the known words; the error names the nearest one."""
    known = list(words)
    if isinstance(value, str) and value in known:
        return value
    import difflib

    near = difflib.get_close_matches(str(value), known, n=1, cutoff=0.5)
    way_out = f'did you mean "{near[0]}"?' if near else ""
    listed = ", ".join(f'"{word}"' for word in known)
    raise ValueError(_text(name, value, f"it has to be one of {listed}", way_out))


def _text(name: str, value: object, rule: str, way_out: str) -> str:
    try:
        shown = repr(value)
    except ValueError:  # Python writes no int of over 4300 digits
        shown = f"(an int of {value.bit_length()} bits)" if isinstance(value, int) else f"({type(value).__name__})"
    if len(shown) > 60:
        shown = shown[:57] + "..."
    return f"{name}={shown}: {rule}{f'; {way_out}' if way_out else ''}"

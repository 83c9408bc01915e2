"""Durations: text such as ``300ms`` to integer nanoseconds and back."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from pytest_retrychaos.faults.errors import ScriptError, shown
from pytest_retrychaos.model import SECOND

_UNITS = {"h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": SECOND // 1000}
_ALIASES = {
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("msec", "msecs", "millis", "milliseconds"), "ms"),
}
LONGEST_NS = 1_000_000 * 3600 * SECOND
"""A million hours, over a century: longer ones would leave the years that dates can write."""
FORMS = "durations are 300ms, 2s, 5m, 1h; a bare number is seconds"
"""The rule, for errors."""

_TEXT = re.compile(r"(-?[0-9]{1,40}(?:\.[0-9]{1,40})?)([A-Za-zµ]*)")
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})


def parse_duration(text: str, *, zero: bool = False) -> int:
    """Read a duration as nanoseconds, rounded to whole ones; `ScriptError` where it is none.

    A duration is longer than nothing, unless ``zero`` allows it.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        if text.lower().lstrip("+-") in _NOT_FINITE:
            raise ScriptError(f"a duration is finite, not {text}", FORMS, part="duration")
        raise ScriptError(f"{shown(text)} is no duration", FORMS, part="duration")
    number, unit = found.groups()
    if unit and unit not in _UNITS:
        near = unit.lower() if unit.lower() in _UNITS else _ALIASES.get(unit.lower())
        hint = f", did you mean '{number}{near}'?" if near else ""
        raise ScriptError(f"{shown(text)} is no duration{hint}", FORMS, part="duration")
    return _checked(Fraction(number) * _UNITS[unit or "s"], shown(text), zero)


def duration_ns(value: object) -> int:
    """Convert what a constructor was given (seconds as a number, or text) to nanoseconds."""
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ScriptError(f"a duration is a number of seconds or a text, not {shown(value)}", FORMS, part="duration")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ScriptError(f"a duration is finite, not {value}", FORMS, part="duration")
        # By its digits, not its binary value: 0.1 is a tenth of a second.
        return _checked(Fraction(repr(float(value))) * SECOND, f"{value}", False)
    return _checked(value * SECOND, shown(value), False)


def check_duration(value: object) -> None:
    """Refuse what is no possible number of nanoseconds for a fault."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ScriptError(f"a duration is whole nanoseconds, not {shown(value)}", FORMS, part="duration")
    _checked(value, f"{shown(value)} ns", False)


def _checked(nanoseconds: Fraction | int, given: str, zero: bool) -> int:
    whole = round(nanoseconds)
    if nanoseconds > LONGEST_NS:
        rule = "is at most 1000000h"
    elif nanoseconds < 0:
        rule = "is not negative"
    elif not whole and not zero:
        rule = "is longer than nothing"
    else:
        return whole
    raise ScriptError(f"a duration {rule}, but this is {given}", FORMS, part="duration")


def format_duration(nanoseconds: int) -> str:
    """Write nanoseconds in the largest unit that divides them; finer than a millisecond as a decimal."""
    for unit, size in _UNITS.items():
        if nanoseconds % size == 0 and (nanoseconds or unit == "s"):
            return f"{nanoseconds // size}{unit}"
    whole, rest = divmod(nanoseconds, _UNITS["ms"])
    return f"{whole}.{rest:06d}".rstrip("0") + "ms"


def seconds_source(nanoseconds: int) -> str:
    """Write nanoseconds as Python source that `duration_ns` reads back exactly: seconds, else quoted text."""
    whole, rest = divmod(nanoseconds, SECOND)
    if not rest:
        return str(whole)
    seconds = nanoseconds / SECOND
    return repr(seconds) if duration_ns(seconds) == nanoseconds else f'"{format_duration(nanoseconds)}"'

"""Header fields of a step: ``Name: value`` with ``{now+5s}`` for an epoch time, and ``Retry-After``.

Sources: RFC 9110 5.1, 5.5 and 5.6.2 for names and values, 5.6.7 for dates, 10.2.3 for Retry-After.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from email.utils import formatdate

from pytest_retrychaos.faults.durations import LONGEST_NS, format_duration, parse_duration
from pytest_retrychaos.faults.errors import ScriptError, shown
from pytest_retrychaos.model import SECOND

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_IN_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_NOW = re.compile(r"\{now(?:([+-])([^{}]*))?\}")
_NOW_BEGINS = re.compile(r"\{now(?![A-Za-z_])")
_DATE = re.compile(r"date([+-])(.*)", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WITH_UNIT = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)(?:ms|s|m|h|[a-z]*sec[a-z]*|min[a-z]*|hours?)")
_FORM = 'write header="Name: value"; {now}, {now+5s} and {now-5s} stand for an epoch time'
_RETRY_FORMS = 'write retry-after=2 for seconds, retry-after=date+2s for a date, retry-after="…" for any text'


def quoted(text: str) -> str:
    """Write a text as a script does: in double quotes, with JSON's escapes."""
    return json.dumps(text, ensure_ascii=False)


def read_header(text: object) -> tuple[str, str]:
    """Split ``Name: value``; `ScriptError` where it is no header field."""
    name, colon, value = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not colon:
        raise ScriptError(f"a header is 'Name: value', not {shown(text)}", _FORM, part="header")
    pair = (name, value.strip(" \t"))
    check_header(*pair)
    return pair


def check_header(name: object, value: object) -> None:
    """Refuse a name or value that HTTP cannot carry, one that would smuggle in a second header included."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        rule = "letters, digits and !#$%&'*+-.^_`|~"
        raise ScriptError(f"a header name is {rule}, not {shown(name)}", _FORM, part="header")
    if name.lower() in _FRAMING:
        way = "the length is always the right one; `truncate` is the fault that breaks it"
        raise ScriptError(f"{name} cannot be scripted", way, part="header")
    check_field_value(name, value, "header")
    for begun in _NOW_BEGINS.finditer(str(value)):
        found = _NOW.match(str(value), begun.start())
        if found is None:
            raise ScriptError(f"the time in {shown(value)} cannot be read", _FORM, part="header")
        _offset(found)


def check_field_value(name: str, value: object, part: str) -> None:
    """Refuse what is no field value: control characters, spaces around it, characters beyond Latin-1."""
    if not isinstance(value, str):
        raise ScriptError(f"the value of {name} is a text, not {shown(value)}", part=part)
    found = _BAD_IN_VALUE.search(value)
    if found is not None:
        kind = "a line break" if found[0] in "\r\n" else f"the character {found[0]!a}"
        way = "printable characters of Latin-1, spaces and tabs can be sent"
        raise ScriptError(f"the value of {name} cannot hold {kind}: {shown(value)}", way, part=part)
    if value != value.strip(" \t"):
        way = "recipients drop the spaces around a value: take them away"
        raise ScriptError(f"the value of {name} has spaces around it: {shown(value)}", way, part=part)


def render_header(value: str, now_ns: int) -> str:
    """Fill in ``{now}``, ``{now+5s}`` and ``{now-5s}``: whole epoch seconds, rounded.

    ``now_ns`` is nanoseconds since the epoch.
    """
    return _NOW.sub(lambda found: str(_whole_seconds(now_ns + _offset(found))), value)


def _offset(found: re.Match[str]) -> int:
    if found[1] is None:
        return 0
    nanoseconds = parse_duration(found[2], zero=True)
    return nanoseconds if found[1] == "+" else -nanoseconds


def _whole_seconds(nanoseconds: int) -> int:
    return (nanoseconds + SECOND // 2) // SECOND


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """What ``Retry-After`` says: exactly one of seconds, a date by its offset from now, or a text."""

    seconds: int | float | None = None
    date_offset_ns: int | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if [self.seconds, self.date_offset_ns, self.text].count(None) != 2:
            raise ScriptError("retry-after is one of seconds, a date and a text", _RETRY_FORMS, part="retry-after")
        if self.seconds is not None:
            object.__setattr__(self, "seconds", _finite(self.seconds))
        if self.date_offset_ns is not None and abs(self.date_offset_ns) > LONGEST_NS:
            raise ScriptError("retry-after names a date over 1000000h away", _RETRY_FORMS, part="retry-after")
        if self.text is not None:
            check_field_value("Retry-After", self.text, "retry-after")
            if self.text == "date" or _DATE.match(self.text):
                raise _no_date(self.text)

    def __str__(self) -> str:
        if self.text is not None:
            return quoted(self.text)
        if self.date_offset_ns is not None:
            sign = "-" if self.date_offset_ns < 0 else "+"
            return f"date{sign}{format_duration(abs(self.date_offset_ns))}"
        return self.render(0)

    @property
    def source(self) -> str:
        """The Python value that stands for it in a constructor."""
        if self.date_offset_ns is not None:
            return repr(str(self))
        return repr(self.seconds if self.text is None else self.text)

    def render(self, now_epoch_ns: int) -> str:
        """Write the header's value: plain digits, an IMF-fixdate rounded to the second, or the text."""
        if self.text is not None:
            return self.text
        if self.date_offset_ns is not None:
            return formatdate(_whole_seconds(now_epoch_ns + self.date_offset_ns), usegmt=True)
        return f"{Decimal(repr(self.seconds)):f}"


def _finite(seconds: object) -> int | float:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ScriptError(f"retry-after cannot be {shown(seconds)}", _RETRY_FORMS, part="retry-after")
    try:
        is_finite = math.isfinite(seconds)
    except OverflowError:
        is_finite = False
    if not is_finite:
        raise ScriptError("retry-after as a number is finite", _RETRY_FORMS, part="retry-after")
    return int(seconds) if seconds == int(seconds) else float(seconds)


def _no_date(text: str) -> ScriptError:
    return ScriptError(
        f"retry-after={text[:40]} names no date",
        "write retry-after=date+2s or retry-after=date-60s: now and a duration",
        part="retry-after",
    )


def retry_after(value: object) -> RetryAfter:
    """Convert what a constructor was given: seconds, ``date+2s``, or any other text as it is."""
    if isinstance(value, RetryAfter):
        return value
    if not isinstance(value, str):
        return RetryAfter(seconds=_finite(value))
    found = _DATE.fullmatch(value)
    if found is None:
        return RetryAfter(text=value)
    try:
        offset = parse_duration(found[2], zero=True)
    except ScriptError:
        raise _no_date(value) from None
    return RetryAfter(date_offset_ns=offset if found[1] == "+" else -offset)


def read_retry_after(word: str) -> RetryAfter:
    """Read a value that a script gives without quotes: a number is seconds."""
    if _NUMBER.fullmatch(word):
        is_short = len(word) < 400  # any longer one is beyond the floats, and int() refuses it
        return RetryAfter(seconds=int(word) if is_short and word.lstrip("-").isdigit() else float(word))
    found = _WITH_UNIT.fullmatch(word)
    if found is not None:
        raise ScriptError(
            f"the header Retry-After has no units, but {shown(word)} has one",
            f'write retry-after=2 for 2 s, or retry-after="{word[:40]}" to send that very text',
            part="retry-after",
        )
    return retry_after(word)

"""How long a server asks to be left alone: ``Retry-After`` (RFC 9110, 10.2.3) and ``retry-after-ms``.

Laws of this module:
1. No text raises. What cannot be read counts as absent; `Unreadable` says why.
2. ``retry-after-ms`` (sent by OpenAI, Azure and others) is the finer answer and wins, where it can be read.
3. Seconds are ASCII digits, as the RFC has them; a decimal fraction is accepted too, since servers send it.
   What only ``float()`` would take (``nan``, ``inf``, ``1e400``, ``+5``, ``1_000``, digits of other scripts) is
   not a number of seconds.
4. Dates are always GMT, in the three forms of RFC 9110, 5.6.7, whatever the locale and time zone. A date that has
   passed counts as absent: the clocks differ, or the answer is old, and neither says how long to wait.
5. A wait is never negative and never infinite: what is longer than 2^31 s (68 years) is cut to that, the rule of
   RFC 9111, 1.2.2, for numbers of seconds that overflow.
6. A field that stands there twice counts as absent. The RFC allows one value; most clients join two into ``2, 5``,
   which nobody can read, and the same answer has to read the same through every client.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pytest_retrychaos.engine.values import value

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from typing import Literal

    AskedKind = Literal["seconds", "milliseconds", "date"]
    Why = Literal["past", "negative", "repeated", "unreadable"]

MOST = 2.0**31
"""Longest wait that is told, in seconds; RFC 9111, 1.2.2."""

SECONDS = "Retry-After"
MILLISECONDS = "retry-after-ms"
"""Azure SDKs and ``_base_client.py`` of openai-python read it, before ``Retry-After``."""


@value
class Asked:
    """What the server asked for: wait ``seconds`` from now."""

    seconds: float
    """From now, 0 or more, at most 2^31."""
    source: str
    """The field: ``Retry-After`` or ``retry-after-ms``."""
    kind: AskedKind
    at: float | None
    """The moment that was named, in epoch seconds; ``None`` where a number was given."""
    text: str
    """The value as sent."""

    @property
    def is_date(self) -> bool:
        """Whether a date was given, and not a number."""
        return self.kind == "date"


@value
class Unreadable:
    """A field that is there and asks for nothing that can be obeyed."""

    why: Why
    source: str
    text: str


def retry_after(headers: Mapping[str, str] | Iterable[tuple[str, str]], *, now: float) -> Asked | None:
    """Tell how long the server asked the client to wait; ``None`` where it asked for nothing readable.

    ``headers`` are a mapping or pairs, names in any case. ``now`` is the wall clock in epoch seconds, against
    which a date is measured.
    """
    found = find_retry_after(headers, now=now)
    return found if isinstance(found, Asked) else None


def find_retry_after(
    headers: Mapping[str, str] | Iterable[tuple[str, str]], *, now: float
) -> Asked | Unreadable | None:
    """Read the fields: the first readable of ``retry-after-ms`` and ``Retry-After``, else what spoils the first."""
    spoiled: Unreadable | None = None
    values = _values(headers)
    for source in (MILLISECONDS, SECONDS):
        given = values.get(source.lower(), [])
        if not given:
            continue
        if len(given) > 1:
            found: Asked | Unreadable = Unreadable("repeated", source, ", ".join(given))
        else:
            found = read_retry_after(given[0], now=now, source=source)
        if isinstance(found, Asked):
            return found
        spoiled = spoiled or found
    return spoiled


def read_retry_after(value: str, *, now: float, source: str = SECONDS) -> Asked | Unreadable:
    """Read one value; ``source`` is the field that it stood in. Raises for no text."""
    if not math.isfinite(now):
        raise ValueError(f"now={now!r}: it has to be a moment in epoch seconds; pass time.time()")
    text = value.strip(" \t")
    if _is_number(text):
        if source == MILLISECONDS:
            return Asked(min(float(text) / 1000, MOST), source, "milliseconds", None, value)
        return Asked(min(float(text), MOST), source, "seconds", None, value)
    if text.startswith("-") and _is_number(text[1:]):
        return Unreadable("negative", source, value)
    at = _date(text, now) if source == SECONDS else None
    if at is None:
        return Unreadable("unreadable", source, value)
    if at < now:
        return Unreadable("past", source, value)
    return Asked(min(at - now, MOST), source, "date", float(at), value)


def _is_number(text: str) -> bool:
    whole, point, part = text.partition(".")
    return text.isascii() and whole.isdigit() and (part.isdigit() if point else True)


def _date(text: str, now: float) -> int | None:
    from pytest_retrychaos.engine.http_dates import parse_http_date  # most waits are numbers: spare the import

    return parse_http_date(text, now=now)


def _values(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Group the two fields' values by name in lower case, repeats kept where the headers keep them."""
    values: dict[str, list[str]] = {}
    for name, text in header_fields(headers):
        name = name.lower()
        if name in (MILLISECONDS, "retry-after"):
            values.setdefault(name, []).append(text)
    return values


def header_fields(headers: object) -> list[tuple[str, str]]:
    """List header fields from a mapping, pairs, or a client's own header object, each field as often as sent."""
    pairs: object = getattr(headers, "pairs", None)  # where a mapping keeps what was sent beside it
    for method in ("multi_items", "items"):  # httpx; then every mapping, urllib3 and email.message
        if pairs is None and callable(getattr(headers, method, None)):
            pairs = getattr(headers, method)()
    listed = headers if pairs is None else pairs
    if not isinstance(listed, Iterable):
        return []
    return [(_text(name), _text(value)) for name, value in listed]


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)

"""A capacity: how many requests the service takes in a time, and what it tells those beyond it.

Laws of this module:
1. A bucket of ``burst`` requests, full at first, fills at the rate: in any time t it lets in ``burst + rate * t``.
2. A request that is turned away takes nothing, and is told when one would be let in if no other came before it.
3. Arithmetic is exact: moments are counted in fractions of a nanosecond, ``1 / count`` each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from pytest_retrychaos.model import SECOND, Headers, Response
from pytest_retrychaos.service.profiles import Problem, Profile

UNITS: Final = {"ms": SECOND // 1000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
FORM: Final = "write how many in how long, as in limit('100/s'), limit('60/m') or limit('5/10s')"

_TEXT: Final = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9}(?:\.\d{1,9})?)?\s*(ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in so long. Made by `read_limit`; printed as it is written."""

    count: int
    per_ns: int
    burst: int
    """How many are let in at one moment, once nothing came for long enough."""

    def within(self, ns: int) -> float:
        """Tell how many are let in within a time, in the long run: the burst is left out."""
        return self.count * ns / self.per_ns

    def __str__(self) -> str:
        unit, size = next(
            (unit, size) for unit, size in reversed(UNITS.items()) if self.per_ns % size == 0 or unit == "ms"
        )
        long = "" if self.per_ns == size else f"{self.per_ns / size:.9f}".rstrip("0").rstrip(".")
        burst = "" if self.burst == self.count else f", burst={self.burst}"
        return f"{self.count}/{long}{unit}{burst}"


def read_limit(rate: object, burst: object = None) -> Limit:
    """Read ``"100/s"``; `ValueError` or `TypeError` says what is wrong with it, or with ``burst``.

    Without a burst it is the count: ``"60/m"`` lets sixty in at once, and then one each second.
    """
    if isinstance(rate, Limit) and burst is None:
        return rate
    if not isinstance(rate, str):
        raise TypeError(f"service.limit({rate!r}): a limit is a text; {FORM}, or None to lift it")
    found = _TEXT.fullmatch(rate.strip())
    if found is None:
        raise ValueError(f"service.limit({rate!r}) is no limit: {FORM}")
    count = int(found[1])
    per_ns = round(Fraction(found[2] or 1) * UNITS[found[3]])
    if not count or not per_ns:
        raise ValueError(f"service.limit({rate!r}): both numbers are above 0; {FORM}. Out of order: script('503 *')")
    if burst is None:
        return Limit(count, per_ns, count)
    if isinstance(burst, bool) or not isinstance(burst, int):
        raise TypeError(f"service.limit({rate!r}, burst={burst!r}): burst is a whole number of requests")
    if burst < 1:
        raise ValueError(
            f"service.limit({rate!r}, burst={burst!r}): burst is 1 or more, or nothing would ever be let in; "
            "burst=1 lets no two in at one moment"
        )
    return Limit(count, per_ns, burst)


class Bucket:
    """What a limit has let in so far."""

    __slots__ = ("_full_at", "limit")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._full_at = 0
        """When the bucket will be full again if nothing comes, in ``1 / count`` nanoseconds."""

    def take(self, now_ns: int) -> int:
        """Let a request in: 0; or give the nanoseconds until one would be, rounded up."""
        limit = self.limit
        now = now_ns * limit.count
        full_at = max(self._full_at, now) + limit.per_ns
        early = full_at - limit.burst * limit.per_ns - now
        if early > 0:
            return -(-early // limit.count)
        self._full_at = full_at
        return 0


def turned_away(wait_ns: int, limit: Limit, profile: Profile) -> Response:
    """Make the 429 of a request beyond the capacity.

    ``Retry-After`` is in whole seconds (RFC 9110, 10.2.3), rounded up.
    """
    problem = Problem(429, *_WORDS.get(profile.name, ("rate_limit_exceeded", f"At most {limit} are taken.")))
    response = profile.render(problem)
    return Response(429, Headers([*response.headers.pairs, ("Retry-After", str(-(-wait_ns // SECOND)))]), response.body)


_WORDS: Final = {"stripe": ("rate_limit", "Too many requests hit the API too quickly.")}
"""Code and message as the provider words them."""

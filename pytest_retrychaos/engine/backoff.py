"""How long to wait before a retry: the curve, its cap, and how chance spreads it.

Laws of this module:
1. ``delay(n)`` lies within ``bounds(n)``, both ends included, for every policy and every n.
2. No delay exceeds the cap, jitter included. Where the cap stands in each formula is the source's choice: full and
   equal jitter take from a capped height, decorrelated jitter is capped once drawn.
3. Bounds never fall from one retry to the next. No n and no factor overflows.
4. Chance is a parameter. A delay draws at most one number.

Source of the jitters: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from pytest_retrychaos.engine import arguments
from pytest_retrychaos.engine.values import value

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from typing import Protocol

    class Chance(Protocol):
        """Where random numbers come from: `random.Random`, or the module `random` itself."""

        def random(self) -> float:
            """Draw from [0, 1)."""

    class Curve(Protocol):
        """Delays before cap and jitter."""

        def height(self, retry: int) -> float:
            """Seconds before retry number ``retry``, from 1; may be infinite, never falls."""

        def call(self, cap: float, jitter: str) -> str:
            """Write the constructor call that makes a backoff of this curve."""


SHARES = {"none": 1.0, "full": 0.0, "equal": 0.5}
"""The least share of the height that a delay keeps."""

DECORRELATED = "decorrelated"
SPREAD = 3.0
"""Decorrelated jitter reaches to 3 times the previous wait: ``sleep = min(cap, random_between(base, sleep * 3))``."""

JITTERS = (*SHARES, DECORRELATED)

_LARGEST_EXPONENT = 10**300
"""A larger one is no float any more, and changes nothing."""


@value
class Fixed:
    """The same delay before every retry."""

    seconds: float

    def height(self, retry: int) -> float:  # noqa: ARG002 - a curve is asked for a retry
        """Tell the delay in seconds."""
        return self.seconds

    def call(self, cap: float, jitter: str) -> str:  # noqa: ARG002 - its cap is itself
        """Write the call of `fixed`."""
        return f'fixed({_number(self.seconds)}, jitter="{jitter}")'


@value
class Exponential:
    """``base * factor ** (retry - 1)`` seconds."""

    base: float
    factor: float

    def height(self, retry: int) -> float:
        """Tell the delay in seconds, infinite where no float holds it."""
        try:
            return self.base * self.factor ** min(retry - 1, _LARGEST_EXPONENT)
        except OverflowError:
            return float("inf")

    def call(self, cap: float, jitter: str) -> str:
        """Write the call of `exponential`."""
        numbers = f"{_number(self.base)}, factor={_number(self.factor)}, cap={_number(cap)}"
        return f'exponential({numbers}, jitter="{jitter}")'


@value
class Backoff:
    """The waits of a retry policy; made by `fixed` and `exponential`.

    A value: it keeps no state, so one backoff serves any number of calls and threads. With ``t`` for the capped
    height ``min(cap, curve(n))``, the delay before retry ``n`` is

    ============  =============================================  ==================================
    jitter        delay                                          choose it
    ============  =============================================  ==================================
    none          ``t``                                          for one client, or in a test
    full          ``uniform(0, t)``                              for many clients; least load
    equal         ``t/2 + uniform(0, t/2)``                      where some wait has to be certain
    decorrelated  ``min(cap, uniform(base, 3 * previous))``      where delays should forget ``n``
    ============  =============================================  ==================================
    """

    curve: Curve
    cap: float
    jitter: str

    def bounds(self, retry: int, *, previous: float | None = None) -> tuple[float, float]:
        """Tell the least and the greatest delay before retry number ``retry`` (from 1), in seconds, both included.

        ``previous`` is the wait before the retry before, in seconds; only decorrelated jitter looks at it. Without
        it, decorrelated bounds are those of every history: ``base`` to ``min(cap, base * 3 ** retry)``.
        """
        number = arguments.count("retry", retry, way_out="the first retry, after the first attempt, is 1")
        if self.jitter != DECORRELATED:
            height = min(self.cap, self.curve.height(number))
            return height * SHARES[self.jitter], height
        base = self.curve.height(1)
        if previous is None:
            return base, min(self.cap, Exponential(base * SPREAD, SPREAD).height(number))
        return base, min(self.cap, max(base, SPREAD * arguments.seconds("previous", previous)))

    def delay(self, retry: int, *, random: Chance, previous: float | None = None) -> float:
        """Draw the delay before retry number ``retry`` (from 1), in seconds.

        ``random`` is a `random.Random`. ``previous`` is the wait before the retry before; without it, decorrelated
        jitter takes its base, as for a first retry.
        """
        if previous is None and self.jitter == DECORRELATED:
            previous = self.curve.height(1)
        low, high = self.bounds(retry, previous=previous)
        if low == high:
            return low
        reach = high if previous is None or self.jitter != DECORRELATED else max(low, SPREAD * previous)
        return min(high, low + (reach - low) * random.random())

    def __repr__(self) -> str:
        return self.curve.call(self.cap, self.jitter)


def fixed(seconds: float, *, jitter: str = "none") -> Backoff:
    """Wait the same time before every retry.

    ``seconds`` may be 0: retry at once, for tests and for work that harms nobody. ``jitter`` is none, full or
    equal; decorrelated delays grow and are no fixed ones. ``ValueError`` and `TypeError` name a bad argument.
    """
    wait = arguments.seconds("seconds", seconds)
    if arguments.one_of("jitter", jitter, JITTERS) == DECORRELATED:
        raise ValueError(
            'jitter="decorrelated": a fixed backoff cannot have it, since its delays grow up to a cap; '
            f'write exponential({_number(wait)}, cap=..., jitter="decorrelated")'
        )
    return Backoff(Fixed(wait), wait, jitter)


def exponential(base: float = 0.1, *, factor: float = 2, cap: float = 20, jitter: str = "full") -> Backoff:
    """Wait longer before each retry: ``base``, ``base * factor``, ``base * factor ** 2``, …, up to ``cap`` seconds.

    Choose ``base`` near the time that a good answer takes and ``cap`` as long as a caller may rightly be kept; leave
    jitter at full unless there is one client only. With jitter decorrelated, the growth is 3 times the previous
    wait, and ``factor`` has to stay 2. ``ValueError`` and `TypeError` name a bad argument.
    """
    first = arguments.seconds(
        "base", base, above_zero=True, way_out="0 would never grow: write fixed(0) to retry at once"
    )
    growth = arguments.finite("factor", factor)
    if growth < 1:
        raise ValueError(f"factor={factor!r}: it has to be 1 or more, or waits would shrink; 2 doubles them")
    most = arguments.seconds("cap", cap, way_out="a wait without end is none: name the longest one")
    if most < first:
        raise ValueError(f"cap={cap!r}: it has to be at least base={base!r}, the first wait; raise cap or lower base")
    arguments.one_of("jitter", jitter, JITTERS)
    if jitter == DECORRELATED and growth != 2:
        raise ValueError(
            f"factor={factor!r}: decorrelated jitter grows by 3 times the previous wait, whatever the factor; "
            "leave factor out"
        )
    return Backoff(Exponential(first, growth), most, jitter)


def _number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(value)

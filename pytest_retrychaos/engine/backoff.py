"""How long to wait before a retry: the curve, its cap, and how chance spreads it.

Laws of this module:
1. ``delay(n)`` lies within ``bounds(n)``, both ends included, for every policy and every n.
2. No delay exceeds the cap, jitter included. Where the cap stands in each formula is the source's choice: full and
   equal jitter take from a capped height, decorrelated jitter is capped once drawn. Proportional jitter draws from
   the part of its range that lies under the cap, so that delays at the cap are spread as well, and not all the cap.
3. Bounds never fall from one retry to the next, but where a list or a function says so. No n and no factor overflows.
4. Chance is a parameter. A delay draws at most one number.

Source of the jitters: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; proportional is
what gRPC ("Connection Backoff Protocol", 20 %) and ``google-http-client`` (50 %) do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_retrychaos.engine import arguments
from pytest_retrychaos.engine.curves import Computed, Exponential, Fibonacci, Fixed, Linear, Listed, short
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
            """Seconds before retry number ``retry``, from 1; may be infinite."""

        def call(self, cap: str) -> str:
            """Write the constructor's name and arguments but for the jitter; ``cap`` is ``cap=…``."""


SHARES = {"none": 1.0, "full": 0.0, "equal": 0.5}
"""The least share of the height that a delay keeps."""

PROPORTIONAL = "proportional"
SHARE = 0.2
"""How far proportional jitter reaches up and down, unless it is told: gRPC's choice."""

DECORRELATED = "decorrelated"
SPREAD = 3.0
"""Decorrelated jitter reaches to 3 times the previous wait: ``sleep = min(cap, random_between(base, sleep * 3))``."""

REMEMBERED = 64
"""Bounds of later retries are reckoned anew."""

JITTERS = (*SHARES, PROPORTIONAL, DECORRELATED)


@value
class Backoff:
    """The waits of a retry policy; made by `fixed`, `linear`, `exponential`, `fibonacci`, `delays` and `computed`.

    A value: it keeps no state, so one backoff serves any number of calls and threads. With ``t`` for the capped
    height ``min(cap, curve(n))``, the delay before retry ``n`` is

    ============  =============================================  ==================================
    jitter        delay                                          choose it
    ============  =============================================  ==================================
    none          ``t``                                          for one client, or in a test
    full          ``uniform(0, t)``                              for many clients; least load
    equal         ``t/2 + uniform(0, t/2)``                      where some wait has to be certain
    proportional  ``uniform(t*(1-s), min(cap, t*(1+s)))``        where waits have to stay near ``t``
    decorrelated  ``min(cap, uniform(base, 3 * previous))``      where delays should forget ``n``
    ============  =============================================  ==================================

    ``s`` is the share, 0.2 unless given.
    """

    curve: Curve
    cap: float
    jitter: str
    share: float | None = None
    """How far proportional jitter reaches up and down, as a part of the height."""

    _worked_out = ("remembered",)
    if TYPE_CHECKING:

        @property
        def remembered(self) -> dict[int, tuple[float, float]]:
            """Bounds by the number of the retry, of those that a delay was drawn for, where they never change."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "remembered", {})

    def bounds(self, retry: int, *, previous: float | None = None) -> tuple[float, float]:
        """Tell the least and the greatest delay before retry number ``retry`` (from 1), in seconds, both included.

        ``previous`` is the wait before the retry before, in seconds; only decorrelated jitter looks at it. Without
        it, decorrelated bounds are those of every history: ``base`` to ``min(cap, base * 3 ** retry)``.
        """
        if type(retry) is not int or retry < 1:
            arguments.count("retry", retry, way_out="the first retry, after the first attempt, is 1")
        if self.jitter == DECORRELATED:
            return self._decorrelated(retry, previous)
        height = min(self.cap, self.curve.height(retry))
        if self.share is not None:
            return height * (1 - self.share), min(self.cap, height * (1 + self.share))
        return height * SHARES[self.jitter], height

    def delay(self, retry: int, *, random: Chance, previous: float | None = None) -> float:
        """Draw the delay before retry number ``retry`` (from 1), in seconds.

        ``random`` is a `random.Random`. ``previous`` is the wait before the retry before; without it, decorrelated
        jitter takes its base, as for a first retry.
        """
        found = self.remembered.get(retry)
        if found is None:
            if self.jitter == DECORRELATED:
                return self._delay_decorrelated(retry, random, previous)
            found = self._remembered(retry)
        low, high = found
        if low == high:
            return low
        drawn = low + (high - low) * random.random()
        return drawn if drawn < high else high

    def _remembered(self, retry: int) -> tuple[float, float]:
        """Tell the bounds and keep them: a policy asks for the same few over and over."""
        found = self.bounds(retry)
        if retry <= REMEMBERED and not isinstance(self.curve, Computed):
            self.remembered[retry] = found
        return found

    def lasting_bounds(self, retries: int) -> list[tuple[float, float]]:
        """Tell the bounds before the first retries.

        Of none where a function or the wait before may change them, or a subclass draws in a way of its own.
        """
        draws_otherwise = type(self).delay is not Backoff.delay or type(self).bounds is not Backoff.bounds
        if draws_otherwise or self.jitter == DECORRELATED or isinstance(self.curve, Computed):
            return []
        return [self.bounds(retry) for retry in range(1, retries + 1)]

    def _delay_decorrelated(self, retry: int, random: Chance, previous: float | None) -> float:
        before = self.curve.height(1) if previous is None else previous
        low, high = self.bounds(retry, previous=before)
        if low == high:
            return low
        return min(high, low + (max(low, SPREAD * before) - low) * random.random())

    def _decorrelated(self, number: int, previous: float | None) -> tuple[float, float]:
        base = self.curve.height(1)
        if previous is None:
            return base, min(self.cap, Exponential(base * SPREAD, SPREAD).height(number))
        return base, min(self.cap, max(base, SPREAD * arguments.seconds("previous", previous)))

    def __repr__(self) -> str:
        share = "" if self.share is None else f", share={short(self.share)}"
        return f'{self.curve.call(f"cap={short(self.cap)}")}, jitter="{self.jitter}"{share})'


def fixed(seconds: float, *, jitter: str = "none", share: float | None = None) -> Backoff:
    """Wait the same time before every retry.

    ``seconds`` may be 0: retry at once, for tests and for work that harms nobody. ``jitter`` is any but decorrelated,
    whose delays grow; with proportional jitter the cap is the height's ``1 + share``. ``ValueError`` and `TypeError`
    name a bad argument.
    """
    wait = arguments.seconds("seconds", seconds)
    spread = _spread(jitter, share, instead=f'exponential({short(wait)}, cap=..., jitter="decorrelated")')
    return Backoff(Fixed(wait), _reach(wait, spread), jitter, spread)


def linear(step: float = 1, *, cap: float = 20, jitter: str = "full", share: float | None = None) -> Backoff:
    """Wait longer by ``step`` seconds before each retry: ``step``, ``2 * step``, …, up to ``cap`` seconds.

    ``jitter`` is any but decorrelated. ``ValueError`` and `TypeError` name a bad argument.
    """
    first = arguments.seconds("step", step, above_zero=True, way_out="0 would never grow: write fixed(0)")
    spread = _spread(jitter, share)
    return Backoff(Linear(first), _cap(cap, "step", first), jitter, spread)


def exponential(
    base: float = 0.1, *, factor: float = 2, cap: float = 20, jitter: str = "full", share: float | None = None
) -> Backoff:
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
    most = _cap(cap, "base", first)
    spread = _share(jitter, share)
    if jitter == DECORRELATED and growth != 2:
        raise ValueError(
            f"factor={factor!r}: decorrelated jitter grows by 3 times the previous wait, whatever the factor; "
            "leave factor out"
        )
    return Backoff(Exponential(first, growth), most, jitter, spread)


def fibonacci(base: float = 0.1, *, cap: float = 20, jitter: str = "full", share: float | None = None) -> Backoff:
    """Wait longer before each retry: 1, 1, 2, 3, 5, … times ``base``, up to ``cap`` seconds.

    It grows by 1.6 times, more gently than `exponential`. ``jitter`` is any but decorrelated. ``ValueError`` and
    `TypeError` name a bad argument.
    """
    first = arguments.seconds("base", base, above_zero=True, way_out="0 would never grow: write fixed(0)")
    spread = _spread(jitter, share)
    return Backoff(Fibonacci(first), _cap(cap, "base", first), jitter, spread)


def delays(seconds: Iterable[float], *, jitter: str = "none", share: float | None = None) -> Backoff:
    """Wait as a list says; where there are more retries than entries, the last one repeats.

    How often to retry is the policy's ``attempts``. ``jitter`` is any but decorrelated; the cap is the greatest
    entry, with proportional jitter its ``1 + share``. ``ValueError`` and `TypeError` name a bad argument.
    """
    if not isinstance(seconds, Iterable):
        raise TypeError(f"seconds={seconds!r}: it has to be a list of seconds; write fixed(seconds) for a single one")
    listed = tuple(arguments.seconds(f"seconds[{number}]", one) for number, one in enumerate(seconds))
    if not listed:
        raise ValueError("seconds=[]: it names no wait; write fixed(0) to retry at once")
    spread = _spread(jitter, share)
    return Backoff(Listed(listed), _reach(max(listed), spread), jitter, spread)


def computed(
    height: Callable[[int], float], *, cap: float, jitter: str = "full", share: float | None = None
) -> Backoff:
    """Wait as a function says: it is given the number of the retry, from 1, and tells seconds.

    It has to be pure, for `Backoff.bounds` asks it, too. What it tells may be infinite, and is capped; what is
    negative, not a number, or no number at all raises when it is asked. An `OverflowError` of it counts as infinite.
    ``jitter`` is any but decorrelated. ``ValueError`` and `TypeError` name a bad argument.
    """
    if not callable(height):
        raise TypeError(f"height={height!r}: it has to be a function of the retry's number, such as lambda n: n ** 2")
    spread = _spread(jitter, share)
    return Backoff(Computed(height), arguments.seconds("cap", cap, way_out=_NO_END), jitter, spread)


_LONGEST = 1e308
"""The cap of what would not be finite."""

_NO_END = "a wait without end is none: name the longest one"


def _cap(cap: float, name: str, first: float) -> float:
    most = arguments.seconds("cap", cap, way_out=_NO_END)
    if most < first:
        raise ValueError(
            f"cap={cap!r}: it has to be at least {name}={short(first)}, the first wait; raise cap or lower {name}"
        )
    return most


def _reach(height: float, share: float | None) -> float:
    """Tell how far jitter reaches up from a height that has no cap of its own."""
    return height if share is None else max(height, min(_LONGEST, height * (1 + share)))


def _spread(
    jitter: str, share: float | None, *, instead: str = 'exponential(..., jitter="decorrelated")'
) -> float | None:
    """Check the jitter of a backoff that cannot be decorrelated."""
    spread = _share(jitter, share)
    if jitter == DECORRELATED:
        raise ValueError(
            'jitter="decorrelated": only exponential backoff can have it, since its delays grow from the wait before, '
            f"up to a cap, whatever the curve; write {instead}"
        )
    return spread


def _share(jitter: str, share: float | None) -> float | None:
    """Check a jitter, and tell the share that it reaches up and down, ``None`` where it has none."""
    arguments.one_of("jitter", jitter, JITTERS)
    if jitter != PROPORTIONAL:
        if share is not None:
            raise ValueError(
                f'share={share!r}: only proportional jitter has one; add jitter="proportional" or leave it'
            )
        return None
    part = arguments.finite("share", SHARE if share is None else share)
    if not 0 < part <= 1:
        raise ValueError(
            f"share={share!r}: it has to be above 0 and at most 1, a part of the height; 0.2 means 20 % up and down"
        )
    return part

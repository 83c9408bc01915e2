"""What a circuit breaker promises, as a value: a breaker is built on it, and a test can hold any breaker to it.

What the engine's own breaker does not do is there for others: ``successes``, a range for ``cooldown``, ``per`` and
``by_hand``.
"""

from __future__ import annotations

from pytest_retrychaos.engine import arguments
from pytest_retrychaos.engine.values import options

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Per = str | Callable[[Any], object] | None  # Any: an attempt, as a trace has it

THRESHOLD, WINDOW, MINIMUM_CALLS = 5, 60.0, 20
"""The threshold is pybreaker's, circuitbreaker's and purgatory's too; the rest lies between Polly's 100 calls in 30 s
and what a service called once in a few seconds can ever reach."""

NEVER_OPEN = "a circuit that is never open breaks nothing"
PER = (None, "host", "route", "client")


@options
class BreakerPolicy:
    """When a circuit opens, and for how long. Opens by ``threshold``, unless ``failure_rate`` is given.

    Wrong arguments raise `ValueError` or `TypeError` here, naming the argument, the value and the rule.
    """

    threshold: int | None = None
    """How many failures in a row open it; 5 unless a rate is given. Choose it above what a single caller's retries
    come to, or one unlucky caller opens it for all."""
    cooldown: float | tuple[float, float] = 30.0
    """Seconds that it stays open; about as long as the service takes to come back. Of one that grows with each failed
    probe, or that chance spreads, the least and the most: ``(30, 300)``."""
    failure_rate: float | None = None
    """The share of failures, above 0 and up to 1, among the calls that ended in the last ``window`` seconds that opens
    it. For services with much traffic, where failures seldom come in a row."""
    window: float | None = None
    """Seconds looked back at for the rate; 60 unless given. It is counted in tenths."""
    minimum_calls: int | None = None
    """How many calls the window must hold before their rate says anything; 20 unless given."""
    probe_timeout: float | None = None
    """Seconds after which a probe that has not ended, because its thread hangs, leaves its place to the next call; as
    long as the cooldown unless given. Choose it above the client's own timeout."""

    successes: int = 1
    """How many probes in a row have to succeed until it closes."""
    per: Per = None
    """What has a circuit of its own: ``"host"``, ``"route"``, ``"client"`` (all that is sent), or a function of an
    attempt that names the circuit, and returns ``None`` for one that is not guarded:
    ``per=lambda attempt: attempt.headers.get("X-Tenant")``. Unless given, whichever of the three explains most."""
    by_hand: bool = False
    """Whether somebody trips or resets it by hand: then nothing that it does can be wrong."""

    _worked_out = ("shortest", "longest")
    if TYPE_CHECKING:

        def __replace__(self, **changes: Any) -> BreakerPolicy:  # Any: any of the fields
            """Make the policy that differs in these fields."""

        @property
        def shortest(self) -> float:
            """The least cooldown, in seconds."""

        @property
        def longest(self) -> float:
            """The greatest cooldown, in seconds."""

    def __post_init__(self) -> None:
        self._set_cooldown(self.cooldown)
        arguments.count("successes", self.successes)
        if self.per not in PER and not callable(self.per):
            words = ", ".join(f'"{word}"' for word in PER if word)
            raise ValueError(f"per={self.per!r}: it has to be one of {words}, or a function of an attempt")
        if not isinstance(self.by_hand, bool):
            raise TypeError(f"by_hand={self.by_hand!r}: it has to be True or False")
        if self.failure_rate is None:
            self._check_threshold()
        else:
            self._check_rate(self.failure_rate)
        probe = self.shortest if self.probe_timeout is None else self.probe_timeout
        self._set("probe_timeout", arguments.seconds("probe_timeout", probe, above_zero=True))

    def _set_cooldown(self, cooldown: object) -> None:
        if not isinstance(cooldown, tuple):
            seconds = arguments.seconds("cooldown", cooldown, above_zero=True, way_out=NEVER_OPEN)
            self._set("cooldown", seconds)
            ends = (seconds, seconds)
        elif len(cooldown) == 2:
            least, most = (arguments.seconds("cooldown", one, above_zero=True, way_out=NEVER_OPEN) for one in cooldown)
            if least > most:
                raise ValueError(
                    f"cooldown={cooldown!r}: the least comes first, then the most; write {(most, least)!r}"
                )
            ends = (least, most)
        else:
            raise ValueError(f"cooldown={cooldown!r}: it has to be a number of seconds, or (least, most)")
        self._set("shortest", ends[0])
        self._set("longest", ends[1])

    def _check_threshold(self) -> None:
        for name in ("window", "minimum_calls"):
            given = getattr(self, name)
            if given is not None:
                raise ValueError(
                    f"{name}={given!r}: it belongs to a failure rate, and a threshold counts failures in a row; "
                    f"give failure_rate too, or leave {name} out"
                )
        self._set("threshold", arguments.count("threshold", THRESHOLD if self.threshold is None else self.threshold))

    def _check_rate(self, failure_rate: float) -> None:
        if self.threshold is not None:
            raise ValueError(
                f"threshold={self.threshold!r}: failure_rate={failure_rate!r} was given too, and a breaker opens by "
                "one of them; leave one out"
            )
        if not 0 < arguments.finite("failure_rate", failure_rate) <= 1:
            raise ValueError(f"failure_rate={failure_rate!r}: it has to be above 0 and at most 1; half of all is 0.5")
        window = WINDOW if self.window is None else self.window
        self._set("window", arguments.seconds("window", window, above_zero=True))
        calls = MINIMUM_CALLS if self.minimum_calls is None else self.minimum_calls
        self._set("minimum_calls", arguments.count("minimum_calls", calls))

    def _set(self, name: str, value: object) -> None:
        """Fill in what was left out, while the value is made."""
        object.__setattr__(self, name, value)

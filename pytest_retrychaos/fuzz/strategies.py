"""Hypothesis strategies for the parts of a script. Each shrinks towards the plainest, and prints as Python to paste.

Arguments are checked where a strategy is made: `TypeError`, `ValueError` or `ScriptError` names the argument, the
value, the rule and the way out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from pytest_retrychaos.faults import OK, Kind, Script, Step, down, parse
from pytest_retrychaos.faults.durations import LONGEST_NS
from pytest_retrychaos.faults.vocabulary import ON_POST, ON_WRITES
from pytest_retrychaos.fuzz.faultlist import Faults, read_faults
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.service.reads import SAFE_METHODS

SCHEMES = ("http", "https")
_MOST_SECONDS = LONGEST_NS // SECOND

ASKED: dict[str, tuple[str, ...]] = {
    "seconds": ("retry-after=2", "retry-after=30", "retry-after=90"),
    "zero": ("retry-after=0",),
    "fraction": ("retry-after=1.5",),
    "date": (
        "retry-after=date+30s",
        'retry-after="Tuesday, 01-Jan-30 00:01:30 GMT"',
        'retry-after="Tue Jan  1 00:01:30 2030"',
    ),
    "past": (
        "retry-after=date-60s",
        'retry-after="Monday, 31-Dec-29 23:59:00 GMT"',
        'retry-after="Mon Dec 31 23:59:00 2029"',
    ),
    "milliseconds": ('header="retry-after-ms: 1500"',),
    "rate-limit": (
        'header="X-RateLimit-Remaining: 0" header="X-RateLimit-Reset: {now+5s}"',
        'header="X-RateLimit-Remaining: 0" header="X-RateLimit-Reset: {now-5s}"',
        'header="RateLimit-Remaining: 0" header="RateLimit-Reset: {now+5s}"',
    ),
    "huge": ("retry-after=100000000", "retry-after=100000000000000"),
    "negative": ("retry-after=-5",),
    "malformed": ('retry-after="soon"', 'retry-after=""', 'retry-after="2 s"'),
    "repeated": ('retry-after=1 header="Retry-After: 3"', 'retry-after=2 header="Retry-After: 2"'),
}
"""How an answer asks to wait, by kind, the plainest first. Dates by their text count from the start of a run, which is
2030-01-01 00:00 UTC; a rate limit's reset is an epoch time."""


def faults(
    vocabulary: Faults = "default", *, for_method: str | None = None, for_scheme: str = "http"
) -> SearchStrategy[Step]:
    """Generate single faults: ``"default"``, ``"hostile"`` or a list of faults as a script writes them.

    ``for_method`` leaves out those that make sense on other methods only (a 404 on a read is an answer).
    ``for_scheme="https"`` lets a TLS handshake fail: on http, as in ``chaos.url``, there is none.
    """
    if for_scheme not in SCHEMES:
        raise ValueError(f"for_scheme={for_scheme!r}: it is {' or '.join(map(repr, SCHEMES))}")
    method = None if for_method is None else _method(for_method)
    given = read_faults(vocabulary, name="vocabulary")
    left = [step for step in given if _makes_sense(step, method, for_scheme)]
    if not left:
        raise ValueError(
            f"vocabulary={vocabulary!r} has nothing for for_method={for_method!r} and for_scheme={for_scheme!r}: "
            "name a fault that can strike there"
        )
    return st.sampled_from(left)


def scripts(
    faults: SearchStrategy[Step] | Faults = "default",
    *,
    min_size: int = 1,
    max_size: int = 6,
    endless: bool = True,
) -> SearchStrategy[Script]:
    """Generate scripts of ``min_size`` to ``max_size`` steps: faults, and plain ``ok`` between them.

    ``faults`` is a strategy of steps, such as `faults`, `outages` or `retry_after_values`, or what `faults` takes.
    ``endless`` lets the last fault strike for ever (``503*``).
    """
    _check_whole("min_size", min_size, least=1)
    _check_whole("max_size", max_size, least=1)
    _check_order("min_size", min_size, "max_size", max_size)
    if not isinstance(endless, bool):
        raise TypeError(f"endless={endless!r}: it is True or False")
    single = faults if isinstance(faults, SearchStrategy) else _faults(faults)
    return _scripts(st.lists(st.just(OK) | single, min_size=min_size, max_size=max_size), endless)


def delays(*, min_value: float = 0.001, max_value: float = 30) -> SearchStrategy[float]:
    """Generate durations in seconds, whole ones and milliseconds, for ``slow``, ``drip``, ``down`` or a latency."""
    least, most = _milliseconds("min_value", min_value), _milliseconds("max_value", max_value)
    _check_order("min_value", min_value, "max_value", max_value)
    whole = range(max(1, -(-least // 1000)), most // 1000 + 1)
    finer = st.integers(least, most).map(_seconds)
    return st.integers(whole[0], whole[-1]) | finer if whole else finer


def retry_after_values(
    *, statuses: Collection[int] = (503, 429), kinds: Collection[str] = tuple(ASKED)
) -> SearchStrategy[Step]:
    """Generate answers that ask to wait, in every way that servers have: `Step` values of a status.

    ``kinds`` are those of `ASKED`: ``seconds``, ``zero``, ``fraction``, ``date`` (ahead, in each of the three forms of
    RFC 9110), ``past``, ``milliseconds``, ``rate-limit``, ``huge``, ``negative``, ``malformed``, ``repeated``.
    """
    chosen = _listed("kinds", kinds, tuple(ASKED))
    asked = [tail for kind in ASKED if kind in chosen for tail in ASKED[kind]]
    return st.builds(_asking, st.sampled_from(_statuses(statuses)), st.sampled_from(asked))


def outages(
    *, min_value: float = 1, max_value: float = 600, statuses: Collection[int | None] = (None, 503)
) -> SearchStrategy[Step]:
    """Generate outages that last ``min_value`` to ``max_value`` seconds.

    ``statuses``: what the service answers meanwhile, each 300 to 599; ``None``: connections are refused.
    """
    given = _collection("statuses", statuses)
    for status in given:
        if status is not None:
            _check_whole("statuses", status, least=300, most=599)
    lengths = delays(min_value=min_value, max_value=max_value)
    return st.builds(_outage, lengths, st.sampled_from(sorted(given, key=lambda status: status or 0)))


@st.composite
def _scripts(draw: DrawFn, steps: SearchStrategy[list[Step]], endless: bool) -> Script:
    drawn = draw(steps)
    last = drawn[-1]
    stays = endless and draw(st.booleans())  # drawn for every last step: one with fewer draws would pass for plainer
    if stays and last.is_fault and last.kind is not Kind.DOWN and last.count == 1:
        drawn = [*drawn[:-1], replace(last, count=None)]
    return Script(tuple(drawn))


_faults = faults  # scripts() has an argument of this name


def _asking(status: int, tail: str) -> Step:
    return parse(f"{status} {tail}").steps[0]


def _outage(seconds: float, status: int | None) -> Step:
    return down(seconds, status=status)


def _makes_sense(step: Step, method: str | None, scheme: str) -> bool:
    if step.kind is Kind.TLS:
        return scheme == "https"
    text = str(step)
    is_elsewhere = (text in ON_POST and method != "POST") or (text in ON_WRITES and method in SAFE_METHODS)
    return method is None or not is_elsewhere


def _method(given: object) -> str:
    if not isinstance(given, str) or not given.isalpha():
        raise ValueError(f"for_method={given!r}: it is a method, as in for_method='POST'")
    return given.upper()


def _seconds(milliseconds: int) -> float:
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000


def _milliseconds(name: str, seconds: object) -> int:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0.001 <= float(str(seconds)) <= _MOST_SECONDS:
        raise ValueError(f"{name}={seconds!r}: it is a number of seconds, 0.001 to {_MOST_SECONDS}")
    return math.floor(float(str(seconds)) * 1000 + 0.5)


def _check_whole(name: str, value: object, *, least: int, most: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        rule = f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"{name}={value!r}: it is a whole number, {rule}")


def _check_order(name: str, least: float, other: str, most: float) -> None:
    if least > most:
        raise ValueError(f"{name}={least!r} is more than {other}={most!r}: swap them, or leave one out")


def _collection(name: str, given: object) -> list[int | None]:
    if isinstance(given, str) or not isinstance(given, Collection) or not given:
        raise ValueError(f"{name}={given!r}: it is a list with at least one value")
    return list(given)


def _statuses(given: Collection[int]) -> Sequence[int]:
    for status in _collection("statuses", given):
        _check_whole("statuses", status, least=300, most=599)
    return [step.status or 0 for step in sorted((parse(str(one)).steps[0] for one in given), key=_plainness)]


def _plainness(step: Step) -> int:
    return step.plainness


def _listed(name: str, given: object, choices: tuple[str, ...]) -> list[object]:
    chosen: list[object] = list(_collection(name, given))
    for one in chosen:
        if one not in choices:
            raise ValueError(f"{name}={given!r}: {one!r} is none of {', '.join(choices)}")
    return chosen

"""What a retry engine does, behaviour by behaviour: the rows of its table. Each runs an engine and says what was seen.

A cell is ``yes``, or ``no: `` and what it did instead; ``–`` where the engine has no such setting.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pytest_retrychaos import Chaos
from tests.conformance.engines import Ask, Engine

NONE = "–"
YES = "yes"
TICK = 0.002


@dataclass(slots=True)
class Seen:
    """What came of an operation."""

    attempts: int = 0
    waits: list[float] = field(default_factory=list)
    took: float = 0.0
    effects: int = 0
    told: object = None
    """What the caller got: a value or an exception."""

    @property
    def failed(self) -> str:
        """Name the exception, if it was one."""
        return type(self.told).__name__ if isinstance(self.told, BaseException) else ""


def meet(engine: Engine, script: str, **ask: object) -> Seen:
    """Let an engine carry out one operation."""
    seen = Seen()
    with Chaos(script, strict=False) as chaos:
        call = engine.make(Ask(f"{chaos.url}/things", **ask))
        _note(seen, call)
        _look(seen, chaos)
    return seen


def _note(seen: Seen, call: Callable[[], object]) -> None:
    try:
        seen.told = call()
    except BaseException as error:
        seen.told = error


def _look(seen: Seen, chaos: Chaos) -> None:
    attempts = list(chaos.attempts)
    seen.attempts = len(attempts)
    seen.waits = [b.started - a.ended for a, b in itertools.pairwise(attempts)]
    seen.took = chaos.clock.elapsed
    seen.effects = len(chaos.ledger)


def _enough(engine: Engine, seconds: float) -> dict[str, float]:
    """Limit an engine that has no number of attempts by time."""
    return {"total": seconds} if "attempts" in engine.lacks else {}


def _ended(seen: Seen, attempts: int) -> str:
    """Say whether it reached success by so many attempts."""
    if seen.failed and seen.attempts < attempts:
        return f"no: {seen.failed} after {seen.attempts}"
    if seen.failed:
        return f"no: {seen.failed}"
    return YES if seen.attempts == attempts else f"no: {seen.attempts} attempts"


def retries_503(engine: Engine) -> str:
    """retries a 503"""
    return _ended(meet(engine, "503, ok"), 2)


def retries_reset(engine: Engine) -> str:
    """retries a GET whose connection is reset"""
    return _ended(meet(engine, "reset, ok"), 2)


def leaves_400(engine: Engine) -> str:
    """does not retry a 400"""
    seen = meet(engine, "400*", **_enough(engine, 8.0))
    return YES if seen.attempts == 1 else f"no: {seen.attempts} attempts"


def posts_once(engine: Engine) -> str:
    """does a POST once though its first answer is lost"""
    seen = meet(engine, "reset after-commit, ok", method="POST")
    return YES if seen.effects == 1 else f"no: done {seen.effects} times"


def waits_before_every_retry(engine: Engine) -> str:
    """waits before every retry"""
    seen = meet(engine, "503 x3, ok")
    return YES if all(wait > 0 for wait in seen.waits) else f"no: {_waits(seen)}"


def _waits(seen: Seen) -> str:
    return "waits " + ", ".join(f"{wait:.3g}" for wait in seen.waits) + " s"


def _obeys(engine: Engine, asked: str) -> str:
    seen = meet(engine, f"503 {asked} x2, ok")
    early = [wait for wait in seen.waits if wait < 7 - TICK]
    if seen.failed:
        return f"no: {seen.failed}"
    return f"no: comes {_soon(early[0])}" if early else YES


def _soon(seconds: float) -> str:
    if seconds < TICK:
        return "at once"
    return "within a second" if seconds < 1 - TICK else f"after {seconds:.0f} s"


def obeys_seconds(engine: Engine) -> str:
    """waits as long as `Retry-After: 7` asks"""
    return _obeys(engine, "retry-after=7")


def obeys_date(engine: Engine) -> str:
    """… as a date in `Retry-After`"""
    return _obeys(engine, "retry-after=date+7s")


def obeys_milliseconds(engine: Engine) -> str:
    """… as `retry-after-ms: 7000`"""
    return _obeys(engine, 'header="retry-after-ms: 7000"')


def survives_malformed(engine: Engine) -> str:
    """takes no harm from `Retry-After: soon`"""
    return _ended(meet(engine, '503 retry-after="soon", ok'), 2)


def survives_negative(engine: Engine) -> str:
    """… from `Retry-After: -5`"""
    return _ended(meet(engine, '503 retry-after="-5", ok'), 2)


def survives_past(engine: Engine) -> str:
    """… from a date that is past"""
    return _ended(meet(engine, "503 retry-after=date-60s, ok"), 2)


def survives_huge(engine: Engine) -> str:
    """does not wait for a year because a server says so"""
    seen = meet(engine, "503 retry-after=31536000, ok")
    return YES if seen.took < 86400 else f"no: waits {seen.took / 86400:.0f} days"


def stays_under_the_cap(engine: Engine) -> str:
    """keeps jittered waits under the cap"""
    if "cap" in engine.lacks:
        return NONE
    seen = meet(engine, "503*", attempts=40, cap=4.0, jitter=True, **_enough(engine, 150.0))
    return YES if max(seen.waits) <= 4 + TICK else "no: waits longer"


def ends_in_time(engine: Engine) -> str:
    """makes no attempt past its time limit"""
    if "total" in engine.lacks:
        return NONE
    seen = meet(engine, "503*", attempts=50, total=10.0)
    return YES if seen.took <= 10 + TICK else f"no: {seen.took:.0f} s of 10"


def ends_in_time_while_waiting_for_answers(engine: Engine) -> str:
    """… and ends within it, the attempt in flight included"""
    if "total" in engine.lacks:
        return NONE
    took = max(meet(engine, "timeout*", attempts=50, total=10.0, timeout=timeout).took for timeout in (2.0, 4.0, 8.0))
    return YES if took <= 10 + TICK else f"no: {took:.0f} s of 10"


def raises_the_last_error(engine: Engine) -> str:
    """raises the last error itself"""
    seen = meet(engine, "503, timeout*", attempts=2, **_enough(engine, 6.0))
    return YES if isinstance(seen.told, engine.last_error) else f"no: {seen.failed}"


def is_cancelled(engine: Engine) -> str:
    """sends nothing more once its task is cancelled"""
    if engine.make_async is None:
        return NONE

    async def main(call: Callable[[], object]) -> str:
        task = asyncio.ensure_future(call())
        await asyncio.sleep(0.5)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return YES
        except BaseException as error:
            return f"no: {type(error).__name__}"
        return "no: it went on"

    with Chaos("timeout*", strict=False) as chaos:
        cell = asyncio.run(main(engine.make_async(Ask(f"{chaos.url}/things"))))
        sent = len(chaos.attempts)
    return cell if cell != YES or sent == 1 else f"no: {sent} attempts"


def begins_anew(engine: Engine) -> str:
    """begins each operation anew"""
    first, second = Seen(), Seen()
    with Chaos("503 x3, ok, 503 x3, ok", strict=False) as chaos:
        call = engine.make(Ask(f"{chaos.url}/things"))
        _note(first, call)
        _look(first, chaos)
        _note(second, call)
        _look(second, chaos)
    if second.failed or second.attempts != 8:
        return f"no: {second.failed or second.attempts - 4}"
    longest = [1.0, 2.0, 4.0]
    late = [f"{wait:.3g}" for wait, most in zip(second.waits[4:], longest, strict=True) if wait > most * 2 + TICK]
    return f"no: waits {', '.join(late)} s" if late else YES


@contextlib.contextmanager
def _interpreters_own_recursion_limit() -> Iterator[None]:
    """Let a library recurse as deep as in a plain program: other tests' libraries raise the limit and leave it."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def goes_on(engine: Engine) -> str:
    """goes on for 1 100 attempts (2¹⁰²⁴ is no float)"""
    if "endless" in engine.lacks:
        return NONE
    refused: list[int] = []
    with _interpreters_own_recursion_limit():
        seen = meet(engine, "refuse*", attempts=1100, cap=1.0, refused=refused, **_enough(engine, 1500.0))
    return YES if max(len(refused), seen.attempts) >= 1100 else f"no: {seen.failed}"


ROWS = (
    retries_503,
    retries_reset,
    leaves_400,
    posts_once,
    waits_before_every_retry,
    obeys_seconds,
    obeys_date,
    obeys_milliseconds,
    survives_malformed,
    survives_negative,
    survives_past,
    survives_huge,
    stays_under_the_cap,
    ends_in_time,
    ends_in_time_while_waiting_for_answers,
    raises_the_last_error,
    is_cancelled,
    begins_anew,
    goes_on,
)

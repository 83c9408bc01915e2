"""Decide what follows a failed attempt, without doing it: no clock is read here, nobody sleeps.

Laws of this module:
1. A failure that will not go away is not retried.
2. No attempt starts after the last one allowed, and none at or past the timeout: a wait that would end there is
   not begun.
3. The server's ``Retry-After`` is a floor: the wait is the greater of the backoff's and the one asked for. One
   that cannot be kept ends the operation at once; coming early is no way out.
"""

from __future__ import annotations

from pytest_retrychaos.engine import hints
from pytest_retrychaos.engine.answers import Answer, answer_in_result
from pytest_retrychaos.engine.classify import (
    Kind,
    answer_in_chain,
    classify_answer,
    classify_exception,
    lower_fields,
)
from pytest_retrychaos.engine.values import value

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    from pytest_retrychaos.engine.backoff import Chance
    from pytest_retrychaos.engine.retry import Retry
    from pytest_retrychaos.engine.retry_after import Asked

    Judge = Callable[[Any], bool]  # Any: it is handed the value returned or the exception raised
    On = type[Exception] | tuple[type[Exception], ...] | Judge | None
    Reason = Literal["permanent", "attempts", "timeout", "retry-after"]

HOPELESS = frozenset({501, 505})
"""Answers that are ambiguous but will not change: Not Implemented, HTTP Version Not Supported (RFC 9110, 15.6)."""


@value
class Failure:
    """How an attempt failed."""

    kind: Kind | None
    """``None`` where only the policy's ``on`` knows it."""
    is_retryable: bool
    headers: tuple[tuple[str, str], ...] = ()
    """Of the answer, where there was one."""


@value
class Wait:
    """Wait, then make another attempt."""

    seconds: float


@value
class Stop:
    """Give up."""

    reason: Reason
    """``permanent``: it will not go away. ``attempts``: all are spent. ``timeout``: the next one would start too
    late. ``retry-after``: the server asked for a longer wait than the policy can keep."""


def decide(
    policy: Retry,
    failure: Failure,
    *,
    attempt: int,
    elapsed: float,
    random: Chance,
    asked: Asked | None = None,
    previous_wait: float | None = None,
) -> Wait | Stop:
    """Decide what follows attempt number ``attempt`` (from 1), ``elapsed`` seconds after the first one began.

    ``asked`` is what the server asked for, where the policy respects that; ``previous_wait`` is the
    wait before this attempt, in seconds.
    """
    if not failure.is_retryable:
        return Stop("permanent")
    if attempt >= policy.attempts:
        return Stop("attempts")
    floor = asked.seconds if asked is not None and policy.respect_retry_after else 0.0
    remaining = float("inf") if policy.timeout is None else policy.timeout - elapsed
    if floor > 0 and (floor > policy.max_retry_after or floor >= remaining):
        return Stop("retry-after")
    wait = max(floor, policy.backoff.delay(attempt, random=random, previous=previous_wait))
    return Stop("timeout") if wait >= remaining else Wait(wait)


def failure_of_error(error: Exception, on: On) -> Failure:
    """Judge an exception that ended an attempt."""
    answer = answer_in_chain(error)
    kind = None if _broke_on_its_own(error) else classify_exception(error)
    headers = () if answer is None else answer.headers
    if on is None:
        return Failure(kind, _is_transient(kind, answer), headers)
    if isinstance(on, (type, tuple)):
        return Failure(kind, isinstance(error, on), headers)
    return Failure(kind, _asked_judge(on, error), headers)


def failure_of_result(result: object, on: On) -> Failure | None:
    """Judge a value that an attempt returned; ``None`` where it is what the caller wants."""
    if isinstance(on, (type, tuple)):
        return None
    answer = answer_in_result(result)
    kind = None if answer is None else classify_answer(answer)
    wanted = _is_transient(kind, answer) if on is None else _asked_judge(on, result)
    if not wanted:
        return None
    return Failure(kind, is_retryable=True, headers=() if answer is None else answer.headers)


def _is_transient(kind: Kind | None, answer: Answer | None) -> bool:
    if kind is None or not kind.is_transient:
        return False
    if answer is None:
        return True
    return answer.status not in HOPELESS and hints.should_retry(lower_fields(answer.headers)) is not False


def _asked_judge(on: Judge, outcome: object) -> bool:
    verdict = on(outcome)
    if not isinstance(verdict, bool):
        raise TypeError(
            f"on={on!r} returned {verdict!r}: it has to return True (retry) or False; wrap the value in bool()"
        )
    return verdict


def _broke_on_its_own(error: BaseException) -> bool:
    """Tell whether plain code broke while a failure was being handled: a KeyError is no timeout, though one is
    its context. With ``raise … from timeout`` the code says that it is."""
    is_plain = type(error).__module__ == "builtins" and not isinstance(error, OSError)
    return is_plain and error.__cause__ is None

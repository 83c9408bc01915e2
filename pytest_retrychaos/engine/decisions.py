"""Decide what follows a failed attempt, without doing it: no clock is read here, nobody sleeps.

Laws of this module:
1. A failure that will not go away is not retried.
2. No attempt starts after the last one allowed, and none at or past the timeout: a wait that would end there is
   not begun.
3. The server's ``Retry-After`` is a floor, and so is the delay that a policy's own judge names. Above it the wait is
   spread by as much as the backoff's jitter spreads: clients that were all told the same moment would otherwise come
   back in it together. One that cannot be kept ends the operation at once; coming early is no way out.
"""

from __future__ import annotations

from pytest_retrychaos.engine.values import value

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from typing import Literal

    from pytest_retrychaos.engine.backoff import Chance
    from pytest_retrychaos.engine.failures import Failure
    from pytest_retrychaos.engine.retry import Retry
    from pytest_retrychaos.engine.retry_after import Asked

    Reason = Literal["permanent", "attempts", "timeout", "retry-after", "cancelled", "breaker", "budget"]


@value
class Wait:
    """Wait, then make another attempt."""

    seconds: float


@value
class Stop:
    """Give up."""

    reason: Reason
    """``permanent``: it will not go away. ``attempts``: all are spent. ``timeout``: the next one would start too
    late. ``retry-after``: the server asked for a longer wait than the policy can keep. ``cancelled``: the task is
    being cancelled, and its code made another error of that. ``breaker``: the circuit is open. ``budget``: no retry is
    left in it."""


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
    decided = wait_or_reason(policy, failure, attempt, elapsed, random, asked, previous_wait)
    return Stop(decided) if isinstance(decided, str) else Wait(decided)


def wait_or_reason(
    policy: Retry,
    failure: Failure,
    attempt: int,
    elapsed: float,
    random: Chance,
    asked: Asked | None,
    previous_wait: float | None,
) -> float | Reason:
    """Decide as `decide` does, in the words of a loop: seconds to wait, or the reason to stop."""
    if not failure.is_retryable:
        return "permanent"
    if attempt >= policy.attempts:
        return "attempts"
    if asked is not None or failure.delay:
        return _wait_at_least(policy, failure, attempt, elapsed, random, asked, previous_wait)
    wait = policy.backoff.delay(attempt, random=random, previous=previous_wait)
    return wait if policy.timeout is None or wait < policy.timeout - elapsed else "timeout"


def _wait_at_least(
    policy: Retry,
    failure: Failure,
    attempt: int,
    elapsed: float,
    random: Chance,
    asked: Asked | None,
    previous_wait: float | None,
) -> float | Reason:
    floor = asked.seconds if asked is not None and policy.respect_retry_after else 0.0
    remaining = float("inf") if policy.timeout is None else policy.timeout - elapsed
    if floor > 0 and (floor > policy.max_retry_after or floor >= remaining):
        return "retry-after"
    floor = max(floor, failure.delay)
    drawn = policy.backoff.delay(attempt, random=random, previous=previous_wait)
    wait = max(floor, drawn)
    if wait >= remaining:
        return "timeout"
    if floor > 0:
        spread = drawn - policy.backoff.bounds(attempt, previous=previous_wait)[0]
        if floor + spread < remaining:
            wait = max(wait, floor + spread)
    return wait

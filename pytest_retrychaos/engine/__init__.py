"""The reference retry engine: decisions without I/O, and thin drivers that carry them out.

::

    from pytest_retrychaos.engine import Retry, exponential

    retry = Retry(attempts=5, backoff=exponential(base=0.1, cap=20, jitter="full"), timeout=30)
    retry.call(fn, *args)
    await retry.call_async(fn, *args)

Standard library only, and never pytest: production code may import it. The same `Backoff` that makes the delays
tells their ``bounds(retry)``, so a test can hold any client to a policy.
"""

from __future__ import annotations

from pytest_retrychaos.engine.answers import carried_status
from pytest_retrychaos.engine.attempt import Attempt, this_attempt
from pytest_retrychaos.engine.backoff import Backoff, computed, delays, exponential, fibonacci, fixed, linear
from pytest_retrychaos.engine.breaker import CircuitBreaker
from pytest_retrychaos.engine.breaker_policy import BreakerPolicy
from pytest_retrychaos.engine.budget import RetryBudget
from pytest_retrychaos.engine.circuit import TRANSITIONS, CircuitOpen, Event, State, Transition
from pytest_retrychaos.engine.classify import (
    Kind,
    classify_exception,
    classify_names,
    classify_status,
    exception_chain,
)
from pytest_retrychaos.engine.decisions import Stop, Wait, decide
from pytest_retrychaos.engine.events import Beginning, GivingUp, Waiting
from pytest_retrychaos.engine.failures import Failure, is_transient
from pytest_retrychaos.engine.retry import Retry
from pytest_retrychaos.engine.retry_after import Asked
from pytest_retrychaos.engine.unknown import OutcomeUnknown

__all__ = [
    "TRANSITIONS",
    "Asked",
    "Attempt",
    "Backoff",
    "Beginning",
    "BreakerPolicy",
    "CircuitBreaker",
    "CircuitOpen",
    "Event",
    "Failure",
    "GivingUp",
    "Kind",
    "OutcomeUnknown",
    "Retry",
    "RetryBudget",
    "State",
    "Stop",
    "Transition",
    "Wait",
    "Waiting",
    "carried_status",
    "classify_exception",
    "classify_names",
    "classify_status",
    "computed",
    "decide",
    "delays",
    "exception_chain",
    "exponential",
    "fibonacci",
    "fixed",
    "is_transient",
    "linear",
    "this_attempt",
]

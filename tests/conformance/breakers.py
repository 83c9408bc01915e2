"""Circuit breakers that open at 3 failures for 30 seconds: the columns of their table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiobreaker
import circuitbreaker
import httpware
import httpx2
import hyx.circuitbreaker
import hyx.circuitbreaker.exceptions
import purgatory
import purgatory.domain.model
import pybreaker

from pytest_retrychaos.engine import CircuitBreaker, CircuitOpen

THRESHOLD, COOLDOWN = 3, 30.0


class Down(Exception):
    """The service fails."""


Guard = Callable[[Callable[[], object]], object]
"""Calls a function through the breaker: a coroutine function, for breakers of event loops."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """One column."""

    name: str
    package: str
    setup: str
    make: Callable[[], Guard]
    refusal: type[BaseException]
    tells: Callable[[Any], float] | None = None
    """Reads off a refusal in how many seconds to come back. Any: it is the library's own."""
    is_async: bool = False
    failure: type[Exception] = Down
    """What its service fails with."""


def _pybreaker() -> Guard:
    return pybreaker.CircuitBreaker(fail_max=THRESHOLD, reset_timeout=COOLDOWN).call


def _circuitbreaker() -> Guard:
    breaker = circuitbreaker.CircuitBreaker(failure_threshold=THRESHOLD, recovery_timeout=COOLDOWN, name="service")
    return lambda fn: breaker(fn)()


def _purgatory() -> Guard:
    factory = purgatory.SyncCircuitBreakerFactory(default_threshold=THRESHOLD, default_ttl=COOLDOWN)
    return lambda fn: factory("service")(fn)()


def _purgatory_async() -> Guard:
    factory = purgatory.AsyncCircuitBreakerFactory(default_threshold=THRESHOLD, default_ttl=COOLDOWN)
    return lambda fn: factory("service")(fn)()


def _aiobreaker() -> Guard:
    breaker = aiobreaker.CircuitBreaker(fail_max=THRESHOLD, timeout_duration=timedelta(seconds=COOLDOWN))
    return breaker.call_async


def _hyx() -> Guard:
    breaker = hyx.circuitbreaker.consecutive_breaker(
        failure_threshold=THRESHOLD, recovery_time_secs=COOLDOWN, recovery_threshold=1
    )
    return lambda fn: breaker(fn)()


def _httpware() -> Guard:
    breaker = httpware.CircuitBreaker(failure_threshold=THRESHOLD, reset_timeout=COOLDOWN)
    request = httpx2.Request("GET", "http://service.test/things")
    return lambda fn: breaker(request, lambda _: fn())


def _retry_in(refusal: CircuitOpen) -> float:
    return refusal.retry_in


def _ours() -> Guard:
    return CircuitBreaker(threshold=THRESHOLD, cooldown=COOLDOWN).call


def _ours_async() -> Guard:
    return CircuitBreaker(threshold=THRESHOLD, cooldown=COOLDOWN).call_async


BREAKERS = (
    Breaker(
        "ours", "pytest-retrychaos", "`CircuitBreaker(threshold=3, cooldown=30).call`", _ours, CircuitOpen, _retry_in
    ),
    Breaker(
        "ours, async",
        "pytest-retrychaos",
        "`CircuitBreaker(threshold=3, cooldown=30).call_async`",
        _ours_async,
        CircuitOpen,
        _retry_in,
        is_async=True,
    ),
    Breaker(
        "pybreaker",
        "pybreaker",
        "`CircuitBreaker(fail_max=3, reset_timeout=30).call`",
        _pybreaker,
        pybreaker.CircuitBreakerError,
    ),
    Breaker(
        "circuitbreaker",
        "circuitbreaker",
        "`@CircuitBreaker(failure_threshold=3, recovery_timeout=30)`",
        _circuitbreaker,
        circuitbreaker.CircuitBreakerError,
        lambda refusal: refusal._circuit_breaker.open_remaining,
    ),
    Breaker(
        "purgatory",
        "purgatory",
        '`@SyncCircuitBreakerFactory(default_threshold=3, default_ttl=30)("service")`',
        _purgatory,
        purgatory.domain.model.OpenedState,
    ),
    Breaker(
        "purgatory, async",
        "purgatory",
        '`@AsyncCircuitBreakerFactory(default_threshold=3, default_ttl=30)("service")`',
        _purgatory_async,
        purgatory.domain.model.OpenedState,
        is_async=True,
    ),
    Breaker(
        "aiobreaker",
        "aiobreaker",
        "`CircuitBreaker(fail_max=3, timeout_duration=timedelta(seconds=30)).call_async`",
        _aiobreaker,
        aiobreaker.CircuitBreakerError,
        lambda refusal: refusal.time_remaining.total_seconds(),
        is_async=True,
    ),
    Breaker(
        "hyx",
        "hyx",
        "`@consecutive_breaker(failure_threshold=3, recovery_time_secs=30, recovery_threshold=1)`",
        _hyx,
        hyx.circuitbreaker.exceptions.BreakerFailing,
        is_async=True,
    ),
    Breaker(
        "httpware",
        "httpware",
        "`CircuitBreaker(failure_threshold=3, reset_timeout=30)`, as a middleware",
        _httpware,
        httpware.CircuitOpenError,
        lambda refusal: refusal.retry_after,
        failure=httpware.NetworkError,
    ),
)

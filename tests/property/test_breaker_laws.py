"""A right breaker is never accused, however calls run side by side; and what is right is found to be."""

from __future__ import annotations

import asyncio

import circuitbreaker
import httpx
import purgatory
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine import BreakerPolicy, CircuitBreaker, CircuitOpen

LAWS = ("CB01", "CB02", "CB03", "CB04")
ERRORS = (httpx.HTTPError, CircuitOpen, circuitbreaker.CircuitBreakerError, purgatory.domain.model.OpenedState)
FAULTS = ["ok", "503", "500", "404", "429", "reset", "refuse", "timeout", "slow=3s", "slow=7s", "truncate"]
STARTS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 9.9, 10.0, 10.1, 12.0]), st.booleans()),
    min_size=1,
    max_size=14,
)


async def _run(chaos, breaker, starts, *, tries, deadline=None):
    async with httpx.AsyncClient(timeout=5, limits=httpx.Limits(max_connections=2)) as client:

        async def fetch():
            response = await client.get(f"{chaos.url}/items")
            response.raise_for_status()

        guarded = breaker(fetch)

        async def once():
            for left in reversed(range(tries)):
                try:
                    return await guarded()
                except ERRORS:
                    if not left:
                        raise
                await asyncio.sleep(0.5)
            return None

        async def call(after):
            await asyncio.sleep(after)
            try:
                async with asyncio.timeout(deadline):
                    await chaos.call_async(once)
            except (*ERRORS, TimeoutError):
                return

        tasks = []
        for gap, is_beside in starts:
            if is_beside:
                tasks.append(asyncio.create_task(call(gap)))
            else:
                await call(gap)
        await asyncio.gather(*tasks)


@settings(max_examples=150, deadline=None)
@given(
    faults=st.lists(st.sampled_from(FAULTS), max_size=16),
    starts=STARTS,
    threshold=st.integers(1, 4),
    tries=st.integers(1, 3),
    deadline=st.sampled_from([None, None, 2]),
)
@example(  # what could not connect had been moved to another operation, and left an empty one behind
    faults=["reset", "ok", "refuse", "ok", "refuse"],
    starts=[(0.0, True), (0.0, False), (0.0, False)],
    threshold=2,
    tries=3,
    deadline=None,
)
@example(  # turned away beside a probe, by a loop that had begun before the probe was due
    faults=["503", "503"],
    starts=[(0.0, True), (9.9, False), (0.0, True), (0.5, False)],
    threshold=2,
    tries=2,
    deadline=None,
)
@example(  # a success and a failure at one moment
    faults=["ok", "ok", "503", "timeout"],
    starts=[(0.0, False), (0.0, False), (0.0, True), (0.0, True), (10.0, False)],
    threshold=1,
    tries=1,
    deadline=None,
)
@example(  # a full pool fails a call that was never sent
    faults=["timeout", "timeout"],
    starts=[(0.0, True), (0.0, True), (0.0, False)],
    threshold=3,
    tries=2,
    deadline=None,
)
def test_the_engines_breaker_is_never_accused(faults, starts, threshold, tries, deadline):
    """Side by side and one after the other, inside retries and deadlines, with a pool that makes calls wait."""
    breaker = CircuitBreaker(threshold=threshold, cooldown=10)
    with Chaos(", ".join(faults) or "ok", strict=False) as chaos:
        asyncio.run(_run(chaos, breaker, starts, tries=tries, deadline=deadline))
        if not chaos.attempts:
            return

        assert chaos.verify(breaker=breaker, only=LAWS).ok


@settings(max_examples=100, deadline=None)
@given(
    faults=st.lists(st.sampled_from(FAULTS), max_size=16),
    starts=STARTS,
    threshold=st.integers(1, 4),
    tries=st.integers(1, 3),
    library=st.sampled_from(["circuitbreaker", "purgatory"]),
)
@example(  # a call from before succeeds while the circuit is open, which closes circuitbreaker
    faults=["timeout", "slow=3s"],
    starts=[(3.0, True), (0.0, False), (1.0, False), (0.0, False)],
    threshold=1,
    tries=1,
    library="circuitbreaker",
)
@example(  # a breaker inside a retrier: read as one around it, it would have let a call through sooner
    faults=["ok", "ok", "ok", "ok", "503", "timeout"],
    starts=[*[(0.0, False)] * 4, (0.0, True), (9.9, True), (9.9, False)],
    threshold=1,
    tries=2,
    library="circuitbreaker",
)
def test_breakers_of_others_are_accused_of_their_probes_alone(faults, starts, threshold, tries, library):
    """They let more than one through (CB03); what else they do is right."""
    if library == "purgatory":
        breaker = purgatory.AsyncCircuitBreakerFactory(default_threshold=threshold, default_ttl=10)("items")
    else:
        breaker = circuitbreaker.CircuitBreaker(failure_threshold=threshold, recovery_timeout=10)
    with Chaos(", ".join(faults) or "ok", strict=False) as chaos:
        asyncio.run(_run(chaos, breaker, starts, tries=tries))
        if not chaos.attempts:
            return

        policy = BreakerPolicy(threshold=threshold, cooldown=10)
        assert chaos.verify(breaker=policy, only=("CB01", "CB02", "CB04")).ok

"""BK03 against waits that the engine draws: no right client is accused, whatever its backoff."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_retrychaos.engine import exponential, fibonacci, fixed, linear
from pytest_retrychaos.laws.jitter import Waited, fit

KINDS = st.sampled_from(["full", "equal", "proportional", "decorrelated"])
SECONDS = st.floats(0.05, 10)


@st.composite
def backoffs(draw):
    """Draw a backoff with jitter, of any curve."""
    jitter, step, reach = draw(KINDS), draw(SECONDS), draw(st.floats(1, 50))
    if jitter == "decorrelated":
        return exponential(step, cap=step * reach, jitter=jitter)
    curve = draw(st.sampled_from([exponential, linear, fibonacci, None]))
    return fixed(step, jitter=jitter) if curve is None else curve(step, cap=step * reach, jitter=jitter)


@settings(derandomize=True, deadline=None)  # an unlucky sample is one in ten thousand, and not to be met at random
@given(backoff=backoffs(), seed=st.integers(0, 10**6), count=st.integers(20, 100), asked=st.floats(0, 0.5))
def test_right_client_is_never_accused_of_its_jitter(backoff, seed, count, asked):
    """Many operations of one backoff, some of whose waits the service asked for."""
    chance = Random(seed)
    operations = []
    for _ in range(count):
        waits, previous = [], None
        for retry in range(1, 6):
            previous = backoff.delay(retry, random=chance, previous=previous)
            waits.append(Waited(retry, previous, is_known=chance.random() >= asked))
        operations.append(waits)

    found = fit(backoff, operations)

    assert not found.over_cap
    assert not found.judged or found.is_right

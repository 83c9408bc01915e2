"""A test's run as a record."""

from __future__ import annotations

import contextlib

import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine import CircuitBreaker, Retry, fixed
from pytest_retrychaos.report.declared import declared_by
from pytest_retrychaos.report.recording import Test, record


def test_a_timeline_has_the_bounds_and_the_states_that_the_test_asked_for() -> None:
    """Though the end of the test asks once more, by no policy at all."""
    breaker = CircuitBreaker(threshold=2, cooldown=30)
    retry = Retry(attempts=4, backoff=fixed(1), breaker=breaker)
    with Chaos("503 x2, ok", name="test") as chaos:
        with contextlib.suppress(Exception):
            retry.call(requests.get, f"{chaos.url}/rates", timeout=5)
        chaos.clock.advance(31)
        retry.call(requests.get, f"{chaos.url}/rates", timeout=5)
        chaos.verify(retry, breaker=breaker)
        chaos.judge.finish()
        declared = declared_by(chaos.service.answering.router)
        test = Test("test", "test.py", 1)
        made = record(test, chaos.trace, chaos.judge.judgements, declared=declared, judges_by_assert=False, draws=True)

    assert made.timeline is not None
    assert [(span.state, span.began_ns // 10**9) for span in made.timeline.breaker][:2] == [("closed", 0), ("open", 1)]
    assert next((wait.least_ns, wait.most_ns) for wait in made.timeline.waits) == (10**9, 10**9)

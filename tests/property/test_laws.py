"""Whatever a run looks like, judging it works, and the trace read back from JSON gets the same verdict."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_retrychaos.engine import BreakerPolicy, Retry, exponential
from pytest_retrychaos.laws import LAWS, judge
from pytest_retrychaos.text import failure_text, timeline, verdict_text
from pytest_retrychaos.trace import Raised, Told, Trace
from tests.unit.laws.traces import Run

PLAIN = ["ok", "201", "503", "429", "500", "400", "401", "404", "409", "timeout", "reset", "eof", "stale"]
RARE = ["truncate", "garbage", "slow=3s", "drip=3s", "duplicate", "refuse", "dns", "tls"]
FAULTS = st.sampled_from([*PLAIN, *RARE, "reset after-commit", "502 after-commit"])
ATTEMPT = st.fixed_dictionaries(
    {
        "fault": FAULTS,
        "method": st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
        "target": st.sampled_from(["/payments", "/orders?page=2"]),
        "key": st.sampled_from([None, "key-1", "key-2"]),
        "answer": st.sampled_from([{}, {"Retry-After": "2"}, {"Retry-After": "-1"}, {"retry-after-ms": "9e9"}]),
        "headers": st.sampled_from([{}, {"Authorization": "Bearer one"}, {"X-Mode": "a"}]),
        "host": st.sampled_from(["api.test", "b.test"]),
        "cut": st.booleans(),
        "key_conflict": st.sampled_from([None, None, "in flight", "mismatch"]),
    }
)
IN_A_ROW = BreakerPolicy(threshold=2, cooldown=2)
BY_RATE = BreakerPolicy(failure_rate=0.5, minimum_calls=2, window=60, cooldown=2)
STEP = st.tuples(ATTEMPT, st.sampled_from([0, 0.5, 1, 62, 90_000]), st.booleans(), st.booleans())
OPEN = Told(None, None, (Raised("pybreaker.CircuitBreakerError", ("builtins.Exception",), "open"),))
TOLD = st.sampled_from([None, Told(True, "x"), Told(False, "x"), Told(None, "x"), OPEN])


def build(steps, told):
    """Make a trace of the steps."""
    run = Run("503, ok")
    if told is not None:
        run.open(told=told)
    for attempt, wait, is_new, one_or_two in steps:
        if is_new and told is not None:
            run.close().open(told=told)
        if is_new or not run.operations:
            run.new(one_or_two=one_or_two)
        run.send(attempt["fault"], **{k: v for k, v in attempt.items() if k != "fault"}).wait(wait)
    if told is not None:
        run.close()
    return run.trace()


@pytest.mark.parametrize("policy", [None, Retry(attempts=3, backoff=exponential(1), timeout=30)])
@pytest.mark.parametrize(
    "breaker", [None, BreakerPolicy(threshold=2, cooldown=2), BY_RATE], ids=["none", "row", "rate"]
)
@settings(max_examples=100, deadline=None)
@given(steps=st.lists(STEP, max_size=8), told=TOLD)
def test_every_run_is_judged_alike_from_memory_and_from_json(policy, breaker, steps, told):
    """One ruling for each law, equal verdicts, and texts that can be written."""
    trace = build(steps, told)
    verdict = judge(trace, policy, breaker=breaker, amplification=2)

    assert [result.code for result in verdict.results] == [law.code for law in LAWS]
    assert judge(Trace.from_json(trace.to_json()), policy, breaker=breaker, amplification=2) == verdict
    shapes = {shape for law in LAWS for shape in law.shapes}
    assert {finding.shape for finding in verdict.findings} <= shapes
    assert len(verdict_text(verdict).splitlines()) == len(LAWS)
    assert timeline(trace).count("\n") == max(len(trace.attempts) - 1, 0)
    if not verdict.ok:
        first = failure_text(trace, verdict).splitlines()[0]
        assert first.startswith(", ".join(verdict.codes))

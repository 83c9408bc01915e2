"""The law of retry budgets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_retrychaos.engine import RetryBudget

HAPPENINGS = st.lists(
    st.tuples(st.just("wait"), st.floats(0, 20)) | st.tuples(st.sampled_from(["operation", "retry"]), st.just(0.0)),
    max_size=120,
)


@given(st.floats(0.01, 2), st.floats(0, 5), st.floats(1, 20), HAPPENINGS, st.integers(0, 119))
def test_over_any_stretch_no_more_is_granted_than_the_budget_promises(ratio, per_second, burst, happenings, start):
    """``burst + ratio * operations + per_second * seconds``, wherever the stretch begins."""
    now = 0.0
    budget = RetryBudget(ratio=ratio, per_second=per_second, burst=burst, clock=lambda: now)
    operations = retries = 0
    began = 0.0
    for place, (what, seconds) in enumerate(happenings):
        if place == start:
            operations = retries = 0
            began = now
        now += seconds
        if what == "operation":
            operations += 1
            budget.deposit()
        elif what == "retry":
            retries += budget.withdraw()
        assert retries <= burst + ratio * operations + per_second * (now - began) + 1e-6

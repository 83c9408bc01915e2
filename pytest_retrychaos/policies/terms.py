"""What `Chaos.verify` was given, read into the terms that the laws judge by."""

from __future__ import annotations

from pytest_retrychaos.engine import Retry
from pytest_retrychaos.laws import Terms
from pytest_retrychaos.laws.amplification import check_amplification
from pytest_retrychaos.policies.breakers import read_breaker
from pytest_retrychaos.policies.given import Given
from pytest_retrychaos.policies.retries import read_policy


def read_terms(policy: object, given: Given, *, breaker: object, amplification: object) -> Terms:
    """Read a policy and a breaker; errors name the argument, the value and the way out."""
    if breaker is None and isinstance(policy, Retry):
        breaker = policy.breaker
    return Terms(
        policy=read_policy(policy, given),
        breaker=None if breaker is None else read_breaker(breaker),
        scripts="closed",
        amplification=None if amplification is None else check_amplification("amplification", amplification),
    )

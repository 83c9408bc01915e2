"""Read what a retry policy promises: the engine's, urllib3's, tenacity's, or one that the test gives by hand."""

from __future__ import annotations

from dataclasses import replace

from pytest_retrychaos.engine import Retry
from pytest_retrychaos.laws.policy import Policy, as_seen, of_engine, unknown
from pytest_retrychaos.policies import tenacity, urllib3
from pytest_retrychaos.policies.given import Given


def read_policy(policy: object, given: Given) -> Policy | None:
    """Give a policy's promise, completed or replaced by what was given by hand; ``None`` where nothing was given.

    `TypeError` or `ValueError` names what cannot be read, with the way out.
    """
    if policy is None and given == Given():
        return None
    promise = Policy(goes_on=as_seen if given.attempts else unknown) if policy is None else _read(policy, given)
    if given.attempts is not None:
        promise = replace(promise, attempts=given.attempts)
    if given.bounds is not None:
        promise = replace(promise, backoff=given.bounds)
    if given.timeout is not None:
        promise = replace(promise, timeout=given.timeout, patience=given.timeout)
    return promise


def _read(policy: object, given: Given) -> Policy:
    if isinstance(policy, Retry):
        return of_engine(policy)
    found = urllib3.read(policy) or tenacity.read(policy, given)
    if found is None:
        raise TypeError(
            f"verify({policy!r:.80}): what it promises cannot be read; give a Retry of the engine or of urllib3, a "
            "Retrying of tenacity or what it decorates, or say it by hand: "
            "verify(attempts=4, bounds=lambda retry: (0, 2**retry), timeout=30)"
        )
    return found

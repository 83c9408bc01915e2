"""The engine held to its own policy: every attempt, every wait, every limit."""

from __future__ import annotations

from urllib.error import HTTPError

import pytest

from examples.engine.fetch import POLICY, fetch


@pytest.mark.chaos("503 retry-after=5, reset, timeout, ok", "refuse x3, ok", "429 retry-after=date+10s, ok")
def test_the_code_behaves_like_its_policy(chaos):
    """With a policy the laws are exact: attempts, envelope of the waits, time budget."""
    chaos.call(fetch, f"{chaos.url}/rates")

    chaos.verify(POLICY)


@pytest.mark.chaos("404", "410")
def test_what_will_not_change_is_raised_at_once(chaos):
    """A page that is not there is not asked for twice."""
    with pytest.raises(HTTPError):
        chaos.call(fetch, f"{chaos.url}/rates")

    chaos.assert_not_retried()
    chaos.verify(POLICY)


@pytest.mark.chaos("503 x4", "timeout x4")
def test_the_last_error_is_raised_when_no_attempt_is_left(chaos):
    """Four attempts, and then the error itself."""
    with pytest.raises(OSError, match=r"503|timed out"):
        chaos.call(fetch, f"{chaos.url}/rates")

    chaos.assert_attempts(4)
    chaos.verify(POLICY)


def test_backoff_is_held_to_its_bounds(chaos):
    """The waits lie where the policy's own `bounds` say."""
    chaos.script("503 x3, ok")
    fetch(f"{chaos.url}/rates")

    chaos.assert_backoff(POLICY.backoff)

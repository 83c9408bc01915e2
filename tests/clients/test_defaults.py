"""Unmodified clients on their defaults, each under each fault: README's table of what they do, run."""

from __future__ import annotations

import pytest

from pytest_retrychaos import Chaos
from tests.clients.defaults import HABITS, SUBJECTS
from tests.clients.subjects import SCRIPTS, meet

CASES = [
    pytest.param(subject, fault, habit, id=f"{subject.name}-{fault}".replace(" ", "-"))
    for subject in SUBJECTS
    for fault, habit in zip(SCRIPTS, HABITS[subject.name], strict=True)
    if habit is not None
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # stripe of httpx's `verify`, twilio of aiohttp's `BasicAuth`
@pytest.mark.parametrize(("subject", "fault", "habit"), CASES)
def test_a_client_does_by_default_what_the_table_says(monkeypatch, subject, fault, habit):
    """To the service, to its caller, and in the eyes of every law; its next call succeeds."""
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")  # a request beside each upload

    with Chaos(strict=False) as chaos:  # the fixture would fail the test of a client that waits for ever
        seen = meet(chaos, subject, fault)

    assert (seen.told, seen.attempts, seen.effects, seen.laws) == (
        habit.told,
        habit.attempts,
        habit.effects,
        habit.laws,
    )
    low, high = habit.wait
    assert all(low - 0.002 <= wait <= high + 0.002 for wait in seen.waits)
    assert seen.took - sum(seen.waits) == pytest.approx(habit.after, abs=0.01)


def test_the_table_has_twenty_clients_and_more():
    """Every subject is in it, and no name that is none."""
    assert list(HABITS) == [subject.name for subject in SUBJECTS]
    assert all(set(subject.without) == {f for f, h in zip(SCRIPTS, HABITS[subject.name], strict=True) if h is None}
               for subject in SUBJECTS)  # fmt: skip

"""Unmodified clients on their defaults, each under each fault: README's table of what they do, run."""

from __future__ import annotations

import pytest

from pytest_retrychaos import Chaos
from tests.clients.defaults import HABITS, SUBJECTS
from tests.clients.subjects import SCRIPTS, meet, persevere

CASES = [
    pytest.param(subject, fault, habit, id=f"{subject.name}-{fault}".replace(" ", "-"))
    for subject in SUBJECTS
    for fault, habit in zip(SCRIPTS, HABITS[subject.name], strict=True)
    if habit is not None
]


OWN_WARNINGS = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""Of httpx's ``verify`` by stripe, and of aiohttp's ``BasicAuth`` by twilio."""


@OWN_WARNINGS
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


@OWN_WARNINGS
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name.replace(" ", "-"))
def test_a_client_reaches_success_through_all_of_them(monkeypatch, subject):
    """One fault after the other; its caller calls again where its own retries ended."""
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    silence = HABITS[subject.name][1]
    faults = ["503 retry-after=2", *(["timeout"] if silence.told != "NoTimeout" else []), "reset after-commit", "eof"]

    with Chaos() as chaos:
        persevere(chaos, subject, ", ".join(faults))

    assert [attempt.fault for attempt in chaos.attempts] == [*faults, None]


def test_the_table_has_twenty_clients_and_more():
    """Every subject is in it, and no name that is none."""
    assert list(HABITS) == [subject.name for subject in SUBJECTS]
    assert all(set(subject.without) == {f for f, h in zip(SCRIPTS, HABITS[subject.name], strict=True) if h is None}
               for subject in SUBJECTS)  # fmt: skip

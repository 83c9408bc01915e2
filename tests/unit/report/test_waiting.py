"""Records that wait to be made, a few at once."""

from __future__ import annotations

import contextlib

import pytest
import requests

from pytest_retrychaos import Chaos, LawsBroken
from pytest_retrychaos.report.declared import declared_by
from pytest_retrychaos.report.document import TestRecord
from pytest_retrychaos.report.recording import Test, record
from pytest_retrychaos.report.waiting import AT_ONCE, Line, Waiting, may_wait, waiting


@pytest.mark.parametrize(
    ("script", "route", "may"),
    [
        ("503 x2, reset after-commit, ok", None, True),
        ('503 body="not for all to see", ok', None, False),
        ('503 header="X-Note: not for all", ok', None, False),
        ('503 retry-after="soon, they say", ok', None, False),
        ("503, ok", "POST /bot/not-for-all", False),
    ],
)
def test_a_script_with_a_text_does_not_wait(script: str, route: str | None, *, may: bool) -> None:
    """It is told to other plugins at once, and what is secret in it may be known only once the record is made."""
    with Chaos(name="test") as chaos:
        chaos.script(script, route=route, strict=False)

        assert may_wait(chaos.trace, chaos.judge.judgements) is may


def test_a_run_that_broke_a_law_does_not_wait() -> None:
    """Which it was is told to other plugins at once."""
    with Chaos("reset after-commit, ok", name="test") as chaos:
        for _ in range(2):
            with contextlib.suppress(requests.RequestException):
                requests.post(f"{chaos.url}/payments", timeout=5)
        before = may_wait(chaos.trace, chaos.judge.judgements)
        with pytest.raises(LawsBroken):
            chaos.verify()

        assert (before, may_wait(chaos.trace, chaos.judge.judgements)) == (True, False)


def test_enough_records_are_made_at_once_and_the_others_when_asked() -> None:
    """Each in its test's place; the one that came last for a test counts."""
    with Chaos("503, ok", name="test") as chaos:
        requests.get(f"{chaos.url}/rates", timeout=5)
    declared = declared_by(chaos.service.answering.router)

    def one(number: int) -> Waiting:
        def make() -> TestRecord:
            test = Test(f"test[{number}]", "test.py", number)
            return record(test, chaos.trace, (), declared=declared, judges_by_assert=True, draws=True)

        return waiting(chaos.trace, make)

    made: dict[str, TestRecord | str] = {}
    line = Line(made)
    for number in range(AT_ONCE):
        assert not made
        line.add(f"test[{number}]", one(number))

    assert [one.line for one in made.values() if isinstance(one, TestRecord)] == list(range(AT_ONCE))

    line.add("test[0]", one(77))
    line.add("test[0]", one(99))
    line.make()

    found = made["test[0]"]
    assert isinstance(found, TestRecord)
    assert (found.line, len(made)) == (99, AT_ONCE)

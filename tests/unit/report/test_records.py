"""The records of a run: they wait to be made, a few at once, and are put together at the end."""

from __future__ import annotations

import contextlib

import pytest
import requests

from pytest_retrychaos import Chaos, LawsBroken
from pytest_retrychaos.report.document import TestRecord
from pytest_retrychaos.report.jsonform import encode_test
from pytest_retrychaos.report.records import AT_ONCE, End, Records, Waiting, ready, waiting


def _left(chaos: Chaos, name: str = "test", line: int = 1) -> Waiting:
    router = chaos.service.answering.router
    place = name, "test.py", line
    return waiting(place, chaos.trace, chaos.judge.judgements, router, judges_by_assert=True, draws=True)


def _waits(chaos: Chaos) -> bool:
    left = _left(chaos)
    return left.make() is not left.make()


def _ended(outcome: str, real_ns: int = 1) -> End:
    return End(outcome, "" if outcome == "passed" else outcome, 0, real_ns)


@pytest.mark.parametrize(
    ("script", "route", "waits"),
    [
        ("503 x2, reset after-commit, ok", None, True),
        ('503 body="not for all to see", ok', None, False),
        ('503 header="X-Note: not for all", ok', None, False),
        ('503 retry-after="soon, they say", ok', None, False),
        ("503, ok", "POST /bot/not-for-all", False),
    ],
)
def test_a_script_with_a_text_does_not_wait(script: str, route: str | None, *, waits: bool) -> None:
    """It is told to other plugins at once, and what is secret in it may be known only once the record is made."""
    with Chaos(name="test") as chaos:
        chaos.script(script, route=route, strict=False)

        assert _waits(chaos) is waits


def test_a_run_that_broke_a_law_does_not_wait() -> None:
    """Which it was is told to other plugins at once."""
    with Chaos("reset after-commit, ok", name="test") as chaos:
        for _ in range(2):
            with contextlib.suppress(requests.RequestException):
                requests.post(f"{chaos.url}/payments", timeout=5)
        before = _waits(chaos)
        with pytest.raises(LawsBroken):
            chaos.verify()

        assert (before, _waits(chaos)) == (True, False)


def test_enough_records_are_made_at_once_and_the_others_when_asked() -> None:
    """Each in its test's place; the one that came last for a test counts."""
    made: list[int] = []
    with Chaos("503, ok", name="test") as chaos:
        requests.get(f"{chaos.url}/rates", timeout=5)

    def one(number: int, line: int) -> Waiting:
        left = _left(chaos, f"test[{number}]", line)

        def make() -> TestRecord:
            made.append(line)
            return left.make()

        return left._replace(make=make)

    records = Records()
    for number in range(AT_ONCE):
        assert not made
        records.add(f"test[{number}]", one(number, number), _ended("passed"))

    assert made == list(range(AT_ONCE))

    records.add("test[0]", one(0, 77), _ended("passed"))
    records.add("test[0]", one(0, 99), _ended("passed"))

    assert [found.line for found in records.gathered()] == [99, *range(1, AT_ONCE)]


def test_shares_of_one_test_are_one_that_ended_as_the_first_that_did_not_pass() -> None:
    """What they took is added up, whether they came from here or from another process."""
    with Chaos("503, ok", name="test") as chaos:
        requests.get(f"{chaos.url}/rates", timeout=5)
    shares = [_left(chaos).make() for _ in range(3)]
    records = Records()
    for place, (share, outcome) in enumerate(zip(shares, ("passed", "error", "failed"), strict=True)):
        records.add(f"test@{place}", ready(share) if place else encode_test(share), _ended(outcome, 10**place))

    (found,) = records.gathered()

    assert (found.outcome, found.message, found.real_ns, found.runs) == ("error", "error", 111, 3)

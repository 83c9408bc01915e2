"""Code that raises nothing tells by a result that it does not know: that is honest, as an error that says so."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
import requests

from pytest_retrychaos import LawsBroken


@dataclass
class Result:
    """What came of a payment."""

    ok: bool
    error: Exception | None = None
    outcome: str = "known"


def pay(url, fail):
    """Pay in two attempts; what is returned at last is made of the last failure."""
    for wait in (1, None):
        try:
            answer = requests.post(f"{url}/payments", json={}, headers={"Idempotency-Key": "order-7"}, timeout=5)
            return Result(answer.ok)
        except requests.RequestException as error:
            if wait is None:
                return fail(error)
        time.sleep(wait)
    return None


@pytest.mark.parametrize(
    "fail",
    [
        lambda error: Result(False, error),
        lambda _: Result(False, outcome="unknown"),
        lambda _: {"ok": False, "status": "unknown"},
        lambda _: {"ok": False, "code": "outcome_unknown"},
        lambda error: {"ok": False, "error": type(error).__name__},
        lambda _: {"status": 504},
    ],
    ids=["error", "outcome", "status", "code", "name", "504"],
)
@pytest.mark.chaos("timeout after-commit x2")
def test_a_result_that_says_that_it_is_unknown_is_honest(chaos, fail):
    """By the failure itself, by a field, or by a status that leaves it open."""
    chaos.call(pay, chaos.url, fail)
    chaos.verify()

    assert chaos.verdict.of("ID05").ruling.value == "held"


@pytest.mark.parametrize("value", [{"ok": False}, {"status": "failed"}, Result(False), Result(False, ValueError("no"))])
@pytest.mark.chaos("timeout after-commit x2")
def test_a_result_that_says_no_more_than_failure_is_not(chaos, value):
    """Who believes it pays again."""
    chaos.call(pay, chaos.url, lambda _: value)

    with pytest.raises(LawsBroken, match="ID05 false failure"):
        chaos.verify()

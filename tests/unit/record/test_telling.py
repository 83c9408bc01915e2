"""What a caller was told: what a value claims, and the chain of an exception."""

from __future__ import annotations

import dataclasses
import enum
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.record.telling import claims_success, tell_error, tell_value


class State(enum.Enum):
    """A client's own states."""

    PAID = "paid"
    FAILED = "failed"
    PENDING = "pending"


class Moody:
    """An object whose fields raise."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


@pytest.mark.parametrize(
    ("value", "claims", "source"),
    [
        ({"status": "succeeded"}, True, "status"),
        ({"status": "Declined"}, False, "status"),
        ({"status": "pending"}, None, None),
        ({"status": "timeout"}, None, None),
        ({"status": 201}, True, "status"),
        ({"status": 503}, False, "status"),
        (SimpleNamespace(status_code=303, ok=True), None, None),
        ({"status_code": 200, "status": "failed"}, True, "status"),
        ({"status": True}, True, "status"),
        ({"ok": False}, False, "ok"),
        ({"ok": "yes"}, None, None),
        (SimpleNamespace(status_code=204), True, "status"),
        (SimpleNamespace(status=State.PAID), True, "status"),
        (SimpleNamespace(status=State.FAILED), False, "status"),
        (SimpleNamespace(status=State.PENDING), None, None),
        (SimpleNamespace(ok=True), True, "ok"),
        (SimpleNamespace(status=7), None, None),
        (None, None, None),
        ("succeeded", None, None),
        (True, None, None),
        ([{"status": "succeeded"}], None, None),
    ],
)
def test_a_claim_is_read_from_status_or_ok(value: Any, claims: bool | None, source: str | None) -> None:
    """Anything else claims nothing."""
    assert claims_success(value) == (claims, source)


def test_fields_that_raise_claim_nothing() -> None:
    """They are not there."""
    assert claims_success(Moody()) == (None, None)


def test_a_response_claims_what_its_status_says(chaos: Chaos) -> None:
    """A real client's object."""
    chaos.script("201, 503")

    assert claims_success(requests.post(chaos.url + "/a", timeout=5)) == (True, "status")
    assert claims_success(requests.post(chaos.url + "/b", timeout=5)) == (False, "status")


def test_what_an_earlier_success_returned_claims_success() -> None:
    """A fallback that looks like one."""
    assert tell_value([1], is_known_success=True).claimed_by == "same value"
    assert tell_value({"status": "failed"}, is_known_success=True).claims_success is False


def test_a_value_is_kept_as_text_without_addresses() -> None:
    """They differ on every run."""
    told = tell_value(object())

    assert told.value == "<object object>"


def test_a_long_value_is_cut_between_words() -> None:
    """So that what can be numbered in it stays whole."""
    told = tell_value("a" * 150 + " " + "b" * 100)

    assert told.value == "'" + "a" * 150 + " …"


@dataclasses.dataclass(slots=True)
class Result:
    """What a client returns that raises nothing."""

    ok: bool
    error: object = None
    note: str = ""


class Opaque:
    """One that prints nothing of itself."""

    def __init__(self) -> None:
        self.ok = False
        self._outcome = State.PENDING


class Answer(NamedTuple):
    """One that is a tuple."""

    status: str
    code: int


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"ok": False}, ()),
        ({"ok": False, "outcome": "unknown", "customer": "unknown", "timeout": 5}, ("outcome: unknown",)),
        ({"status": 504, "ok": False, "count": 504}, ("status: 504",)),
        ({"ok": False, "errors": [{"Code": "busy"}, {"message": "later"}]}, ("Code: busy", "message: later")),
        (Result(False, "timed out", "x"), ("error: timed out",)),
        (Result(False, {"code": {"kind": {"type": {"state": "too deep"}}}}), ()),
        (Opaque(), ("outcome: pending",)),
        (Answer("failed", 7), ("status: failed", "code: 7")),
        (SimpleNamespace(ok=False, error=SimpleNamespace(status_code=502, headers={}, reason="no")), ("status: 502",)),
        ({"ok": True, "outcome": "unknown"}, ()),
    ],
)
def test_what_a_failed_value_says_is_read_from_its_fields(value: Any, said: tuple[str, ...]) -> None:
    """Those alone that may say what became of the request, and of a failure only."""
    assert tell_value(value).said == said


def test_an_error_inside_a_value_is_told_with_its_chain() -> None:
    """The outer one first, as when it is raised."""
    outer = RuntimeError("payment failed")
    outer.__cause__ = TimeoutError("late")
    told = tell_value(Result(False, [outer]))

    assert [link.type for link in told.held] == ["builtins.RuntimeError", "builtins.TimeoutError"]
    assert told.raised == ()


class Broken(Exception):
    """An error that cannot be printed."""

    def __repr__(self) -> str:
        raise ValueError

    __str__ = __repr__


def test_what_cannot_be_printed_is_said_so() -> None:
    """A broken repr() of the code under test is not this test's matter."""
    assert tell_value(Broken()).value == "<Broken, whose repr() raised ValueError>"
    assert tell_error(Broken()).raised[0].message == "<Broken, whose str() raised ValueError>"


def test_an_error_is_told_with_its_chain_and_status(chaos: Chaos) -> None:
    """The outermost first, each with its bases."""
    chaos.script("503")

    def client() -> None:
        try:
            requests.post(chaos.url + "/a", timeout=5).raise_for_status()
        except requests.HTTPError as error:
            raise RuntimeError("payment failed") from error

    with pytest.raises(RuntimeError) as caught:
        client()

    outer, inner = tell_error(caught.value).raised
    assert (outer.type, outer.message, outer.status) == ("builtins.RuntimeError", "payment failed", None)
    assert outer.bases == ("builtins.Exception", "builtins.BaseException")
    assert (inner.type, inner.status) == ("requests.exceptions.HTTPError", 503)
    assert "requests.exceptions.RequestException" in inner.bases


def test_the_fields_of_an_exception_say_what_those_of_a_value_do() -> None:
    """Of the whole chain; what no table names stays out."""
    inner, outer = ValueError("no"), ConnectionError("lost")
    inner.outcome_unknown = True  # type: ignore[attr-defined]
    outer.status, outer.attempts = "unknown", "many"  # type: ignore[attr-defined]
    outer.__cause__ = inner

    assert tell_error(outer).said == ("status: unknown", "outcome_unknown: true")

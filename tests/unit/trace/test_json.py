"""A trace goes to JSON and back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from pytest_retrychaos import Chaos
from pytest_retrychaos.laws import judge
from pytest_retrychaos.trace import Trace
from tests.unit.record.wire import send, sends

NO_TRACE = "no trace written by Trace.to_json()"


@pytest.fixture
def trace(chaos: Chaos) -> Trace:
    """A run with some of everything: a scope with an error, faults, keys, bytes that are no text, an open end."""
    chaos.script("503 retry-after=2, refuse, reset after-commit, ok, truncate")
    chaos.call(sends, {"key": "k1"}, {"key": "k1"}, {"key": "k1"}, {"key": "k1"})
    send(body=bytes(range(256)), path="/raw")
    send(body=b"x" * 70_000, path="/long")
    return chaos.trace


def test_a_trace_read_back_is_the_one_that_is_shown(trace: Trace) -> None:
    """Nothing else is lost."""
    assert Trace.from_json(trace.to_json()) == trace.shown()


def test_writing_again_gives_the_same_bytes(trace: Trace) -> None:
    """However often it went to and fro."""
    text = trace.to_json()

    assert Trace.from_json(text).to_json() == text
    assert text.isascii()


def test_a_verdict_on_a_trace_read_back_is_the_same(trace: Trace) -> None:
    """Laws know the trace alone."""
    assert judge(Trace.from_json(trace.to_json())) == judge(trace)


def test_long_bodies_are_kept_by_digest(trace: Trace) -> None:
    """The first KiB, the length and the digest."""
    long = Trace.from_json(trace.to_json()).attempts[-1].body

    assert (long.size, long.start, long.is_whole) == (70_000, b"x" * 1024, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is no JSON (Expecting value: line 1 column 1 (char 0)), and no trace: ''"),
        ("[]", "this is not a trace written by Trace.to_json(): '[]'"),
        ('{"a":1}', "this is not a trace written by Trace.to_json(): '{\"a\":1}'"),
        ('{"format":99}', "a trace of format 99: this version reads format 1; record it again"),
        (
            '{"format":1}',
            f"{NO_TRACE}: the trace is {{}}, not a Trace; missing: ['script', 'seed', 'test'], unknown: []",
        ),
    ],
)
def test_what_is_no_trace_is_refused(text: str, message: str) -> None:
    """With what it is, and what to do."""
    with pytest.raises(ValueError, match=r"trace") as caught:
        Trace.from_json(text)

    assert str(caught.value) == message


def put(value: Any, *path: str | int) -> Callable[[Any], None]:
    """Change one place of a JSON value."""

    def change(root: Any) -> None:
        for step in path[:-1]:
            root = root[step]
        root[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("0", "attempts", 1, "began_ns"), "attempts[1].began_ns is '0', not a whole number"),
        (put(True, "attempts", 1, "began_ns"), "attempts[1].began_ns is True, not a whole number"),
        (put(1.5, "finished_ns"), "finished_ns is 1.5, not a whole number"),
        (put(None, "attempts", 0, "headers"), "attempts[0].headers is None, not a list of [name, value]"),
        (put([["a"]], "attempts", 0, "headers"), "attempts[0].headers is [['a']], not a list of [name, value]"),
        (
            put("€", "attempts", 0, "body", "start"),
            "attempts[0].body.start is '€', not a text of characters below U+0100, one a byte",
        ),
        (
            put(0, "attempts", 0, "body", "start"),
            "attempts[0].body.start is 0, not a text of characters below U+0100, one a byte",
        ),
        (put({}, "attempts"), "attempts is {}, not a list"),
        (put(7, "scopes", 0), "scopes[0] is 7, not an object: Scope"),
        (put("x", "attempts", 0, "colour"), "unknown: ['colour']"),
        (put(1, "attempts", 0, "failed"), "attempts[0].failed is 1, not true or false"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(trace: Trace, change: Callable[[Any], None], message: str) -> None:
    """One wrong value is enough to refuse."""
    value = json.loads(trace.to_json())
    change(value)

    with pytest.raises(ValueError, match=re.escape(NO_TRACE)) as caught:
        Trace.from_json(json.dumps(value))

    assert message in str(caught.value)


def test_a_trace_of_before_there_were_options_is_read() -> None:
    """What it does not say was the default."""
    trace = Trace("test_it", 7, "503, ok")
    old = {
        name: value for name, value in json.loads(trace.to_json()).items() if name not in ("options", "script_is_own")
    }

    assert Trace.from_json(json.dumps(old)) == trace

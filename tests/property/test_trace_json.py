"""Any trace goes to JSON and back, and numbering settles at once."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_retrychaos.model import Headers
from pytest_retrychaos.trace import Trace

WORDS = st.sampled_from(["", "K1", "K2", "C1", "V1", "V2", "secret-token", "abcdef", "1", "Bearer abcdef", "a b", "é€"])
TEXTS = WORDS | st.text(max_size=8)
NAMES = st.sampled_from(["Idempotency-Key", "Authorization", "Cookie", "X-Request-Id", "traceparent", "X-Other"])
WHOLE_NUMBERS = st.integers(-5, 2**70)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Draw values of a type that traces are made of."""
    if kind is str:
        return TEXTS
    if kind is int:
        return WHOLE_NUMBERS
    if kind is bool:
        return st.booleans()
    if kind is bytes:
        return st.binary(max_size=8) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
    if kind is Headers:
        return st.lists(st.tuples(NAMES, TEXTS), max_size=3).map(Headers)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{field.name: values(hints[field.name]) for field in dataclasses.fields(kind)})  # type: ignore[arg-type]  # a dataclass
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    assert isinstance(kind, types.UnionType)
    return st.none() | values(next(one for one in arguments if one is not types.NoneType))


def counted(trace: Trace) -> Trace:
    """Count the attempts, as every trace does."""
    attempts = [dataclasses.replace(one, index=number) for number, one in enumerate(trace.attempts, 1)]
    return dataclasses.replace(trace, attempts=tuple(attempts))


TRACES = values(Trace).map(counted)


@settings(max_examples=60, deadline=None)
@given(TRACES)
def test_a_trace_read_back_is_the_one_that_is_shown(trace: Trace) -> None:
    """Whatever stands in it."""
    assert Trace.from_json(trace.to_json()) == trace.shown()


@settings(max_examples=60, deadline=None)
@given(TRACES)
def test_numbering_twice_changes_nothing(trace: Trace) -> None:
    """Whatever looks like a number in it."""
    once, shown = trace.numbered(), trace.shown()

    assert once.numbered() == once
    assert shown.shown() == shown


@settings(max_examples=60, deadline=None)
@given(TRACES)
def test_equal_keys_stay_equal_and_different_ones_different(trace: Trace) -> None:
    """A law that compares keys says the same of both."""
    before = [attempt.key for attempt in trace.attempts]
    after = [attempt.key for attempt in trace.numbered().attempts]

    assert [[one == other for other in before] for one in before] == [
        [one == other for other in after] for one in after
    ]

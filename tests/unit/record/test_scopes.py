"""Scopes: what the test names is an operation, and the rules apply within it."""

from __future__ import annotations

from contextvars import copy_context

import pytest

from pytest_retrychaos import Chaos
from tests.unit.record.wire import groups, send, sends


def names(chaos: Chaos) -> list[str]:
    """The names of the operations."""
    return [operation.name for operation in chaos.operations]


def test_requests_of_different_identity_are_counted(chaos: Chaos) -> None:
    """The first has the scope's name, the others its number behind it."""
    with chaos.operation("order 7"):
        sends({}, {"path": "/mail"}, {"path": "/log"})

    assert names(chaos) == ["order 7", "order 7/2", "order 7/3"]


def test_a_retry_is_not_counted(chaos: Chaos) -> None:
    """It has the name of what it repeats."""
    chaos.script("503, ok, ok")

    with chaos.operation("order 7"):
        sends({}, {}, {"path": "/mail"})

    assert groups(chaos) == [[1, 2], [3]]
    assert names(chaos) == ["order 7", "order 7/2"]


def test_another_scope_speaks_against_joining(chaos: Chaos) -> None:
    """Equal bodies after a failure, named apart."""
    chaos.script("503, ok")

    with chaos.operation("order 7"):
        send()
    with chaos.operation("order 8"):
        send()

    assert groups(chaos) == [[1], [2]]
    assert [operation.one_or_two for operation in chaos.trace.operations] == [False, False]


@pytest.mark.parametrize("scoped_first", [True, False])
def test_what_is_inside_a_scope_does_not_join_what_is_outside(chaos: Chaos, scoped_first: bool) -> None:
    """In either order, and with the same key too."""
    chaos.script("503, ok")

    def client() -> None:
        for number in range(2):
            if (number == 0) is scoped_first:
                with chaos.operation("order 7"):
                    send(key="k1")
            else:
                send(key="k1")

    client()

    assert groups(chaos) == [[1], [2]]


def test_an_inner_scope_takes_its_own(chaos: Chaos) -> None:
    """Scopes nest; what comes after the inner one belongs to the outer again."""
    chaos.script("503, 503, ok, ok")

    with chaos.operation("outer"):
        send()
        with chaos.operation("inner"):
            send()
            send()
        send()

    assert groups(chaos) == [[1, 4], [2, 3]]
    assert names(chaos) == ["outer", "inner"]
    assert [attempt.scope for attempt in chaos.attempts] == [0, 1, 1, 0]


def test_the_same_name_twice_is_two_scopes(chaos: Chaos) -> None:
    """A name is no identity."""
    chaos.script("503, ok")

    for _ in range(2):
        with chaos.operation("order"):
            send()

    assert groups(chaos) == [[1], [2]]
    assert names(chaos) == ["order", "order"]


def test_a_scope_notes_when_it_was_open(chaos: Chaos) -> None:
    """In virtual time, also where it ends with an error."""

    def client() -> None:
        with chaos.operation("order 7"):
            sends({}, wait=2)
            raise KeyError("x")

    with pytest.raises(KeyError):
        client()

    (scope,) = chaos.trace.scopes
    assert (scope.name, scope.began_ns, scope.ended_ns, scope.told) == ("order 7", 0, 2_000_000_000, None)


def test_call_is_named_after_the_function_and_notes_what_was_told(chaos: Chaos) -> None:
    """Its value is handed on as it is."""
    assert chaos.call(send, key="k1") == 201

    (scope,) = chaos.trace.scopes
    assert scope.name == "send"
    assert scope.told is not None
    assert (scope.told.value, scope.told.claims_success) == ("201", None)
    assert chaos.operations[0].told == scope.told


def test_a_scope_holds_in_a_copied_context(chaos: Chaos) -> None:
    """It is a context variable: whatever runs in a copy of the context, such as a task, is in it."""
    chaos.script("503, ok")

    with chaos.operation("order 7"):
        context = copy_context()
        send()
    context.run(send)
    send()

    assert groups(chaos) == [[1, 2], [3]]


def test_an_empty_name_is_refused(chaos: Chaos) -> None:
    """The error shows how to write it."""
    with pytest.raises(ValueError, match="give the operation a name"), chaos.operation(""):
        pass

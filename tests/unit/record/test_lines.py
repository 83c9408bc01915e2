"""The test's own line: a new call from another line is a new operation, or two, or one."""

from __future__ import annotations

import gc
import weakref

from pytest_retrychaos import Chaos
from tests.unit.record.wire import groups, send, sends


def test_another_line_of_the_test_begins_an_operation_in_doubt(chaos: Chaos) -> None:
    """A user who presses the button again, or the next customer with an equal body."""
    chaos.script("503, ok")

    send()
    send()

    first, second = chaos.trace.operations
    assert groups(chaos) == [[1], [2]]
    assert (first.one_or_two, second.one_or_two, second.follows) == (False, True, 0)
    assert [attempt.site for attempt in chaos.attempts] == [1, 2]


def test_the_same_key_from_another_line_is_in_doubt_too(chaos: Chaos) -> None:
    """The line speaks against the key."""
    chaos.script("503, ok")

    send(key="k1")
    send(key="k1")

    assert groups(chaos) == [[1], [2]]
    assert chaos.trace.operations[1].follows == 0


def test_there_is_no_doubt_after_a_success(chaos: Chaos) -> None:
    """What succeeded is done."""
    send()
    send()

    assert [operation.one_or_two for operation in chaos.trace.operations] == [False, False]


def test_there_is_no_doubt_where_the_body_differs(chaos: Chaos) -> None:
    """Another customer is another operation."""
    chaos.script("503, ok")

    send(body=b'{"customer":1}')
    send(body=b'{"customer":2}')

    assert [operation.one_or_two for operation in chaos.trace.operations] == [False, False]


def test_there_is_no_doubt_where_the_body_is_a_part(chaos: Chaos) -> None:
    """From another line, a request with fewer fields is another one."""
    chaos.script("503, ok")

    send(body=b'{"customer":1,"amount":5}')
    send(body=b'{"customer":1}')

    assert groups(chaos) == [[1], [2]]
    assert [operation.one_or_two for operation in chaos.trace.operations] == [False, False]


def test_a_loop_on_one_line_joins(chaos: Chaos) -> None:
    """A retry loop in the test itself."""
    chaos.script("503, 503, ok")

    for _ in range(3):
        send()

    assert groups(chaos) == [[1, 2, 3]]


def test_a_call_that_is_compiled_twice_is_one_line(chaos: Chaos) -> None:
    """The condition of a while loop stands twice in the compiled test."""
    chaos.script("503, 503, ok")

    while send() != 201:
        pass

    assert groups(chaos) == [[1, 2, 3]]


def test_a_call_over_several_lines_is_one_line(chaos: Chaos) -> None:
    """Where the call begins, counts."""
    chaos.script("503, ok")

    for _ in range(2):
        send(
            "/payments",
            b"{}",
        )

    assert groups(chaos) == [[1, 2]]


def test_a_function_inside_the_test_is_code_under_test(chaos: Chaos) -> None:
    """Only the test function's own lines speak, not those of a function that stands in it."""
    chaos.script("503, ok")

    def client() -> None:
        send()
        send()

    client()

    assert groups(chaos) == [[1, 2]]


def test_lines_of_a_test_that_has_called_itself_are_told_apart(chaos: Chaos) -> None:
    """The inner call's lines count, also where the outer one is as deep as a client was found before."""
    if chaos.attempts:
        send()
        send()
        return
    chaos.script("ok, 503, ok")

    sends({})
    test_lines_of_a_test_that_has_called_itself_are_told_apart(chaos)

    assert groups(chaos) == [[1], [2], [3]]
    assert [attempt.site for attempt in chaos.attempts] == [1, 2, 3]


def test_a_helper_that_is_called_from_two_lines_is_called_twice(chaos: Chaos) -> None:
    """It is the test's line that counts, however deep the call goes."""
    chaos.script("503, ok")

    def client() -> None:
        sends({})

    client()
    client()

    assert groups(chaos) == [[1], [2]]


def test_a_scope_overrules_the_line(chaos: Chaos) -> None:
    """The test said that it is one operation."""
    chaos.script("503, ok")

    with chaos.operation("order 7"):
        send()
        send()

    assert groups(chaos) == [[1, 2]]


def test_call_makes_scopes_of_equal_calls(chaos: Chaos) -> None:
    """Each `chaos.call` is an operation of its own, and leaves no doubt."""
    chaos.script("503, ok")

    chaos.call(send)
    chaos.call(send)

    assert groups(chaos) == [[1], [2]]
    assert [operation.one_or_two for operation in chaos.trace.operations] == [False, False]


class Local:
    """Something that a client holds in a local variable."""


def test_what_a_finished_call_held_is_let_go(chaos: Chaos) -> None:
    """A frame is kept after a failure, until the record is read or the next call comes."""
    chaos.script("503")
    held: list[weakref.ref[Local]] = []

    def client() -> None:
        local = Local()
        held.append(weakref.ref(local))
        send()

    client()
    assert len(chaos.attempts) == 1
    gc.collect()

    assert held[0]() is None


def test_what_a_successful_call_held_is_let_go_at_once(chaos: Chaos) -> None:
    """No retry can follow."""
    held: list[weakref.ref[Local]] = []

    def client() -> None:
        local = Local()
        held.append(weakref.ref(local))
        send()

    client()
    gc.collect()

    assert held[0]() is None

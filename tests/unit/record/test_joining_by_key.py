"""The first rule: an idempotency key says which operation an attempt belongs to."""

from __future__ import annotations

import http.client

from pytest_retrychaos import Chaos
from tests.unit.record.wire import JSON, groups, reasons, send, sends


def test_the_same_key_joins_after_a_failure(chaos: Chaos) -> None:
    """One key is one operation."""
    chaos.script("503, ok")

    sends({"key": "k1"}, {"key": "k1"})

    assert groups(chaos) == [[1, 2]]
    assert reasons(chaos) == ["began", "key"]


def test_the_same_key_joins_after_an_answer_that_is_no_success(chaos: Chaos) -> None:
    """A conflict of the service's own ends nothing: the operation has not succeeded."""
    chaos.service.route("POST", "/payments", lambda _: (409, {"error": "busy"}))

    sends({"key": "k1"}, {"key": "k1"})

    assert groups(chaos) == [[1, 2]]


def test_no_key_begins_an_operation_after_an_answer_that_is_no_success(chaos: Chaos) -> None:
    """Without a key the service's own 409 is an answer, and what follows is new."""
    chaos.service.route("POST", "/payments", lambda _: (409, {"error": "busy"}))

    sends({}, {})

    assert groups(chaos) == [[1], [2]]


def test_the_same_key_begins_an_operation_after_a_success(chaos: Chaos) -> None:
    """The same request once more after a success is a deliberate re-submission."""
    sends({"key": "k1"}, {"key": "k1"})

    assert groups(chaos) == [[1], [2]]
    assert chaos.trace.operations[1].reused_key_of == 0


def test_the_same_key_joins_after_a_success_within_one_named_scope(chaos: Chaos) -> None:
    """The test said that it is one operation: the success is sent again."""
    with chaos.operation("order 7"):
        sends({"key": "k1"}, {"key": "k1"}, {"key": "k1"})

    assert groups(chaos) == [[1, 2, 3]]
    assert reasons(chaos) == ["began", "key", "key"]


def test_another_body_under_the_same_key_begins_an_operation(chaos: Chaos) -> None:
    """Two bodies are two operations, though they share a key: a law's business."""
    chaos.script("503, ok")

    sends({"key": "k1"}, {"key": "k1", "body": b'{"amount":2}'})

    assert groups(chaos) == [[1], [2]]
    assert chaos.trace.operations[1].reused_key_of == 0


def test_another_body_after_a_success_within_a_scope_begins_an_operation(chaos: Chaos) -> None:
    """A scope does not make one of two bodies."""
    with chaos.operation("order 7"):
        sends({"key": "k1"}, {"key": "k1", "body": b'{"amount":2}'})

    assert groups(chaos) == [[1], [2]]


def test_a_volatile_field_after_a_success_within_a_scope_begins_an_operation(chaos: Chaos) -> None:
    """What is sent again is the same, to the byte."""
    with chaos.operation("order 7"):
        sends({"key": "k1", "body": b'{"a":1,"nonce":"1"}'}, {"key": "k1", "body": b'{"a":1,"nonce":"2"}'})

    assert groups(chaos) == [[1], [2]]


def test_a_volatile_field_joins_before_a_success(chaos: Chaos) -> None:
    """The key says that it is the same."""
    chaos.service.route("POST", "/payments", lambda _: (409, {"error": "busy"}))

    sends({"key": "k1", "body": b'{"a":1,"nonce":"1"}'}, {"key": "k1", "body": b'{"a":1,"nonce":"2"}'})

    assert groups(chaos) == [[1, 2]]


def test_what_is_left_of_the_body_joins_under_the_same_key(chaos: Chaos) -> None:
    """A stream that had been read to its end leaves nothing to send."""
    chaos.script("503, ok")

    sends({"key": "k1"}, {"key": "k1", "body": b""})

    assert groups(chaos) == [[1, 2]]
    assert chaos.attempts[1].body_relation == "rest"


def test_one_key_on_two_paths_is_two_operations_each_with_its_retries(chaos: Chaos) -> None:
    """A request to another path in between does not hide the operation."""
    chaos.script("503, ok, ok")

    sends({"key": "k1"}, {"key": "k1", "path": "/audit"}, {"key": "k1"})

    assert groups(chaos) == [[1, 3], [2]]


def test_a_key_used_in_two_scopes_is_noted(chaos: Chaos) -> None:
    """The test named two operations, and one key served both."""
    with chaos.operation("order 7"):
        send(key="k1")
    with chaos.operation("order 8"):
        send(key="k1")

    assert [operation.reused_key_of for operation in chaos.trace.operations] == [None, 0]


def test_a_key_joins_at_another_host_after_a_failure(chaos: Chaos) -> None:
    """Failover keeps the key."""
    chaos.script("503, ok")

    sends({"key": "k1", "host": "a.test"}, {"key": "k1", "host": "b.test"})

    assert groups(chaos) == [[1, 2]]


def test_another_key_is_a_retry_all_the_same(chaos: Chaos) -> None:
    """A new key for each attempt looks like one operation, and a law says what is wrong with it."""
    chaos.script("503, ok")

    sends({"key": "k1"}, {"key": "k2"})

    assert groups(chaos) == [[1, 2]]
    assert reasons(chaos) == ["began", "retry"]


def overlapping(first_key: str | None, second_key: str | None, second_body: bytes = b"{}") -> None:
    """Ask on two connections before either answer is read."""
    one = http.client.HTTPConnection("service.test", timeout=5)
    two = http.client.HTTPConnection("service.test", timeout=5)
    one.request("POST", "/payments", b"{}", {**JSON, **({"Idempotency-Key": first_key} if first_key else {})})
    two.request("POST", "/payments", second_body, {**JSON, **({"Idempotency-Key": second_key} if second_key else {})})
    for connection in (one, two):
        connection.getresponse().read()
        connection.close()


def test_overlapping_requests_are_separate_operations(chaos: Chaos) -> None:
    """The first had not ended when the second began."""
    chaos.script("503, 503")

    overlapping(None, None)

    assert groups(chaos) == [[1], [2]]


def test_overlapping_requests_with_different_keys_are_separate_operations(chaos: Chaos) -> None:
    """Each key is its own."""
    overlapping("k1", "k2")

    assert groups(chaos) == [[1], [2]]


def test_an_overlapping_request_with_the_same_key_is_a_hedge(chaos: Chaos) -> None:
    """One operation, sent to two places at once."""
    overlapping("k1", "k1")

    assert groups(chaos) == [[1, 2]]
    assert reasons(chaos) == ["began", "hedge"]
    assert chaos.waits == []


def test_an_overlapping_request_with_the_same_key_and_another_body_is_no_hedge(chaos: Chaos) -> None:
    """It asks for something else."""
    overlapping("k1", "k1", b'{"amount":2}')

    assert groups(chaos) == [[1], [2]]

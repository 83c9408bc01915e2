"""The second rule: what follows a failure with the same content is a retry. The third: a success sent again."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from pytest_retrychaos import Chaos
from tests.unit.record.wire import JSON, groups, reasons, send, sends

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_the_same_body_after_a_failure_joins(chaos: Chaos) -> None:
    """Nothing but the failure and the same request is needed."""
    chaos.script("503, reset, ok")

    sends({}, {}, {})

    assert groups(chaos) == [[1, 2, 3]]
    assert reasons(chaos) == ["began", "retry", "retry"]
    assert [attempt.body_relation for attempt in chaos.attempts] == ["first", "same", "same"]


def test_the_same_body_after_a_success_begins_an_operation(chaos: Chaos) -> None:
    """Two equal requests that both succeed are two."""
    sends({}, {})

    assert groups(chaos) == [[1], [2]]


def test_another_body_after_a_failure_begins_an_operation(chaos: Chaos) -> None:
    """The next customer is not the one that failed."""
    chaos.script("503, ok")

    sends({"body": b'{"customer":"a","amount":5}'}, {"body": b'{"customer":"b","amount":5}'})

    assert groups(chaos) == [[1], [2]]


@pytest.mark.parametrize("change", [{"path": "/payments/1"}, {"path": "/payments?page=2"}, {"method": "PUT"}])
def test_another_identity_after_a_failure_begins_an_operation(chaos: Chaos, change: dict[str, Any]) -> None:
    """Method, path and query say which request it is."""
    chaos.script("503, ok")

    sends({}, change)

    assert groups(chaos) == [[1], [2]]


def test_a_volatile_field_of_the_query_is_no_part_of_the_identity(chaos: Chaos) -> None:
    """A nonce may differ on every attempt."""
    chaos.script("503, ok")

    sends({"path": "/payments?nonce=aaaaaa&a=1"}, {"path": "/payments?nonce=bbbbbb&a=1"})

    assert groups(chaos) == [[1, 2]]
    assert [attempt.volatile for attempt in chaos.attempts] == [("aaaaaa",), ("bbbbbb",)]


@pytest.mark.parametrize(
    ("first", "second", "relation"),
    [
        pytest.param(b'{"amount":5,"note":"x"}', b"", "rest", id="a stream read to its end"),
        pytest.param(b'{"amount":5,"note":"x"}', b'te":"x"}', "rest", id="a stream read in part"),
        pytest.param(b'{"amount":5,"note":"x"}', b'{"amount":5}', "rest", id="a field missing"),
        pytest.param(b'{"amount":5,"nonce":"1"}', b'{"amount":5,"nonce":"2"}', "volatile", id="another nonce"),
        pytest.param(b'{"amount":5,"timestamp":1}', b'{"timestamp":2,"amount":5}', "volatile", id="another time"),
        pytest.param(
            b'{"idempotency_key":"a","amount":5}', b'{"idempotency_key":"b","amount":5}', "volatile", id="key"
        ),
        pytest.param(b'{"a":1,"b":2}', b'{"b": 2, "a": 1}', "volatile", id="another spelling"),
        pytest.param(
            b'{"head":{"to":"x","nonce":"1"},"amount":5}',
            b'{"head":{"to":"x","nonce":"2"},"amount":5}',
            "volatile",
            id="another nonce inside",
        ),
    ],
)
def test_what_was_the_same_joins(chaos: Chaos, first: bytes, second: bytes, relation: str) -> None:
    """What is left of a body, or the same but for volatile fields, is the same request."""
    chaos.script("503, ok")

    sends({"body": first}, {"body": second})

    assert groups(chaos) == [[1, 2]]
    assert chaos.attempts[1].body_relation == relation


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(b'{"amount":5}', b'{"amount":5,"note":"x"}', id="a field more"),
        pytest.param(b'{"amount":5,"nonce":"1"}', b'{"amount":6,"nonce":"2"}', id="another amount too"),
        pytest.param(b'{"request_id":"a"}', b'{"request_id":"b"}', id="nothing but a volatile field"),
        pytest.param(b'{"order":{"nonce":"a"}}', b'{"order":{"nonce":"b"}}', id="nor inside"),
        pytest.param(b'[{"n":1,"nonce":"a"}]', b'[{"n":1,"nonce":"b"}]', id="items of a list"),
        pytest.param(b'{"id":"0a"}', b'{"id":"0b"}', id="an id that no table names"),
        pytest.param(b"[1, 2]", b"2", id="JSON that happens to end like another"),
        pytest.param(b'{"q":"x","page":2}', b'{"q":"x"}', id="a page cursor missing"),
        pytest.param(b'{"q":"x","NextToken":"n"}', b'{"q":"x"}', id="a page token missing"),
    ],
)
def test_what_differs_begins_an_operation(chaos: Chaos, first: bytes, second: bytes) -> None:
    """A field more, another value or another page is another request."""
    chaos.script("503, ok")

    sends({"body": first}, {"body": second})

    assert groups(chaos) == [[1], [2]]


LINES = b'{"n":1}\n{"n":2}\n'
LINED = {"Content-Type": "application/x-ndjson"}
KEYS = ({"Idempotency-Key": "k1"}, {"Idempotency-Key": "k2"})


def test_half_of_a_batch_that_was_too_large_begins_an_operation(chaos: Chaos) -> None:
    """413 says that the whole is too much."""
    chaos.script("413, ok")

    sends({"body": LINES, "headers": LINED}, {"body": LINES[8:], "headers": LINED})

    assert groups(chaos) == [[1], [2]]


def test_halves_of_a_batch_begin_operations(chaos: Chaos) -> None:
    """The first half went out before: the second is not what is left of a stream."""
    chaos.script("503, ok")

    sends(*({"body": body, "headers": LINED} for body in (LINES, LINES[:8], LINES[8:])))

    assert groups(chaos) == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("whole", "part", "kind"),
    [
        pytest.param(LINES, LINES[8:], LINED, id="half of a batch"),
        pytest.param(b'{"a":1,"b":2}', b'{"a":1}', {}, id="fewer fields"),
    ],
)
def test_a_part_under_a_key_of_its_own_begins_an_operation_when_keys_are_kept(
    chaos: Chaos, whole: bytes, part: bytes, kind: dict[str, str]
) -> None:
    """Two attempts had one key: this client makes none anew for each, and has gone on to the next thing."""
    chaos.script("503, 503, ok")
    first = {"body": whole, "headers": {**kind, **KEYS[0]}}

    sends(first, first, {"body": part, "headers": {**kind, **KEYS[1]}})

    assert groups(chaos) == [[1, 2], [3]]


def test_a_part_under_another_key_joins_when_no_key_was_kept(chaos: Chaos) -> None:
    """A client that loses a field may make its keys anew as well."""
    chaos.script("503, ok")

    sends({"body": b'{"a":1,"b":2}', "headers": KEYS[0]}, {"body": b'{"a":1}', "headers": KEYS[1]})

    assert groups(chaos) == [[1, 2]]


@pytest.mark.parametrize("second", [b"", b'te":"x"}'], ids=["nothing", "no JSON"])
def test_what_is_left_of_a_stream_joins_under_another_key(chaos: Chaos, second: bytes) -> None:
    """It stands for nothing: a client that loses its body may make its keys anew as well."""
    chaos.script("503, ok")

    sends({"body": b'{"amount":5,"note":"x"}', "headers": KEYS[0]}, {"body": second, "headers": KEYS[1]})

    assert groups(chaos) == [[1, 2]]


def test_a_short_volatile_value_does_not_hide_another_amount(chaos: Chaos) -> None:
    """The digest leaves volatile values out; it does not decide alone."""
    chaos.script("503, ok")
    first, second = ({"amount": amount, "nonce": nonce} for amount, nonce in ((1000000, "x"), (1, "1000000")))

    sends({"body": json.dumps(first)}, {"body": json.dumps(second)})

    assert groups(chaos) == [[1], [2]]


@pytest.mark.parametrize(
    ("first", "second", "joins"),
    [
        ("amount=5&nonce=abc", "amount=5&nonce=abd", True),
        ("amount=5&note=x", "amount=5", True),
        ("amount=5", "amount=6", False),
        ("item=1&item=2", "item=2&item=1", False),
    ],
)
def test_forms_are_compared_field_by_field(chaos: Chaos, first: str, second: str, joins: bool) -> None:
    """A name may stand in a form more than once."""
    chaos.script("503, ok")

    sends({"body": first, "headers": FORM}, {"body": second, "headers": FORM})

    assert groups(chaos) == ([[1, 2]] if joins else [[1], [2]])


def multipart(edge: str, *parts: tuple[str, str]) -> dict[str, Any]:
    """A multipart request with text parts."""
    lines = [f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in parts]
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    return {"body": "".join(lines) + f"--{edge}--\r\n", "headers": headers}


@pytest.mark.parametrize(
    ("second", "relation"),
    [
        (multipart("edge-two", ("a", "1"), ("file", "content")), "volatile"),
        (multipart("edge-two", ("a", "1"), ("file", "")), "rest"),
        (multipart("edge-two", ("a", "1")), "rest"),
    ],
)
def test_multipart_bodies_are_compared_part_by_part(chaos: Chaos, second: dict[str, Any], relation: str) -> None:
    """The boundary is drawn anew for each attempt; a file that had been read leaves an empty part."""
    chaos.script("503, ok")

    sends(multipart("edge-one", ("a", "1"), ("file", "content")), second)

    assert groups(chaos) == [[1, 2]]
    assert chaos.attempts[1].body_relation == relation


def test_another_part_is_another_request(chaos: Chaos) -> None:
    """The file's content differs."""
    chaos.script("503, ok")

    sends(multipart("edge-one", ("file", "content")), multipart("edge-two", ("file", "other")))

    assert groups(chaos) == [[1], [2]]


def test_a_long_body_is_compared_whole(chaos: Chaos) -> None:
    """The trace keeps a KiB of it, the comparison is of all bytes."""
    chaos.script("503, 503, ok")
    body = b"x" * 100_000

    sends({"body": body + b"1"}, {"body": body + b"1"}, {"body": body + b"2"})

    assert groups(chaos) == [[1, 2], [3]]
    assert chaos.attempts[0].body.size == 100_001
    assert len(chaos.attempts[0].body.start) == 1024


def test_each_attempt_is_compared_with_the_whole_body(chaos: Chaos) -> None:
    """The second had lost it, the third has it again."""
    chaos.script("503, 503, ok")

    sends({}, {"body": b""}, {})

    assert groups(chaos) == [[1, 2, 3]]
    assert [attempt.body_relation for attempt in chaos.attempts] == ["first", "rest", "same"]


def test_a_failure_that_ended_after_the_request_had_begun_is_not_retried_by_it(chaos: Chaos) -> None:
    """Its head was on its way already; the two overlapped."""
    chaos.script("slow=1s, ok")
    chaos.service.route("POST", "/payments", lambda _: (503, {}))
    first = http.client.HTTPConnection("service.test", timeout=5)
    second = http.client.HTTPConnection("service.test", timeout=5)

    def client() -> None:
        first.request("POST", "/payments", b"{}", JSON)
        second.putrequest("POST", "/payments")
        for name, value in {**JSON, "Content-Length": "2"}.items():
            second.putheader(name, value)
        second.endheaders()
        first.getresponse().read()
        second.send(b"{}")
        second.getresponse().read()

    client()
    first.close()
    second.close()

    assert groups(chaos) == [[1], [2]]


def test_the_rest_of_a_long_body_joins(chaos: Chaos) -> None:
    """A file from which the first attempt had read a part."""
    chaos.script("503, ok")
    body = bytes(range(256)) * 400

    sends({"body": body}, {"body": body[70_000:]})

    assert groups(chaos) == [[1, 2]]


def test_a_request_put_right_after_a_refusal_is_a_new_one(chaos: Chaos) -> None:
    """A parameter that the service refused was taken out."""
    chaos.script("422, ok")

    sends({"body": b'{"model":"m","seed":7}'}, {"body": b'{"model":"m"}'})

    assert groups(chaos) == [[1], [2]]


def test_a_field_lost_after_a_conflict_is_a_retry(chaos: Chaos) -> None:
    """After a failure that passes, the request should have been the same."""
    chaos.script("409, ok")

    sends({"body": b'{"model":"m","seed":7}'}, {"body": b'{"model":"m"}'})

    assert groups(chaos) == [[1, 2]]


def test_a_second_pass_over_a_batch_finds_each_failed_operation(chaos: Chaos) -> None:
    """However many other bodies came in between."""
    chaos.script("503 x20, ok")
    requests = [{"body": json.dumps({"customer": number})} for number in range(20)]

    sends(*requests, *requests)

    assert groups(chaos) == [[number, number + 20] for number in range(1, 21)]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_the_services_own_failures_are_failures(chaos: Chaos, status: int) -> None:
    """What says "later" or "I failed" is followed by a retry."""
    chaos.service.route("GET", "/job", lambda _: (status, {}))

    sends({"path": "/job", "method": "GET", "body": None}, {"path": "/job", "method": "GET", "body": None})

    assert groups(chaos) == [[1, 2]]
    assert [attempt.failed for attempt in chaos.attempts] == [True, True]


@pytest.mark.parametrize("status", [200, 202, 400, 401, 404, 409, 412, 422])
def test_the_services_other_answers_are_no_failures(chaos: Chaos, status: int) -> None:
    """A poll's 404 is an answer: what follows is a new operation."""
    chaos.service.route("GET", "/job", lambda _: (status, {}))

    sends({"path": "/job", "method": "GET", "body": None}, {"path": "/job", "method": "GET", "body": None})

    assert groups(chaos) == [[1], [2]]
    assert [attempt.failed for attempt in chaos.attempts] == [False, False]


@pytest.mark.parametrize("fault", ["400", "404", "timeout", "reset", "eof", "truncate", "garbage", "500 after-commit"])
def test_a_scripted_failure_is_a_failure(chaos: Chaos, fault: str) -> None:
    """Whatever its kind, the client got no complete success."""
    chaos.script(fault)

    sends({}, {})

    assert groups(chaos) == [[1, 2]]
    assert chaos.attempts[0].failed


def test_the_same_request_to_another_host_after_a_failure_is_failover(chaos: Chaos) -> None:
    """It joins, and going back joins too."""
    chaos.script("503, 503, ok")

    sends({"host": "a.test"}, {"host": "b.test"}, {"host": "a.test"})

    assert groups(chaos) == [[1, 2, 3]]


def test_the_same_request_to_another_host_after_a_success_is_a_new_one(chaos: Chaos) -> None:
    """A message to two receivers."""
    sends({"host": "a.test"}, {"host": "b.test"})

    assert groups(chaos) == [[1], [2]]


@pytest.mark.parametrize("name", ["Content-Range", "Range", "Upload-Offset"])
def test_another_position_begins_an_operation_in_doubt(chaos: Chaos, name: str) -> None:
    """The next piece, or the rest of the one that failed: the trace cannot tell."""
    chaos.script("503, ok")

    sends({"headers": {name: "bytes 0-4/10"}}, {"headers": {name: "bytes 2-4/10"}})

    first, second = chaos.trace.operations
    assert groups(chaos) == [[1], [2]]
    assert (first.one_or_two, second.one_or_two, second.follows) == (False, True, 0)


def test_the_same_position_joins(chaos: Chaos) -> None:
    """The piece that failed is sent again."""
    chaos.script("503, ok")

    sends({"headers": {"Content-Range": "bytes 0-4/10"}}, {"headers": {"Content-Range": "bytes 0-4/10"}})

    assert groups(chaos) == [[1, 2]]


def test_another_precondition_begins_an_operation_in_doubt(chaos: Chaos) -> None:
    """The client has looked again, and writes to what it has seen."""
    chaos.script("412, ok")

    sends({"method": "PUT", "headers": {"If-Match": '"1"'}}, {"method": "PUT", "headers": {"If-Match": '"2"'}})

    assert groups(chaos) == [[1], [2]]
    assert chaos.trace.operations[1].follows == 0


def test_a_precondition_that_was_lost_does_not_keep_from_joining(chaos: Chaos) -> None:
    """The retry should have carried it: a law's business."""
    chaos.script("503, ok")

    sends({"method": "PUT", "headers": {"If-Match": '"1"'}}, {"method": "PUT"})

    assert groups(chaos) == [[1, 2]]


def test_an_unsafe_success_with_retry_after_that_is_sent_again_joins(chaos: Chaos) -> None:
    """A retry layer that goes by the header alone."""
    chaos.script("201 retry-after=1, ok")

    sends({}, {})

    assert groups(chaos) == [[1, 2]]
    assert reasons(chaos) == ["began", "sent again"]


@pytest.mark.parametrize(
    ("script", "first", "second"),
    [
        pytest.param("201, ok", {}, {}, id="no Retry-After"),
        pytest.param("201 retry-after=1, ok", {}, {"body": b'{"amount":2}'}, id="another body"),
        pytest.param("201 retry-after=1, ok", {"key": "k1"}, {"key": "k2"}, id="another key"),
        pytest.param(
            "200 retry-after=1, ok", {"method": "GET", "body": None}, {"method": "GET", "body": None}, id="GET"
        ),
        pytest.param("200 retry-after=1, ok", {"method": "PUT"}, {"method": "PUT"}, id="PUT"),
    ],
)
def test_other_successes_followed_by_a_request_do_not_join(
    chaos: Chaos, script: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """A poll, the next thing to do, and a deliberate repetition are operations of their own."""
    chaos.script(script)

    sends(first, second)

    assert groups(chaos) == [[1], [2]]


def test_a_success_in_another_scope_is_not_sent_again(chaos: Chaos) -> None:
    """The test named two operations."""
    chaos.script("201 retry-after=1, ok")

    def client() -> None:
        with chaos.operation("order 7"):
            send()
        send()

    client()

    assert groups(chaos) == [[1], [2]]


def test_a_success_that_is_not_the_latest_is_not_sent_again(chaos: Chaos) -> None:
    """Right after the success, or not at all."""
    chaos.script("201 retry-after=1, ok, ok")

    sends({}, {"path": "/status", "method": "GET", "body": None}, {})

    assert groups(chaos) == [[1], [2], [3]]


def test_a_retry_follows_a_failure_whatever_came_in_between(chaos: Chaos) -> None:
    """A login between two attempts."""
    chaos.script("401, ok, ok")

    sends({}, {"path": "/login"}, {})

    assert groups(chaos) == [[1, 3], [2]]
    send(path="/other")
    assert groups(chaos)[-1] == [4]

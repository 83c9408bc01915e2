"""Numbers in place of what differs from run to run."""

from __future__ import annotations

import hashlib
import json
import re
import uuid

import pytest
import requests

from pytest_retrychaos import Chaos


def post(chaos: Chaos, *, json_body: object = None, path: str = "/payments", **headers: str) -> requests.Response:
    """Send one request; underscores in the names of headers are dashes."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(chaos.url + path, json=json_body, headers=fields, timeout=5)


def test_keys_are_numbered_by_first_appearance(chaos: Chaos) -> None:
    """Equal keys stay equal, different ones different."""
    for key in ("zebra-1", "alpha-2", "zebra-1"):
        post(chaos, Idempotency_Key=key)

    trace = chaos.trace.numbered()

    assert [attempt.key for attempt in trace.attempts] == ["K1", "K2", "K1"]
    assert [attempt.headers["Idempotency-Key"] for attempt in trace.attempts] == ["K1", "K2", "K1"]
    assert [effect.key for effect in trace.effects] == ["K1", "K2"]


def test_a_key_in_the_body_is_numbered_wherever_it_comes_back(chaos: Chaos) -> None:
    """In the request, in the answer that repeats it, and in the ledger."""
    key = str(uuid.uuid4())

    post(chaos, json_body={"idempotency_key": key, "amount": 5})

    (attempt,) = chaos.trace.numbered().attempts
    (effect,) = chaos.trace.numbered().effects
    assert attempt.body.start == b'{"idempotency_key": "K1", "amount": 5}'
    assert json.loads(attempt.response_body.start)["idempotency_key"] == "K1"
    assert effect.body == b'{"idempotency_key": "K1", "amount": 5}'
    assert attempt.body.size == len(attempt.body.start)


def test_json_stays_json_where_a_bare_number_is_numbered(chaos: Chaos) -> None:
    """In the request, in the answer that repeats it, and in the ledger; a text is left as it is."""
    post(chaos, json_body={"timestamp": 1767225600, "of": [1767225600], "as": 'at 1767225600 V1 " K1'})

    trace = chaos.trace.numbered()

    (attempt,), (effect,) = trace.attempts, trace.effects
    sent = {"timestamp": "V1", "of": ["V1"], "as": 'at V1 V1 " K1'}
    assert json.loads(attempt.body.start) == json.loads(effect.body) == sent
    assert json.loads(attempt.response_body.start)["timestamp"] == "V1"
    assert attempt.body.size == len(attempt.body.start)
    assert trace.numbered() == trace


def test_digests_do_not_depend_on_the_key_in_a_body(chaos: Chaos) -> None:
    """Neither the request's nor the answer's."""
    chaos.service.route("POST", "/b", lambda request: request.json())
    post(chaos, json_body={"request_id": str(uuid.uuid4())}, path="/b")
    post(chaos, json_body={"request_id": str(uuid.uuid4())}, path="/b")
    first, second = chaos.attempts
    assert first.body.sha256 == second.body.sha256
    assert first.response_body.sha256 == second.response_body.sha256


@pytest.mark.parametrize(
    ("name", "value", "numbered"),
    [
        ("Authorization", "Bearer secret", "Bearer C1"),
        ("Authorization", "secret", "C1"),
        ("Proxy-Authorization", "Basic c2VjcmV0", "Basic C1"),
        ("X-Api-Key", "secret", "C1"),
        ("Cookie", "session=secret; theme=dark", "C1"),
    ],
)
def test_credentials_are_numbered_but_for_their_scheme(chaos: Chaos, name: str, value: str, numbered: str) -> None:
    """The scheme says whether a request is signed."""
    requests.get(chaos.url, headers={name: value}, timeout=5)

    (attempt,) = chaos.trace.numbered().attempts
    assert attempt.headers[name] == numbered
    assert attempt.credentials == "C1"


def test_several_credentials_are_numbered_each(chaos: Chaos) -> None:
    """None of them is left in the headers."""
    requests.get(chaos.url, headers={"Authorization": "Bearer secret", "X-Api-Key": "other-secret"}, timeout=5)

    assert "secret" not in chaos.trace.to_json()


def test_headers_that_name_the_sending_are_numbered(chaos: Chaos) -> None:
    """By the headers' names."""
    for number in ("one", "two", "one"):
        post(chaos, X_Request_Id=f"request-{number}")

    found = [attempt.headers["X-Request-Id"] for attempt in chaos.trace.numbered().attempts]
    assert found[0] == found[2] != found[1]
    assert all(re.fullmatch(r"V\d+", value) for value in found)


def test_a_request_id_that_is_the_key_has_the_keys_number(chaos: Chaos) -> None:
    """Equal values stay equal."""
    post(chaos, Idempotency_Key="abc-123-def", X_Request_Id="abc-123-def")

    (attempt,) = chaos.trace.numbered().attempts
    assert attempt.headers["X-Request-Id"] == "K1"


def test_a_volatile_value_of_the_query_is_numbered_as_it_is_spelled(chaos: Chaos) -> None:
    """Escaped or not."""
    post(chaos, path="/a?timestamp=10%3A00%3A00&amount=100")

    (attempt,) = chaos.trace.numbered().attempts
    assert attempt.target == "/a?timestamp=V1&amount=100"


def test_a_boundary_is_numbered_in_header_and_body(chaos: Chaos) -> None:
    """Most clients draw it at random."""
    requests.post(chaos.url + "/a", files={"file": b"content"}, timeout=5)

    (attempt,) = chaos.trace.numbered().attempts
    assert attempt.headers["Content-Type"] == "multipart/form-data; boundary=V1"
    assert attempt.body.start.startswith(b"--V1\r\n")
    assert attempt.body.start.endswith(b"--V1--\r\n")


def test_a_short_volatile_value_is_left_where_it_may_be_another(chaos: Chaos) -> None:
    """A retry counter of 1 renames no amount of 1."""
    post(chaos, json_body={"nonce": "1", "amount": "1"})

    (attempt,) = chaos.trace.numbered().attempts
    assert attempt.body.start == b'{"nonce": "1", "amount": "1"}'


def test_what_was_told_is_numbered(chaos: Chaos) -> None:
    """A value and an error that quote the key."""
    key = str(uuid.uuid4())

    def charge(fails: bool) -> dict[str, str]:
        post(chaos, Idempotency_Key=key)
        if fails:
            raise ValueError(f"payment {key} failed")
        return {"key": key}

    def give_up() -> dict[str, object]:
        return {"ok": False, "error": ValueError(f"payment {key} failed"), "message": f"{key} failed"}

    chaos.call(give_up)
    chaos.call(charge, False)
    with pytest.raises(ValueError, match="failed"):
        chaos.call(charge, True)

    failure, value, error = (scope.told for scope in chaos.trace.numbered().scopes)
    assert failure is not None
    assert value is not None
    assert error is not None
    assert value.value == "{'key': 'K1'}"
    assert error.raised[0].message == "payment K1 failed"
    assert (failure.held[0].message, failure.said) == ("payment K1 failed", ("message: K1 failed",))


def test_numbering_twice_changes_nothing(chaos: Chaos) -> None:
    """Names that look like numbers included."""
    for key in ("K2", "K1", "V1"):
        post(chaos, json_body={"request_id": str(uuid.uuid4())}, Idempotency_Key=key, Authorization=f"Bearer C{key}")

    once = chaos.trace.numbered()

    assert once.numbered() == once


def test_a_key_is_numbered_where_another_attempt_repeats_it(chaos: Chaos) -> None:
    """In a list that is read later, in an address, and in the name of an operation; the digest follows."""
    key = str(uuid.uuid4())
    post(chaos, json_body={"requestId": key}, path="/tags")

    requests.get(chaos.url + "/tags", timeout=5)
    requests.get(f"{chaos.url}/by-request/{key}", timeout=5)

    trace = chaos.trace.numbered()
    _, listed, looked_up = trace.attempts
    assert json.loads(listed.response_body.start)[0]["requestId"] == "K1"
    assert listed.response_body.sha256 == hashlib.sha256(listed.response_body.start).hexdigest()
    assert looked_up.target == "/by-request/K1"
    assert trace.operations[2].name == "GET /by-request/K1"


def test_a_key_that_may_be_an_ordinary_word_is_numbered_as_a_whole_value_only(chaos: Chaos) -> None:
    """A key by the name of the path renames no path."""
    post(chaos, path="/payments", Idempotency_Key="payments")

    (attempt,) = chaos.trace.numbered().attempts
    assert (attempt.target, attempt.key, attempt.headers["Idempotency-Key"]) == ("/payments", "K1", "K1")


def test_versions_and_digests_are_numbered(chaos: Chaos) -> None:
    """They follow from what is in the content; a star names no version."""
    requests.put(chaos.url + "/docs/1", json={"nonce": uuid.uuid4().hex}, headers={"If-None-Match": "*"}, timeout=5)
    tag = requests.get(chaos.url + "/docs/1", timeout=5).headers["ETag"]
    requests.get(chaos.url + "/docs/1", headers={"If-None-Match": tag}, timeout=5)

    written, read, checked = chaos.trace.numbered().attempts
    assert written.headers["If-None-Match"] == "*"
    assert read.response_headers["ETag"] == checked.headers["If-None-Match"]
    assert re.fullmatch(r"V\d+", checked.headers["If-None-Match"])

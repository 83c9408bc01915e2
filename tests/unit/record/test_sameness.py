"""Comparing requests: targets, bodies, credentials, volatile values."""

from __future__ import annotations

import hashlib

import pytest

from pytest_retrychaos.model import NO_HEADERS, Headers
from pytest_retrychaos.record.sameness import content, credentials, keep, relate, volatile_values
from pytest_retrychaos.volatile import canonical_target

JSON = Headers({"Content-Type": "application/json"})
FORM = Headers({"Content-Type": "application/x-www-form-urlencoded"})


@pytest.mark.parametrize(
    ("target", "canonical"),
    [
        ("/a", "/a"),
        ("/a?b=1", "/a?b=1"),
        ("/a?nonce=1", "/a"),
        ("/a?b=1&Timestamp=2&c=3", "/a?b=1&c=3"),
        ("/a?b=nonce", "/a?b=nonce"),
        ("/a?_=1767225600", "/a"),
        ("/nonce?", "/nonce?"),
    ],
)
def test_volatile_fields_of_the_query_are_left_out(target: str, canonical: str) -> None:
    """By name, in any case."""
    assert canonical_target(target) == canonical


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({"Authorization": "Bearer token"}, "token"),
        ({"Authorization": "token"}, "token"),
        ({"Proxy-Authorization": "Basic abc", "X-Api-Key": "key"}, "abc\nkey"),
        ({"Cookie": "a b", "Authorization": "Bearer token"}, "token\na b"),
    ],
)
def test_credentials_are_what_says_who_calls(headers: dict[str, str], found: str | None) -> None:
    """Without the scheme, which is no secret."""
    assert credentials(Headers(headers)) == found


@pytest.mark.parametrize(
    ("headers", "target", "body", "found"),
    [
        (NO_HEADERS, "/a?request_id=0123456789", b"", ("0123456789",)),
        (NO_HEADERS, "/a?nonce=12345", b"", ()),
        (NO_HEADERS, "/a?timestamp=10%3A00%3A00", b"", ("10%3A00%3A00", "10:00:00")),
        (JSON, "/a", b'{"nonce":"abcdef","timestamp":1767225600,"b":"ghijkl"}', ("abcdef", "1767225600")),
        (JSON, "/a", b'{"nonce":["abcdef"],"timestamp":true}', ()),
        (JSON, "/a", b'{"a":{"b":{"Nonce":"abcdef"}},"c":[{"nonce":"ghijkl"}]}', ("abcdef",)),
        (JSON, "/a", b'{"1":{"2":{"3":{"4":{"nonce":"too deep"}}}}}', ()),
        (JSON, "/a", b"not JSON: nonce", ()),
        (FORM, "/a", b"nonce=abcdef&b=ghijkl", ("abcdef",)),
        (
            Headers({"Content-Type": "multipart/form-data; boundary=0123456789"}),
            "/a",
            b"--0123456789--",
            ("0123456789",),
        ),
        (Headers({"Content-Type": 'multipart/mixed; boundary="012 345"'}), "/a", b"--", ("012 345",)),
        (JSON, "/a", b'{"nonce":"abcdef","long":"' + b"x" * 65536 + b'"}', ()),
    ],
)
def test_volatile_values_are_found_by_name(headers: Headers, target: str, body: bytes, found: tuple[str, ...]) -> None:
    """In query and body, where they are long enough to be told from chance."""
    assert volatile_values(headers, target, body) == found


def test_a_body_is_kept_whole_up_to_64_kib() -> None:
    """Then its first KiB."""
    limit, above = keep(b"x" * 65536, b"x"), keep(b"x" * 65537, b"x")

    assert (limit.size, len(limit.start), limit.is_whole) == (65536, 65536, True)
    assert (above.size, len(above.start), above.is_whole) == (65537, 1024, False)
    assert above.sha256 == hashlib.sha256(b"x").hexdigest()


def test_a_digest_leaves_volatile_values_out() -> None:
    """Two attempts whose nonces differ have equal content; a value that is short or part of a word stays."""
    assert content(b'{"n":"abcdef"}', ["abcdef"]) == content(b'{"n":"ghijkl"}', ["ghijkl"]) == b'{"n":""}'
    assert content(b'{"n":"1"}', ["1"]) == b'{"n":"1"}'
    assert content(b"1000000", ["100000"]) == b"1000000"


def test_no_body_has_no_digest() -> None:
    """But what was announced is kept."""
    assert (keep(b"", b"").sha256, keep(b"", b"").size) == ("", 0)
    assert keep(b"", b"", announced=5).announced == 5


@pytest.mark.parametrize(
    ("headers", "later_headers", "old", "new", "found"),
    [
        (JSON, JSON, b"{}", b"{}", "same"),
        (JSON, JSON, b'{"a":1}', b"", "rest"),
        (JSON, JSON, b"", b'{"a":1}', "different"),
        (JSON, JSON, b'{"a":1}', b'":1}', "rest"),
        (JSON, JSON, b'{"a":1}', b"1}x", "different"),
        (JSON, JSON, b'{"a":1,"b":2}', b'{"a":1}', "part"),
        (JSON, JSON, b'{"a":1,"b":{"c":1}}', b'{"a":1,"b":{}}', "different"),
        (JSON, JSON, b'{"a":1}', b"{}", "part"),
        (JSON, JSON, b"[1,2]", b"[1, 2]", "volatile"),
        (JSON, JSON, b"not JSON", b'{"a":1}', "different"),
        (JSON, FORM, b'{"a":1,"nonce":1}', b'{"a":1,"nonce":2}', "different"),
        (FORM, FORM, b"a=1&nonce=1", b"nonce=2&a=1", "volatile"),
        (FORM, FORM, b"a=1&page=2", b"a=1", "different"),
        (FORM, FORM, b"a=1&b=2", b"=2", "rest"),
        (FORM, FORM, b"a=1&page=2", b"", "rest"),
        (NO_HEADERS, NO_HEADERS, b"abcdef", b"def", "rest"),
        (NO_HEADERS, NO_HEADERS, b"abcdef", b"abc", "different"),
    ],
)
def test_a_later_body_is_told_from_an_earlier_one(
    headers: Headers, later_headers: Headers, old: bytes, new: bytes, found: str
) -> None:
    """The same, the same but for volatile fields, the rest, a part, or another."""
    assert relate((headers, old), (later_headers, new)) == found


def test_a_list_in_a_list_is_compared_however_deep() -> None:
    """As deep as JSON is read."""
    old, new = (b"[" * 480 + number + b"]" * 480 for number in (b"1", b"2"))

    assert relate((JSON, old), (JSON, new)) == "different"

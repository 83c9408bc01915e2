"""How bodies are read and compared."""

from __future__ import annotations

import pytest

from pytest_retrychaos.service.payload import (
    is_same_payload,
    media_type,
    merged,
    read_fields,
    read_form,
    read_json,
)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("application/json", "json"),
        ("application/JSON; charset=utf-8", "json"),
        ("application/merge-patch+json", "json"),
        ("application/x-amz-json-1.1", "json"),
        ("application/x-www-form-urlencoded", "form"),
        ("multipart/form-data; boundary=x", "multipart"),
        ("text/plain", "opaque"),
    ],
)
def test_media_type_is_classed(sent, expected):
    """The content type decides how a body is read."""
    assert media_type({"content-type": sent}) == expected


def test_media_type_is_opaque_without_a_header():
    """A body of no type is opaque."""
    assert media_type({}) == "opaque"


@pytest.mark.parametrize("body", [b"NaN", b"\xff", b"{", b"", b"[" * 100_000, b"1" * 5000])
def test_read_json_refuses(body):
    """What is no JSON is a ValueError, however it fails."""
    with pytest.raises(ValueError):  # noqa: PT011 # the decoders word it, each in its own way
        read_json(body)


def test_form_nests_by_brackets():
    """Stripe's SDK writes nested values with brackets."""
    body = b"amount=1000&metadata[order]=6&items[0][price]=x&items[1][price]=y&expand[]=a&expand[]=b"

    assert read_form(body) == {
        "amount": "1000",
        "metadata": {"order": "6"},
        "items": [{"price": "x"}, {"price": "y"}],
        "expand": ["a", "b"],
    }


def test_form_is_typed_outside_metadata():
    """Numbers and booleans get their types, metadata stays text."""
    body = b"amount=1000&capture=true&zip=007&metadata[order]=6"

    assert read_form(body, typed=True) == {
        "amount": 1000,
        "capture": True,
        "zip": "007",
        "metadata": {"order": "6"},
    }


def test_fields_recognise_json_that_is_called_a_form():
    """urllib.request calls every body a form."""
    headers = {"content-type": "application/x-www-form-urlencoded"}

    assert read_fields(headers, b'{"amount": 5}') == {"amount": 5}


def test_fields_are_none_for_an_opaque_body():
    """A body of another type is not looked into."""
    assert read_fields({"content-type": "text/plain"}, b'{"amount": 5}') is None


@pytest.mark.parametrize(
    ("kind", "one", "other", "expected"),
    [
        ("json", b'{"a": 1, "b": 2}', b'{"b":2,"a":1}', True),
        ("json", b'{"a": 1}', b'{"a": 2}', False),
        ("json", b"{", b"{ ", False),
        ("form", b"a=1&b=2", b"b=2&a=1", True),
        ("form", b"a=1&a=2", b"a=1", False),
        ("multipart", b"--x\r\nfile\r\n--x--\r\n", b"--y\r\nfile\r\n--y--\r\n", True),
        ("multipart", b"--x\r\nfile\r\n--x--\r\n", b"--y\r\n\r\n--y--\r\n", False),
        ("opaque", b"a", b"a", True),
        ("opaque", b'{"a": 1}', b'{"a":1}', False),
    ],
)
def test_payloads_are_compared_by_meaning(kind, one, other, expected):
    """Key order, spacing and the multipart boundary do not matter; anything else does."""
    assert is_same_payload(kind, one, other) is expected


def test_merge_patch_removes_nulls():
    """The example of RFC 7396, section 3, in short."""
    before = {"title": "Goodbye", "author": {"given": "John", "family": "Doe"}, "tags": ["a"]}
    change = {"title": "Hello", "author": {"family": None}, "tags": ["b"]}

    assert merged(before, change) == {"title": "Hello", "author": {"given": "John"}, "tags": ["b"]}

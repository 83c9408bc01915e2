"""Replacing whole words."""

from __future__ import annotations

import pytest

from pytest_retrychaos.trace.tokens import replaced


@pytest.mark.parametrize(
    ("text", "names", "result"),
    [
        ("a key: k1.", {"k1": "K1"}, "a key: K1."),
        ("k12 ak1 k1", {"k1": "K1"}, "k12 ak1 K1"),
        ("k1k1 k1", {"k1": "K1"}, "k1k1 K1"),
        ("nothing", {"k1": "K1"}, "nothing"),
        ("", {"k1": "K1"}, ""),
        ("one two", {"one": "two", "two": "one"}, "two one"),
        ("a-b a", {"a": "1", "a-b": "2"}, "2 1"),
        ("k1", {"k1": "K1"}, "K1"),
        ("01-1-1", {"1-1": "V"}, "01-V"),
        ("é1 1", {"1": "V"}, "é1 V"),
    ],
)
def test_a_word_is_replaced_where_it_stands_alone(text: str, names: dict[str, str], result: str) -> None:
    """Longest first, and what was put in is left alone."""
    assert replaced(text, names) == result


def test_bytes_are_replaced_alike() -> None:
    """Bodies are bytes."""
    assert replaced(b'{"k":"abc","abcd":1}', {b"abc": b"K1"}) == b'{"k":"K1","abcd":1}'


def test_what_is_not_found_is_the_same_object() -> None:
    """Nothing is copied in vain."""
    body = b"x" * 1000

    assert replaced(body, {b"abc": b"K1"}) is body

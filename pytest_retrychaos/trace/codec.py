"""Frozen dataclasses to and from JSON values, by their type hints.

Laws of this module:
1. ``decode(kind, encode_fields(value)) == value``.
2. What does not fit is a `ValueError` that names the place, the value and what it should be.
3. Bytes are written one character a byte (Latin-1): readable where they are text, and exact always.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Final, TypeVar

from pytest_retrychaos.model import Headers

T = TypeVar("T")
NO_TRACE: Final = "no trace written by Trace.to_json(): "
"""How the text of what does not fit begins."""

Decoder = Callable[[Any, str], Any]
"""Takes a JSON value and the place where it stands; Any: JSON values have no narrower type."""


def encode_fields(value: Any) -> dict[str, Any]:  # Any: any dataclass; JSON values
    """Write a dataclass as a JSON object."""
    kind: Any = type(value)  # Any: mypy takes no type for hashable
    return {name: _encode(getattr(value, name)) for name in _names(kind)}


def decode(kind: type[T], value: object) -> T:
    """Read a dataclass from a JSON object; `ValueError` names the place that does not fit."""
    hint: Any = kind  # Any: as above
    found: T = _decoder(hint)(value, "")
    return found


@cache
def _names(kind: Any) -> tuple[str, ...]:  # Any: a dataclass
    return tuple(field.name for field in fields(kind))


def _encode(value: Any) -> Any:  # Any: JSON values
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, Headers):
        return [list(pair) for pair in value.pairs]
    return encode_fields(value)


@cache
def _decoder(kind: Any) -> Decoder:  # Any: a type hint
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if is_dataclass(kind):
        return _of_dataclass(kind)
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return _of_list(_decoder(arguments[0]))
    if isinstance(kind, types.UnionType):
        return _of_optional(_decoder(next(one for one in arguments if one is not types.NoneType)))
    raise TypeError(f"{kind!r} has no form in JSON: add it here")


def _of_dataclass(kind: Any) -> Decoder:  # Any: a dataclass
    hints = typing.get_type_hints(kind)
    parts = {field.name: _decoder(hints[field.name]) for field in fields(kind)}
    needed = {field.name for field in fields(kind) if field.default is MISSING}

    def decode_object(value: Any, place: str) -> Any:  # Any: as in Decoder
        if not isinstance(value, dict):
            raise _misfit(value, place, f"an object: {kind.__name__}")
        if not (needed <= value.keys() <= parts.keys()):
            missing, unknown = sorted(needed - value.keys()), sorted(value.keys() - parts.keys())
            raise _misfit(value, place, f"a {kind.__name__}; missing: {missing}, unknown: {unknown}")
        return kind(**{name: parts[name](item, f"{place}.{name}") for name, item in value.items()})

    return decode_object


def _of_list(inner: Decoder) -> Decoder:
    def decode_list(value: Any, place: str) -> Any:  # Any: as in Decoder
        if not isinstance(value, list):
            raise _misfit(value, place, "a list")
        return tuple([inner(item, f"{place}[{index}]") for index, item in enumerate(value)])

    return decode_list


def _of_optional(inner: Decoder) -> Decoder:
    return lambda value, place: None if value is None else inner(value, place)


def _of_type(kind: type, name: str) -> Decoder:
    def decode_simple(value: Any, place: str) -> Any:  # Any: as in Decoder
        if type(value) is not kind:
            raise _misfit(value, place, name)
        return value

    return decode_simple


def _bytes(value: Any, place: str) -> bytes:  # Any: as in Decoder
    try:
        return value.encode("latin-1")  # type: ignore[no-any-return]  # str has it, others are caught
    except (AttributeError, UnicodeEncodeError) as error:
        raise _misfit(value, place, "a text of characters below U+0100, one a byte") from error


def _headers(value: Any, place: str) -> Headers:  # Any: as in Decoder
    if not isinstance(value, list) or not all(_is_pair(item) for item in value):
        raise _misfit(value, place, "a list of [name, value]")
    return Headers((name, text) for name, text in value)


def _is_pair(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(isinstance(part, str) for part in item)


def _misfit(value: object, place: str, wanted: str) -> ValueError:
    where = place.removeprefix(".") or "the trace"
    return ValueError(f"{NO_TRACE}{where} is {value!r:.60}, not {wanted}")


_SIMPLE: dict[Any, Decoder] = {  # Any: type hints
    str: _of_type(str, "a text"),
    int: _of_type(int, "a whole number"),
    bool: _of_type(bool, "true or false"),
    bytes: _bytes,
    Headers: _headers,
}

"""A call as a request: the function's name is its target, the arguments are its body.

Laws of this module:
1. Equal calls give equal bytes: keyword order, position or keyword, addresses in memory and hash seeds do not matter.
2. What names the sending and not the operation is left out: timeouts, and the volatile fields known by name.
   ``idempotency_key`` travels as the header of that name.
3. Each function is a host of its own: one that cannot be reached says nothing about another.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from pytest_retrychaos.model import Headers, Request
from pytest_retrychaos.volatile import FIELDS

METHOD = "CALL"
KEY = "idempotency_key"

TIMEOUTS = {"timeout": 1.0, "timeout_s": 1.0, "timeout_seconds": 1.0, "timeout_ms": 0.001}
"""Arguments that give the caller's deadline for one call, each with its unit in seconds."""

DEEPEST = 20
"""Levels of nesting that are written; of what lies deeper only the type."""

_ADDRESS = re.compile(r" (?:object )?at 0x[0-9a-fA-F]+")


def name_of(fn: Callable[..., Any]) -> str:
    """Name a callable as its author would: the qualified name, without the ``<locals>`` of a test."""
    named = getattr(fn, "func", fn)  # functools.partial
    name = getattr(named, "__qualname__", None) or type(named).__qualname__
    return str(name).replace(".<locals>", "")


def as_request(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Request:
    """Write a call as the request that stands for it."""
    arguments = named_arguments(fn, args, kwargs)
    key = arguments.pop(KEY, None)
    kept = {name: value for name, value in arguments.items() if not _names_the_sending(name)}
    fields = [("Content-Type", "application/json")]
    if isinstance(key, str | int) and str(key):
        fields.append(("Idempotency-Key", re.sub(r"[^\x20-\x7e]", "?", str(key))))
    body = json.dumps(plain(kept), sort_keys=True, separators=(",", ":")).encode()
    return Request(METHOD, name_of(fn), f"/{name_of(fn)}", Headers(fields), body, scheme="call")


def deadline_of(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float | None:
    """Give the call's own deadline in seconds, the parameter's default included; ``None`` where it has none."""
    arguments = {**_defaults(fn), **named_arguments(fn, args, kwargs)}
    for name, unit in TIMEOUTS.items():
        value = arguments.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
            return value * unit
    return None


def named_arguments(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Give every argument its parameter's name; where the signature is unknown or unmet, its position."""
    try:
        bound = inspect.signature(fn).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return {**{f"#{number}": value for number, value in enumerate(args)}, **kwargs}
    found = dict(bound.arguments)
    for parameter in bound.signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            found.update(found.pop(parameter.name, {}))
    return found


def _defaults(fn: Callable[..., Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def _names_the_sending(name: str) -> bool:
    return name in TIMEOUTS or name.lower() in FIELDS


def plain(value: object, depth: int = 0) -> Any:  # Any: JSON has no narrower type
    """Make JSON of any value, the same for equal values, without addresses."""
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, enum.Enum)):
        return value
    if depth > DEEPEST:
        return f"<{type(value).__qualname__}>"
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, Mapping):
        pairs = [[plain(name, depth + 1), plain(item, depth + 1)] for name, item in value.items()]
        if all(isinstance(name, str) for name, _ in pairs):
            return dict(pairs)
        return {"mapping": sorted(pairs, key=json.dumps)}
    if isinstance(value, Set):
        return {"set": sorted((plain(item, depth + 1) for item in value), key=json.dumps)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name), depth + 1) for field in dataclasses.fields(value)}
        return {type(value).__qualname__: fields}
    if isinstance(value, Sequence) and not isinstance(value, range):
        return [plain(item, depth + 1) for item in value]
    return _ADDRESS.sub("", _written(value))


def _written(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # a broken __repr__ of the code under test is not this test's matter
        return f"<{type(value).__qualname__}>"

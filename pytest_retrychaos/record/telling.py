"""What the caller was told: whether a returned value claims success, and the chain of a raised exception."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Final

from pytest_retrychaos.clock.cpython import ended_in_raise
from pytest_retrychaos.engine.answers import carried_status, status_in_result
from pytest_retrychaos.engine.classify import exception_chain
from pytest_retrychaos.trace import Raised, Told

SUCCESS_WORDS: Final = frozenset(
    {"ok", "success", "succeeded", "successful", "paid", "captured", "completed", "complete", "confirmed", "created",
     "accepted", "processed", "done", "approved", "authorized", "requires_capture", "sent", "delivered", "active"}
)  # fmt: skip
"""Values of ``status`` that say it was done: those of Stripe, Adyen, Square and Shopify among them."""

FAILURE_WORDS: Final = frozenset(
    {"failed", "failure", "error", "declined", "rejected", "refused", "denied", "canceled", "cancelled",
     "unavailable", "expired", "unpaid", "requires_payment_method", "aborted"}
)  # fmt: skip
"""Values of ``status`` that say it was not; "timeout" says neither."""

SAYING: Final = frozenset(
    {"status", "status_code", "http_status", "state", "outcome", "result", "fate", "code", "error_code", "kind", "type",
     "error_type", "error", "errors", "reason", "cause", "message", "msg", "detail", "details", "description", "title",
     "payment", "charge", "transfer", "transaction", "order", "commit", "certainty", "confidence", "phase", "effect",
     "settlement", "disposition", "resolution"}
)  # fmt: skip
"""Fields whose texts may say more of a failure."""
_NUMBERED: Final = frozenset({"status", "status_code", "http_status", "code"})
"""Those of them that may hold the status of an answer."""

_FLAGS: Final = re.compile("known|certain|doubt|ambiguous|determin|confirmed|definit|conclusive|maybe|final")
"""What stands in the name of a field that may say by true or false whether the outcome is known."""

LONGEST: Final = 200
"""Characters of a value that are kept."""
DEEPEST: Final = 3
"""How deep in a value its fields are read: ``{"errors": [{"code": …}]}``."""
MOST: Final = 50
"""How many of it are read at each depth."""

_GROUPS: Final = (ExceptionGroup, BaseExceptionGroup)
"""What a group of tasks raises, and what names nothing by its own class."""

_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_CUT_WORD: Final = re.compile(r"[\w-]+\Z")

_OTHERS: Final = (
    *sorted({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}),
    str(Path(__file__).parents[1] / "clock"),  # which raises what the real functions would
)
"""Where code lies that is not the code under test."""


def tell_value(value: object, *, is_known_success: bool = False) -> Told:
    """Note a returned value; ``is_known_success``: it equals what an earlier success returned."""
    claims, source = claims_success(value)
    if claims is None and is_known_success:
        claims, source = True, "same value"
    try:
        text = repr(value)
    except Exception as error:  # a broken __repr__ of the code under test is not this test's matter
        text = f"<{type(value).__name__}, whose repr() raised {type(error).__name__}>"
    fields = list(_fields(value)) if claims is False else []
    held = [link for _, one in fields if isinstance(one, BaseException) for link in tell_error(one).raised]
    return Told(claims, _shortened(text), claimed_by=source, held=tuple(held), said=tuple(_said(fields)))


def tell_error(error: BaseException) -> Told:
    """Note a raised exception with its chain, the outermost first; a group of one tells what that one tells."""
    while isinstance(error, BaseExceptionGroup) and type(error) in _GROUPS and len(error.exceptions) == 1:
        error = error.exceptions[0]
    links = {id(link): link for link in _links(error)}.values()
    fields = [field for link in links for field in _parts("", link)]
    return Told(None, None, tuple(_raised(link) for link in links), said=tuple(_said(fields)))


def _links(error: BaseException) -> Iterator[BaseException]:
    """Give an exception and all inside it, and what stands in a group right after that."""
    for link in exception_chain(error):
        yield link
        if isinstance(link, BaseExceptionGroup):
            for one in link.exceptions:
                yield from _links(one)


def claims_success(value: object) -> tuple[bool | None, str | None]:
    """Say whether a value claims success, failure or neither (``None``), and what in it says so.

    An answer that sends its reader elsewhere says neither: a 303 may follow what was done, a 307 what was not.
    """
    status = _first(value, "status_code", "status")
    if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599:
        is_said = status // 100 not in (1, 3)
        return (200 <= status < 300, "status") if is_said else (None, None)
    ok = _asked(value, "ok")
    if isinstance(ok, bool):
        return ok, "ok"
    if isinstance(status, bool):
        return status, "status"
    word = str(getattr(status, "value", status)).lower()  # the value of an Enum's member
    if word in SUCCESS_WORDS or word in FAILURE_WORDS:
        return word in SUCCESS_WORDS, "status"
    return None, None


def _first(value: object, *names: str) -> object:
    """Give the first of these that is there."""
    found = (_asked(value, name) for name in names)
    return next((one for one in found if one is not None), None)


def _asked(value: object, name: str) -> object:
    """Look a field up in a mapping or an object; what fails there is not there."""
    try:
        return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    except Exception:  # a property of the code under test may raise anything
        return None


def _fields(value: object) -> Iterator[tuple[str, object]]:
    """Give what stands in a value, each with its field's name, the outer ones first; of a response its status alone."""
    parts: list[tuple[str, object]] = [("", value)]
    for _ in range(1 + DEEPEST):
        inner: list[tuple[str, object]] = []
        for name, one in parts:
            status = status_in_result(one)
            if status is not None:
                yield "status", status
            elif isinstance(one, str | int | Enum | BaseException):
                yield name, one
            else:
                inner += _parts(name, one)
        parts = inner[:MOST]


def _parts(name: str, value: object) -> list[tuple[str, object]]:
    """List the parts of a mapping, a sequence or an object; no property is asked, which may do anything."""
    try:
        if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named one
            return list(zip(value._fields, value, strict=True))
        if isinstance(value, list | tuple):
            return [(name, one) for one in value[:MOST]]
        if isinstance(value, Mapping):
            return [(str(key), value[key]) for key in islice(value, MOST)]
        slots = [slot for kind in type(value).__mro__ for slot in vars(kind).get("__slots__", ())]
        inside = {slot: getattr(value, slot, None) for slot in slots} | getattr(value, "__dict__", {})
    except Exception:  # a mapping of the code under test may raise anything
        return []
    return [(key.lstrip("_"), one) for key, one in inside.items()]


def _said(fields: Iterable[tuple[str, object]]) -> Iterator[str]:
    for name, one in fields:
        word = _word(name, one)
        if word is not None:
            yield f"{name}: {_shortened(word)}"


def _word(name: str, value: object) -> str | None:
    """Write what a field says of a failure; ``None`` for a field that says nothing of it."""
    name = name.lower()
    if isinstance(value, Enum):
        value = value.value if isinstance(value.value, str) else value.name
    if isinstance(value, str):
        return value if name in SAYING else None
    if isinstance(value, bool):
        return str(value).lower() if _FLAGS.search(name) else None
    return str(value) if name in _NUMBERED and isinstance(value, int) else None


def _raised(error: BaseException) -> Raised:
    kind = type(error)
    bases = tuple(_name(base) for base in kind.__mro__[1:] if base is not object)
    return Raised(_name(kind), bases, _shortened(_text(error)), carried_status(error), _is_on_purpose(error))


def _is_on_purpose(error: BaseException) -> bool:
    """Tell an error that the code under test meant from one that a call or an operation in it ended in."""
    if error.__cause__ is not None:
        return True
    file = ended_in_raise(error)
    return file is not None and not file.startswith(("<frozen", *_OTHERS))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # as for repr() above
        return f"<{type(error).__name__}, whose str() raised {type(broken).__name__}>"


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _shortened(text: str) -> str:
    """Leave out addresses in memory, which differ on every run; cut between words, so that each can be numbered."""
    text = _ADDRESS.sub("", text)
    if len(text) <= LONGEST:
        return text
    return _CUT_WORD.sub("", text[:LONGEST]) + "…"

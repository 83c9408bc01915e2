"""The words of a script: what stands between commas and spaces, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_retrychaos.faults.errors import ScriptError, shown

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r'[^\s,"*=]+')
_VALUE = re.compile(r'[^\s,"*]+')
_REST = re.compile(r"[^\s,]+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_QUOTING = 'a text is quoted with "…" and JSON\'s escapes, so that \\" is a quote and \\n a line end'


@dataclass(frozen=True, slots=True)
class Token:
    """A word (``503``, ``after-commit``, ``body="x"``), a ``,`` or a ``*``, and its place in the script."""

    name: str
    start: int
    end: int
    value: str | None = None
    is_quoted: bool = False
    value_start: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """The place of the whole token."""
        return self.start, self.end

    @property
    def name_span(self) -> tuple[int, int]:
        """The place of what stands before the ``=``."""
        return self.start, self.start + len(self.name)

    @property
    def value_span(self) -> tuple[int, int]:
        """The place of what stands behind the ``=``, or of the whole token where nothing does."""
        return (self.start if self.value is None else self.value_start), self.end


def tokens(script: str) -> Iterator[Token]:
    """Split a script; `ScriptError` where it cannot be."""
    place = _SPACE.match(script, 0).end()  # type: ignore[union-attr] # it matches the empty string too
    while place < len(script):
        token = _token(script, place)
        yield token
        place = _SPACE.match(script, token.end).end()  # type: ignore[union-attr] # as above


def _token(script: str, place: int) -> Token:
    if script[place] in ",*":
        return Token(script[place], place, place + 1)
    found = _NAME.match(script, place)
    if found is None:
        raise _stray(script, place)
    end = found.end()
    if script[end : end + 1] != "=":
        _check_ends(script, place, end)
        return Token(found[0], place, end)
    if script[end + 1 : end + 2] == '"':
        return _quoted(script, found[0], place, end + 1)
    value = _VALUE.match(script, end + 1)
    if value is None:
        headline = f"'{found[0]}=' needs a value right behind the '='"
        raise ScriptError(headline, "write for example slow=3s or retry-after=2").at(script, (place, end + 1))
    if value[0].startswith("'"):
        raise ScriptError("a text is quoted with double quotes", _QUOTING).at(script, value.span())
    _check_ends(script, end + 1, value.end())
    return Token(found[0], place, value.end(), value[0], value_start=end + 1)


def _quoted(script: str, name: str, place: int, quote: int) -> Token:
    found = _STRING.match(script, quote)
    if found is None:
        raise ScriptError("the quote that opens here is never closed", _QUOTING).at(script, (quote, len(script)))
    try:
        value = json.loads(found[0], strict=False)  # not strict: a line end may stand for itself
    except ValueError:
        headline = f"the text {shown(found[0])} has an escape that JSON does not know"
        raise ScriptError(headline, _QUOTING).at(script, found.span()) from None
    _check_ends(script, quote, found.end())
    return Token(name, place, found.end(), value, True, quote)


def _check_ends(script: str, start: int, end: int) -> None:
    after = script[end : end + 1]
    if after and not after.isspace() and after not in ",*":
        rest = _REST.match(script, end)
        span = (start, rest.end() if rest else end)
        raise ScriptError("a quoted text stands alone behind its '=', with a space after it", _QUOTING).at(script, span)


def _stray(script: str, place: int) -> ScriptError:
    if script[place] == "=":
        return ScriptError("no spaces stand around '='", "write for example retry-after=2").at(
            script, (place, place + 1)
        )
    found = _STRING.match(script, place)
    span = (place, found.end() if found else len(script))
    return ScriptError("a quoted text needs a name", 'write body="…" or header="Name: value"').at(script, span)

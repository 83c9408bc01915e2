"""Numbers in place of what differs from run to run: K1 for keys, C1 for credentials, V1 for the rest.

Laws of this module:
1. A number is given by first appearance, attempt by attempt: key, credentials, volatile values, headers.
2. Equal values get equal numbers, different ones different numbers, within each kind.
3. What is numbered already keeps its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pytest_retrychaos.model import Effect, Headers
from pytest_retrychaos.trace.tokens import replaced
from pytest_retrychaos.trace.values import Attempt, Body, Raised, Scope, Told
from pytest_retrychaos.volatile import CREDENTIALS, NUMBERED_HEADERS, SHORTEST

_WORD: Final = re.compile(rf"[\w-]{{{SHORTEST},}}")
_NOTHING: Final[Mapping[str, str]] = {}


class Numbering:
    """The numbers given in one trace."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._counts = {"K": 0, "C": 0, "V": 0}
        self._of_attempt: dict[int, Mapping[str, str]] = {}
        self._words: dict[str, str] = {}

    def attempt(self, attempt: Attempt) -> Attempt:
        """Number an attempt; they come in order."""
        names = self._names(attempt)
        headers = self._headers(attempt.headers, names)
        answer = self._headers(attempt.response_headers, names)
        error = attempt.error if attempt.error is None else self.prose(attempt.error)
        if not names and headers is attempt.headers and answer is attempt.response_headers and error == attempt.error:
            return attempt
        self._of_attempt[attempt.index] = names
        words = _long(names)
        return replace(
            attempt,
            key=_named(attempt.key, names),
            credentials=_named(attempt.credentials, names),
            volatile=tuple([names[value] for value in attempt.volatile]),
            target=attempt.target and replaced(attempt.target, words),
            headers=headers,
            body=_body(attempt.body, words),
            response_headers=answer,
            response_body=_body(attempt.response_body, words),
            error=error,
        )

    def effect(self, effect: Effect) -> Effect:
        """Number an effect as the attempt that had it."""
        names = self._of_attempt.get(effect.attempt, _NOTHING)
        if not names:
            return effect
        words = _long(names)
        return replace(
            effect,
            key=_named(effect.key, names),
            target=replaced(effect.target, words),
            body=replaced(effect.body, _in_bytes(words)),
        )

    def scope(self, scope: Scope) -> Scope:
        """Number what a scope's caller was told."""
        return scope if scope.told is None else replace(scope, told=self.told(scope.told))

    def told(self, told: Told | None) -> Told | None:
        """Number the values that a caller was told."""
        if told is None:
            return None
        value = told.value if told.value is None else self.prose(told.value)
        return replace(told, value=value, raised=tuple(self._raised(link) for link in told.raised))

    def prose(self, text: str) -> str:
        """Number the values that are quoted in a text."""
        return _WORD.sub(lambda found: self._words.get(found[0], found[0]), text)

    def _raised(self, link: Raised) -> Raised:
        return replace(link, message=self.prose(link.message))

    def _names(self, attempt: Attempt) -> dict[str, str]:
        names: dict[str, str] = {}
        if attempt.key:
            names[attempt.key] = self._name("K", attempt.key)
        if attempt.credentials:
            names.setdefault(attempt.credentials, self._name("C", attempt.credentials))
        for value in attempt.volatile:
            if value not in names:
                names[value] = self._name("V", value)
        return names

    def _name(self, kind: str, value: str) -> str:
        known = self._known.get((kind, value))
        if known is None:
            count = self._counts[kind] = self._counts[kind] + 1
            known = self._known[kind, value] = f"{kind}{count}"
            self._words.setdefault(value, known)
        return known

    def _headers(self, headers: Headers, names: Mapping[str, str]) -> Headers:
        changed = False
        pairs: list[tuple[str, str]] = []
        for pair in headers.pairs:
            value = self._header(pair[0].lower(), pair[1], names)
            changed = changed or value is not pair[1]
            pairs.append(pair if value is pair[1] else (pair[0], value))
        return Headers(pairs) if changed else headers

    def _header(self, name: str, value: str, names: Mapping[str, str]) -> str:
        if not value:
            return value
        if name in CREDENTIALS:
            scheme, blank, rest = value.partition(" ") if name.endswith("authorization") else ("", "", value)
            return scheme + blank + self._name("C", rest) if rest else self._name("C", value)
        if value in names:
            return names[value]
        if name in NUMBERED_HEADERS:
            return self._name("V", value)
        return replaced(value, _long(names)) if names else value


def _named(value: str | None, names: Mapping[str, str]) -> str | None:
    return names.get(value, value) if value else value


def _long(names: Mapping[str, str]) -> dict[str, str]:
    """Leave out values so short that they may stand elsewhere in a text by chance."""
    return {value: name for value, name in names.items() if len(value) >= SHORTEST}


def _in_bytes(words: Mapping[str, str]) -> dict[bytes, bytes]:
    return {value.encode("utf-8", "surrogatepass"): name.encode() for value, name in words.items()}


def _body(body: Body, words: Mapping[str, str]) -> Body:
    start = replaced(body.start, _in_bytes(words)) if words and body.start else body.start
    if start is body.start:
        return body
    return replace(body, start=start, size=len(start) if body.is_whole else body.size)

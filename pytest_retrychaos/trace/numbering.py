"""Numbers in place of what differs from run to run: K1 for keys, C1 for credentials, V1 for the rest.

Laws of this module:
1. A number is given by first appearance, attempt by attempt: key, credentials, volatile values, headers.
2. Equal values get equal numbers, different ones different numbers, within each kind.
3. A key or volatile value is numbered wherever it stands as a word of its own, in whatever attempt: what was
   sent once comes back in answers, addresses and errors. A short one, and a key that may be an ordinary word,
   is numbered only where it is the whole value.
4. What is numbered already keeps its numbers.
5. A JSON body stays one: a bare number that is replaced becomes a text, so that laws can still read it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from pytest_retrychaos.frozen import changed
from pytest_retrychaos.model import Effect, Headers
from pytest_retrychaos.trace.tokens import replaced, still_json
from pytest_retrychaos.trace.values import Attempt, Body, Operation, Raised, Scope, Told
from pytest_retrychaos.volatile import CREDENTIALS, NUMBERED_HEADERS, SHORTEST, is_signed_token

LONG: Final = 16
"""Characters of a key without a digit that is no ordinary word."""

_WORD: Final = re.compile(rf"[\w-]{{{SHORTEST},}}", re.ASCII)
_WORD_BYTES: Final = re.compile(_WORD.pattern.encode())
_CREDENTIALS: Final = frozenset(CREDENTIALS)
_NAMED: Final = _CREDENTIALS | NUMBERED_HEADERS
"""Headers, in lower case, whose values get numbers by their names."""
_ANY: Final = "*"
"""``If-Match: *`` names no version."""


def _kind(credentials: str) -> str:
    """Tell signed tokens, which may be new on every attempt, from other credentials."""
    return "J" if is_signed_token(credentials) else "C"


class Numbering:
    """The numbers given in one trace, whose attempts are all known."""

    def __init__(self, attempts: Iterable[Attempt]) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._counts = {"K": 0, "C": 0, "J": 0, "V": 0}
        self._of_attempt: dict[int, dict[str, str]] = {}
        self._others: dict[int, list[tuple[str, str]]] = {}
        self._words: dict[str, str] = {}
        for attempt in attempts:
            self._learn(attempt)
        self._in_bytes = {value.encode(): name.encode() for value, name in self._words.items()}

    @property
    def credentials(self) -> dict[str, str]:
        """The credentials that were sent, each with its number."""
        return {value: number for (kind, value), number in self._known.items() if kind in "CJ" and value != number}

    def names(self, index: int) -> tuple[dict[str, str], dict[str, str]]:
        """Give the numbers of one attempt's own values, and of those among them that are found in texts, too."""
        names = self._of_attempt.get(index)
        return (names, _recognisable(names)) if names else ({}, {})

    def others(self, index: int, own: Mapping[str, str]) -> list[tuple[str, str]]:
        """List the fields of an attempt and of its answer that have no number as a whole, as `headers` leaves them."""
        found = self._others[index]
        return [(name, self.text(value, own)) for name, value in found] if own or self._words else found

    def attempt(self, attempt: Attempt) -> Attempt:
        """Number an attempt."""
        names, own = self.names(attempt.index)
        return changed(
            attempt,
            key=_named(attempt.key, names),
            credentials=_named(attempt.credentials, names),
            volatile=tuple([names[value] for value in attempt.volatile]),
            target=None if attempt.target is None else self.text(attempt.target, own),
            headers=self.headers(attempt.headers, names, own),
            body=self.body(attempt.body, own),
            response_headers=self.headers(attempt.response_headers, names, own),
            response_body=self.body(attempt.response_body, own),
            error=None if attempt.error is None else self.text(attempt.error, own),
        )

    def operation(self, operation: Operation) -> Operation:
        """Number the path in an operation's name."""
        return changed(operation, name=self.text(operation.name))

    def effect(self, effect: Effect) -> Effect:
        """Number an effect as the attempt that had it."""
        names, own = self.names(effect.attempt)
        return changed(
            effect,
            key=_named(effect.key, names),
            target=self.text(effect.target, own),
            body=self.content(effect.body, own),
            operation=self.text(effect.operation),
        )

    def scope(self, scope: Scope) -> Scope:
        """Number a scope's name and what its caller was told."""
        return changed(scope, name=self.text(scope.name), told=self.told(scope.told))

    def told(self, told: Told | None) -> Told | None:
        """Number the values that a caller was told."""
        if told is None:
            return None
        value = None if told.value is None else self.text(told.value)
        said = tuple([self.text(one) for one in told.said])
        return changed(told, value=value, raised=self._chain(told.raised), held=self._chain(told.held), said=said)

    def text(self, text: str, own: Mapping[str, str] | None = None) -> str:
        """Number the values that stand in a text; ``own`` are those of its attempt, words or not."""
        if own:
            text = replaced(text, own)
        words = self._words
        if not words or words.keys().isdisjoint(_WORD.findall(text)):
            return text
        return _WORD.sub(lambda found: words.get(found[0], found[0]), text)

    def _chain(self, links: tuple[Raised, ...]) -> tuple[Raised, ...]:
        return tuple([changed(link, message=self.text(link.message)) for link in links])

    # learning

    def _learn(self, attempt: Attempt) -> None:
        names: dict[str, str] = {}
        if attempt.key:
            names[attempt.key] = self._name("K", attempt.key)
        if attempt.credentials and attempt.credentials not in names:
            names[attempt.credentials] = self._name(_kind(attempt.credentials), attempt.credentials)
        for value in attempt.volatile:
            if value not in names:
                names[value] = self._name("V", value)
        self._of_attempt[attempt.index] = names
        others = self._others[attempt.index] = []
        for pair in (*attempt.headers.pairs, *attempt.response_headers.pairs):
            if (lower := pair[0].lower()) in _NAMED:
                self._header(lower, pair[1], names)
            elif pair[1] not in names:
                others.append(pair)

    def _name(self, kind: str, value: str) -> str:
        known = self._known.get((kind, value))
        if known is None:
            count = self._counts[kind] = self._counts[kind] + 1
            known = self._known[kind, value] = f"{kind}{count}"
            if kind not in "CJ" and _is_recognisable(value, known) and _WORD.fullmatch(value):
                self._words.setdefault(value, known)
        return known

    # headers and bodies

    def headers(self, headers: Headers, names: Mapping[str, str], own: Mapping[str, str]) -> Headers:
        """Number the fields of a message; ``names`` and ``own`` are those of its attempt."""
        is_plain = not (own or self._words) and _NAMED.isdisjoint(headers.by_name)
        if is_plain and (not names or names.keys().isdisjoint([value for _, value in headers.pairs])):
            return headers
        pairs = []
        for name, value in headers.pairs:
            numbered = self._header(name.lower(), value, names)
            pairs.append((name, self.text(value, own) if numbered is None else numbered))
        return headers if tuple(pairs) == headers.pairs else Headers(pairs)

    def _header(self, name: str, value: str, names: Mapping[str, str]) -> str | None:
        """Number a value that is numbered as a whole; ``None`` where it is not."""
        if not value or value == _ANY:
            return None
        if name in _CREDENTIALS:
            scheme, blank, rest = value.partition(" ") if name.endswith("authorization") else ("", "", value)
            return scheme + blank + self._name(_kind(rest), rest) if rest else self._name(_kind(value), value)
        if value in names:
            return names[value]
        return self._name("V", value) if name in NUMBERED_HEADERS else None

    def content(self, content: bytes, own: Mapping[str, str]) -> bytes:
        """Number what stands in bytes; ``own`` are those of their attempt."""
        by_own = replaced(content, _in_bytes(own)) if own else content
        return still_json(content, self._bytes(by_own))

    def _bytes(self, content: bytes) -> bytes:
        words = self._in_bytes
        if not words or words.keys().isdisjoint(_WORD_BYTES.findall(content)):
            return content
        return _WORD_BYTES.sub(lambda found: words.get(found[0], found[0]), content)

    def body(self, body: Body, own: Mapping[str, str]) -> Body:
        """Number a body; ``own`` are those of its attempt.

        Its digest leaves its own values out already; of others only a whole body's can.
        """
        if not body.start:
            return body
        by_own = replaced(body.start, _in_bytes(own)) if own else body.start
        start = self._bytes(by_own)
        if start == body.start:
            return body
        is_own_alone = start == by_own
        start = still_json(body.start, start)
        if not body.is_whole:
            return changed(body, start=start)
        digest = body.sha256
        if not is_own_alone:
            digest = hashlib.sha256(self._bytes(replaced(body.start, dict.fromkeys(_in_bytes(own), b"")))).hexdigest()
        return changed(body, start=start, size=len(start), sha256=digest)


def _named(value: str | None, names: Mapping[str, str]) -> str | None:
    return names.get(value, value) if value else value


def _recognisable(names: Mapping[str, str]) -> dict[str, str]:
    return {value: name for value, name in names.items() if _is_recognisable(value, name)} if names else {}


def _is_recognisable(value: str, name: str) -> bool:
    """Whether a value, found in a text, is that value and no word that happens to be spelled alike."""
    if len(value) < SHORTEST:
        return False
    return name[0] != "K" or len(value) >= LONG or any(letter.isdigit() for letter in value)


def _in_bytes(words: Mapping[str, str]) -> dict[bytes, bytes]:
    return {value.encode("utf-8", "surrogatepass"): name.encode() for value, name in words.items()}

"""`Redaction`: what is a secret in a text, a header or a body, and the mark that stands in its place."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, TypeVar
from urllib.parse import unquote

from pytest_retrychaos import packing
from pytest_retrychaos.redact import fields, prose, shapes
from pytest_retrychaos.redact.names import COOKIES, SET_COOKIE, is_plain, is_secret_name, normal

MOST_KNOWN: Final = 20_000
"""Texts whose redaction is remembered: the same headers come again with every attempt."""
LONGEST_KNOWN: Final = 2_000
"""Characters of a text that is remembered."""

MOST_UNPACKED: Final = 1 << 20
"""Bytes that a packed body is unpacked to at most."""
MOST_PASSES: Final = 5

K = TypeVar("K")
V = TypeVar("V")

_SETTLED: Final = re.compile(r"(?:[KCJV][0-9]+|null|none|true|false|\*+|x{3,})", re.IGNORECASE)
"""Values that are numbered, say nothing, or were masked before."""
_WORD: Final = re.compile(r"[^\s\"'<>]+")
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")


class Hidden(NamedTuple):
    """A text without its secrets, and those that were hidden since they stood under a secret's name."""

    text: str
    named: tuple[str, ...] = ()


class Redaction:
    """Hides secrets. Pure, but for what it remembers to be faster: the same text always gives the same.

    ``named`` are names of headers and fields, or regular expressions (what is no plain word) whose match, or whose
    first group, is a secret; `ValueError` for one that is none. ``key`` is what marks are made with.
    """

    def __init__(self, named: Iterable[str] = (), key: bytes | None = None) -> None:
        self.key = os.urandom(16) if key is None else key
        self.named = tuple(named)
        self._names = frozenset(normal(one) for one in self.named if is_plain(one))
        self._patterns = [_pattern(one) for one in self.named if not is_plain(one)]
        self._heads = prose.heads(one for one in self.named if is_plain(one))
        self.clean: set[str] = set()
        """Texts that were found to hold no secret: most do."""
        self.clean_headers: set[tuple[str, str]] = set()
        """Names and values likewise."""
        self._known: dict[str, Hidden] = {}
        self._known_headers: dict[tuple[str, str], Hidden] = {}
        self._known_names: dict[str, bool] = {}
        self._known_bodies: dict[tuple[bytes, str, bool], tuple[bytes, tuple[str, ...]]] = {}

    def mark(self, value: str | bytes) -> str:
        """Give the mark of a secret."""
        content = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        return f"[hidden:{hmac.new(self.key, content, hashlib.sha256).hexdigest()[:8]}]"

    def digest(self, digest: str) -> str:
        """Key a digest: a plain one of few unknown bytes can be guessed back."""
        return hmac.new(self.key, digest.encode(), hashlib.sha256).hexdigest()

    def is_secret(self, name: str) -> bool:
        """Whether what stands under a name is a secret."""
        known = self._known_names.get(name)
        if known is None:
            known = is_secret_name(name) or normal(name) in self._names
            _remember(self._known_names, name, known, len(name))
        return known

    def hide(self, value: str, found: list[str] | None = None) -> str:
        """Give what stands in the place of a secret; ``found`` takes its value."""
        bare = value.strip()
        if not bare or _SETTLED.fullmatch(bare) or shapes.MARK.fullmatch(bare):
            return value
        if "%" in bare:
            bare = unquote(bare)
        if found is not None:
            found.append(bare)
        return self.mark(bare)

    def text(self, text: str) -> str:
        """Hide every secret in a text."""
        return text if text in self.clean else self.find(text).text

    def find(self, text: str) -> Hidden:
        """Hide every secret in a text, and tell which stood under a secret's name."""
        if text in self.clean:
            return Hidden(text)
        result = self._known.get(text)
        if result is None:
            found: list[str] = []
            result = Hidden(_settled(lambda given: self._once(given, found), text), tuple(found))
            if not result.named and result.text == text:
                _note(self.clean, text, len(text))
            else:
                _remember(self._known, text, result, len(text))
        return result

    def _once(self, text: str, found: list[str]) -> str:
        hidden = self._plain(text, found)
        return _WORD.sub(lambda word: self._encoded(word[0], found), hidden) if "%" in hidden else hidden

    def header(self, name: str, value: str) -> Hidden:
        """Hide what is secret in a header."""
        if (name, value) in self.clean_headers:
            return Hidden(value)
        result = self._known_headers.get((name, value))
        if result is None:
            result = self._header(name, value)
            if not result.named and result.text == value:
                _note(self.clean_headers, (name, value), len(value))
            else:
                _remember(self._known_headers, (name, value), result, len(value))
        return result

    def _header(self, name: str, value: str) -> Hidden:
        lower = name.lower()
        found: list[str] = []
        if lower == COOKIES:
            return Hidden("; ".join([self._cookie(pair.strip(), found) for pair in value.split(";")]), tuple(found))
        if lower == SET_COOKIE:
            first, semicolon, rest = value.partition(";")
            return Hidden(self._cookie(first, found) + semicolon + rest, tuple(found))
        if not self.is_secret(name):
            return self.find(value)
        scheme, blank, rest = value.partition(" ") if lower.endswith("authorization") else ("", "", value)
        if not rest:
            scheme, blank, rest = "", "", value
        hidden = scheme + blank + self.hide(rest, found)
        if scheme.lower() == "basic" and found and (password := shapes.basic_password(rest)):
            found.append(password)
        return Hidden(hidden, tuple(found))

    def body(
        self, content: bytes, headers: Mapping[str, str], *, is_whole: bool = True
    ) -> tuple[bytes, tuple[str, ...]]:
        """Hide what is secret in a body; at the end of what is not whole a beginning of one suffices."""
        key = content, headers.get("content-encoding", ""), is_whole
        result = self._known_bodies.get(key)
        if result is None:
            result = self._hidden_body(*key)
            _remember(self._known_bodies, key, result, len(content))
        return result

    def _hidden_body(self, content: bytes, encoding: str, is_whole: bool) -> tuple[bytes, tuple[str, ...]]:
        plain = packing.unpacked(content, encoding, MOST_UNPACKED)
        if plain is None:  # packed in a way that cannot be looked into
            return self.mark(content).encode(), ()
        codec = "utf-8" if _is_utf_8(plain) else "latin-1"
        text = plain.decode(codec)
        found: list[str] = []
        hidden = _settled(lambda given: self._body(given, found), text)
        if not is_whole:
            hidden = self._without_beginning(hidden)
        if hidden == text:
            return content, ()
        return hidden.encode(codec, "backslashreplace"), tuple(found)

    # one after the other

    def _body(self, text: str, found: list[str]) -> str:
        by_json = fields.in_json(self, text, found)
        if by_json is not None:
            return by_json
        if fields.is_form(text):
            return self._take(self.find(fields.in_pairs(self, text, found)), found)
        return self._take(self.find(fields.in_parts(self, text, found)), found)

    def _plain(self, text: str, found: list[str]) -> str:
        for pattern in self._patterns:
            text = self._by_pattern(pattern, text, found)
        if "://" in text:
            text = shapes.USERINFO.sub(lambda match: self._userinfo(match, found), text)
            text = shapes.USER_ALONE.sub(lambda match: f"://{self.hide(match[1])}@", text)
        if "?" in text:
            text = fields.in_query(self, text, found)
        text = fields.in_markup(self, text, found)
        return self.shallow(text, found)

    def shallow(self, text: str, found: list[str]) -> str:
        """Hide the secrets in a text that holds no address with a query, such as one field of a query."""
        text = prose.in_text(self, text, self._heads, found)
        text = shapes.SCHEME.sub(self._after_scheme, text)
        text = shapes.PROVIDER.sub(lambda match: self.hide(match[0]), text)
        text = shapes.CARD.sub(lambda match: self._card(match[0]), text)
        if text.endswith(("…", "...")):
            text = self._cut_short(text)
        return text

    def _encoded(self, word: str, found: list[str]) -> str:
        """Hide what stands percent-encoded in a word, once, twice or three times over."""
        if not _ENCODED.search(word):
            return word
        plain = word
        for _ in range(3):
            before, plain = plain, unquote(plain)
            hidden = self._plain(plain, found)
            if hidden != plain:
                return hidden
            if plain == before:
                break
        return word

    @staticmethod
    def _take(hidden: Hidden, found: list[str]) -> str:
        found += hidden.named
        return hidden.text

    def _by_pattern(self, pattern: re.Pattern[str], text: str, found: list[str]) -> str:
        """Hide what a pattern of the user's matches, but for a part of a mark: of that another mark would be made."""
        marks = [mark.span() for mark in shapes.MARK.finditer(text)]

        def matched(match: re.Match[str]) -> str:
            first, last = match.span()
            cuts = any(begin < last and first < end and (begin < first or last < end) for begin, end in marks)
            return match[0] if cuts else self._matched(match, found)

        return pattern.sub(matched, text)

    def _matched(self, match: re.Match[str], found: list[str]) -> str:
        secret = match[1] if match.re.groups and match[1] is not None else match[0]
        return match[0].replace(secret, self.hide(secret, found)) if secret else match[0]

    def _userinfo(self, match: re.Match[str], found: list[str]) -> str:
        return f"://{match[1]}:{self.hide(match[2], found)}@" if match[2] else match[0]

    def _after_scheme(self, match: re.Match[str]) -> str:
        scheme, blank, value = match[1], match[2], match[3]
        if scheme.lower() == "basic":
            return match[0] if shapes.basic_password(value) is None else scheme + blank + self.hide(value)
        return match[0] if value.lower().rstrip(".,=") in shapes.PROSE else scheme + blank + self.hide(value)

    def _card(self, digits: str) -> str:
        return self.mark("".join(filter(str.isdigit, digits))) if shapes.is_card(digits) else digits

    def _cut_short(self, text: str) -> str:
        kept, dots = (text[:-1], text[-1]) if text.endswith("…") else (text[:-3], text[-3:])
        return self._without_beginning(kept) + dots

    def _without_beginning(self, text: str) -> str:
        """Hide what may be the beginning of a secret, where a text was cut."""
        return text[:-600] + shapes.CUT_SHORT.sub(lambda match: self.hide(match[0]), text[-600:])

    def _cookie(self, pair: str, found: list[str]) -> str:
        name, equals, value = pair.partition("=")
        return name + equals + self.hide(value, found) if equals else self.hide(pair, found)


def _remember(known: dict[K, V], key: K, result: V, length: int) -> None:
    if length > LONGEST_KNOWN:
        return
    if len(known) >= MOST_KNOWN:
        known.clear()
    known[key] = result


def _note(known: set[K], key: K, length: int) -> None:
    if length > LONGEST_KNOWN:
        return
    if len(known) >= MOST_KNOWN:
        known.clear()
    known.add(key)


def _settled(hide: Callable[[str], str], text: str) -> str:
    """Hide again what was hidden, until nothing changes: a secret may stand beside one that was taken for its part."""
    for _ in range(MOST_PASSES):
        before, text = text, hide(text)
        if text == before:
            break
    return text


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no name, and no regular expression: {error}") from error
    if pattern.match("") is not None:
        raise ValueError(f"{text!r} matches an empty text: it would be found everywhere")
    return pattern

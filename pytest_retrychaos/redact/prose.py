"""Secrets that stand under a name in any text: what a client prints, an exception says, Python writes of an object."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.redact import names, shapes

if TYPE_CHECKING:
    from pytest_retrychaos.redact.redaction import Redaction

_NAME_BEFORE: Final = re.compile(r"[\w.\-\[\]]{0,64}\Z", re.ASCII)
_QUOTED: Final = re.compile(r"(\\*[\"'])(.*?)(?:(?<!\\)\1|\Z)", re.DOTALL)
_TO_THE_END: Final = re.compile(r"[^\r\n\"']*")
_LOWER: Final = {ord(letter): letter.lower() for letter in string.ascii_uppercase}
"""Leaves every letter in its place, as `str.lower` does not."""
_IS_NAME: Final = re.compile(r"\\*[\"']\s{0,4}:\s{0,4}(?:b(?=[\"']))?")
"""Behind what is no value, but the next name: ``"grant_type": "password", "scope": …``."""
_KEYWORD: Final = re.compile(r"([A-Za-z_]\w{0,63})=(?=[\w\"'(\[{.-])(?:b(?=[\"']))?", re.ASCII)
"""The same in what Python wrote: ``Script(where='POST /token', steps=…)``."""
_BARE: Final = re.compile(r"[^\s&\"'<>]*")
_OPENS: Final = re.compile(
    r"(?:[A-Za-z_.]{1,64}(?=[\[({]{1,3}(?:[A-Za-z_]\w{0,63}=)?b?[\"']))?[\[({]"
    r"(?!\\{0,8}[\"'](?:[\s,\])}]|\Z))",  # the end of a text: body="no token :("
    re.ASCII,
)
"""A list, a mapping, or an object as Python writes it: ``HTTPBasicAuth('user', 'password')``."""
_BARE_ITEM: Final = r"[^\s,:=\[\](){}\"'\\]+(?:(?<=[a-z]{2})'[a-z]{1,2}\b)?"
"""Words of a sentence are one item."""
_IN_BRACKETS: Final = re.compile(
    rf"{shapes.MARK.pattern}|(?P<open>[\[({{])|(?P<close>[\])}}])|"
    r"[bBuUrR]{0,2}(?P<quote>\\{0,8}[\"'])(?P<quoted>.*?)(?:(?<!\\)(?P=quote)|\Z)|"
    rf"(?P<bare>{_BARE_ITEM}(?:[ \t]{{1,4}}{_BARE_ITEM})*)",
    re.DOTALL,
)
Value = tuple[int, str, bool]
"""Where it begins, what it is, and whether it is to be looked for elsewhere: not what may be words of a sentence."""
_NAMES_ITEM: Final = re.compile(r"\s{0,4}[:=(]")
"""Behind what is no item, but its name or its type: ``{"id": …}``, ``Login(user=…)``."""


def heads(named: Iterable[str]) -> re.Pattern[str]:
    """Make the pattern for the end of a secret's name, in lower case, with what parts it from its value."""
    own = "".join("|" + "[-_. ]?".join(names.normal(name)) for name in named)
    return re.compile(
        rf"(?:{names.CORE}{own})s?[0-9]{{0,2}}\]?(\\*[\"'])?(?:\s{{0,4}}(?::|=>|=)\s{{0,4}}|(?(1)\s{{0,4}},\s{{0,4}}|(?!)))"
        r"(?:b(?=[\"']))?",
        re.ASCII,
    )


def in_text(hides: Redaction, text: str, pattern: re.Pattern[str], found: list[str]) -> str:
    """Hide the values that follow a secret's name in any text: ``token=…``, ``"password": "…"``, ``Cookie: …``."""
    if ":" not in text and "=" not in text and "," not in text:  # one of them parts a name from its value
        return text
    pieces: list[str] = []
    place = seen = 0
    for head in pattern.finditer(text.translate(_LOWER)):  # faster than a pattern that takes no notice of case
        if head.start() < seen:
            continue
        before = _NAME_BEFORE.search(text, max(seen, head.start() - 64), head.start())
        begins = before.start() if before else head.start()
        name = text[begins : head.start()] + re.split(r"[\"'\\:=,\s]", head[0], maxsplit=1)[0]
        if not hides.is_secret(name) or text[begins - 2 : begins] == "::" == text[head.end() - 1 : head.end() + 1]:
            continue  # the latter: a class in a test's id, test_login.py::TestToken::test_refresh
        seen, values = _values(text, head, name, text[max(begins - 1, 0) : begins])
        for start, value, is_told in values:
            pieces += [text[place:start], _hidden_value(hides, name, value, found if is_told else [])]
            place = start + len(value)
        seen = max(place, seen)
    return "".join([*pieces, text[place:]]) if pieces else text


def _values(text: str, head: re.Match[str], name: str, before: str) -> tuple[int, Sequence[Value]]:
    """Find the values that follow a name; before them, how far the text was looked through.

    ``before`` is the letter before the name.
    """
    place = head.end()
    quoted = _QUOTED.match(text, place)
    if "," in head[0]:
        next_name = _IS_NAME.match(text, quoted.end(2)) if quoted else _KEYWORD.match(text, place)
        if next_name:
            if (quoted[2] if quoted else next_name[1]).lower() != "value":
                return place, ()
            place = next_name.end()  # {"name": "X-Api-Key", "value": …}, Cookie(name='sid', value=…)
            quoted = _QUOTED.match(text, place)
        elif not quoted and before != head[1][-1]:  # the end of a text: 401 body="invalid token", ok
            return place, ()
    if quoted:
        start, value = quoted.start(2), quoted[2]
    elif names.normal(name).endswith(("authorization", "cookie")):
        line = _TO_THE_END.match(text, place)
        start, value = place, line[0] if line else ""
    elif opens := _OPENS.match(text, place):
        return (place, ()) if shapes.MARK.match(text, place) else _in_brackets(text, opens.end() - 1)
    else:
        word = _BARE.match(text, place)
        start, value = place, (word[0] if word else "").rstrip("),.;]}|\\")
        if value.startswith(("[", "{", "(")):
            value = ""
    return start, [(start, value, True)] if value else ()


def _in_brackets(text: str, place: int) -> tuple[int, Sequence[Value]]:
    """Find the items of a list, and the values of a mapping, to the bracket that closes it."""
    depth, items, word_end = 0, [], -1
    for item in _IN_BRACKETS.finditer(text, place):
        if item["quote"] and item.start() == word_end:  # it ends a text around: body="no token :(", ok
            break
        place = item.end()
        word_end = -1 if item["open"] or item["quote"] else place
        if item["open"] or item["close"]:
            depth += 1 if item["open"] else -1
            if depth == 0:
                break
        elif item.lastgroup in ("quoted", "bare") and not _NAMES_ITEM.match(text, place):
            items.append((item.start(item.lastgroup), item[item.lastgroup], item.lastgroup == "quoted"))
    return place, items


def _hidden_value(hides: Redaction, name: str, value: str, found: list[str]) -> str:
    if not names.normal(name).endswith(("authorization", "cookie")):
        return hides.hide(value, found)
    hidden = hides.header(name if "ookie" in name else "authorization", value)
    found += hidden.named
    return hidden.text

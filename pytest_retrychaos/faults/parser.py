"""Read a script: ``script = step { "," step }``, ``step = fault { option } [ "x" count | "*" ]``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pytest_retrychaos.faults.durations import FORMS, parse_duration
from pytest_retrychaos.faults.errors import ScriptError, nearest, shown
from pytest_retrychaos.faults.fields import read_header, read_retry_after, retry_after
from pytest_retrychaos.faults.rules import COUNT_FORMS, MOST, status_error
from pytest_retrychaos.faults.script import Script, empty_script, unreachable, unreachable_step
from pytest_retrychaos.faults.step import Step
from pytest_retrychaos.faults.tokens import Token, tokens
from pytest_retrychaos.faults.vocabulary import FAULTS, OPTIONS, WORDS, Fault, Kind, Value

_COUNT = re.compile(r"[xX×][-+]?[0-9.]*|[0-9]+[xX×]")
_GLUED_COUNT = re.compile(r"(.+?)[xX×]([0-9]+)")
_DIGITS = re.compile(r"[0-9]+")


def parse(spec: str | Script | Step | Sequence[Step]) -> Script:
    """Read a script from its text, or from a list of constructor calls.

    ``parse("503 retry-after=2, ok") == parse([status(503, retry_after=2), ok()])``. Raises `ScriptError`,
    which shows the place in the text, the rule and the nearest valid word.
    """
    if isinstance(spec, Script):
        return spec
    if isinstance(spec, Step):
        return Script((spec,))
    if isinstance(spec, str):
        return _parse_text(spec)
    if isinstance(spec, (list, tuple)):
        return Script(tuple(spec))
    way_out = 'write "503 x2, ok" or [status(503) * 2, ok()]'
    raise ScriptError(f"a script is a text or a list of steps, not {shown(spec)}", way_out)


def _parse_text(text: str) -> Script:
    groups = list(_groups(text))
    steps = [_Reading(text, group).step() for group in groups]
    place = unreachable(steps)
    if place is not None:
        raise unreachable_step(steps, place).at(text, (groups[place][0].start, groups[place][-1].end))
    return Script(tuple(steps))


def _groups(text: str) -> Iterator[list[Token]]:
    """Split the tokens at the commas, each of which has a step on both sides."""
    group: list[Token] = []
    comma: Token | None = None
    for token in tokens(text):
        if token.name != ",":
            group.append(token)
            continue
        if not group:
            way_out = "write the step that is missing, or take the comma away"
            raise ScriptError("a step is missing before this comma", way_out).at(text, token.span)
        yield group
        group, comma = [], token
    if group:
        yield group
    elif comma is not None:
        way_out = "take it away: after the last step every attempt is ok"
        raise ScriptError("the script ends with a comma", way_out).at(text, comma.span)
    else:
        raise empty_script()


class _Reading:
    """One step as it is read: its fields so far, and the place of each."""

    def __init__(self, text: str, group: list[Token]) -> None:
        self._text = text
        self._group = group
        self._fields: dict[str, Any] = {}  # Any: each field of Step has its own type, which Step checks
        self._headers: list[tuple[str, str]] = []
        self._places: dict[str, tuple[int, int]] = {}

    def step(self) -> Step:
        head, *rest = self._group
        fault = self._fault(head)
        for token in rest:
            if "count" in self._places:
                self._refuse_behind_count(token)
            elif token.name == "*" or _COUNT.fullmatch(token.name):
                self._count(token)
            else:
                self._option(token, fault, head)
        try:
            return Step(kind=fault.kind, headers=tuple(self._headers), **self._fields)
        except ScriptError as error:
            whole = (head.start, self._group[-1].end)
            raise error.at(self._text, self._places.get(error.part, whole)) from None

    def _fault(self, head: Token) -> Fault:
        if _DIGITS.fullmatch(head.name):
            fault = FAULTS[Kind.STATUS]
            if len(head.name) != 3:
                raise status_error(head.name[:40]).at(self._text, head.name_span)
            self._set("status", int(head.name), head.name_span)
        elif head.name in WORDS:
            fault = WORDS[head.name]
        else:
            raise _no_fault(head).at(self._text, head.name_span)
        if fault.value is Value.NONE and head.value is not None:
            raise ScriptError(f"{head.name} takes no value", f"write {head.name}").at(self._text, head.span)
        if fault.value is not Value.NONE:
            self._duration(head, fault)
        return fault

    def _duration(self, head: Token, fault: Fault) -> None:
        if head.value is None:
            raise ScriptError(f"{fault.word} needs a duration: {fault.usage}", FORMS).at(self._text, head.span)
        text, colon, status = head.value, "", ""
        span = head.value_span
        if fault.value is Value.OUTAGE:
            text, colon, status = head.value.partition(":")
            span = (head.value_start, head.end - len(colon + status) * (not head.is_quoted))
        with self._at(span):
            self._set("duration_ns", parse_duration(text), span, "duration")
        if colon:
            place = (head.end - len(status), head.end) if status and not head.is_quoted else head.value_span
            is_number = len(status) == 3 and _DIGITS.fullmatch(status)
            if not is_number:
                headline = f"an outage answers 300 to 599, not {shown(status)}"
                way_out = "write down=30s:503, or down=30s to refuse connections"
                raise ScriptError(headline, way_out).at(self._text, place)
            self._set("status", int(status), place)

    def _option(self, token: Token, fault: Fault, head: Token) -> None:
        option = OPTIONS.get(token.name)
        if option is None:
            raise _no_option(token, fault, head).at(self._text, token.name_span)
        if option.word in self._places and not option.is_repeatable:
            headline, way_out = f"{option.word} stands twice in one step", "take one of them away"
            raise ScriptError(headline, way_out).at(self._text, token.span)
        if option.takes_value and token.value is None:
            headline, way_out = f"{option.word} needs a value", f"write for example {option.example}"
            raise ScriptError(headline, way_out).at(self._text, token.span)
        if not option.takes_value and token.value is not None:
            headline, way_out = f"{option.word} takes no value", f"write {option.example}"
            raise ScriptError(headline, way_out).at(self._text, token.span)
        self._places[option.word] = token.span
        with self._at(token.value_span):
            self._take(option.word, token)

    def _take(self, word: str, token: Token) -> None:
        value = token.value or ""
        if word == "header":
            self._places[f"header {len(self._headers)}"] = token.value_span
            self._headers.append(read_header(value))
        elif word == "retry-after":
            self._fields["retry_after"] = retry_after(value) if token.is_quoted else read_retry_after(value)
        else:
            self._fields[word.replace("-", "_")] = True if token.value is None else value

    def _count(self, token: Token) -> None:
        digits = token.name[1:]
        is_count = token.name[0] == "x" and _DIGITS.fullmatch(digits) and len(digits) <= len(str(MOST))
        if token.value is not None or (token.name != "*" and not is_count):
            headline = f"{shown(self._text[token.start : token.end])} is no count"
            raise ScriptError(headline, COUNT_FORMS).at(self._text, token.span)
        self._set("count", None if token.name == "*" else int(digits), token.span)

    def _refuse_behind_count(self, token: Token) -> None:
        if token.name == "*" or _COUNT.fullmatch(token.name):
            headline, way_out = "a step has one count", "take one of them away"
        elif token.name in OPTIONS:
            headline = f"{token.name} stands behind the count"
            way_out = "the order is: fault, options, count"
        else:
            headline, way_out = (
                f"{shown(token.name)} stands behind the count",
                "a comma goes between two steps",
            )
        raise ScriptError(headline, way_out).at(self._text, token.name_span)

    def _set(self, field: str, value: int | None, span: tuple[int, int], part: str = "") -> None:
        self._fields[field] = value
        self._places[part or field] = span

    @contextmanager
    def _at(self, span: tuple[int, int]) -> Iterator[None]:
        try:
            yield
        except ScriptError as error:
            raise error.at(self._text, span) from None


def _no_fault(head: Token) -> ScriptError:
    if head.name.replace("_", "-") in OPTIONS:
        way_out = "an option stands behind its fault, with no comma between: 503 after-commit"
        return ScriptError(f"{head.name} is an option and needs a fault before it", way_out)
    if head.name == "*" or _COUNT.fullmatch(head.name):
        return ScriptError(f"the count {shown(head.name)} needs a fault before it", "write for example 503 x2")
    known = [fault.word for fault in FAULTS.values()]
    glued = _GLUED_COUNT.fullmatch(head.name)
    if glued and (glued[1] in WORDS or _DIGITS.fullmatch(glued[1])):
        hint = f", did you mean '{glued[1]} x{glued[2]}'?"
    else:
        hint = nearest(head.name, WORDS)
    return ScriptError(f"unknown fault {shown(head.name)} in the script{hint}", f"the faults are: {', '.join(known)}")


def _no_option(token: Token, fault: Fault, head: Token) -> ScriptError:
    if token.name in WORDS or _DIGITS.fullmatch(token.name):
        return ScriptError(f"{shown(token.name)} is a fault", "a comma goes between two steps")
    way_out = f"the options of {head.name} are: {', '.join(fault.options)}"
    if not fault.options:
        way_out = f"{head.name} has no options"
    hint = nearest(token.name, fault.options or OPTIONS)
    return ScriptError(f"unknown option {shown(token.name)} of {head.name}{hint}", way_out)

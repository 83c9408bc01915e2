"""A trace without its secrets: what may be printed or written to a file.

Laws of this module:
1. It begins where numbering ends: what has a number (K1, C1) says nothing any more, and keeps it.
2. A value that stood under a secret's name in one place is hidden wherever else it stands: what was sent comes back
   in answers, addresses and errors.
3. Equal secrets get equal marks, different ones different marks, so that laws judge both traces alike.
4. Hiding twice changes nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

from pytest_retrychaos.frozen import changed
from pytest_retrychaos.model import Effect, Headers
from pytest_retrychaos.redact import Hidden, Redaction
from pytest_retrychaos.trace.numbering import Numbering
from pytest_retrychaos.trace.tokens import replaced, still_json
from pytest_retrychaos.trace.values import Attempt, Body, Operation, Raised, Scope, ScriptRecord, Told

if TYPE_CHECKING:
    from pytest_retrychaos.trace.trace import Trace

SHORTEST: Final = 6
"""Characters of a secret that is looked for elsewhere."""
_TEXTS: Final = ("host", "target", "key", "fault", "error")
"""What is a text in an attempt."""
LONG: Final = 16
"""Letters of one that is no ordinary word."""


def hidden(trace: Trace, numbering: Numbering, redaction: Redaction) -> Trace:
    """Hide what is secret in a trace that was numbered."""
    hiding = Hiding(redaction)
    hiding.learn_credentials(numbering)
    known = hiding.known
    once = hiding.trace(trace)
    return hiding.trace(once) if hiding.known > known else once


def drawn(trace: Trace, redaction: Redaction) -> Trace:
    """Give a trace in which what a picture has of it is as `Trace.shown` gives it, in two thirds of the time.

    That is scripts, options, the names of operations, and of an attempt host, target, key, fault, error, and an
    answer's headers with ``Retry-After``. All else is as it was, only looked through for secrets that stand in those,
    too: write none of it.
    """
    numbering = Numbering(trace.attempts)
    hiding = Hiding(redaction)
    hiding.learn_credentials(numbering)
    known = hiding.known
    once = hiding.drawn(trace, numbering)
    return hiding.drawn(trace, numbering) if hiding.known > known else once


class Hiding:
    """Hides the secrets of one trace, and learns from each place what to look for in the others."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._names: dict[str, str] = {}
        self._in_bytes: dict[bytes, bytes] = {}

    @property
    def known(self) -> int:
        """How many spellings of secrets are looked for everywhere."""
        return len(self._names)

    def learn_credentials(self, numbering: Numbering) -> None:
        """Look for the credentials that were sent, too: each has a number already."""
        for value, number in numbering.credentials.items():
            self._learn(value, number)
            for part in _parts(value):
                self._learn(part, self._redaction.mark(part))

    def trace(self, trace: Trace) -> Trace:
        """Hide what is secret in a trace."""
        return changed(
            trace,
            test=self.text(trace.test),
            script=self.text(trace.script),
            attempts=tuple([self._attempt(attempt) for attempt in trace.attempts]),
            operations=tuple([self._operation(operation) for operation in trace.operations]),
            scopes=tuple([self._scope(scope) for scope in trace.scopes]),
            scripts=tuple([self.script(script) for script in trace.scripts]),
            effects=tuple([self._effect(effect) for effect in trace.effects]),
            ended=self._told(trace.ended),
            notes=tuple([self.text(note) for note in trace.notes]),
            options=tuple([changed(option, value=self.text(option.value)) for option in trace.options]),
            stalls=tuple([changed(stall, place=self.text(stall.place)) for stall in trace.stalls]),
        )

    def drawn(self, trace: Trace, numbering: Numbering) -> Trace:
        """Number and hide what a picture of a trace has, and look for secrets in all else."""
        for effect in trace.effects:
            self._look_into(effect, numbering)
        for scope in trace.scopes:
            self._scope(numbering.scope(scope))
        self._told(numbering.told(trace.ended))
        for text in (*trace.notes, *[stall.place for stall in trace.stalls]):
            self.text(numbering.text(text))
        return changed(
            trace,
            script=self.text(trace.script),
            attempts=tuple([self._line(attempt, numbering) for attempt in trace.attempts]),
            operations=tuple([changed(one, name=self.text(numbering.text(one.name))) for one in trace.operations]),
            scripts=tuple([self.script(script) for script in trace.scripts]),
            options=tuple([changed(option, value=self.text(option.value)) for option in trace.options]),
        )

    def _look_into(self, effect: Effect, numbering: Numbering) -> None:
        """Learn from an effect."""
        names, own = numbering.names(effect.attempt)
        body = numbering.content(effect.body, own)
        self._learn_all(self._redaction.body(body, {})[1])
        for text in (effect.host, numbering.text(effect.target, own), numbering.text(effect.operation)):
            self.text(text)
        if effect.key is not None:
            self.text(names.get(effect.key, effect.key))

    def _line(self, attempt: Attempt, numbering: Numbering) -> Attempt:
        """Number and hide what a picture has of an attempt, and learn from the rest."""
        names, own = numbering.names(attempt.index)
        number, answered = numbering.text, attempt.response_headers
        clean = self._redaction.clean_headers
        for pair in numbering.others(attempt.index, own):
            if pair not in clean and (named := self._redaction.header(*pair).named):
                self._learn_all(named)
        self._look_through(numbering.body(attempt.body, own), attempt.headers)
        self._look_through(numbering.body(attempt.response_body, own), answered)
        if "retry-after" in answered.by_name or "retry-after-ms" in answered.by_name:
            answered = self._headers(numbering.headers(answered, names, own))
        key, target, fault, error = attempt.key, attempt.target, attempt.fault, attempt.error
        return changed(
            attempt,
            host=self.text(attempt.host),
            target=target and self.text(number(target, own)),
            key=key and self.text(names.get(key, key)),
            fault=fault and self.text(fault),
            error=error and self.text(number(error, own)),
            response_headers=answered,
        )

    def _look_through(self, body: Body, headers: Headers) -> None:
        """Learn from a body."""
        if body.start:
            self._learn_all(self._redaction.body(body.start, headers, is_whole=body.is_whole)[1])

    def text(self, text: str) -> str:
        """Hide what is secret in a text."""
        if not self._names and text in self._redaction.clean:
            return text
        return self._taken(self._redaction.find(text))

    def attempt(self, attempt: Attempt) -> Attempt:
        """Hide what is secret in an attempt that was not numbered, its idempotency key apart."""
        hidden = self._attempt(attempt)
        credentials = attempt.credentials and self._redaction.hide(attempt.credentials)
        return changed(hidden, credentials=credentials)

    def _attempt(self, attempt: Attempt) -> Attempt:
        texts = {name: self.text(value) for name in _TEXTS if (value := getattr(attempt, name))}
        return changed(
            attempt,
            **texts,
            headers=self._headers(attempt.headers),
            body=self._body(attempt.body, attempt.headers),
            volatile=tuple([self.text(value) for value in attempt.volatile]),
            response_headers=self._headers(attempt.response_headers),
            response_body=self._body(attempt.response_body, attempt.response_headers),
        )

    def _operation(self, operation: Operation) -> Operation:
        return changed(operation, name=self.text(operation.name))

    def _effect(self, effect: Effect) -> Effect:
        content, found = self._redaction.body(effect.body, {})
        self._learn_all(found)
        return changed(
            effect,
            host=self.text(effect.host),
            target=self.text(effect.target),
            key=None if effect.key is None else self.text(effect.key),
            body=still_json(content, replaced(content, self._in_bytes)) if self._in_bytes else content,
            operation=self.text(effect.operation),
        )

    def _scope(self, scope: Scope) -> Scope:
        return changed(scope, name=self.text(scope.name), told=self._told(scope.told))

    def script(self, script: ScriptRecord) -> ScriptRecord:
        """Hide what is secret in a script: ``POST /oauth/token: 503`` as one text would have a value there."""
        steps = tuple([changed(step, text=self.text(step.text)) for step in script.steps])
        return changed(script, where=self.text(script.where), steps=steps)

    def _told(self, told: Told | None) -> Told | None:
        if told is None:
            return None
        value = None if told.value is None else self.text(told.value)
        said = tuple([self.text(one) for one in told.said])
        return changed(told, value=value, raised=self._chain(told.raised), held=self._chain(told.held), said=said)

    def _chain(self, links: tuple[Raised, ...]) -> tuple[Raised, ...]:
        return tuple([changed(link, message=self.text(link.message)) for link in links])

    def _headers(self, headers: Headers) -> Headers:
        header = self._redaction.header
        pairs = tuple([(name, self._taken(header(name, value))) for name, value in headers.pairs])
        return headers if pairs == headers.pairs else Headers(pairs)

    def _body(self, body: Body, headers: Headers) -> Body:
        """Hide what is secret in a body, and key the digest of one that has something to hide."""
        if not body.start:
            return body
        start, found = self._redaction.body(body.start, headers, is_whole=body.is_whole)
        self._learn_all(found)
        if self._in_bytes:
            start = still_json(start, replaced(start, self._in_bytes))
        if start == body.start:
            return body
        size = len(start) if body.is_whole else body.size
        return changed(body, start=start, size=size, sha256=self._redaction.digest(body.sha256))

    # what was hidden by its name in one place

    def _taken(self, found: Hidden) -> str:
        if found.named:
            self._learn_all(found.named)
        return replaced(found.text, self._names) if self._names else found.text

    def _learn_all(self, values: tuple[str, ...]) -> None:
        for value in values:
            if value not in self._names:
                self._learn(value, self._redaction.mark(value))

    def _learn(self, value: str, name: str) -> None:
        if not _is_recognisable(value):
            return
        for spelling in _spellings(value):
            self._names.setdefault(spelling, name)
            self._in_bytes.setdefault(spelling.encode("utf-8", "surrogatepass"), name.encode())


def _is_recognisable(value: str) -> bool:
    """Whether a value, found in a text, is that secret and no ordinary word that happens to be spelled alike."""
    return len(value) >= SHORTEST and (len(value) >= LONG or not (value.isalpha() and value.islower()))


def _spellings(value: str) -> Iterator[str]:
    """Write a value as it may stand elsewhere: plain, percent-encoded, escaped, in Base64."""
    yield value
    content = value.encode("utf-8", "surrogatepass")
    yield from (quote(content, safe=""), quote(content), quote_plus(content), json.dumps(value)[1:-1])
    yield base64.b64encode(content).decode()


def _parts(credentials: str) -> Iterator[str]:
    """List the secrets inside credentials: the password of Basic ones, the values of cookies."""
    from pytest_retrychaos.redact.shapes import basic_password

    password = basic_password(credentials)
    if password:
        yield password
    for pair in credentials.split(";"):
        _, equals, value = pair.partition("=")
        if equals:
            yield value.strip()

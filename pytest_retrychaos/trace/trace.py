"""A whole run as one value."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from pytest_retrychaos import redact
from pytest_retrychaos.frozen import changed, quick
from pytest_retrychaos.model import Effect
from pytest_retrychaos.trace import codec
from pytest_retrychaos.trace.hiding import hidden
from pytest_retrychaos.trace.numbering import Numbering
from pytest_retrychaos.trace.values import (
    RESOLUTION_NS,
    Attempt,
    HerdRecord,
    Lineage,
    Operation,
    Option,
    Scope,
    ScriptRecord,
    Stall,
    Told,
)

FORMAT: Final = 1
"""Version of the JSON form; a reader refuses another one."""


@quick
@dataclass(frozen=True, slots=True)
class Trace:
    """A whole run."""

    test: str
    """The test's id, or a name given outside pytest."""
    seed: int
    script: str
    """The script for all requests, as written: what the test is run again with."""
    attempts: tuple[Attempt, ...] = ()
    operations: tuple[Operation, ...] = ()
    scopes: tuple[Scope, ...] = ()
    scripts: tuple[ScriptRecord, ...] = ()
    effects: tuple[Effect, ...] = ()
    ended: Told | None = None
    """How the test itself ended, where that is known (by an exception)."""
    finished_ns: int = 0
    """Virtual time when the trace was taken."""
    notes: tuple[str, ...] = ()
    """What was noticed beside the attempts, such as a loop that polls the clock."""
    script_is_own: bool = False
    """The test set the script itself: it stands in no marker."""
    options: tuple[Option, ...] = ()
    """The options that were not the default, but for the seed."""
    lineages: tuple[Lineage, ...] = ()
    """The threads, tasks and pool items that sent requests, in the order in which they first did."""
    stalls: tuple[Stall, ...] = ()
    """What blocked a running event loop."""
    herds: tuple[HerdRecord, ...] = ()
    """The herds, in the order in which they began."""

    drawn_by: ClassVar[Callable[[Trace], str]] = repr
    """Writes it for ``print``: the timeline, once the module that draws it is loaded, as it is with any `Chaos`."""

    def __str__(self) -> str:
        return type(self).drawn_by(self)

    resolution_ns: int = RESOLUTION_NS
    """By so much a measured time may exceed what the client meant: on real time, where scheduling adds to it, more."""

    __repr__ = redact.written

    def of(self, operation: Operation) -> tuple[Attempt, ...]:
        """The attempts of an operation, in order."""
        return tuple(self.attempts[index - 1] for index in operation.attempts)

    def are_related(self, one: int, other: int) -> bool:
        """Whether two lineages are the same, or one began the other, or both were begun by the same."""
        if one == other:
            return True
        known = self.lineages
        first = known[one].parent if one < len(known) else None
        second = known[other].parent if other < len(known) else None
        return first == other or second == one or (first is not None and first == second)

    def are_kin(self, one: int, other: int) -> bool:
        """Whether two lineages are the same, or have anyone in common who began them, however far."""
        return not self._forebears(one).isdisjoint(self._forebears(other))

    def _forebears(self, one: int | None) -> set[int]:
        found: set[int] = set()
        while one is not None and one not in found:
            found.add(one)
            one = self.lineages[one].parent if one < len(self.lineages) else None
        return found

    def numbered(self) -> Trace:
        """Return the trace with keys, credentials and volatile values numbered by first appearance.

        Numbering twice changes nothing.
        """
        return self._numbered(Numbering(self.attempts))

    def shown(self) -> Trace:
        """Return the numbered trace without its secrets: what may be printed or written to a file.

        Doing it twice changes nothing.
        """
        numbering = Numbering(self.attempts)
        return hidden(self._numbered(numbering), numbering, redact.current())

    def _numbered(self, numbering: Numbering) -> Trace:
        return changed(
            self,
            attempts=tuple([numbering.attempt(attempt) for attempt in self.attempts]),
            operations=tuple([numbering.operation(operation) for operation in self.operations]),
            effects=tuple([numbering.effect(effect) for effect in self.effects]),
            scopes=tuple([numbering.scope(scope) for scope in self.scopes]),
            ended=numbering.told(self.ended),
            notes=tuple([numbering.text(note) for note in self.notes]),
        )

    def to_json(self) -> str:
        """Write the trace as it is shown as JSON, in ASCII: the same run gives the same bytes.

        But for the marks of secrets that stand in texts: their key is new in each process.
        """
        return json.dumps({"format": FORMAT, **codec.encode_fields(self.shown())}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Trace:
        """Read a trace back; `ValueError` where it is no trace or of another version, with the place."""
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ValueError(f"this is no JSON ({error}), and no trace: {text[:60]!r}") from error
        if not isinstance(value, dict) or "format" not in value:
            raise ValueError(f"this is not a trace written by Trace.to_json(): {text[:60]!r}")
        found = value.pop("format")
        if found != FORMAT:
            raise ValueError(f"a trace of format {found!r}: this version reads format {FORMAT}; record it again")
        return codec.decode(cls, value)

"""What judging a trace gives: a ruling for every law, and findings that can be acted on.

These are values. How they read is decided in ``pytest_retrychaos.text``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Ruling(enum.Enum):
    """The three answers of a law; there is no silent pass."""

    HELD = "held"
    BROKEN = "broken"
    DOES_NOT_APPLY = "does not apply"


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which a law is broken, with what to do about it."""

    code: str
    """The law's code, ``BK04``."""
    shape: str
    """``BK04/early`` where the law can be broken in several ways, else the code."""
    headline: str
    """One line that makes sense alone; it begins with the code."""
    operation: int | None
    """Index into `Trace.operations`; ``None`` where the finding is about no operation."""
    marks: tuple[tuple[int, str], ...]
    """What to point at in the timeline: attempt index and note."""
    why: str
    fix: str
    hint: str | None = None
    """What would settle it, where one habit looks exactly like a bug; several hints on lines of their own."""
    herd: int | None = None
    """Index into `Trace.herds`, where the finding is about all copies of one."""


@dataclass(frozen=True, slots=True)
class LawResult:
    """What one law says of one trace."""

    code: str
    ruling: Ruling
    reason: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all laws that were asked say of one trace, in the order of the law table."""

    results: tuple[LawResult, ...]

    @property
    def broken(self) -> tuple[LawResult, ...]:
        """The laws that were broken."""
        return self._ruled(Ruling.BROKEN)

    @property
    def held(self) -> tuple[LawResult, ...]:
        """The laws that applied and were kept."""
        return self._ruled(Ruling.HELD)

    @property
    def does_not_apply(self) -> tuple[LawResult, ...]:
        """The laws that this trace says nothing about, each with the reason."""
        return self._ruled(Ruling.DOES_NOT_APPLY)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding, in the order of the law table and of the attempts."""
        return tuple(finding for result in self.results for finding in result.findings)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the broken laws."""
        return tuple(result.code for result in self.broken)

    @property
    def ok(self) -> bool:
        """Whether no law was broken."""
        return not self.broken

    def of(self, code: str) -> LawResult:
        """Return what one law said; `KeyError` where it was not asked."""
        for result in self.results:
            if result.code == code:
                return result
        asked = ", ".join(result.code for result in self.results)
        raise KeyError(f"{code} was not asked; asked were: {asked}")

    def _ruled(self, ruling: Ruling) -> tuple[LawResult, ...]:
        return tuple(result for result in self.results if result.ruling is ruling)

"""How a law's answers for single operations become one ruling.

One operation that breaks the law breaks it; else one that kept it is enough to hold; else it does not apply,
and the first reason met says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.verdict import Finding, LawResult, Ruling
from pytest_retrychaos.laws.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_retrychaos.engine.breaker_policy import BreakerPolicy
    from pytest_retrychaos.laws.policy import Policy

ONE_OR_TWO = "one operation or two? an equal request followed a failure from another line of the test"
"""Why a law does not apply to operations that may be one."""

_WAS: Final = re.compile(r"\bwas\b")

TWO_OPERATIONS = "two operations? name them with chaos.operation"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a trace is judged by, besides itself."""

    policy: Policy | None = None
    breaker: BreakerPolicy | None = None
    scripts: str = "all"
    amplification: float | None = None
    """How many attempts an operation may make at most, through every layer."""


@dataclass(slots=True)
class Tally:
    """Count what one law says of one thing after the other."""

    code: str
    held: int = 0
    unclear: str | None = None
    findings: list[Finding] = field(default_factory=list)

    def hold(self) -> None:
        """Note one more that kept the law."""
        self.held += 1

    def pass_over(self, reason: str) -> None:
        """Note why the law does not apply to one; the first reason is told."""
        if self.unclear is None:
            self.unclear = reason

    def accuse(self, finding: Finding) -> None:
        """Note one that broke the law."""
        self.findings.append(finding)

    def result(self, *, noun: str, did: str, otherwise: str) -> LawResult:
        """Rule: ``noun did`` where it held (``operation``, ``was retried``), ``otherwise`` where nothing applied."""
        if self.findings:
            broken = f"broken {counted(len(self.findings), 'time')}"
            kept = f", kept {counted(self.held, 'time')}" if self.held else ""
            return LawResult(self.code, Ruling.BROKEN, broken + kept, tuple(self.findings))
        if self.held:
            did = did if self.held == 1 else _WAS.sub("were", did, count=1)
            return LawResult(self.code, Ruling.HELD, f"{counted(self.held, noun)} {did}")
        return LawResult(self.code, Ruling.DOES_NOT_APPLY, self.unclear or otherwise)


def finding(
    shape: str,
    headline: str,
    *,
    operation: int | None,
    marks: Sequence[tuple[int, str]],
    why: str,
    fix: str,
    hint: str | None = None,
    herd: int | None = None,
) -> Finding:
    """Make a finding of a law's shape; the headline is given without the code, which is put before it."""
    code = shape.partition("/")[0]
    return Finding(code, shape, f"{code} {headline}", operation, tuple(marks), why, fix, hint, herd)

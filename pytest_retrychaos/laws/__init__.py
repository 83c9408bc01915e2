"""Laws: what a correct retrier does, each a pure function of a recorded trace.

Laws of this package:
1. A law answers *held*, *broken* or *does not apply*, each with its reason; never a silent pass.
2. A right client is never accused. Where the trace cannot tell, the law does not apply.
3. Verdicts depend on the trace alone: a trace read back from JSON gets the same one.
4. All laws together are one linear pass over the attempts.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.policy import Policy, as_policy
from pytest_retrychaos.laws.table import CODES, FAMILIES, LAWS, Choice, Law, choose, nearest
from pytest_retrychaos.laws.tally import Terms
from pytest_retrychaos.laws.verdict import Finding, LawResult, Ruling, Verdict
from pytest_retrychaos.laws.view import View

if TYPE_CHECKING:
    from pytest_retrychaos.engine.breaker_policy import BreakerPolicy
    from pytest_retrychaos.engine.retry import Retry
    from pytest_retrychaos.trace import Trace

__all__ = [
    "CODES",
    "FAMILIES",
    "LAWS",
    "Finding",
    "Law",
    "LawResult",
    "Policy",
    "Ruling",
    "Terms",
    "Verdict",
    "judge",
    "judge_by",
    "nearest",
]

NOTHING_SENT: Final = "nothing was sent"


def judge(
    trace: Trace,
    policy: Retry | Policy | None = None,
    *,
    only: Collection[str] = (),
    ignore: Collection[str] = (),
    scripts: str = "all",
    breaker: BreakerPolicy | None = None,
    amplification: float | None = None,
) -> Verdict:
    """Judge a trace by every law, or by those named.

    ``policy`` makes the bounds exact: did the code behave like this policy? ``only`` and ``ignore`` take codes
    (``RT01``), families (``RT``) and shapes (``BK04/early``). ``scripts="closed"`` judges NV01 only for scripts
    that were replaced or closed, for judging in the middle of a run. A ``breaker`` is held to
    its promise, and operations that follow a failure may end early. ``amplification`` is the most attempts
    that one operation may make. `ValueError` names an unknown law and the nearest
    known one.
    """
    if scripts not in ("all", "closed"):
        raise ValueError(f'scripts={scripts!r}: it has to be "all" or "closed"')
    return judge_by(trace, Terms(as_policy(policy), breaker, scripts, amplification), only=only, ignore=ignore)


def judge_by(trace: Trace, terms: Terms, *, only: Collection[str] = (), ignore: Collection[str] = ()) -> Verdict:
    """Judge a trace by terms that were made before; see `judge`."""
    wanted, unwanted = choose("only", only), choose("ignore", ignore)
    laws = [law for law in LAWS if not only or law.code in wanted.touched]
    with _collector_paused():
        results = {law.code: _chosen(result, wanted, unwanted) for law, result in _judge(trace, laws, terms)}
        broken = [law for law in laws if results[law.code].ruling is Ruling.BROKEN]
        if broken:
            # Findings quote paths and errors: the trace as it is shown gives the same text on every machine, and no
            # secret.
            again = _judge(trace.shown(), broken, terms)
            results |= {law.code: _chosen(result, wanted, unwanted) for law, result in again}
    return Verdict(tuple(results.values()))


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's collector from looking at all that a run has kept: judging makes no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _judge(trace: Trace, laws: list[Law], terms: Terms) -> Iterator[tuple[Law, LawResult]]:
    view = View(trace)
    for law in laws:
        if trace.attempts or law.code == "NV01":
            yield law, law.judge(view, terms)
        else:
            yield law, LawResult(law.code, Ruling.DOES_NOT_APPLY, NOTHING_SENT)


def _chosen(result: LawResult, wanted: Choice, unwanted: Choice) -> LawResult:
    """Leave out what was not asked; a law whose every finding was left out does not apply."""
    if result.code in unwanted.codes:
        return LawResult(result.code, Ruling.DOES_NOT_APPLY, "left out by ignore")
    if result.ruling is not Ruling.BROKEN:
        return result
    takes_all = not wanted.touched
    kept = tuple(
        finding for finding in result.findings if not unwanted.names(finding) and (takes_all or wanted.names(finding))
    )
    if kept:
        return replace(result, findings=kept)
    left_out = ", ".join(sorted({finding.shape for finding in result.findings}))
    return LawResult(result.code, Ruling.DOES_NOT_APPLY, f"broken only as {left_out}, which was left out")

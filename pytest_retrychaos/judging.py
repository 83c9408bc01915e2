"""The verdict of one run: when laws are asked, what fails the test, and what a failure shows."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from types import CodeType

from pytest_retrychaos import redact
from pytest_retrychaos.clock.errors import Stuck
from pytest_retrychaos.clock.report import left_running
from pytest_retrychaos.laws import Finding, LawResult, Ruling, Terms, Verdict, judge, judge_by
from pytest_retrychaos.laws.table import choose
from pytest_retrychaos.options import Options
from pytest_retrychaos.record.telling import tell_error
from pytest_retrychaos.run import Run
from pytest_retrychaos.service import Service
from pytest_retrychaos.text import again, failure_text, herd_text, timeline
from pytest_retrychaos.trace import Told, Trace
from pytest_retrychaos.views import CannotTell, LawsBroken

Known = Callable[[Service, Trace, Finding], bool]
"""Tells whether a finding is known, so that it is noted and fails nothing."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was asked of a run at one moment, and found."""

    terms: Terms
    attempts: int
    """How many there had been."""
    verdict: Verdict | None = None
    """``None`` where an ``assert_…`` asked."""
    new: tuple[Finding, ...] = ()
    known: tuple[Finding, ...] = ()
    """Let pass by the baseline."""
    held: tuple[str, ...] = ()
    """The laws that an ``assert_…`` asked, where it holds."""
    expected: tuple[Finding, ...] = ()
    """Let pass by ``expect=``."""
    trace: Trace | None = None
    """What was judged, where a baseline was asked about it: a finding's route is told by what had been sent then."""


class Judge:
    """Judges one run: in the middle, where the test asks, and at its end. Keeps what was found and shown."""

    def __init__(
        self, run: Run, options: Options, name: str, test_code: CodeType | None, known: Known | None = None
    ) -> None:
        self._run = run
        self._options = options
        self._name = name
        self._known = known
        self.judgements: list[Judgement] = []
        """Everything that was asked, in order."""
        self.test_code = test_code
        """The test function, which what ends code without an end should reach."""
        self.ended: Told | None = None
        """How the test ended, where it was by an error."""
        self.has_judged = False
        """Whether the test judged by itself, by ``verify`` or an ``assert_…``."""
        self.verdict: Verdict | None = None
        """What the last judgement said."""
        self.shown = False
        """Whether the failure text already has the timeline."""
        self._terms = Terms()
        """What the test itself asked by, last."""
        self._met: set[str] = set()
        """Of ``expect=``: what was found."""

    @property
    def trace(self) -> Trace:
        """The record so far."""
        return self._run.trace(self._name, self.ended)

    def asked_trace(self) -> Trace:
        """Give the record to an assertion of the test, once nothing went wrong that it would hide."""
        __tracebackhide__ = True
        self.has_judged = True
        self.raise_problems()
        self.judgements.append(Judgement(Terms(), len(self._run.recorder.sheets)))
        return self.trace

    def lets_pass(self, trace: Trace, found: Finding) -> bool:
        """Note what an ``assert_…`` found; tell whether it is known or expected, so that the test goes on."""
        last = self.judgements[-1]
        expected = {one for one in self._options.expect if choose("expect", (one,)).names(found)}
        self._met |= expected
        if expected:
            self.judgements[-1] = replace(last, expected=(found,))
            return True
        is_known = self._known is not None and self._known(self._run.service, trace, found)
        last = replace(last, trace=trace)
        self.judgements[-1] = replace(last, known=(found,)) if is_known else replace(last, new=(found,))
        return is_known

    def note_held(self, laws: tuple[str, ...]) -> None:
        """Note that an ``assert_…`` holds."""
        self.judgements[-1] = replace(self.judgements[-1], held=laws)

    def verify(self, terms: Terms, *, only: Collection[str], ignore: Collection[str]) -> Verdict:
        """Check every law that applies to what happened so far; see `Chaos.verify`."""
        __tracebackhide__ = True
        choose("only", only)
        choose("ignore", ignore)
        self.has_judged = True
        self.raise_problems()
        if not self._run.recorder.sheets:
            raise CannotTell(
                "verify() before any request: cannot tell whether the code is right. Call the code under test first, "
                f"with the service's address ({self._run.url}), or any other but loopback"
            )
        self._run.settle()
        if self._run.is_over:
            terms = replace(terms, scripts="all")  # nothing fires any more
        self._terms = terms
        verdict = self._judge(terms, only=only, ignore=ignore)
        self._raise_swallowed()
        return verdict

    def finish(self, *, judge_all: bool = False) -> None:
        """Judge what a test that passed left over: a fault that never fired, or, if asked, every law."""
        __tracebackhide__ = True
        self.raise_problems()
        self._raise_swallowed()
        if (judge_all or self._options.expect) and not self.has_judged and self._run.recorder.sheets:
            self._run.settle()
            self._judge(Terms())
        else:
            self._judge(Terms(), only=("NV01",))
        self.require_expected()
        self.require_routes()
        self._require_choices()

    def raise_problems(self) -> None:
        """Raise what could not be simulated or went wrong in a handler, if anything did."""
        __tracebackhide__ = True
        if self._run.problems:
            raise self._run.problems[0]

    def note_end(self, error: BaseException) -> None:
        """Note how the test ended: a law asks whether the retry loop ended in an error of its own."""
        self.ended = tell_error(error)

    def failure_section(self) -> str:
        """Write what a test that failed has to show: the timeline, the laws broken beside, how to run it again."""
        try:
            trace = self.trace.shown()
        except Stuck:  # told once, and among the problems from then on
            trace = self.trace.shown()
        problems = [*self._run.problems, *self._swallowed()]
        if self.shown and not trace.notes and not problems:
            return ""
        lines = [] if self.shown else [timeline(trace)] if trace.attempts else ["  nothing was sent"]
        lines += [] if self.shown else [herd_text(trace, number) for number in range(len(trace.herds))]
        lines += [f"note   {note}" for note in trace.notes]
        if not self.shown and trace.attempts:
            broken = judge(trace, ignore=(*self._options.expect, "NV01")).broken
            lines += [f"beside {finding.headline}" for result in broken for finding in result.findings[:1]]
        hide = redact.current().text
        lines += [f"beside {type(problem).__name__}: {hide(str(problem))}" for problem in problems]
        return "\n".join([*lines, f"again  {again(trace)}"])

    def left_section(self) -> str:
        """Name the threads that went on when the run had ended and failed nothing: daemons, or beside an error."""
        left = [one for one in self._run.left_running if self.ended is not None or not one.holds_up]
        return left_running(left) if left else ""

    def _judge(self, terms: Terms, *, only: Collection[str] = (), ignore: Collection[str] = ()) -> Verdict:
        __tracebackhide__ = True
        trace = self.trace
        ignored = (*ignore, *self._options.expect)
        found = judge_by(trace, terms, only=only, ignore=ignored)
        verdict, known = self._without_known(trace, found)
        if self.verdict is None or not only:
            self.verdict = verdict
        judged = trace if known or not verdict.ok else None
        judgement = Judgement(terms, len(trace.attempts), verdict, verdict.findings, known, trace=judged)
        self.judgements.append(judgement)
        if not verdict.ok:
            self.shown = True
            raise LawsBroken(failure_text(trace, verdict), verdict)
        if not only:
            self._find_expected(trace, terms)
        return verdict

    def require_expected(self) -> None:
        """Judge what ``expect=`` names and nothing has found yet; raise where all of that holds."""
        __tracebackhide__ = True
        if not self._has_asked:
            return
        met = self.met_expected()
        held = [one for one in self._options.expect if one not in met]
        self._met.update(held)  # it is told once
        if held:
            raise LawsBroken(not_broken(held), self.verdict)

    def met_expected(self) -> frozenset[str]:
        """Judge what ``expect=`` names and nothing has found yet; give what was found of all."""
        if self._has_asked and not self._met.issuperset(self._options.expect):
            self._run.settle()
            self._find_expected(self.trace, self._terms)
        return frozenset(self._met)

    @property
    def _has_asked(self) -> bool:
        return bool(self.judgements and self._run.recorder.sheets)

    def _find_expected(self, trace: Trace, terms: Terms) -> None:
        found = {one: judge_by(trace, terms, only=(one,)) for one in self._options.expect}
        self._met |= {one for one, verdict in found.items() if not verdict.ok}
        findings = tuple([finding for verdict in found.values() for finding in verdict.findings])
        last = self.judgements[-1]
        self.judgements[-1] = replace(last, expected=(*last.expected, *findings))

    def _without_known(self, trace: Trace, verdict: Verdict) -> tuple[Verdict, tuple[Finding, ...]]:
        """Take out of a verdict what is known, and give that beside it."""
        if self._known is None or verdict.ok:
            return verdict, ()
        service = self._run.service
        known = tuple([one for one in verdict.findings if self._known(service, trace, one)])
        return Verdict(tuple([_without(result, known) for result in verdict.results])), known

    def require_routes(self) -> None:
        """Raise where a route was never asked: what the test says of the service is not so."""
        __tracebackhide__ = True
        unused = self._run.service.unused_routes
        if unused and self._options.strict:
            sheets = self._run.recorder.sheets
            arrived = dict.fromkeys(f"{one.method} {one.host}{one.target}" for one in sheets if one.method)
            if unused[0] in self._run.service.routes_given_again:
                raise CannotTell(
                    f"the route {redact.current().text(unused[0])!r} was given again, and the later handler takes its "
                    "requests: the first was never asked. Take one of them out"
                )
            raise CannotTell(
                f"no request matched the route {redact.current().text(unused[0])!r}: its handler was never asked. "
                f"What arrived: {redact.current().text(', '.join(list(arrived)[:5])) or 'nothing'}. "
                "Mend the route, take it out, or say strict=False where it may stay unused"
            )

    def _require_choices(self) -> None:
        __tracebackhide__ = True
        unmet = self._run.unmet
        if unmet and self._options.strict:
            raise CannotTell(
                f"{unmet} never came: cannot tell. The timeline shows what did; say strict=False where it may not"
            )

    def _raise_swallowed(self) -> None:
        __tracebackhide__ = True
        for stop in self._swallowed():
            stop.add_note("The code under test swallowed this: catch `Exception`, not `BaseException`")
            raise stop

    def _swallowed(self) -> list[BaseException]:
        """List the ends of code without one that never reached the test function: who got them took no notice."""
        return [stop for stop in self._run.stops if not _has_reached(stop, self.test_code)]


def not_broken(held: Iterable[str]) -> str:
    """Say of what ``expect=`` names that it holds."""
    return f"{', '.join(held)} expected to be broken, but it is not: take it out of expect="


def _without(result: LawResult, known: tuple[Finding, ...]) -> LawResult:
    kept = tuple([one for one in result.findings if one not in known])
    if len(kept) == len(result.findings):
        return result
    if kept:
        return replace(result, findings=kept)
    return LawResult(result.code, Ruling.DOES_NOT_APPLY, "broken only as the baseline lists it")


def _has_reached(error: BaseException, code: CodeType | None) -> bool:
    """Whether an error came as far as a function: its traceback has every frame that it went through."""
    return any(frame.f_code is code for frame, _ in traceback.walk_tb(error.__traceback__))

"""Timelines, findings and verdicts in words: the one module that renders text.

Laws of this module:
1. The first line makes sense alone, and begins with the codes of the broken laws.
2. Keys and other volatile values are numbered (K1), so the same run prints the same text. Secrets are hidden.
3. Nothing grows without bound: long timelines lose their middle, long lists of findings their end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from pytest_retrychaos import redact
from pytest_retrychaos.chart import chart
from pytest_retrychaos.laws.arrivals import Arrivals, arrivals
from pytest_retrychaos.laws.calls import is_call
from pytest_retrychaos.laws.ends import ANSWER, CUT, IN_FLIGHT, RAISED, STATUS, Ended, Endings
from pytest_retrychaos.laws.guarded import silent_scopes
from pytest_retrychaos.laws.words import counted, grouped, seconds
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.trace import Trace

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import Finding, LawResult, Verdict
    from pytest_retrychaos.trace import Attempt, Option, Scope

MOST_LINES: Final = 24
"""A timeline of more attempts is elided in the middle; marked attempts and their neighbours stay."""
KEPT_AT_THE_ENDS: Final = 8
MOST_FINDINGS: Final = 3
"""Findings shown of one law."""
WIDEST_TARGET: Final = 60

FAILURES: Final = {
    "refuse": "connection refused",
    "dns": "host name not resolved",
    "connect-timeout": "no connection in time",
    "tls": "TLS handshake failed",
    "reset": "connection reset",
    "eof": "connection closed with no answer",
    "stale": "kept-alive connection was closed",
    "garbage": "answer that is no HTTP",
}
LOST: Final = {
    "reset": "the response was lost",
    "eof": "the response was lost",
    "stale": "the response was lost",
    "garbage": "an answer that is no HTTP",
}
"""What followed a commit."""

Marks = Iterable[tuple[int, str]]

_quoted: Final = json.JSONEncoder(ensure_ascii=False).encode


def timeline(trace: Trace, operation: int | None = None, marks: Marks = ()) -> str:
    """Write the attempts of a run, or of one operation, as a table: one line each, indented by two.

    ``operation`` is an index into ``trace.operations``; ``marks`` point at attempts by their index.
    """
    return "\n".join(_timeline(trace.shown(), operation, marks))


def failure_text(trace: Trace, verdict: Verdict) -> str:
    """Write what is broken: headline, timeline, why, fix and how to run it again, for each finding.

    `ValueError` where nothing is broken.
    """
    if verdict.ok:
        raise ValueError("no law is broken: there is no failure to tell; verdict_text() lists what held")
    numbered = trace.shown()
    blocks: list[str] = []
    drawn: set[int | None] = set()
    for result in verdict.broken:
        for found in result.findings[:MOST_FINDINGS]:
            blocks.append("\n".join(_finding(numbered, found, draws=found.herd not in drawn)))
            drawn.add(found.herd)
        more = len(result.findings) - MOST_FINDINGS
        if more > 0:
            blocks.append(f"{result.code} and {grouped(more)} more")
    if len(verdict.findings) > 1:
        blocks.insert(0, f"{', '.join(verdict.codes)} broken: {counted(len(verdict.findings), 'finding')}")
    return "\n\n".join(blocks)


def finding_text(trace: Trace, finding: Finding) -> str:
    """Write one finding, as `failure_text` does."""
    return "\n".join(_finding(trace.shown(), finding))


def verdict_text(verdict: Verdict) -> str:
    """Write every law's ruling with its reason, one line each, what is broken first."""
    results = [*verdict.broken, *verdict.held, *verdict.does_not_apply]
    width = max((len(result.ruling.value) for result in results), default=0)
    return "\n".join(_ruling(result, width) for result in results)


def _ruling(result: LawResult, width: int) -> str:
    return f"{result.code}  {result.ruling.value:<{width}}  {redact.current().text(result.reason)}"


def _finding(trace: Trace, finding: Finding, *, draws: bool = True) -> list[str]:
    lines = [finding.headline]
    if trace.attempts and (finding.operation is not None or finding.marks):
        lines += _timeline(trace, finding.operation, finding.marks, silent=finding.code.startswith("CB"))
    if finding.herd is not None and draws:
        lines += herd_text(trace, finding.herd).splitlines()
    lines += [f"  why   {finding.why}", f"  fix   {finding.fix}", f"  again {again(trace)}"]
    lines += [f"  or    {hint}" for hint in (finding.hint or "").splitlines()]
    return lines


def again(trace: Trace) -> str:
    """Write the marker that runs the test again: script, options and seed.

    A script that the test sets itself would collide with one in the marker, and is only spoken of.
    """
    if trace.script_is_own:
        return f"{marker('', trace.options, trace.seed)}  # the test sets the script itself"
    return marker(trace.script, trace.options, trace.seed)


def marker(script: str, options: Sequence[Option], seed: int) -> str:
    """Write the marker of a run."""
    given = [_quoted(script)] if script else []
    named = [f"{one.name}={one.value}" for one in options]
    return f"@pytest.mark.chaos({', '.join([*given, *named, f'seed={seed}'])})"


def _timeline(trace: Trace, operation: int | None, marks: Marks, *, silent: bool = False) -> list[str]:
    """Write the rows; ``silent`` shows the calls that sent nothing, too, where they stand among the attempts."""
    if operation is None:
        attempts: Sequence[Attempt] = trace.attempts
    else:
        attempts = trace.of(trace.operations[operation])
    notes: dict[int, str] = {}
    for index, note in marks:
        notes[index] = f"{notes[index]}; {note}" if index in notes else note
    outside = [a for a in trace.attempts if a.index in notes and operation not in (None, a.operation)]
    attempts = sorted([*outside, *attempts], key=lambda attempt: attempt.index) if outside else attempts
    shown = _shown(attempts, notes)
    rows = _rows([attempts[place] for place in shown if place is not None], notes)
    nothing_sent = silent_scopes(trace) if silent else {}
    lines = _silent_rows(nothing_sent.get(0, []))
    for at, place in enumerate(shown):
        if place is None:
            before = shown[at - 1]
            after = shown[at + 1]
            left_out = (after or 0) - (before or 0) - 1
            lines.append(f"  … {counted(left_out, 'more attempt')}")
        else:
            lines += [next(rows), *_silent_rows(nothing_sent.get(attempts[place].index, []))]
    return lines


def _silent_rows(scopes: list[Scope]) -> list[str]:
    """Write one row for the calls of a moment that sent nothing."""
    moments: dict[tuple[int, str], int] = {}
    for scope in scopes:
        moments[scope.began_ns, scope.name] = moments.get((scope.began_ns, scope.name), 0) + 1
    return [
        f"  {moment(began_ns)}  –   {name} sent nothing{f', {times} times' if times > 1 else ''}"
        for (began_ns, name), times in moments.items()
    ]


def _shown(attempts: Sequence[Attempt], notes: dict[int, str]) -> list[int | None]:
    """Choose the places that are shown; ``None`` stands for a stretch left out."""
    total = len(attempts)
    if total <= MOST_LINES:
        return list(range(total))
    marked = [place for place, attempt in enumerate(attempts) if attempt.index in notes]
    kept = {*range(KEPT_AT_THE_ENDS), *range(total - KEPT_AT_THE_ENDS, total)}
    for place in (*marked[:2], *marked[-1:]):
        kept |= {near for near in (place - 1, place) if near >= 0}
    shown: list[int | None] = []
    for place in sorted(kept):
        if shown and shown[-1] != place - 1:
            shown += [place - 1] if place - 2 == shown[-1] else [None]
        shown.append(place)
    return shown


def _rows(attempts: list[Attempt], notes: dict[int, str]) -> Iterator[str]:
    endings = Endings()
    hosts = {attempt.host for attempt in attempts}
    has_keys = any(attempt.was_sent and not attempt.is_read for attempt in attempts)
    cells = [
        (
            moment(attempt.began_ns),
            f"#{attempt.index}",
            request_text(attempt, with_host=len(hosts) > 1),
            f"key {attempt.key or '–'}" if has_keys else "",
            describe(endings.of(attempt)),
        )
        for attempt in attempts
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    for attempt, row in zip(attempts, cells, strict=True):
        at, number, request, key, what = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        head = f"  {at}  {number}  {request}"
        if has_keys:
            head += f"  {key}"
        tail = [f"({attempt.fault})"] if attempt.fault not in (None, "ok", what.strip()) else []
        tail += [f"◄ {notes[attempt.index]}"] if attempt.index in notes else []
        yield f"{head}   {what}   {'   '.join(tail)}".rstrip()


def moment(nanoseconds: int) -> str:
    """Write a moment of the run: ``t+62.00s``, to the hundredth, or to the millisecond where that loses some."""
    digits = 2 if nanoseconds % 10_000_000 == 0 else 3
    return f"t+{nanoseconds / SECOND:.{digits}f}s"


def request_text(attempt: Attempt, *, with_host: bool) -> str:
    """Write what an attempt asked for: ``POST /payments``, or ``connect to HOST`` where nothing was sent."""
    if not attempt.was_sent:
        return f"connect to {attempt.host}"
    target = attempt.target or ""
    if len(target) > WIDEST_TARGET:
        target = f"{target[: WIDEST_TARGET - 1]}…"
    with_host = with_host and not is_call(attempt)
    return f"{attempt.method} {attempt.host}{target}" if with_host else f"{attempt.method} {target}"


def describe(end: Ended) -> str:
    """Say in words how one attempt ended: ``201, committed``, ``committed, then the response was lost``."""
    attempt = end.attempt
    if end.how == IN_FLIGHT:
        return "in flight"
    if end.how == ANSWER:
        return _answer(attempt)
    failure = _failure(end)
    return f"committed, then {failure}" if attempt.committed else failure


def _first_line(error: str) -> str:
    line = error.partition("\n")[0]
    return line if len(line) <= WIDEST_TARGET else f"{line[: WIDEST_TARGET - 1]}…"


def _answer(attempt: Attempt) -> str:
    status = "done" if attempt.status is None else str(attempt.status)
    if attempt.replayed:
        return f"{status}, replayed"
    if attempt.effects > 1:
        return f"{status}, committed {attempt.effects} times"
    if attempt.effects:
        return f"{status}, committed"
    return f"{status}, nothing new" if attempt.committed and not attempt.is_read else status


def _failure(end: Ended) -> str:
    attempt = end.attempt
    if end.how == STATUS:
        headers = attempt.response_headers
        name = next((name for name in ("retry-after-ms", "Retry-After") if name in headers), None)
        return str(attempt.status) if name is None else f"{attempt.status}, {name}: {headers[name][:40]}"
    if end.how == CUT:
        return "closed by the client"
    if end.how == "timeout":
        return _silence(attempt)
    if end.how == RAISED:
        return f"raised {_first_line(attempt.error or '')}"
    if end.how == "truncate":
        return f"{attempt.status or 'answer'}, cut short"
    if end.how == "dns" and (attempt.error or "").startswith(ConnectionRefusedError.__name__):
        return FAILURES["refuse"]  # by an address that it had already
    return (LOST if attempt.committed else FAILURES)[end.how]


def _silence(attempt: Attempt) -> str:
    if attempt.was_silent:
        return "no answer, and no timeout"
    spent = (attempt.ended_ns or attempt.began_ns) - attempt.began_ns
    return f"no answer in {seconds(spent)}"


def arrivals_chart(found: Arrivals) -> str:
    """Draw how a herd arrived at the service."""
    return "\n".join(chart(found.counts, found.failed, found.window, found.capacity))


def herd_text(trace: Trace, number: int) -> str:
    """Write one herd of a run: its arrivals drawn, and what they come to."""
    found = arrivals(trace, number)
    return "\n".join([arrivals_chart(found), *_arrivals_in_words(trace.herds[number].count, found)])


def _arrivals_in_words(count: int, found: Arrivals) -> Iterator[str]:
    each = f"{found.attempts_per_operation:.3g} an operation, {grouped(found.most_attempts)} at most"
    yield f"  {counted(count, 'copy')}, {counted(found.attempts, 'attempt')}, {each}"
    peak = f"  peak {grouped(found.peak)}"
    if found.peak_over_capacity is not None:
        peak += f", {found.peak_over_capacity:.3g} times the capacity"
    if found.cause_ended is not None:
        peak += f"; {grouped(found.peak_after_cause)} once the cause had ended"
    if found.outlived_its_cause:
        peak += f"; over capacity for {found.outlived_by:.4g} s more"
    yield peak


def summary(trace: Trace, verdict: Verdict | None) -> str:
    """Write a run in which nothing is broken: its timeline, and which laws it could be judged by."""
    lines = [timeline(trace)] if trace.attempts else ["  nothing was sent"]
    lines += [f"note   {note}" for note in trace.shown().notes]
    if verdict is not None and trace.attempts:
        lines.append(f"held   {', '.join(result.code for result in verdict.held) or 'none: no law applied'}")
    return "\n".join(lines)


Trace.drawn_by = partial(summary, verdict=None)

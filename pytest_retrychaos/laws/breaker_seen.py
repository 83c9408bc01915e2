"""What the ``assert_breaker_…`` methods ask: what is seen of a breaker where nothing is known of its threshold.

Laws of this module are those of ``assertions``: nothing passes because nothing happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.assertions import NOTHING_SENT, cannot_tell
from pytest_retrychaos.laws.breaker import WORDS
from pytest_retrychaos.laws.guarded import COUNTS, Call, Event, Refusal, Sign, circuits
from pytest_retrychaos.laws.tally import finding
from pytest_retrychaos.laws.view import View
from pytest_retrychaos.laws.words import counted, seconds

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import Finding
    from pytest_retrychaos.trace import Trace

UNSEEN: Final = "a call that a breaker turns away leaves nothing on the wire: call the code by chaos.call"


def breaker_opened(trace: Trace, after: int | None = None) -> Finding | None:
    """Ask whether calls were turned away once some had failed; with ``after``, after so many failures in a row."""
    view = View(trace.shown())
    if not view.ends:
        return cannot_tell(NOTHING_SENT)
    stops = [stop for counts in COUNTS for events in _seen(view, counts) if (stop := _first_stop(events)) is not None]
    if not stops:
        return _never_opened(view)
    if after is None or any(least <= after <= most for least, most, _ in stops):
        return None
    least, most, refusal = stops[0]
    failures = counted(least, "failure") if least == most else f"{least} to {counted(most, 'failure')}"
    shape = "CB01/early" if most < after else "CB01/late"
    return finding(
        shape,
        f"the breaker opened after {failures} in a row, {after} expected",
        operation=None,
        marks=[(refusal.after, "the next call was turned away")] if refusal.after else (),
        why="the test says how many failures in a row open it",
        fix="change the breaker's threshold, what it takes for a failure, or the number in the test",
    )


def breaker_closed(trace: Trace) -> Finding | None:
    """Ask whether the last call went through and well."""
    view = View(trace.shown())
    if not view.ends:
        return cannot_tell(NOTHING_SENT)
    if view.ends[-1].attempt.scope is None:
        return cannot_tell(UNSEEN)
    for events in _seen(view, "calls"):
        last = next(event for event in reversed(events) if event.kind != "begin" or _is_pending(event))
        if last.refusal is not None:
            return _still_open(last.refusal, view)
        if last.call is not None and last.call.sign is not Sign.HEALTHY:
            return cannot_tell(
                f"the last call did not succeed ({last.call.sign.value}): the next one shows what it did"
            )
    return None


def no_traffic_while_open(trace: Trace) -> Finding | None:
    """Ask whether nothing was sent at the very moment at which a circuit was seen to be open.

    How long it stays open is not known here: what is sent later may be a probe.
    """
    view = View(trace.shown())
    if not view.ends:
        return cannot_tell(NOTHING_SENT)
    streams = list(_seen(view, "attempts"))
    for events in streams:
        leak = _leak(events, trace.resolution_ns)
        if leak is not None:
            _, why, fix, _ = WORDS["CB02"]
            call, since_ns = leak
            return finding(
                "CB02",
                f"traffic while open: {call.first.method or 'a connection'} {call.first.target or call.first.host} was"
                f" sent {seconds(since_ns)} after the circuit was seen to be open",
                operation=None,
                marks=[(call.first.index, "sent all the same")],
                why=why,
                fix=fix,
            )
    if not any(event.kind == "refused" for events in streams for event in events):
        return cannot_tell(f"no call was seen to be turned away; {UNSEEN}")
    return None


def _seen(view: View, counts: str) -> Iterator[list[Event]]:
    """Give what happened at each host; where only calls were turned away, which host they were for is not known."""
    yield from circuits(view, "host", counts).values()


def _first_stop(events: list[Event]) -> tuple[int, int, Refusal] | None:
    """Find the first call that was turned away after a failure, and how many in a row there had been: at least, at
    most."""
    sure = possible = 0
    for event in events:
        if event.refusal is not None and possible:
            return sure, possible, event.refusal
        if event.kind == "end" and event.call is not None:
            sign = event.call.sign
            sure = sure + 1 if sign is Sign.FAILED else 0
            possible = 0 if sign is Sign.HEALTHY else possible + 1
    return None


def _never_opened(view: View) -> Finding:
    longest, last = 0, None
    for events in _seen(view, "attempts"):
        row = 0
        for event in events:
            if event.kind == "begin" and event.call is not None and row and event.call.first.scope is not None:
                longest, last = max((longest, last or event.call), (row, event.call), key=lambda one: one[0])
            if event.kind == "end" and event.call is not None:
                row = row + 1 if event.call.sign is Sign.FAILED else 0
    if not view.trace.scopes:
        return cannot_tell(UNSEEN)
    if last is None:
        return cannot_tell("nothing was tried after a failure")
    _, why, fix, _ = WORDS["CB01/late"]
    return finding(
        "CB01/late",
        f"the breaker did not open: a call was sent after {counted(longest, 'failure')} in a row",
        operation=None,
        marks=[(last.first.index, f"sent after {counted(longest, 'failure')} in a row")],
        why=why,
        fix=fix,
    )


def _still_open(refusal: Refusal, view: View) -> Finding:
    return finding(
        "CB04/stays-open",
        f"the breaker is open: the last call ({refusal.scope.name}) was turned away",
        operation=None,
        marks=[(view.ends[-1].attempt.index, "the next call was turned away")],
        why="callers are cut off until it closes",
        fix="advance the clock by the cooldown (chaos.clock.advance), and let a call succeed",
    )


def _is_pending(event: Event) -> bool:
    return event.call is not None and event.call.ended_ns is None


def _leak(events: list[Event], tolerance_ns: int) -> tuple[Call, int] | None:
    """Find what was sent though no time had passed since the circuit was open for sure."""
    open_ns: int | None = None
    under_way: set[int] = set()
    for event in events:
        call = event.call
        if event.refusal is not None and not under_way:
            open_ns = event.refusal.at_ns
        elif event.kind == "begin" and call is not None:
            since_ns = call.first.began_ns - (open_ns or 0)
            if open_ns is not None and since_ns <= tolerance_ns and not under_way and call.admitted_ns >= open_ns:
                return call, since_ns
            under_way.add(call.first.index)
        elif event.kind == "end" and call is not None:
            under_way.discard(call.first.index)
            if call.sign is not Sign.FAILED:
                open_ns = None
            elif open_ns is not None:
                open_ns = call.ended_ns
    return None

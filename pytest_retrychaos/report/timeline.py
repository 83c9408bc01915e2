"""A test's run as a picture needs it: bars, waits with their envelope, effects, breaker, herds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.engine.retry_after import Asked
from pytest_retrychaos.laws.arrivals import arrivals
from pytest_retrychaos.laws.ends import Ended, asked_by
from pytest_retrychaos.laws.policy import FOR_EVER_NS
from pytest_retrychaos.laws.view import OperationView, View, all_ends, operation_views
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.report.bands import spans
from pytest_retrychaos.report.document import MOST_BARS, Bar, EffectMark, HerdBars, Timeline, Wait
from pytest_retrychaos.text import describe, request_text

if TYPE_CHECKING:
    from pytest_retrychaos.laws import Terms
    from pytest_retrychaos.laws.policy import Policy
    from pytest_retrychaos.report.identity import Reading
    from pytest_retrychaos.trace import Trace

MOST_LETTERS: Final = 300
"""Of a fault as it is drawn; a scripted body may be long."""


def timeline(trace: Trace, reading: Reading, terms: Terms | None) -> Timeline:
    """Draw a trace as `hiding.drawn` or `Trace.shown` gives it; ``terms`` are those that it was judged by last."""
    policy = None if terms is None else terms.policy
    ends, shown = all_ends(trace), trace.attempts[:MOST_BARS]
    operations = operation_views(trace, ends)
    return Timeline(
        operations=tuple([one.name for one in trace.operations]),
        attempts=tuple(_bars(trace, ends[: len(shown)], reading)),
        waits=tuple([wait for one in operations for wait in _waits(one, policy) if wait.before <= len(shown)]),
        effects=tuple(_effects(trace, len(shown))),
        breaker=() if terms is None or terms.breaker is None else spans(View(trace), terms.breaker),
        herds=tuple([_herd(trace, number) for number in range(len(trace.herds))]),
        finished_ns=trace.finished_ns,
        omitted=len(trace.attempts) - len(shown),
    )


def _bars(trace: Trace, ends: Sequence[Ended], reading: Reading) -> Iterator[Bar]:
    with_host = len({one.host for one in trace.attempts}) > 1
    for ended in ends:
        one = ended.attempt
        asked = asked_by(ended)
        yield Bar(
            index=one.index,
            operation=one.operation,
            request=request_text(one, with_host=with_host),
            route=reading.routes[one.index],
            fault=None if one.fault is None else one.fault[:MOST_LETTERS],
            fault_class=reading.faults[one.index],
            outcome=describe(ended),
            status=one.status,
            key=one.key,
            began_ns=one.began_ns,
            arrived_ns=one.arrived_ns,
            headers_ns=one.headers_ns,
            last_byte_ns=one.last_byte_ns,
            ended_ns=one.ended_ns,
            asked_ns=int(min(asked.seconds, 1e9) * SECOND) if isinstance(asked, Asked) else None,
            failed=one.failed,
            committed=one.committed,
            replayed=one.replayed,
            is_leg=one.joined == "leg",
            herd=None if one.scope is None else trace.scopes[one.scope].herd,
        )


def _waits(operation: OperationView, policy: Policy | None) -> Iterator[Wait]:
    previous: float | None = None
    for retry in operation.retries:
        least = most = None
        if policy is not None and policy.backoff is not None and not retry.is_login and not retry.is_failover:
            least, most = policy.envelope_ns(retry.before, retry.number, previous)
            most = None if most >= FOR_EVER_NS else most
        previous = max(retry.wait_ns, 0) / SECOND
        began_ns = retry.attempt.began_ns
        yield Wait(operation.index, retry.attempt.index, began_ns - retry.wait_ns, began_ns, least, most)


def _effects(trace: Trace, most: int) -> Iterator[EffectMark]:
    had: dict[int, int] = {}
    for effect in trace.effects:
        if not 1 <= effect.attempt <= most:
            continue
        operation = trace.attempts[effect.attempt - 1].operation
        had[operation] = had.get(operation, 0) + 1
        yield EffectMark(effect.at_ns, effect.attempt, operation, is_duplicate=had[operation] > 1)


def _herd(trace: Trace, number: int) -> HerdBars:
    herd, found = trace.herds[number], arrivals(trace, number)
    return HerdBars(
        copies=herd.count,
        began_ns=herd.began_ns,
        window_ns=round(found.window * SECOND),
        counts=found.counts,
        failed=found.failed,
        capacity_milli=None if found.capacity is None else round(found.capacity * 1000),
        cause_ended_ns=herd.cause_ended_ns,
    )

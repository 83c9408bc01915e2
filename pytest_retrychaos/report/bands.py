"""A circuit breaker's states over time, as far as the wire shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_retrychaos.laws.circuit import Circuit
from pytest_retrychaos.laws.guarded import COUNTS, PER, Event, circuits
from pytest_retrychaos.report.document import BreakerSpan

if TYPE_CHECKING:
    from pytest_retrychaos.engine.breaker_policy import BreakerPolicy
    from pytest_retrychaos.laws.view import View

Read = tuple[int, int, tuple[BreakerSpan, ...]]
"""How many slips a reading shows (negative), how much it explains, and the states in it."""


def spans(view: View, policy: BreakerPolicy) -> tuple[BreakerSpan, ...]:
    """Give the states of every circuit, in the reading of the run that explains most."""
    read = (_read(view, policy, per, counts) for per in PER for counts in COUNTS)
    return max(read, key=lambda one: one[:2])[2]


def _read(view: View, policy: BreakerPolicy, per: str, counts: str) -> Read:
    slips, held, found = 0, 0, []
    for key, events in circuits(view, per, counts).items():
        circuit = Circuit(policy, view.trace.resolution_ns)
        name = key if isinstance(key, str) else " ".join(map(str, key))  # type: ignore[call-overload] # a tuple, else
        found += list(_spans(str(name), circuit, events, view.trace.finished_ns))
        slips += circuit.slip is not None
        held += circuit.held.total()
    return -slips, held, tuple(found)


def _spans(name: str, circuit: Circuit, events: list[Event], end_ns: int) -> Iterator[BreakerSpan]:
    state, since_ns = circuit.state, 0
    for event in events:
        circuit.take(event)
        if circuit.state is not state:
            at_ns = _moment(event)
            yield BreakerSpan(name, state.value, since_ns, at_ns)
            state, since_ns = circuit.state, at_ns
    yield BreakerSpan(name, state.value, since_ns, max(end_ns, since_ns))


def _moment(event: Event) -> int:
    if event.refusal is not None:
        return event.refusal.at_ns
    assert event.call is not None
    return event.call.first.began_ns if event.kind == "begin" else event.call.ended_ns or 0

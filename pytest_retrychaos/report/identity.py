"""What tells one finding from another, whatever the test is called: law, shape, route and fault class.

The fault is the one that led to it: the last that struck its operation before the attempt that it points at, or that
attempt's own where the law is about how a failure was taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pytest_retrychaos.laws import Finding
from pytest_retrychaos.laws.ends import Endings
from pytest_retrychaos.report.document import NOWHERE
from pytest_retrychaos.report.faultclass import fault_class
from pytest_retrychaos.report.routes import Declared, route_of
from pytest_retrychaos.trace import Attempt, Trace

OF_THE_FAILURE: Final = frozenset({"RT01", "RT05", "RT06", "RT09", "BK05", "BK07", "ID05"})
"""Laws about how the last failure was taken; the others point at what was sent after it."""


class Reading:
    """The routes and fault classes of one trace."""

    def __init__(self, trace: Trace, declared: Declared) -> None:
        self._trace = trace
        endings = Endings()
        self.faults: Mapping[int, str | None] = {one.index: fault_class(one, endings) for one in trace.attempts}
        """By the index of the attempt."""
        own = {one.index: route_of(one, declared) for one in trace.attempts}
        self.routes: Mapping[int, str] = _filled(trace, own)
        """By the index of the attempt; one that was not sent has the route of its operation, or else the only one that
        was seen at its host."""

    def of(self, finding: Finding) -> tuple[str, str]:
        """Give the route and the fault class of a finding."""
        attempts = self._attempts(finding)
        if not attempts:
            return NOWHERE, NOWHERE
        return self.routes[attempts[0].index], self._fault(finding, attempts)

    def _attempts(self, finding: Finding) -> Sequence[Attempt]:
        if finding.operation is not None and finding.operation < len(self._trace.operations):
            return self._trace.of(self._trace.operations[finding.operation])
        return ()

    def _fault(self, finding: Finding, attempts: Sequence[Attempt]) -> str:
        pointed = min((index for index, _ in finding.marks), default=attempts[-1].index)
        met = [(one.index, self.faults[one.index]) for one in attempts]
        before = [fault for index, fault in met if fault is not None and index < pointed]
        own = [fault for index, fault in met if fault is not None and index == pointed]
        after = [fault for index, fault in met if fault is not None and index > pointed]
        if finding.code in OF_THE_FAILURE:
            return (own or before[::-1] or after or [NOWHERE])[0]
        return (before[::-1] or own or after or [NOWHERE])[0]


def _filled(trace: Trace, own: Mapping[int, str | None]) -> Mapping[int, str]:
    """Give each attempt a route, by the routes that attempts have themselves."""
    routes = {index: route for index, route in own.items() if route is not None}
    if len(routes) == len(own):
        return routes
    of_operation = {
        number: next((routes[index] for index in operation.attempts if index in routes), None)
        for number, operation in enumerate(trace.operations)
    }
    only = _only_routes(trace, routes)
    return {
        one.index: routes.get(one.index) or of_operation.get(one.operation) or only.get(one.host, NOWHERE)
        for one in trace.attempts
    }


def _only_routes(trace: Trace, routes: Mapping[int, str]) -> Mapping[str, str]:
    """Give the route of each host at which one alone was seen."""
    seen: dict[str, set[str]] = {}
    for attempt in trace.attempts:
        if attempt.index in routes:
            seen.setdefault(attempt.host, set()).add(routes[attempt.index])
    return {host: next(iter(found)) for host, found in seen.items() if len(found) == 1}

"""Which probes run around this code, so that a guarded function may call another one of the same breaker."""

from __future__ import annotations

from contextvars import ContextVar

from pytest_retrychaos.engine.circuit import Circuit

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    Probe = tuple[Circuit, int, "Probe | None"]

_around: ContextVar[Probe | None] = ContextVar("probes around", default=None)
"""The innermost first: whose circuit, the period that it began, and the next. What has ended is dropped by and by."""


def mark(circuit: Circuit, period: int) -> None:
    """Remember that what this thread or task does from here on is a probe, as long as ``period`` lasts."""
    around = _around.get()
    while around is not None and not _runs(around):
        around = around[2]
    _around.set((circuit, period, around))


def is_inside(circuit: Circuit) -> bool:
    """Tell whether the probe that is out is this very code."""
    around = _around.get()
    while around is not None:
        if around[0] is circuit and _runs(around):
            return True
        around = around[2]
    return False


def _runs(probe: Probe) -> bool:
    return probe[0].period == probe[1] and probe[0].is_probing

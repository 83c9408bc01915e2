"""How many failures a circuit has seen since it closed: so many for sure, and so many at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_retrychaos.laws.guarded import Call, Sign
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from pytest_retrychaos.engine.breaker_policy import BreakerPolicy


class Tries:
    """Failures since the circuit closed: how many there are for sure, and how many there may be."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self.clear()

    def clear(self) -> None:
        """Forget everything: the circuit has closed."""
        self.sure = self.possible = 0
        self.is_in_doubt = False
        self.is_crowded = False
        """Calls ran side by side: one may have failed unseen, before it was sent, as in a full pool."""
        self.last: Call | None = None
        self._total = self._healthy = self._failed = 0
        self._began_ns = 0

    def doubt(self) -> None:
        """Note that the circuit may be open."""
        self.clear()
        self.is_in_doubt = True

    def add_unseen(self) -> None:
        """Count a call that sent nothing: it may have failed."""
        self.sure = 0
        self.possible += 1
        self._total += 1

    def add(self, call: Call) -> None:
        """Count the end of a call."""
        ended, is_mixed = call.ended_ns or 0, self._is_mixed(call)
        if ended - self._began_ns > (self._policy.window or 0) * SECOND:
            self._total = self._healthy = self._failed = 0
            self._began_ns = ended
        self._total += 1
        self._healthy += call.sign is Sign.HEALTHY
        self._failed += call.sign is Sign.FAILED
        if call.sign is Sign.HEALTHY:
            self.sure = 0
            self.possible = self.possible if is_mixed else 0
        else:
            self.sure = self.sure + 1 if call.sign is Sign.FAILED and not is_mixed else 0
            self.possible += 1
        self.last = call

    @property
    def has_opened(self) -> bool:
        """Whether the last failure opened the circuit for sure."""
        policy = self._policy
        if policy.threshold is not None:
            return self.sure >= policy.threshold
        if self.last is None or self.last.sign is not Sign.FAILED:
            return False
        is_enough = self._healthy + self._failed >= (policy.minimum_calls or 1)
        window_ns = (policy.window or 0) * SECOND * 0.9  # it is counted in slices
        is_in_window = (self.last.ended_ns or 0) - self._began_ns < window_ns
        return is_enough and is_in_window and self._failed >= (policy.failure_rate or 1) * self._total

    @property
    def may_have_opened(self) -> bool:
        """Whether the circuit may be open."""
        if self.is_in_doubt:
            return True
        if self._policy.threshold is not None:
            return self.possible >= self._policy.threshold
        return self._total >= (self._policy.minimum_calls or 1)

    def _is_mixed(self, call: Call) -> bool:
        """Whether calls side by side ended otherwise at the same moment: which was first is not known."""
        last = self.last
        return (
            last is not None
            and last.ended_ns == call.ended_ns
            and last.last.lineage != call.last.lineage
            and last.sign is not call.sign
        )

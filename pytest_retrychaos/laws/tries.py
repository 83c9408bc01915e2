"""How many failures a circuit has seen since it closed: so many for sure, and so many at most."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from pytest_retrychaos.laws.guarded import Call, Sign
from pytest_retrychaos.model import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        self.has_slow = False
        """A success took so long that a breaker which counts slow calls may have counted it."""
        self.last: Call | None = None
        self._lately: deque[tuple[int, Sign]] = deque()
        """When each call of the last window ended, and how."""
        self._whole: Counter[Sign] = Counter()
        """How many of them ended in which way."""
        self.at_once: dict[int, Call] = {}
        """What each lineage ended last at the moment of the last call: which of them was the very last is not known."""
        self._signs: set[tuple[int, Sign]] = set()
        """Who ended at that moment, and how."""
        self._is_order_unknown = False

    def doubt(self) -> None:
        """Note that the circuit may be open."""
        self.clear()
        self.is_in_doubt = True

    def add_unseen(self, at_ns: int) -> None:
        """Count a call that sent nothing: it may have failed."""
        self.sure = 0
        self.possible += 1
        self._remember(at_ns, Sign.UNCLEAR)

    def add(self, call: Call) -> None:
        """Count the end of a call."""
        is_mixed = self._is_order_unknown = self._is_mixed(call)
        self._remember(call.ended_ns or 0, call.sign)
        self.has_slow = self.has_slow or (call.sign is Sign.HEALTHY and call.is_slow)
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
        if self.last is None or self.last.sign is not Sign.FAILED or self._is_order_unknown:
            return False
        return self._is_too_much(self._whole) and all(map(self._is_too_much, self._shorter()))

    @property
    def may_have_opened(self) -> bool:
        """Whether the circuit may be open."""
        if self.is_in_doubt:
            return True
        if self._policy.threshold is not None:
            return self.possible >= self._policy.threshold
        return len(self._lately) >= (self._policy.minimum_calls or 1)

    def _is_too_much(self, counts: Counter[Sign]) -> bool:
        healthy, failed = counts[Sign.HEALTHY], counts[Sign.FAILED]
        is_enough = healthy + failed >= (self._policy.minimum_calls or 1)
        return is_enough and failed >= (self._policy.failure_rate or 1) * counts.total()

    def _shorter(self) -> Iterator[Counter[Sign]]:
        """Count the window without what a right breaker may leave out: it counts in tenths, and drops one whole."""
        surely_in_ns = self._lately[-1][0] - round(self._window_ns * 0.9)
        counts = self._whole.copy()
        for ended, sign in self._lately:
            if ended > surely_in_ns:
                return
            counts[sign] -= 1
            yield counts

    def _remember(self, at_ns: int, sign: Sign) -> None:
        if not self._window_ns:
            return
        self._lately.append((at_ns, sign))
        self._whole[sign] += 1
        while self._lately[0][0] < at_ns - self._window_ns:
            self._whole[self._lately.popleft()[1]] -= 1

    @property
    def _window_ns(self) -> float:
        return (self._policy.window or 0) * SECOND

    def _is_mixed(self, call: Call) -> bool:
        """Whether calls side by side ended otherwise at the same moment: which was first is not known."""
        lineage = call.last.lineage
        if self.last is None or self.last.ended_ns != call.ended_ns:
            self.at_once.clear()
            self._signs.clear()
        self.at_once[lineage] = call
        self._signs.add((lineage, call.sign))
        return any(one != lineage and sign is not call.sign for one, sign in self._signs)

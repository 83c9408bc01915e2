"""What stands beside a policy and may end an operation early: a circuit breaker and a retry budget."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from pytest_retrychaos.engine.breaker import CircuitBreaker
    from pytest_retrychaos.engine.budget import RetryBudget
    from pytest_retrychaos.engine.circuit import CircuitOpen
    from pytest_retrychaos.engine.retry import Retry


class Guard:
    """Breaker and budget of one operation. Where a policy has neither, it says yes to everything."""

    __slots__ = ("_breaker", "_budget", "_period")

    def __init__(self, policy: Retry) -> None:
        self._breaker: CircuitBreaker | None = policy.breaker
        self._budget: RetryBudget | None = policy.budget
        self._period = 0

    def first(self) -> None:
        """Ask for the first attempt. Raises `CircuitOpen`."""
        self.another()
        if self._budget is not None:
            self._budget.deposit()

    def another(self) -> None:
        """Ask for an attempt. Raises `CircuitOpen`."""
        if self._breaker is not None:
            self._period = self._breaker.begin_around()

    def raised(self, error: BaseException) -> None:
        """Tell the breaker that the attempt ended in an exception."""
        if self._breaker is not None:
            self._breaker.end_with_error(self._period, error)

    def returned(self, result: object) -> None:
        """Tell the breaker that the attempt ended in a value."""
        if self._breaker is not None:
            self._breaker.end_with_result(self._period, result)

    def ended(self, failed: bool | None) -> None:
        """Tell the breaker that the attempt ended: ``None`` where that tells nothing about the service."""
        if self._breaker is not None:
            self._breaker.end(self._period, failed)

    @property
    def is_in_a_probe(self) -> bool:
        """Whether the attempt is a part of a probe around it, which fails by what the attempt ends in."""
        return self._breaker is not None and not self._period

    def refusal(self) -> CircuitOpen | None:
        """Give the error that ends the operation in place of a retry, where the circuit is open."""
        return None if self._breaker is None else self._breaker.refusal()

    def pays(self) -> bool:
        """Tell whether the budget grants a retry, and take it out."""
        return self._budget is None or self._budget.withdraw()

    def takes_back(self) -> None:
        """Take back what was paid for a retry that is not made after all."""
        if self._budget is not None:
            self._budget.give_back()

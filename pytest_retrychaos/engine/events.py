"""What a policy's hooks are told: frozen values, one for each moment of an operation."""

from __future__ import annotations

from pytest_retrychaos.engine.values import value

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from pytest_retrychaos.engine.classify import Kind
    from pytest_retrychaos.engine.decisions import Reason


@value
class Beginning:
    """An attempt is about to begin."""

    number: int
    """Which attempt, from 1."""
    elapsed: float
    """Seconds since the operation began."""


@value
class Waiting:
    """An attempt failed, and a wait is about to begin, after which another one follows."""

    number: int
    """Which attempt failed, from 1."""
    elapsed: float
    """Seconds since the operation began."""
    seconds: float
    """How long the wait will be."""
    outcome: object
    """The exception raised or the value returned."""
    kind: Kind | None
    """What the failure tells about the request; ``None`` where only the policy's ``on`` knows it."""


@value
class GivingUp:
    """An operation failed for good: its last exception is about to be raised, or its last value returned."""

    number: int
    """Which attempt was the last, from 1."""
    elapsed: float
    """Seconds since the operation began."""
    reason: Reason
    """As in `Stop`."""
    outcome: object
    """The exception raised or the value returned."""
    kind: Kind | None
    """What the failure tells about the request; ``None`` where only the policy's ``on`` knows it."""

"""Who gave a silent service up on an event loop: the client by its own time limit, or a deadline around it.

Laws of this module:
1. Both close the connection, and the record does not say for which reason. What the caller was told may.
2. It was the client's own limit where another call was told so, by the client's own error after the same time, and no
   call of that length was told otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_retrychaos.laws.ends import Ended
    from pytest_retrychaos.laws.view import View
    from pytest_retrychaos.trace import Scope

CLOSED: Final = "timeout: closed by the client"
"""How the record says that a client gave up a silent service, by its own time limit or its caller's."""

CUT_FROM_OUTSIDE: Final = frozenset(
    {
        "asyncio.exceptions.CancelledError",
        "builtins.BaseExceptionGroup",
        "builtins.TimeoutError",
        "trio.Cancelled",
        "trio.TooSlowError",
    }
)
"""What is left of a call that a deadline ended: where it stood around the breaker, that was told nothing."""


def may_be_cut_from_outside(end: Ended, scope: Scope | None, limits: frozenset[int]) -> bool:
    """Whether a deadline around the breaker may have ended it: then the breaker was told of no failure."""
    raised = () if scope is None or scope.told is None else scope.told.raised
    if raised:
        return raised[0].type in CUT_FROM_OUTSIDE and _is_closed(end)
    return _is_closed(end) and _lasted_ms(end) not in limits


def _is_closed(end: Ended) -> bool:
    """Whether a client closed a silent connection, for which of its reasons the record does not say."""
    on_a_loop = end.how == "connect-timeout" and end.attempt.timeout_ns is None
    return on_a_loop or (end.attempt.error or "").startswith(CLOSED)


def own_limits(view: View) -> frozenset[int]:
    """Find after how long the client gave silent services up by limits of its own, in milliseconds."""
    found: dict[bool, set[int]] = {True: set(), False: set()}
    for number, end in view.last_in_scope.items():
        scope = view.scope_of(number)
        raised = () if scope is None or scope.told is None else scope.told.raised
        if raised and _is_closed(end):
            is_own = raised[0].type not in CUT_FROM_OUTSIDE
            if not is_own or any(_is_timeout(one.type) for one in raised):
                found[is_own].add(_lasted_ms(end))
    return frozenset(found[True] - found[False])


def _is_timeout(name: str) -> bool:
    """Whether an exception is a client's own for a time limit, by its name: ``httpx.ReadTimeout``."""
    return name not in CUT_FROM_OUTSIDE and "timeout" in name.rpartition(".")[2].lower()


def _lasted_ms(end: Ended) -> int:
    return round(((end.at_ns or 0) - end.attempt.began_ns) / 1e6)

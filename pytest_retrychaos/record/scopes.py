"""The scopes that the test opens by name: which one a request belongs to, and what its caller was told."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import replace

from pytest_retrychaos.record.lineages import Cancelled
from pytest_retrychaos.trace import Scope, Told


class Scopes:
    """The scopes of one run, numbered in the order in which they were opened.

    ``inherited`` looks a variable up in the context in which the running thread was begun. Where a request does not
    begin in the thread that makes it (``sees_callers=False``: a real server), it belongs to the one scope that is
    open.
    """

    def __init__(
        self,
        now: Callable[[], int],
        inherited: Callable[[ContextVar[int | None]], int | None],
        *,
        sees_callers: bool,
    ) -> None:
        self.all: list[Scope] = []
        self._now = now
        self._inherited = inherited
        self._sees_callers = sees_callers
        self._here: ContextVar[int | None] = ContextVar("retrychaos_scope", default=None)
        self._asked: dict[int, Cancelled] = {}
        """By scope: what the test asks of the task that opened it."""
        self._open: dict[int, int | None] = {}  # by number: the one that it was opened in
        self._operations: dict[int, int] = {}

    def here(self) -> int | None:
        """Give the number of the scope that a request made here belongs to."""
        if not self._sees_callers:
            if not self._open:
                return None
            innermost = self._open.keys() - set(self._open.values())
            return innermost.pop() if len(innermost) == 1 else None
        scope = self._here.get()
        return self._inherited(self._here) if scope is None else scope

    def open(
        self, name: str, asked: Cancelled | None, *, after: int, herd: int | None = None
    ) -> tuple[int, Token[int | None]]:
        """Begin a scope for this context, after so many attempts; give its number and what `close` needs.

        ``asked`` is what the test asks of the task that opens it; ``herd`` the herd of which it is a copy, which is
        handed on to what is opened inside.
        """
        number, outer = len(self.all), self._here.get()
        if herd is None and outer is not None:
            herd = self.all[outer].herd
        came_after = number - len(self._open)
        self.all.append(Scope(name, self._now(), None, None, after=after, came_after=came_after, herd=herd))
        self._open[number] = outer
        if asked is not None:
            self._asked[number] = asked
        return number, self._here.set(number)

    def close(self, number: int, token: Token[int | None], told: Told | None, *, after: int) -> None:
        """End a scope, after so many attempts, and note what its caller was told."""
        del self._open[number]
        ended_as = len(self.all) - len(self._open)
        scope = replace(self.all[number], ended_ns=self._now(), told=told, ended_after=after, ended_as=ended_as)
        asked = self._asked.pop(number, None)
        if asked is not None:
            since = next((one for one in asked.asked_ns if one >= scope.began_ns), None)
            scope = replace(scope, cancelled_ns=since)
        self.all[number] = scope
        with contextlib.suppress(ValueError):  # closed in another context than it was opened in, as by a fixture
            self._here.reset(token)

    def name_operation(self, number: int) -> str:
        """Name the next operation of a scope: as the scope, then with a number."""
        count = self._operations[number] = self._operations.get(number, 0) + 1
        name = self.all[number].name
        return name if count == 1 else f"{name}/{count}"

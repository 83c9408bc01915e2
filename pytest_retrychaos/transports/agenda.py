"""What a server has still to do on a connection, in order: one queue for simulated and for real connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pytest_retrychaos.transports.actions import Action, End, Postponed, Send, Wait
from pytest_retrychaos.transports.http1 import Conversation
from pytest_retrychaos.transports.seam import Exchange


@dataclass(frozen=True, slots=True)
class Until:
    """Nothing more is done before this moment."""

    at_ns: int


Item = Send | Postponed | End | Until


class Agenda:
    """A conversation's actions, each wait turned into the moment at which it ends."""

    __slots__ = ("_answering", "_conversation", "_exchange", "_now", "items")

    def __init__(
        self,
        conversation: Conversation,
        exchange: Exchange,
        now: Callable[[], int],
        answering: Callable[[], None] = lambda: None,
    ) -> None:
        self.items: deque[Item] = deque()
        self._conversation = conversation
        self._exchange = exchange
        self._now = now
        self._answering = answering
        """Told when a postponed request has been carried out."""

    def add(self, actions: Iterable[Action], *, first: bool = False) -> None:
        """Put actions at the end, or before all others."""
        at: int | None = None
        items: list[Item] = []
        for action in actions:
            if isinstance(action, Wait):
                at = (self._now() if at is None else at) + action.ns
                items.append(Until(at))
            else:
                items.append(action)
        if first:
            self.items.extendleft(reversed(items))
        else:
            self.items.extend(items)

    def ripen(self) -> int | None:
        """Take away the waits that are over; give the moment at which the next one is, if one stands first."""
        items = self.items
        while items:
            head = items[0]
            if isinstance(head, Until):
                due = head.at_ns
            elif isinstance(head, Postponed):
                due = self._exchange.awaited(head.ticket)
            else:
                return None
            if due > self._now():
                return due
            items.popleft()
            if isinstance(head, Postponed):
                self.add(self._conversation.resolve(head.ticket), first=True)
                self._answering()
        return None

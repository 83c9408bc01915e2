"""Requests that are carried out later (``slow … before-commit``): none is forgotten, and the earliest comes first."""

from __future__ import annotations

from collections.abc import Callable

from pytest_retrychaos.record import Sheet
from pytest_retrychaos.service import Answer, Reservation, Service


class Postponed:
    """What the service has let in and not carried out yet; ``finish`` takes each answer."""

    def __init__(self, service: Service, now: Callable[[], int], finish: Callable[[Sheet, Answer], object]) -> None:
        self._service = service
        self._now = now
        self._finish = finish
        self._waiting: list[tuple[Sheet, Reservation]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, sheet: Sheet, reservation: Reservation, delay_ns: int) -> None:
        """Let a request wait so long."""
        sheet.due_ns = self._now() + delay_ns
        self._waiting.append((sheet, reservation))

    def settle(self, *, all_of_them: bool = False) -> None:
        """Carry out those whose time has come, or all, each as of its own moment."""
        while self._waiting:
            sheet, reservation = first = min(self._waiting, key=lambda one: one[0].due_ns or 0)
            late_ns = self._now() - (sheet.due_ns or 0)
            if late_ns < 0 and not all_of_them:
                return
            self._waiting.remove(first)
            self._finish(sheet, self._service.answering.complete(reservation, late_ns=late_ns))

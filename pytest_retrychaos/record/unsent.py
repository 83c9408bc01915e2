"""Attempts that failed before they were sent, and whose next one is not known yet."""

from __future__ import annotations

from pytest_retrychaos.record import joining
from pytest_retrychaos.record.lineages import Lineage
from pytest_retrychaos.record.sheet import Sheet


class Unsent:
    """Those that wait for the next attempt to their host, by host and lineage; each in the order of beginning."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, Lineage], list[Sheet]] = {}

    def wait(self, sheets: list[Sheet]) -> None:
        """Let attempts of one lineage wait for the next."""
        self._waiting[sheets[-1].host, sheets[-1].lineage] = sheets

    def take_before(self, sheet: Sheet) -> list[Sheet] | None:
        """Take those that waited for an attempt: its own lineage's, or of a lineage next to it."""
        if not self._waiting:
            return None
        return self._waiting.pop((sheet.host, sheet.lineage), None) or self._take_kin(sheet)

    def has_any_of(self, call: int | None) -> bool:
        """Whether one of them comes from a call of the test's."""
        return bool(self._waiting) and any(waiting[-1].call == call for waiting in self._waiting.values())

    def _take_kin(self, sheet: Sheet) -> list[Sheet] | None:
        """Take what was not sent on a lineage that has ended, and that this one had begun, or begun by the same.

        A task that connects: of the sender's own, or one for each attempt, begun after the one before had failed.
        Or what who began this one could not send: a task that writes the request, once another has connected.
        """
        parent = sheet.lineage.parent
        above = None if parent is None else self._waiting.get((sheet.host, parent))
        if parent is not None and above is not None and sheet.lineage.born > above[-1].ended_as:
            return self._waiting.pop((sheet.host, parent))
        for (host, lineage), waiting in self._waiting.items():
            if host == sheet.host and joining.is_handed_on(waiting[-1], sheet):
                return self._waiting.pop((host, lineage))
        return None

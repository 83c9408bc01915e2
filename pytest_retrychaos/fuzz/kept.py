"""Histories that failed, kept in Hypothesis's database by its public interface.

Laws of this module:
1. What is kept is text: a script, or with other choices than faults a JSON object. It holds whatever the list of faults
   is the next time, as a sequence of drawn integers would not.
2. What cannot be read, or does not fail any more, is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import Phase, settings

from pytest_retrychaos.faults import Script, ScriptError, Step, parse
from pytest_retrychaos.fuzz.history import Cancel, History


class Kept:
    """The histories by which a test failed."""

    def __init__(self, asked: settings, test: str) -> None:
        self._database = asked.database
        self._reuses = Phase.reuse in asked.phases
        self._key = f"pytest-retrychaos {test}".encode()

    def histories(self) -> list[History]:
        """Give those that failed before, the shortest first; none where the settings do not reuse."""
        if self._database is None or not self._reuses:
            return []
        read: list[History] = []
        for value in sorted(self._database.fetch(self._key), key=lambda value: (len(value), value)):
            try:
                read.append(read_history(value.decode()))
            except (ScriptError, ValueError, TypeError, KeyError):
                self._database.delete(self._key, value)  # of a version that wrote otherwise
        return read

    def keep(self, failed: Iterable[History], before: Iterable[History]) -> None:
        """Put histories in that failed, and take out those of before that did not."""
        if self._database is None:
            return
        values = {write_history(one).encode() for one in failed}
        for old in {write_history(one).encode() for one in before} - values:
            self._database.delete(self._key, old)
        for value in values:
            self._database.save(self._key, value)


def write_history(history: History) -> str:
    """Write a history as text."""
    script = "" if history.script is None else str(history.script)
    if not history.others:
        return script
    cancel = history.cancel
    return json.dumps(
        {
            "script": script,
            "cancel": None if cancel is None else [cancel.attempt, cancel.at_ns],
            "timezone": history.timezone,
            "keep_alive": history.keep_alive,
            "switches": list(history.switches),
        }
    )


def read_history(text: str) -> History:
    """Read a history; `ValueError`, `TypeError` or `KeyError` where it is none."""
    if not text.startswith("{"):
        return from_script(parse(text))
    given = json.loads(text)
    return replace(
        from_script(parse(given["script"])) if given["script"] else History(),
        cancel=None if given["cancel"] is None else Cancel(*given["cancel"]),
        timezone=given["timezone"],
        keep_alive=given["keep_alive"],
        switches=tuple(given["switches"]),
    )


def from_script(script: Script) -> History:
    """Give the history that a script stands for; a step that is for ever ends it."""
    faults: list[tuple[int, Step]] = []
    index = 0
    for step in script.steps:
        for _ in range(step.count or 1):
            index += 1
            if step.is_fault:
                faults.append((index, replace(step, count=1)))
    last = script.steps[-1]
    return History(tuple(faults), last.is_fault and last.count is None)

"""How far a script has come: the one thing here that changes."""

from __future__ import annotations

from pytest_retrychaos.faults.script import Script
from pytest_retrychaos.faults.step import OK, Step


class Progress:
    """A cursor over a script. ``fired[i]`` counts how often step ``i`` was taken.

    Steps come out striking once, so that they print as the one fault that they are. A ``down`` step is
    taken once by the attempt that meets it; how long it lasts is the caller's to keep.
    """

    __slots__ = ("_index", "_once", "fired", "script")

    def __init__(self, script: Script) -> None:
        self.script = script
        self.fired = [0] * len(script.steps)
        self._once = tuple(step.once() for step in script.steps)
        self._index = 0

    @property
    def is_finished(self) -> bool:
        """Whether the last step has struck for the last time; never where that one is for ever."""
        return self._index == len(self._once)

    def peek(self) -> Step:
        """Return the step that the next attempt meets: a plain ``ok`` behind the end."""
        return OK if self.is_finished else self._once[self._index]

    def take(self) -> tuple[int | None, Step]:
        """Let an attempt meet its step: the step and its index, which is ``None`` behind the end."""
        index = self._index
        if index == len(self._once):
            return None, OK
        self.fired[index] += 1
        if self.fired[index] == self.script.steps[index].count:
            self._index += 1
        return index, self._once[index]

"""A whole script: the faults to come, one step after another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_retrychaos.faults.errors import ScriptError, shown
from pytest_retrychaos.faults.step import Printer, Step

_EMPTY_WAY_OUT = "write ok: every attempt then gets the service's own answer"


@dataclass(frozen=True, slots=True, repr=False)
class Script:
    """The faults to come, one step after another; after the last one every attempt is ``ok``.

    ``str`` gives the script as text, ``repr`` as a list of constructor calls. Raises `ScriptError` where it
    is empty, or where a step stands behind one that strikes for ever.
    """

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        for step in self.steps:
            _check_is_step(step)
        if not self.steps:
            raise empty_script()
        place = unreachable(self.steps)
        if place is not None:
            start = len(", ".join(str(step) for step in self.steps[:place])) + 2
            text = str(self)
            raise unreachable_step(self.steps, place).at(text, (start, start + len(str(self.steps[place]))))

    def __str__(self) -> str:
        return ", ".join(str(step) for step in self.steps)

    def __repr__(self) -> str:
        return f"parse([{', '.join(repr(step) for step in self.steps)}])"

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:  # noqa: ARG002 - IPython's name, Hypothesis' too
        """Print as ``repr`` does: without this, a dataclass is printed field by field."""
        printer.text(repr(self))


def _check_is_step(step: object) -> None:
    if isinstance(step, Step):
        return
    if callable(step):
        called = getattr(step, "__name__", "ok")
        raise ScriptError(f"a script's list holds steps, not the function {called}", f"write {called}()")
    raise ScriptError(f"a script's list holds steps, not {shown(step)}", "write [status(503), ok()]")


def empty_script() -> ScriptError:
    """Build the error for a script without steps."""
    return ScriptError("the script is empty", _EMPTY_WAY_OUT)


def unreachable(steps: Sequence[Step]) -> int | None:
    """Find the first step behind one that strikes for ever."""
    for number, step in enumerate(steps[:-1], 1):
        if step.count is None:
            return number
    return None


def unreachable_step(steps: Sequence[Step], place: int) -> ScriptError:
    """Build the error for the step that can never strike."""
    before = steps[place - 1]
    return ScriptError(
        f"'{steps[place]}' can never strike: '{before}' before it goes on for ever",
        f"give that step a count, such as '{before.once() * 3}', or let it be the last",
    )


def format_script(script: Script | Iterable[Step]) -> str:
    """Write a script as text; `parse` reads it back as the same script."""
    return str(script if isinstance(script, Script) else Script(tuple(script)))

"""What earlier attempts of an operation came to, in words, for the notes of the last exception."""

from __future__ import annotations

from pytest_retrychaos.engine.answers import answer_in_result
from pytest_retrychaos.engine.decisions import Stop

KEPT = 10
"""How many attempts are told; of more, the latest."""

_LONGEST = 200
_REASONS = {
    "permanent": "this failure will not go away",
    "attempts": "no attempts were left",
    "timeout": "the next attempt would have started past the timeout",
    "retry-after": "the server asked for a longer wait than the policy can keep",
    "cancelled": "the task is being cancelled",
    "breaker": "the circuit is open",
    "budget": "the retry budget is spent",
}


class History:
    """The earlier attempts as text: exceptions themselves are not kept, since they would keep their frames."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, number: int, outcome: object, waited: float) -> str:
        """Keep what attempt ``number`` came to, and the seconds waited after it; give the first as text."""
        line = f"attempt {number}: {told(outcome)}"
        self._lines.append(f"{line}; then waited {waited:.3g} s")
        del self._lines[:-KEPT]
        return line

    def notes(self, number: int, stop: Stop) -> list[str]:
        """List the notes for the exception that ended attempt ``number``, the last."""
        left_out = number - 1 - len(self._lines)
        first = [f"({left_out} earlier attempts are left out)"] if left_out else []
        return [*first, *self._lines, f"attempt {number} was the last: {_REASONS[stop.reason]}"]


def told(outcome: object) -> str:
    """Say in one line what an attempt ended in, whatever the exception thinks of it."""
    if not isinstance(outcome, BaseException):
        answer = answer_in_result(outcome)
        return f"returned {type(outcome).__name__}" if answer is None else f"answered {answer.status}"
    try:
        message = str(outcome)
    except Exception:
        message = "(its text cannot be made)"
    text = f"{type(outcome).__name__}: {message}" if message else type(outcome).__name__
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

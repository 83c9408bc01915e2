"""What earlier attempts of an operation came to, in words, for the notes of the last exception.

Exceptions themselves are not kept, since they would keep their frames, and with them connections.
"""

from __future__ import annotations

from pytest_retrychaos.engine.answers import answer_in_result

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from pytest_retrychaos.engine.decisions import Reason
    from pytest_retrychaos.engine.failures import Failure

    Said = str | tuple[type[Exception], tuple[object, ...]]
    """A line, or what makes one where it is asked for: the type of an exception that holds nothing but its text, and
    what it was given."""
    Entry = tuple[int, Said, float]
    """The number of an attempt, what it came to, and the seconds waited after it."""
    Noted = tuple[Failure, type[Exception], tuple[object, ...], float]
    """A failure of an exception that holds nothing but its text: what it is, the type, what that was given, and the
    seconds waited after it."""

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


def notes(entries: list[Entry], number: int, reason: Reason) -> list[str]:
    """List the notes for the exception that ended attempt ``number``, the last."""
    left_out = number - 1 - len(entries)
    first = [f"({left_out} earlier attempts are left out)"] if left_out else []
    earlier = [f"{line_of(one)}; then waited {one[2]:.3g} s" for one in entries]
    return [*first, *earlier, f"attempt {number} was the last: {_REASONS[reason]}"]


def line_of(entry: Entry) -> str:
    """Say which attempt it was and what it came to."""
    number, said, _ = entry
    return f"attempt {number}: {said if isinstance(said, str) else _shortened(said[0], _text(*said))}"


def _text(kind: type[Exception], args: tuple[object, ...]) -> str:
    """Say what an exception that holds nothing but its text was given, as it would itself."""
    if len(args) < 2:
        return str(args[0]) if args else ""
    return str(OSError(*args)) if issubclass(kind, OSError) else str(args)


def told(outcome: object) -> str:
    """Say in one line what an attempt ended in, whatever the exception thinks of it."""
    if not isinstance(outcome, BaseException):
        answer = answer_in_result(outcome)
        return f"returned {type(outcome).__name__}" if answer is None else f"answered {answer.status}"
    try:
        message = str(outcome)
    except Exception:
        message = "(its text cannot be made)"
    return _shortened(type(outcome), message)


def _shortened(kind: type, message: str) -> str:
    text = f"{kind.__name__}: {message}" if message else kind.__name__
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

"""Which faults are tried, and on which attempts each makes sense."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_retrychaos.faults import DEFAULT_VOCABULARY, HOSTILE_VOCABULARY, Kind, ScriptError, Step, parse
from pytest_retrychaos.faults.vocabulary import ON_POST, ON_WRITES
from pytest_retrychaos.trace import Attempt

VOCABULARIES = {"default": DEFAULT_VOCABULARY, "hostile": HOSTILE_VOCABULARY}

Faults = str | Sequence[str | Step]


def read_faults(faults: Faults, *, name: str = "faults") -> tuple[Step, ...]:
    """Read the name of a vocabulary, or a list of faults as a script writes them; give the plainest first.

    ``name`` is the argument's, for the errors. Raises `TypeError` or `ValueError` for what is no list, an empty one or
    an unknown name, `ScriptError` for what is no fault.
    """
    if isinstance(faults, str):
        if faults not in VOCABULARIES:
            raise ValueError(
                f"{name}={faults!r}: it is {' or '.join(map(repr, VOCABULARIES))}, or a list of faults, as in "
                f"{name}=['503', 'reset after-commit']"
            )
        faults = VOCABULARIES[faults]
    if not isinstance(faults, Sequence):
        raise TypeError(f"{name}={faults!r}: it is a list of faults, as in {name}=['503', 'reset after-commit']")
    steps = tuple(dict.fromkeys(_read(fault, name) for fault in faults))
    if not steps:
        raise ValueError(f"{name}=[]: there is nothing to try; name a fault, or leave {name}= out for the usual ones")
    return tuple(sorted(steps, key=lambda step: step.plainness))


def _read(fault: str | Step, name: str) -> Step:
    steps = parse(fault).steps
    step = steps[0]
    if len(steps) > 1 or step.count != 1 or not step.is_fault:
        raise ScriptError(
            f"{name}= holds single faults, and {str(parse(fault))!r} is none",
            "write each once and by itself: how often and in what order is what the search tries",
        )
    return step


def applies(step: Step, attempt: Attempt) -> bool:
    """Whether a fault says anything new of an attempt that was answered."""
    text = str(step)
    if text in ON_POST:
        return attempt.method == "POST"
    if text in ON_WRITES:
        return not attempt.is_read
    return step.kind is not Kind.TLS or attempt.scheme == "https"

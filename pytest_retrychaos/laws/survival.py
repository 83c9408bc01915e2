"""RT06: whether the retry loop survives what it meets, or ends in an error of its own making."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.ends import met
from pytest_retrychaos.laws.tally import Tally, Terms, finding

if TYPE_CHECKING:
    from pytest_retrychaos.laws.verdict import LawResult
    from pytest_retrychaos.laws.view import OperationView, View
    from pytest_retrychaos.trace import Raised, Told

PLAIN: Final = frozenset(
    f"builtins.{name}"
    for name in (
        "ValueError",
        "TypeError",
        "KeyError",
        "IndexError",
        "AttributeError",
        "OverflowError",
        "ZeroDivisionError",
        "RecursionError",
        "UnboundLocalError",
        "NameError",
        "UnicodeDecodeError",
    )
) | {"json.decoder.JSONDecodeError", "xml.etree.ElementTree.ParseError", "decimal.InvalidOperation"}
"""Errors that a retry loop makes itself, those of the standard library's parsers among them; a client's own subclass of
one is not meant.
"""

UNTOLD: Final = (
    "the code ended in an error of a library's, such as a parser's: whether it meant to tell by it is not known"
)


def crashed(view: View, operation: OperationView) -> Raised | None:
    """Return the plain error in which the code ended right after this operation's transient failure."""
    raised = _outermost(view, operation)
    return raised if raised is not None and raised.type in PLAIN and not raised.on_purpose else None


def _outermost(view: View, operation: OperationView) -> Raised | None:
    told = _ending(view, operation)
    return None if told is None or not told.raised or not operation.last.is_transient else told.raised[0]


def _is_of_a_library(raised: Raised | None) -> bool:
    """Whether it is a kind of those errors that no `raise` in the code has raised: pydantic's, requests' for JSON."""
    return raised is not None and not raised.on_purpose and not PLAIN.isdisjoint(raised.bases)


def _ending(view: View, operation: OperationView) -> Told | None:
    """Return how the code ended, where this operation's last attempt was the last thing that happened."""
    last = operation.last
    scope = operation.scope
    if scope is not None and scope.told is not None:
        return scope.told if view.last_in_scope.get(operation.operation.scope or 0) is last else None
    return view.trace.ended if view.ends[-1] is last else None


def rt06(view: View, terms: Terms) -> LawResult:  # noqa: ARG001 - every law is asked the same way
    """Judge that the retry loop survives: it never ends in an error of its own making.

    - Broken where the last failure would have passed and the code ended in a plain `ValueError`, `TypeError`,
      `KeyError`, `IndexError`, `AttributeError`, `OverflowError`, `ZeroDivisionError`, `RecursionError`,
      `UnboundLocalError` or `UnicodeDecodeError`, or in the error of one of Python's own parsers (JSON, XML, decimals).
    - An error is taken for the code's own word for failure, and is no breakage, if its class is a subclass of these, if
      the code (not a library) raises it by a `raise` statement, or if it is raised `from` another. Where a library
      raised a subclass of its own, it does not apply.
    - Why: The loop met a header or a body that it did not expect, and broke: `int("Wed, 21 Oct …")`, `time.sleep(-3)`.
    - Fix: Guard what is computed from an answer: dates, negative, huge and unreadable values, missing fields.
    """
    tally = Tally("RT06")
    for operation in view.operations:
        last = operation.last
        if not last.is_transient:
            if any(end.is_transient for end in operation.ends):
                tally.hold()
            continue
        error = crashed(view, operation)
        if error is None and _is_of_a_library(_outermost(view, operation)):
            tally.pass_over(UNTOLD)
            continue
        if error is None:
            if _ending(view, operation) is not None:
                tally.hold()
            else:
                tally.pass_over("how the code ended after the last failure was not seen: use chaos.call(…)")
            continue
        name = error.type.rpartition(".")[2]
        message = f": {error.message[:80]}" if error.message else ""
        tally.accuse(
            finding(
                f"RT06/{name}",
                f"retry loop broke: {operation.request} ended in {name}{message}",
                operation=operation.index,
                marks=[(last.attempt.index, f"then {name}")],
                why=f"after {met(last.what)} the code ended in an error of its own making",
                fix="guard what is computed from the answer: negative, huge and unreadable values, missing fields",
                hint="if this is how the code tells a failure: raise a class of its own",
            )
        )
    return tally.result(
        noun="operation",
        did="met a transient failure, and the loop survived it",
        otherwise="no transient failure was met",
    )

"""What is known of who called: what they were told, and of which operation.

It was seen where ``chaos.call`` opened a scope. A scope's telling is that of its one unsafe operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws.ends import is_unsafe
from pytest_retrychaos.laws.words import counted

if TYPE_CHECKING:
    from pytest_retrychaos.laws.view import OperationView, View
    from pytest_retrychaos.trace import Scope, Told

NOT_SEEN: Final = "what the caller was told was not seen: make the call with chaos.call(…)"
FALLBACK: Final = "the value that was returned is a fallback: it claims neither success nor failure"


def told(view: View) -> list[tuple[int, Scope, Told]]:
    """List the scopes whose telling was seen, each with its index."""
    return [(i, s, s.told) for i, s in enumerate(view.trace.scopes) if s.told is not None]


def unsafe(view: View, index: int) -> list[OperationView]:
    """List a scope's operations that may do their work twice."""
    return [o for o in view.by_scope.get(index, []) if any(is_unsafe(a) for a in o.attempts)]


def sole(view: View, index: int) -> OperationView | str:
    """Return the one unsafe operation of a scope, whose telling is the scope's, or why there is none."""
    found = unsafe(view, index)
    if len(found) == 1:
        return found[0]
    if found:
        return f"the scope holds {counted(len(found), 'unsafe operation')}: which one was told of is not known"
    return "the scope holds no unsafe operation"

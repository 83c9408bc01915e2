"""What the ``chaos`` markers of a test say together: its own, its class's and its module's.

Laws of this module:
1. The scripts are those of the nearest marker that has any; each option is the nearest one's that gives it.
2. Nothing that is written is passed over in silence: two markers of one function, class or module that both have
   scripts are refused. What a class inherits is another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from pytest_retrychaos.faults import Script


class Marked(NamedTuple):
    """The scripts and options of a test, checked."""

    scripts: list[Script]
    options: dict[str, Any]  # Any: what the user wrote


def read_markers(node: pytest.Item) -> Marked | None:
    """Read the markers of a test, ``None`` where it has none; what is wrong with one fails the test, or collection."""
    found = list(_nearest_first(node))
    if not found:
        return None
    from pytest_retrychaos.faults import ScriptError, parse  # what a test without a marker must not pay for

    scripts: list[Script] = []
    giver: tuple[object, pytest.Mark] | None = None
    options = _options(node, [marker for _, marker in found])
    for owner, marker in found:
        try:
            given = [parse(script) for script in marker.args]
        except ScriptError as error:
            raise _wrong(node, str(error)) from None
        if given and giver is not None and owner is giver[0] and _is_own(owner, marker) and _is_own(*giver):
            raise _wrong(node, _twice(scripts, given))
        if given and giver is None:
            scripts, giver = given, (owner, marker)
    return Marked(scripts, options)


def _wrong(node: pytest.Item, what: str) -> BaseException:
    """Say what is wrong with a marker, and of which test: one that makes several tests fails the collection."""
    return pytest.fail.Exception(f"@pytest.mark.chaos: {what}\non {node.nodeid}", pytrace=False)


def _options(node: pytest.Item, markers: list[pytest.Mark]) -> dict[str, Any]:  # Any: what the user wrote
    """Put the options of markers together, the nearest first; those of each have to be right, alone or with others'."""
    from pytest_retrychaos.options import Options

    options: dict[str, Any] = {}
    for marker in reversed(markers):
        options.update(marker.kwargs)
    try:
        for marker in markers:
            try:
                Options.read(marker.kwargs)
            except ValueError:  # what it needs may stand on another marker, as loop= does for cancel=
                Options.read({**options, **marker.kwargs})
        Options.read(options)
    except (TypeError, ValueError) as error:  # pytest shows what it came from, too: the same, once or twice more
        raise _wrong(node, str(error)) from None
    return options


def _nearest_first(node: pytest.Item) -> Iterator[tuple[object, pytest.Mark]]:
    """Walk outwards; of a class, pytest lists what it inherits first."""
    for owner, marked in groupby(node.iter_markers_with_node("chaos"), key=lambda one: one[0]):
        markers = [marker for _, marker in marked]
        for marker in reversed(markers) if isinstance(owner, pytest.Class) else markers:
            yield owner, marker


def _is_own(owner: object, marker: pytest.Mark) -> bool:
    """Whether it stands on the owner itself, and not on a class that this one inherits from."""
    if not isinstance(owner, pytest.Class):
        return True
    own = vars(owner.obj).get("pytestmark", [])
    return any(getattr(one, "mark", one) is marker for one in (own if isinstance(own, list) else [own]))


def _twice(first: list[Script], second: list[Script]) -> str:
    scripts = [str(script) for script in (*first, *second)]
    written = ", ".join(f'"{script}"' if '"' not in script else repr(script) for script in scripts)
    return (
        "two markers at one place have scripts, and only those of one would be met: write them on one marker, which "
        f"makes a test of each: @pytest.mark.chaos({written})"
    )

"""What virtual time does not cover, refused by name before it can run in real time."""

from __future__ import annotations

from _thread import get_ident

from pytest_retrychaos.clock.active import ACTIVE, place
from pytest_retrychaos.clock.errors import Refused


def kept(text: str) -> Refused:
    """Make an error that is told at the end of the run too: a handler that is too wide may swallow it."""
    error = Refused(text)
    if get_ident() == ACTIVE.owner:
        ACTIVE.clock.refused.append(error)
    return error


def refused_loop(kind: str) -> Refused:
    """Make the error for an event loop that does not wait by Python's own means."""
    return kept(
        f"{place()} runs an event loop ({kind}) that keeps its own time: only asyncio's own loops and trio are on "
        "virtual time. Use asyncio's loop in this test, or transport='loopback', a real server on real time."
    )

"""What virtual time does not cover, refused by name before it can run in real time."""

from __future__ import annotations

import sys
from _thread import get_ident
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE, place
from pytest_retrychaos.clock.errors import Refused


def kept(text: str) -> Refused:
    """Make an error that is told at the end of the run too: a handler that is too wide may swallow it."""
    error = Refused(text)
    if get_ident() == ACTIVE.owner:
        ACTIVE.clock.refused.append(error)
    return error


def refuse_frozen(loop: Any) -> None:  # Any: an event loop
    """Raise `Refused` where freezegun has stopped the clock by which an event loop waits: no wait would ever end."""
    freezegun = sys.modules.get("freezegun.api")
    if freezegun is None or not freezegun.freeze_factories:
        return
    is_frozen = type(freezegun.freeze_factories[-1]).__name__ == "FrozenDateTimeFactory"
    own_time = getattr(getattr(type(loop), "time", None), "__module__", "") == freezegun.__name__  # real_asyncio=True
    if is_frozen and not own_time:
        raise kept(
            f"{place()} runs an event loop under freeze_time, which has stopped the clock that it waits by: none of "
            "its waits would ever end. Say freeze_time(..., real_asyncio=True), or tick=True, or use time-machine"
        )


def refused_loop(kind: str) -> Refused:
    """Make the error for an event loop that does not wait by Python's own means."""
    return kept(
        f"{place()} runs an event loop ({kind}) that keeps its own time: only asyncio's own loops and trio are on "
        "virtual time. Use asyncio's loop in this test, or transport='loopback', a real server on real time."
    )

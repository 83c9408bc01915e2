"""What the service runs in the client's thread, and not in the client's event loop.

Around a route's handler or a WSGI app no server has one: Django would refuse its database there, Flask its async views,
asyncio a loop of the handler's own; and a handler that sleeps would seem to block the client's loop.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_loop() -> Iterator[None]:
    """Hide an event loop, asyncio's or trio's, that the client runs in this thread."""
    events, trio = sys.modules.get("asyncio.events"), sys.modules.get("trio._core._run")
    loop = None if events is None else events._get_running_loop()
    kept = {} if trio is None else dict(vars(trio.GLOBAL_RUN_CONTEXT))
    if loop is None and not kept:
        yield
        return
    if events is not None:
        events._set_running_loop(None)
    if trio is not None:
        vars(trio.GLOBAL_RUN_CONTEXT).clear()
    try:
        yield
    finally:
        if events is not None:
            events._set_running_loop(loop)
        if trio is not None:
            vars(trio.GLOBAL_RUN_CONTEXT).update(kept)

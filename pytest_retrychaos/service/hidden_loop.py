"""What the service runs in the client's thread, and not in the client's event loop.

Around a route's handler or a WSGI app no server has one: Django would refuse its database there, Flask its async views,
asyncio a loop of the handler's own; and a handler that sleeps would seem to block the client's loop.

Trio's is left as it is: a handler that sets one of its events for the test could not do so without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_loop() -> Iterator[None]:
    """Hide an event loop of asyncio that the client runs in this thread."""
    events = sys.modules.get("asyncio.events")
    loop = None if events is None else events._get_running_loop()
    if events is None or loop is None:
        yield
        return
    events._set_running_loop(None)
    try:
        yield
    finally:
        events._set_running_loop(loop)

"""The lifespan of an ASGI app: its start-up before the first request, its shutdown at the end of the run.

An app that raises when it is called with this scope, or returns without a word, has none: the specification
(ASGI lifespan 2.0) lets it, and it gets its requests all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any

from pytest_retrychaos.service.handlers import HandlerError

TO_RAISE = 1.0
"""Real seconds in which an app that has reported a failure raises the error itself."""


class Lifespan:
    """One app's lifespan. Both methods belong into its event loop, in this order."""

    def __init__(self, app: Any, name: str) -> None:  # Any: an ASGI app has no narrower type
        self._app = app
        self._name = name
        self.state: dict[str, Any] = {}  # Any: whatever the app keeps there
        """What the app has put there for its requests."""
        self._phase = "startup"
        self._failure: str | None = None
        self._error: BaseException | None = None
        self._has_begun = False

    async def start(self) -> None:
        """Let the app start up; `HandlerError` where it says that it cannot."""
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._told = asyncio.Event()
        self._inbox.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._live())
        await self._told.wait()
        await self._raise_failure()

    async def stop(self) -> None:
        """Let the app shut down; `HandlerError` where that fails, or where its lifespan had ended in an error."""
        if not self._has_begun:
            return
        self._phase = "shutdown"
        if not self._task.done():
            self._told.clear()
            self._inbox.put_nowait({"type": "lifespan.shutdown"})
            await self._told.wait()
        if self._failure is None and self._task.done() and self._error is not None:
            self._failure = "it raised"
        await self._raise_failure()

    async def _live(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._inbox.get, self._send)
        except BaseException as error:  # kept: what it means depends on how far the app had come
            self._error = error
        finally:
            self._told.set()

    async def _send(self, message: Mapping[str, Any] | MutableMapping[str, Any]) -> None:
        kind = message["type"]
        if kind == f"lifespan.{self._phase}.complete":
            self._has_begun = True
        elif kind == f"lifespan.{self._phase}.failed":
            self._failure = str(message.get("message", ""))
        else:
            raise HandlerError(f"app {self._name} sent {kind!r} during its lifespan's {self._phase}")
        self._told.set()

    async def _raise_failure(self) -> None:
        if self._failure is None:
            return
        await asyncio.wait([self._task], timeout=TO_RAISE)
        error = self._error
        why = self._failure if error is None else f"{type(error).__name__}: {error}"
        raise HandlerError(f"app {self._name}: its lifespan's {self._phase} failed: {why}") from error

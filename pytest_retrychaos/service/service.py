"""The fake service that remembers, as a test sets it up and looks at it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, overload

from pytest_retrychaos.model import SECOND, Effect, Request
from pytest_retrychaos.service.answering import Answering
from pytest_retrychaos.service.backstage import Backstage, PlainThreads
from pytest_retrychaos.service.database import Database, file_named
from pytest_retrychaos.service.effects import Effects
from pytest_retrychaos.service.handlers import Handler
from pytest_retrychaos.service.idempotency import Idempotency
from pytest_retrychaos.service.limits import Bucket, Limit, read_limit
from pytest_retrychaos.service.mounting import ANSWER_WITHIN, App, mounted
from pytest_retrychaos.service.profiles import profile_named
from pytest_retrychaos.service.routing import Judge, make_route

F = TypeVar("F", bound=Callable[..., object])


class Service:
    """The fake service of one run.

    ``now`` gives virtual nanoseconds since the run began, ``wall`` the wall clock in epoch nanoseconds.
    ``database`` is a file that outlives the run; without it everything is in memory. `StoreError` says what
    is wrong with a file. ``backstage`` starts the thread in which an ASGI app lives.
    """

    __slots__ = ("_backstage", "_latency", "_latency_ns", "answering")

    def __init__(
        self,
        *,
        now: Callable[[], int],
        wall: Callable[[], int],
        seed: int = 0,
        database: str | Path | None = None,
        profile: str = "default",
        backstage: Backstage | None = None,
    ) -> None:
        self.answering = Answering(now, wall, seed, profile_named(profile), Database(file_named(database)))
        """Answers the requests."""
        self._latency = 0.0
        self._latency_ns = 0
        self._backstage = backstage or PlainThreads()

    @overload
    def route(
        self, method: str, path: str, handler: None = None, *, effect: bool | Judge | None = None
    ) -> Callable[[F], F]: ...

    @overload
    def route(self, method: str, path: str, handler: Handler, *, effect: bool | Judge | None = None) -> None: ...

    def route(
        self, method: str, path: str, handler: Handler | None = None, *, effect: bool | Judge | None = None
    ) -> Callable[[F], F] | None:
        """Let a handler take requests of this method and path; without a handler, a decorator.

        ``{name}`` in the path stands for one segment, given decoded in ``request.params``. The path may name
        a host: ``api.stripe.com/v1/charges``. The handler takes the `Request` and returns a `Response`, a JSON
        value (status 200), ``(status, value)`` or ``(status, value, headers)``; ``(204, None)`` has no body.
        ``effect=False`` declares a read, ``effect=True`` a write whatever the method; a function of the request and
        its answer says whether, or how often, a write had an effect. Bad arguments raise `ValueError` or `TypeError`.
        """
        if handler is not None:
            self.answering.router.add(make_route(method, path, handler, effect))
            return None
        make_route(method, path, _placeholder, effect)

        def add(function: F) -> F:
            self.answering.router.add(make_route(method, path, function, effect))
            return function

        return add

    def mount(
        self,
        app: App,
        *,
        idempotency: str = "ours",
        effects: Effects | None = None,
        kind: str | None = None,
        answer_within: float = ANSWER_WITHIN,
    ) -> None:
        """Let a WSGI or ASGI app answer whatever no route takes.

        ``effects`` says what counts as an effect where method and status do not: routes (``["POST /payments"]``,
        all else is a read), a function of the request and its answer, both (``{"POST /payments": function}``), or
        a function of nothing that gives how many effects the app has had so far. ``idempotency="own"`` leaves
        keys to the app; then a function has to tell its replays from second effects. ``kind`` is ``"wsgi"`` or
        ``"asgi"`` where the app's signature does not tell.

        A WSGI app runs in the client's thread and on its virtual time. An ASGI app runs in an event loop of its
        own, from here (lifespan startup) to the end of the run (shutdown): its wall clock is virtual, its sleeps
        are real. ``answer_within`` is how many real seconds it gets for startup, shutdown and each answer.

        Bad arguments raise `TypeError` or `ValueError`, a failed startup raises `HandlerError`.
        """
        if self.answering.mounted is not None:
            raise ValueError("mount: an app is mounted already; use one service for each, or routes")
        self.answering.mounted = mounted(
            app,
            kind=kind,
            idempotency=idempotency,
            effects=effects,
            answer_within=answer_within,
            backstage=self._backstage,
        )

    def limit(self, rate: str | Limit | None, *, burst: int | None = None) -> None:
        """Give the service a capacity; beyond it every request, of whatever route, gets a 429 and no effect.

        ``rate`` is how many in how long (``"100/s"``, ``"60/m"``, ``"5/10s"``), or ``None`` to lift the limit.
        ``burst`` is how many are let in at one moment after a quiet time; the count, unless given. ``Retry-After``
        is when the next request would be let in, in whole seconds, rounded up: who comes back all at once then is
        turned away again. Only what reaches the service counts, and a 429 of a script is none of its own.

        Setting it begins with a full bucket. Bad arguments raise `ValueError` or `TypeError`.
        """
        if rate is None and burst is not None:
            raise ValueError(f"service.limit(None, burst={burst!r}): no limit has no burst; give a rate, as in '100/s'")
        self.answering.bucket = None if rate is None else Bucket(read_limit(rate, burst))

    @property
    def capacity(self) -> Limit | None:
        """The limit in force."""
        return None if self.answering.bucket is None else self.answering.bucket.limit

    @property
    def profile(self) -> str:
        """The provider whose ways are followed; setting it sets `idempotency` too."""
        return self.answering.profile.name

    @profile.setter
    def profile(self, name: str) -> None:
        self.answering.profile = profile_named(name)
        self.answering.idempotency = self.answering.profile.idempotency

    @property
    def idempotency(self) -> Idempotency:
        """What is done with keys; change it with ``dataclasses.replace``."""
        return self.answering.idempotency

    @idempotency.setter
    def idempotency(self, settings: Idempotency) -> None:
        if not isinstance(settings, Idempotency):
            raise TypeError(
                f"service.idempotency = {settings!r}: give an Idempotency, such as"
                " dataclasses.replace(service.idempotency, lifetime=3600)"
            )
        self.answering.idempotency = settings

    @property
    def latency(self) -> float:
        """Seconds of virtual time that a round trip takes; 0 at first."""
        return self._latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not is_number or not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"service.latency = {seconds!r}: latency is a number of seconds, 0 or more")
        self._latency = float(seconds)
        self._latency_ns = round(self._latency * SECOND)

    @property
    def latency_ns(self) -> int:
        """The latency in nanoseconds."""
        return self._latency_ns

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What was done in this run, in commit order."""
        return self.answering.ledger.effects

    @property
    def remembered(self) -> tuple[Effect, ...]:
        """What earlier runs did, where the database file holds it."""
        return self.answering.ledger.remembered

    @property
    def database(self) -> Path | None:
        """The store's file, or ``None`` where it is in memory; to be set before the first request."""
        return self.answering.database.file

    @database.setter
    def database(self, file: str | Path | None) -> None:
        if self.answering.has_begun:
            raise ValueError(
                f"service.database = {str(file)!r}: the service has had a request already; set it before the first"
            )
        named, now = file_named(file), self.database
        if named is not None and now is not None and named.exists() and named.samefile(now):
            return
        database = Database(named)
        self.answering.database.close()
        self.answering.open(database)

    @property
    def unused_routes(self) -> tuple[str, ...]:
        """The routes that no request has taken."""
        return tuple(str(route) for route in self.answering.router.unused)

    @property
    def routes_given_again(self) -> frozenset[str]:
        """The routes that a later one, which is the same, has taken the place of."""
        return frozenset(str(route) for route in self.answering.router.given_again)

    def close(self) -> None:
        """Let a mounted app shut down, and close the store; its file keeps what was committed."""
        try:
            if self.answering.mounted is not None:
                self.answering.mounted.close()
        finally:
            self.answering.database.close()


def _placeholder(request: Request) -> None:
    """Stand for the function that a decorator will get, so that the other arguments are checked at once."""

"""The fake service that remembers: what answers every request of a run.

A request goes to a route, else to the mounted app, else to the default store. The idempotency layer stands
before all three, and the limit before that. An effect and the answer kept for its key are written in one transaction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, overload

from pytest_retrychaos.model import SECOND, Effect, Request, Response
from pytest_retrychaos.service import carriers, reads
from pytest_retrychaos.service.answers import Answer, Reservation, Traits
from pytest_retrychaos.service.backstage import Backstage, PlainThreads
from pytest_retrychaos.service.brought import RaisesError, Unanswered
from pytest_retrychaos.service.database import Database, file_named
from pytest_retrychaos.service.effects import Effects
from pytest_retrychaos.service.handlers import FAILED, Handler, RaisedAfterAnswer, call_handler
from pytest_retrychaos.service.idempotency import Idempotency, Record, Refuse, Replay
from pytest_retrychaos.service.layer import Layer
from pytest_retrychaos.service.ledger import Ledger
from pytest_retrychaos.service.limits import Bucket, Limit, read_limit, turned_away
from pytest_retrychaos.service.mounting import ANSWER_WITHIN, App, Mounted, mounted
from pytest_retrychaos.service.profiles import Problem, profile_named, refusal, scripted_problem
from pytest_retrychaos.service.routing import Route, Router, make_route
from pytest_retrychaos.service.store import Store, Stored
from pytest_retrychaos.service.values import Values

F = TypeVar("F", bound=Callable[..., object])


class Service:
    """The fake service of one run.

    ``now`` gives virtual nanoseconds since the run began, ``wall`` the wall clock in epoch nanoseconds.
    ``database`` is a file that outlives the run; without it everything is in memory. `StoreError` says what
    is wrong with a file. ``backstage`` starts the thread in which an ASGI app lives.
    """

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
        self._profile = profile_named(profile)
        self._idempotency = self._profile.idempotency
        self._late_ns = 0
        self._real_now, self._real_wall = now, wall
        self._latency = 0.0
        self._latency_ns = 0
        self._router = Router()
        self._mounted: Mounted | None = None
        self._bucket: Bucket | None = None
        self._backstage = backstage or PlainThreads()
        self._values = Values(seed)
        self._answers = 0
        self._known: tuple[Request, Traits] | None = None
        self._open(Database(file_named(database)))

    def _now(self) -> int:
        return self._real_now() - self._late_ns

    def _wall(self) -> int:
        return self._real_wall() - self._late_ns

    def _open(self, database: Database) -> None:
        self._database = database
        self._store = Store(database, self._values, self._wall)
        self._ledger = Ledger(database)
        self._layer = Layer(database, self._now())

    @overload
    def route(
        self, method: str, path: str, handler: None = None, *, effect: bool | None = None
    ) -> Callable[[F], F]: ...

    @overload
    def route(self, method: str, path: str, handler: Handler, *, effect: bool | None = None) -> None: ...

    def route(
        self, method: str, path: str, handler: Handler | None = None, *, effect: bool | None = None
    ) -> Callable[[F], F] | None:
        """Let a handler take requests of this method and path; without a handler, a decorator.

        ``{name}`` in the path stands for one segment, given decoded in ``request.params``. The path may name
        a host: ``api.stripe.com/v1/charges``. The handler takes the `Request` and returns a `Response`, a JSON
        value (status 200), ``(status, value)`` or ``(status, value, headers)``; ``(204, None)`` has no body.
        ``effect=False`` declares a read, ``effect=True`` a write whatever the method. Bad arguments raise
        `ValueError` or `TypeError`.
        """
        if handler is not None:
            self._router.add(make_route(method, path, handler, effect))
            return None
        make_route(method, path, _placeholder, effect)

        def add(function: F) -> F:
            self._router.add(make_route(method, path, function, effect))
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
        if self._mounted is not None:
            raise ValueError("mount: an app is mounted already; use one service for each, or routes")
        self._mounted = mounted(
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
        self._bucket = None if rate is None else Bucket(read_limit(rate, burst))

    @property
    def capacity(self) -> Limit | None:
        """The limit in force."""
        return None if self._bucket is None else self._bucket.limit

    @property
    def profile(self) -> str:
        """The provider whose ways are followed; setting it sets `idempotency` too."""
        return self._profile.name

    @profile.setter
    def profile(self, name: str) -> None:
        self._profile = profile_named(name)
        self._idempotency = self._profile.idempotency

    @property
    def idempotency(self) -> Idempotency:
        """What is done with keys; change it with ``dataclasses.replace``."""
        return self._idempotency

    @idempotency.setter
    def idempotency(self, settings: Idempotency) -> None:
        if not isinstance(settings, Idempotency):
            raise TypeError(
                f"service.idempotency = {settings!r}: give an Idempotency, such as"
                " dataclasses.replace(service.idempotency, lifetime=3600)"
            )
        self._idempotency = settings

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
        return self._ledger.effects

    @property
    def remembered(self) -> tuple[Effect, ...]:
        """What earlier runs did, where the database file holds it."""
        return self._ledger.remembered

    @property
    def database(self) -> Path | None:
        """The store's file, or ``None`` where it is in memory; to be set before the first request."""
        return self._database.file

    @database.setter
    def database(self, file: str | Path | None) -> None:
        if self._known is not None:
            raise ValueError(
                f"service.database = {str(file)!r}: the service has had a request already; set it before the first"
            )
        database = Database(file_named(file))
        self._database.close()
        self._open(database)

    @property
    def unused_routes(self) -> tuple[str, ...]:
        """The routes that no request has taken."""
        return tuple(str(route) for route in self._router.unused)

    def close(self) -> None:
        """Let a mounted app shut down, and close the store; its file keeps what was committed."""
        try:
            if self._mounted is not None:
                self._mounted.close()
        finally:
            self._database.close()

    def handle(self, request: Request, *, attempt: int) -> Answer:
        """Carry a request out now."""
        reserved = self.reserve(request, attempt=attempt)
        return self.complete(reserved) if isinstance(reserved, Reservation) else reserved

    def reserve(self, request: Request, *, attempt: int) -> Answer | Reservation:
        """Let a request in: an answer where the limit or the idempotency layer has one, else what `complete` takes."""
        traits = self.traits(request)
        if self._bucket is not None and (wait_ns := self._bucket.take(self._now())):
            response = self._dress(turned_away(wait_ns, self._bucket.limit, self._profile), traits.key)
            return Answer(response, False, 0, False, traits.key, traits.is_read)
        taken, is_read = traits.taken, traits.is_read
        brought = request.answerer
        app = self._mounted if taken is None and brought is None else None
        reservation = Reservation(request, attempt, traits.key, is_read, traits.is_guarded)
        if brought is not None:
            reservation.handler = brought.answer
        elif taken is not None:
            reservation.request = replace(request, params=taken[1])
            reservation.handler = taken[0].handler
        elif app is not None:
            reservation.handler, reservation.effects = app.handler, app.effects
        own = app is not None and app.has_own_keys
        return reservation if is_read or own else self._admit(reservation)

    def _admit(self, reservation: Reservation) -> Answer | Reservation:
        key, settings = reservation.key, self._idempotency
        admitted = self._layer.admit(reservation.request, key, settings, self._now())
        if isinstance(admitted, Replay):
            return self._replay(admitted.record, reservation)
        if isinstance(admitted, Refuse):
            problem = refusal(admitted.status, admitted.reason, key, settings, self._profile)
            response = self._dress(self._profile.render(problem), key)
            return Answer(response, False, 0, False, key, False)
        reservation.claim = admitted
        return reservation

    def complete(self, reservation: Reservation, *, late_ns: int = 0) -> Answer:
        """Carry out what was let in, as of so many nanoseconds ago.

        `RuntimeError` the second time, `StoreError` where it cannot be kept.
        """
        if reservation.is_done:
            raise RuntimeError("this reservation was completed or released already; reserve the request again")
        self._late_ns = late_ns
        try:
            if reservation.handler is None:
                return self._from_store(reservation)
            return self._from_handler(reservation, reservation.handler)
        finally:
            self._late_ns = 0
            self.release(reservation)

    def release(self, reservation: Reservation) -> None:
        """Give up what was let in: its key is no longer in flight."""
        reservation.is_done = True
        if reservation.claim is not None:
            self._layer.release(reservation.claim)

    def _from_store(self, reservation: Reservation) -> Answer:
        request, is_write, is_guarded = reservation.request, not reservation.is_read, reservation.is_guarded
        with self._database:
            if is_write and is_guarded and reads.is_guarded_by_generation(request) and self._ledger.holds(request):
                problem = Problem(412, "conditionNotMet", "The generation has changed.")
                stored = Stored(self._profile.render(problem))
            else:
                stored = self._store.answer(request, self._profile)
            response = self._dress(stored.response, reservation.key)
            counts = is_write and _is_effect(response.status)
            is_new = stored.changed and not (is_guarded and reads.is_repeatable(request))
            count = int(counts and (is_new or not self._ledger.repeats(request)))
            self._write(reservation, response, count, keep=stored.executed)
        return Answer(response, stored.executed, count, False, reservation.key, reservation.is_read)

    def _from_handler(self, reservation: Reservation, handler: Handler) -> Answer:
        request, rule = reservation.request, reservation.effects
        late: BaseException | None = None
        try:
            before = 0 if rule is None else rule.so_far()
            try:
                response = call_handler(handler, request)
            except RaisedAfterAnswer as raised:
                response, late = raised.response, raised.__cause__
            count = None if rule is None else rule.of(request, response, before)
        except RaisesError as raised:
            if request.answerer is not None:
                request.answerer.raised(raised.error)
            answer = Unanswered(200, error=raised.error)
            return Answer(answer, False, 0, False, reservation.key, reservation.is_read)
        except Exception as error:
            return Answer(FAILED, False, 0, False, reservation.key, reservation.is_read, error)
        response = self._dress(response, reservation.key)
        with self._database:
            if count is None:
                counts = not reservation.is_read and _is_effect(response.status)
                count = int(counts and not self._ledger.repeats(request))
            self._write(reservation, response, count, keep=True)
        return Answer(response, True, count, False, reservation.key, reservation.is_read, late)

    def _write(self, reservation: Reservation, response: Response, count: int, *, keep: bool) -> None:
        now_ns = self._now()
        for _ in range(count):
            self._ledger.add(reservation.request, reservation.attempt, reservation.key, now_ns)
        if reservation.claim is not None and keep and self._idempotency.keeps(response.status):
            self._layer.keep(reservation.claim, response, now_ns)

    def _replay(self, record: Record, reservation: Reservation) -> Answer:
        response, marker = record.response, self._idempotency.replay_marker
        if self._profile.is_stripe:
            original = response.headers.get("request-id", "")
            headers = response.headers.having("Original-Request", original)
            response = self._dress(replace(response, headers=headers), reservation.key)
        if marker is not None:
            response = replace(response, headers=response.headers.having(*marker))
        return Answer(response, False, 0, True, reservation.key, False)

    def _dress(self, response: Response, key: str | None) -> Response:
        """Add the headers that the provider puts on every answer."""
        if not self._profile.is_stripe:
            return response
        self._answers += 1
        name = self._values.digest(of="request", number=self._answers, characters=14)
        headers = response.headers.having("Request-Id", f"req_{name}")
        if key is not None:
            headers = headers.having("Idempotency-Key", key)
        return replace(response, headers=headers)

    def traits(self, request: Request) -> Traits:
        """Look at a request before anything is done; the last one looked at is remembered."""
        known = self._known
        if known is not None and known[0] is request:
            return known[1]
        carrier, key = carriers.find_key(request) or (None, None)
        taken = self._router.find(request)
        if taken is not None:
            self._router.mark(taken[0])
        is_read = self._is_read(request, taken[0] if taken else None)
        repeatable = reads.is_guarded(request) or reads.is_repeatable(request)
        traits = Traits(carrier, key, is_read, repeatable, taken)
        self._known = request, traits
        return traits

    def _is_read(self, request: Request, route: Route | None) -> bool:
        if route is not None and route.effect is not None:
            return not route.effect
        said = self._mounted.effects.is_read(request) if route is None and self._mounted is not None else None
        return reads.is_read(request) if said is None else said

    def error_shape(self, status: int, request: Request) -> Response | None:
        """Word a scripted status as the provider would; ``None`` where the profile has no way of its own."""
        if status < 400 or not self._profile.shapes_errors:
            return None
        found = carriers.find_key(request)
        response = self._profile.render(scripted_problem(status, self._profile))
        return self._dress(response, found[1] if found else None)


def _placeholder(request: Request) -> None:
    """Stand for the function that a decorator will get, so that the other arguments are checked at once."""


def _is_effect(status: int) -> bool:
    return 200 <= status < 300 or status == 303

"""What answers every request of a run, as the test has set it up.

A request goes to a route, else to the mounted app, else to the default store. The idempotency layer stands
before all three, and the limit before that. An effect and the answer kept for its key are written in one transaction.
"""

from __future__ import annotations

import re
from _thread import get_ident
from collections.abc import Callable
from dataclasses import replace

from pytest_retrychaos.model import Request, Response
from pytest_retrychaos.service import carriers, reads
from pytest_retrychaos.service.answers import Answer, Reservation, Traits
from pytest_retrychaos.service.brought import RaisesError, Unanswered
from pytest_retrychaos.service.database import Database
from pytest_retrychaos.service.effects import EffectRule
from pytest_retrychaos.service.handlers import FAILED, Handler, RaisedAfterAnswer, call_handler
from pytest_retrychaos.service.hidden_loop import without_loop
from pytest_retrychaos.service.idempotency import Record, Refuse, Replay
from pytest_retrychaos.service.layer import Layer
from pytest_retrychaos.service.ledger import Ledger
from pytest_retrychaos.service.limits import Bucket, turned_away
from pytest_retrychaos.service.mounting import Mounted
from pytest_retrychaos.service.profiles import Problem, Profile, refusal, scripted_problem
from pytest_retrychaos.service.routing import Route, Router
from pytest_retrychaos.service.store import Store, Stored
from pytest_retrychaos.service.values import Values


class Answering:
    """Lets requests in, carries them out and keeps what was done.

    ``now`` gives virtual nanoseconds since the run began, ``wall`` the wall clock in epoch nanoseconds.
    """

    def __init__(
        self, now: Callable[[], int], wall: Callable[[], int], seed: int, profile: Profile, database: Database
    ) -> None:
        self.profile = profile
        self.idempotency = profile.idempotency
        self.router = Router()
        self.mounted: Mounted | None = None
        self.bucket: Bucket | None = None
        self.handles_in = 0
        """The thread in which a route's handler or a mounted app runs just now; 0 for none."""
        self._late_ns = 0
        self._real_now, self._real_wall = now, wall
        self._values = Values(seed)
        self._answers = 0
        self._known: tuple[Request, Traits] | None = None
        self.open(database)

    def open(self, database: Database) -> None:
        """Keep everything in this database from now on."""
        self.database = database
        self.ledger = Ledger(database)
        self._store = Store(database, self._values, self._wall)
        self._layer = Layer(database, self._now())

    @property
    def has_begun(self) -> bool:
        """Whether there was a request."""
        return self._known is not None

    def _now(self) -> int:
        return self._real_now() - self._late_ns

    def _wall(self) -> int:
        return self._real_wall() - self._late_ns

    def handle(self, request: Request, *, attempt: int) -> Answer:
        """Carry a request out now."""
        reserved = self.reserve(request, attempt=attempt)
        return self.complete(reserved) if isinstance(reserved, Reservation) else reserved

    def reserve(self, request: Request, *, attempt: int) -> Answer | Reservation:
        """Let a request in: an answer where the limit or the idempotency layer has one, else what `complete` takes."""
        traits = self.traits(request)
        if self.bucket is not None and (wait_ns := self.bucket.take(self._now())):
            response = self._dress(turned_away(wait_ns, self.bucket.limit, self.profile), traits.key)
            return Answer(response, False, 0, False, traits.key, traits.is_read)
        taken, is_read = traits.taken, traits.is_read
        brought = request.answerer
        app = self.mounted if taken is None and brought is None else None
        reservation = Reservation(request, attempt, traits.key, is_read, traits.is_guarded)
        if brought is not None:
            reservation.handler = brought.answer
        elif taken is not None:
            reservation.request = request.with_params(taken[1]) if taken[1] else request
            reservation.handler, reservation.effects = taken[0].handler, _rule_of(taken[0])
        elif app is not None:
            reservation.handler, reservation.effects = app.handler, app.effects
        own = app is not None and app.has_own_keys
        return reservation if is_read or own else self._admit(reservation)

    def _admit(self, reservation: Reservation) -> Answer | Reservation:
        key, settings = reservation.key, self.idempotency
        admitted = self._layer.admit(reservation.request, key, settings, self._now())
        if isinstance(admitted, Replay):
            return self._replay(admitted.record, reservation)
        if isinstance(admitted, Refuse):
            problem = refusal(admitted.status, admitted.reason, key, settings, self.profile)
            response = self._dress(self.profile.render(problem), key)
            return Answer(response, False, 0, False, key, False, key_conflict=admitted.reason.value)
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
        with self.database:
            if is_write and is_guarded and reads.is_guarded_by_generation(request) and self.ledger.holds(request):
                problem = Problem(412, "conditionNotMet", "The generation has changed.")
                stored = Stored(self.profile.render(problem))
            else:
                stored = self._store.answer(request, self.profile)
            response = self._dress(stored.response, reservation.key)
            counts = is_write and _is_effect(response.status)
            # The store knows a resource by its path alone, and what a query names there writes over it.
            is_new = stored.changed and request.method != "PUT" and not (is_guarded and reads.is_repeatable(request))
            count = int(counts and (is_new or not self.ledger.repeats(request)))
            self._write(reservation, response, count, keep=stored.executed)
        return Answer(response, stored.executed, count, False, reservation.key, reservation.is_read)

    def _call(self, handler: Handler, request: Request) -> Response:
        outer, self.handles_in = self.handles_in, get_ident()
        try:
            with without_loop():
                return call_handler(handler, request)
        finally:
            self.handles_in = outer

    def _from_handler(self, reservation: Reservation, handler: Handler) -> Answer:
        request, rule = reservation.request, reservation.effects
        late: BaseException | None = None
        try:
            before = 0 if rule is None else rule.so_far()
            try:
                if request.answerer is not None:  # the client's own
                    response = call_handler(handler, request)
                else:
                    response = self._call(handler, request)
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
        with self.database:
            if count is None:
                counts = not reservation.is_read and _is_effect(response.status)
                count = int(counts and not self.ledger.repeats(request))
            # A success that did nothing, as the test says, settles nothing: the next attempt may be carried out.
            is_settled = count > 0 or rule is None or rule.judge is None or not _is_effect(response.status)
            self._write(reservation, response, count, keep=is_settled)
        return Answer(response, True, count, False, reservation.key, reservation.is_read, late)

    def _write(self, reservation: Reservation, response: Response, count: int, *, keep: bool) -> None:
        if not count and reservation.claim is None:
            return
        now_ns = self._now()
        for _ in range(count):
            self.ledger.add(reservation.request, reservation.attempt, reservation.key, now_ns)
        if reservation.claim is not None and keep and self.idempotency.keeps(response.status):
            self._layer.keep(reservation.claim, response, now_ns)

    def _replay(self, record: Record, reservation: Reservation) -> Answer:
        response, marker = record.response, self.idempotency.replay_marker
        if self.profile.is_stripe:
            original = response.headers.get("request-id", "")
            headers = response.headers.having("Original-Request", original)
            response = self._dress(replace(response, headers=headers), reservation.key)
        if marker is not None:
            response = replace(response, headers=response.headers.having(*marker))
        return Answer(response, False, 0, True, reservation.key, False)

    def _dress(self, response: Response, key: str | None) -> Response:
        """Add the headers that the provider puts on every answer."""
        if not self.profile.is_stripe:
            return response
        self._answers += 1
        name = self._values.digest(of="request", number=self._answers, characters=14)
        headers = response.headers.having("Request-Id", f"req_{name}")
        if key is not None and _UNSENDABLE.search(key) is None:
            headers = headers.having("Idempotency-Key", key)
        return replace(response, headers=headers)

    def traits(self, request: Request) -> Traits:
        """Look at a request before anything is done; the last one looked at is remembered."""
        known = self._known
        if known is not None and known[0] is request:
            return known[1]
        carrier, key = carriers.find_key(request, self.idempotency.carriers) or (None, None)
        taken = self.router.find(request)
        if taken is not None:
            self.router.mark(taken[0])
        is_read = self._is_read(request, taken[0] if taken else None)
        repeatable = reads.is_guarded(request) or reads.is_repeatable(request)
        traits = Traits(carrier, key, is_read, repeatable, taken)
        self._known = request, traits
        return traits

    def _is_read(self, request: Request, route: Route | None) -> bool:
        if route is not None and route.effect is not None:
            # A function tells of writes by their answers; a query that travels by POST is a read all the same.
            return reads.travels_by_post(request) if callable(route.effect) else not route.effect
        said = self.mounted.effects.is_read(request) if route is None and self.mounted is not None else None
        return reads.is_read(request) if said is None else said

    def error_shape(self, status: int, request: Request) -> Response | None:
        """Word a scripted status as the provider would; ``None`` where the profile has no way of its own."""
        if status < 400 or not self.profile.shapes_errors:
            return None
        found = carriers.find_key(request, self.idempotency.carriers)
        response = self.profile.render(scripted_problem(status, self.profile))
        return self._dress(response, found[1] if found else None)


def _rule_of(route: Route) -> EffectRule | None:
    """Give what tells a route's effects by its answers, where the test said that."""
    return EffectRule(judge=route.effect, called="effect=") if callable(route.effect) else None


_UNSENDABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
"""What no header's value can hold (RFC 9110, 5.5), and a key in a body can."""


def _is_effect(status: int) -> bool:
    return 200 <= status < 300 or status == 303

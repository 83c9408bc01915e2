"""Requests that bring their answer along: what a mock has registered, or a function that is called.

Such a request goes through script, idempotency layer and ledger as any other. Where a route, an app or the store
would answer, its own `Answerer` does: at once, twice, or seconds later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, cast

from pytest_retrychaos.model import Outcome, Request, Response
from pytest_retrychaos.service import Answer, Reservation, Service
from pytest_retrychaos.transports.seam import Exchange, Ticket

OWN_METHODS = frozenset({"CALL"})
"""Methods that stand for no request: the calls of functions."""


class RaisesError(Exception):
    """Raised by an answerer in whose place an exception is what the client gets."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Answerer(Protocol):
    """What answers one request of the client's, through all its tries."""

    def answer(self, request: Request) -> Response:
        """Answer as a route's handler would; `RaisesError` where the client gets an exception."""

    def raised(self, error: Exception) -> None:
        """Note that an exception stood in place of an answer."""


@dataclass(frozen=True, slots=True)
class CarriedRequest(Request):
    """A request that brings its answer along."""

    answerer: Answerer | None = None

    def with_body(self, body: bytes) -> CarriedRequest:
        """Return it with the body that came after its head."""
        return replace(self, body=body)


@dataclass(frozen=True, slots=True)
class Unanswered(Response):
    """Stands for the answer where there is an exception; it is never sent."""

    error: Exception | None = None


def carried(head: Request, answerer: Answerer) -> CarriedRequest:
    """Give a request its answerer."""
    given = {field.name: getattr(head, field.name) for field in fields(Request)}
    return CarriedRequest(**given, answerer=answerer)


class ServedExchange(Exchange, Protocol):
    """An exchange whose service can be stood in for."""

    service: Service


class CarryingService:
    """The fake service, which lets a request that brings its answer along have it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.values: list[Any] = []  # Any: whatever they are
        """What functions have returned in this run."""

    def __getattr__(self, name: str) -> Any:  # Any: whatever the service has there
        return getattr(self._service, name)

    def handle(self, request: Request, *, attempt: int) -> Answer:
        """Carry a request out now."""
        reserved = self.reserve(request, attempt=attempt)
        return self.complete(reserved) if isinstance(reserved, Reservation) else reserved

    def reserve(self, request: Request, *, attempt: int) -> Answer | Reservation:
        """Let a request in, past the idempotency layer."""
        answerer = _answerer(request)
        with self._keys_of(request) if answerer is not None else contextlib.nullcontext():
            reserved = self._service.reserve(request, attempt=attempt)
        if answerer is not None and isinstance(reserved, Reservation):
            reserved.handler, reserved.effects = answerer.answer, None
        return reserved

    @contextlib.contextmanager
    def _keys_of(self, request: Request) -> Iterator[None]:
        """Let a method of no standard's have its keys looked at where those of a POST are."""
        settings = self._service.idempotency
        if request.method not in OWN_METHODS or "POST" not in settings.methods:
            yield
            return
        self._service.idempotency = replace(settings, methods=(*settings.methods, request.method))
        try:
            yield
        finally:
            self._service.idempotency = settings

    def complete(self, reservation: Reservation, **named: Any) -> Answer:  # Any: what the service's own takes
        """Carry out what was let in."""
        answer = self._service.complete(reservation, **named)
        answerer = _answerer(reservation.request)
        if answerer is None or not isinstance(answer.error, RaisesError):
            return answer
        answerer.raised(answer.error.error)
        return answer._replace(response=Unanswered(200, error=answer.error.error), error=None)


def let_carry(exchange: ServedExchange) -> CarryingService:
    """Let an exchange's service answer such requests; doing it twice is harmless."""
    present = cast("object", exchange.service)
    if isinstance(present, CarryingService):
        return present
    carrying = CarryingService(exchange.service)
    exchange.service = cast("Service", carrying)
    return carrying


def unanswered(outcome: Outcome) -> Exception | None:
    """Give the exception that the client gets for an answer, if there is one and no fault hides it."""
    return outcome.response.error if isinstance(outcome.response, Unanswered) else None


class _Withdrawable(Ticket, Protocol):
    """An attempt's record, so far as what was never sent is taken back from it."""

    status: int | None
    response: Response | None


def tell(ticket: Ticket, error: Exception) -> None:
    """Note that the client got an exception, and no answer."""
    record = cast("_Withdrawable", ticket)
    record.status = record.response = None
    ticket.saw_error(error)


def _answerer(request: Request) -> Answerer | None:
    return request.answerer if isinstance(request, CarriedRequest) else None

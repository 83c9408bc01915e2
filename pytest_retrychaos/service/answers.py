"""What the service hands back for a request: an answer, or a reservation to be completed later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pytest_retrychaos.model import Request, Response
from pytest_retrychaos.service.effects import EffectRule
from pytest_retrychaos.service.handlers import Handler
from pytest_retrychaos.service.layer import Claim
from pytest_retrychaos.service.routing import Route


class Traits(NamedTuple):
    """What the service sees in a request before it does anything."""

    carrier: str | None
    """Where the idempotency key was found."""
    key: str | None
    is_read: bool
    """It changes nothing: by its route's ``effect``, its method, or its protocol."""
    is_guarded: bool
    """Repeating it does nothing: by a precondition, or since it writes by POST what a PUT would."""
    taken: tuple[Route, Mapping[str, str]] | None
    """The route that takes it, with its path parameters."""


class Answer(NamedTuple):
    """What the service made of one request."""

    response: Response
    committed: bool
    """It was carried out: a handler, the app or the store ran, and what it did lasts."""
    effects: int
    """Rows written to the ledger."""
    replayed: bool
    """The answer is the one that was kept for the key."""
    key: str | None
    """The idempotency key as sent."""
    is_read: bool
    error: BaseException | None = None
    """What a handler raised, or why what it returned is no answer."""
    key_conflict: str | None = None
    """Why its key was turned away, where it was: ``in flight``, ``mismatch``, ``missing``, ``too long``."""


@dataclass(slots=True, eq=False)
class Reservation:
    """A request that was let in and is not carried out yet; meanwhile its key is in flight."""

    request: Request
    attempt: int
    key: str | None
    is_read: bool
    is_guarded: bool
    handler: Handler | None = None
    """``None``: the default store answers."""
    effects: EffectRule | None = None
    """What counts the mounted app's effects."""
    claim: Claim | None = None
    """The key that is in flight."""
    is_done: bool = False

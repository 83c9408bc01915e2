"""Requests that bring their answer along: what a mock has registered, or a function that is called.

Such a request goes through script, idempotency layer and ledger as any other. Where a route, an app or the store
would answer, its own `Answerer` does: at once, twice, or seconds later.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_retrychaos.model import Outcome, Response


class RaisesError(Exception):
    """Raised by an answerer in whose place an exception is what the client gets."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class Unanswered(Response):
    """Stands for the answer where there is an exception; it is never sent."""

    error: Exception | None = None


def unanswered(outcome: Outcome) -> Exception | None:
    """Give the exception that the client gets for an answer, if there is one and no fault hides it."""
    return outcome.response.error if isinstance(outcome.response, Unanswered) else None

"""What findings say of a request, and what in its place of the call of a function (``chaos.faulty``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_retrychaos.laws.ends import path_of
from pytest_retrychaos.laws.words import singular

if TYPE_CHECKING:
    from pytest_retrychaos.trace import Attempt


def is_call(attempt: Attempt) -> bool:
    """Whether an attempt is the call of a function."""
    return attempt.scheme == "call"


def noun_of(attempt: Attempt) -> str:
    """What the service makes at this path: ``/v1/payments`` → ``payment``; of a function, a call."""
    if is_call(attempt):
        return "call"
    last = path_of(attempt).rstrip("/").rpartition("/")[2]
    return singular(last.lower()) if last.isalpha() else "request"


def subject_of(attempt: Attempt) -> str:
    """What was sent."""
    return "call" if is_call(attempt) else "request"


def taker_of(attempt: Attempt) -> str:
    """Who took it."""
    return "function" if is_call(attempt) else "service"


def key_of(attempt: Attempt) -> str:
    """What a key is called there."""
    return "idempotency_key" if is_call(attempt) else "Idempotency-Key"


def one_key(attempt: Attempt) -> str:
    """How to send one key."""
    given = "give it to every call as idempotency_key=…" if is_call(attempt) else "send it on every attempt"
    return f"make one key per operation, outside the retry loop, and {given}"


def if_a_read(attempt: Attempt) -> str:
    """How to say that nothing was written."""
    if is_call(attempt):
        path = path_of(attempt)
        route = f'chaos.service.route("CALL", "{path}", {path[1:]}, effect=False)'
    else:
        route = "chaos.service.route(…, effect=False)"
    return f"if this is a read: {route}"

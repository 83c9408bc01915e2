"""Whether a request that creates something gives it an id of its own, by which the service knows it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_retrychaos.laws.view import OperationView
    from pytest_retrychaos.trace import Body

THERE_ALREADY = 409


def is_known_by_its_id(operation: OperationView) -> bool:
    """Whether a POST names what it creates, and nothing that the service answered speaks against its knowing that.

    Against it speak an answer of the service's own that gives another id, or none, and a second effect. A 409 of its
    own says that it is there already.
    """
    first = operation.first_sent
    own = None if first is None or first.method != "POST" else _id_of(first.body)
    if own is None or sum(attempt.effects for attempt in operation.attempts) > 1:
        return False
    answers = [one for one in operation.attempts if one.own_answer and one.status is not None]
    return all(one.status == THERE_ALREADY or _id_of(one.response_body) == own for one in answers)


def _id_of(body: Body) -> str | None:
    """Give the ``id`` at the top of a JSON object, where the whole text was kept."""
    if not body.start.startswith(b"{") or not body.is_whole:
        return None
    try:
        found = json.loads(body.start).get("id")
    except (ValueError, RecursionError):
        return None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) and found != "" else None

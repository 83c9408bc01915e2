"""Whether a request that creates something gives it an id of its own, by which the service knows it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_retrychaos.packing import said

if TYPE_CHECKING:
    from pytest_retrychaos.laws.view import OperationView
    from pytest_retrychaos.model import Headers
    from pytest_retrychaos.trace import Body

THERE_ALREADY = 409


def is_known_by_its_id(operation: OperationView) -> bool:
    """Whether a POST names what it creates, and nothing that the service answered speaks against its knowing that.

    Against it speak an answer of the service's own that gives another id, or none, and a second effect. A 409 of its
    own says that it is there already.
    """
    first = operation.first_sent
    own = None if first is None or first.method != "POST" else _id_of(first.body, first.headers)
    if own is None or sum(attempt.effects for attempt in operation.attempts) > 1:
        return False
    answers = [one for one in operation.attempts if one.own_answer and one.status is not None]
    return all(one.status == THERE_ALREADY or _id_of(one.response_body, one.response_headers) == own for one in answers)


def _id_of(body: Body, headers: Headers) -> str | None:
    """Give the ``id`` at the top of a JSON object, where the whole text was kept; that of JSON-RPC names a call."""
    text = said(body.start, headers) if body.is_whole else b""
    if not text.startswith(b"{"):
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = None if "jsonrpc" in fields else fields.get("id")
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) and found != "" else None

"""A small client over http.client, and what the record made of what it sent."""

from __future__ import annotations

import http.client
import time
from typing import Any

from pytest_retrychaos import Chaos

JSON = {"Content-Type": "application/json"}


def send(
    path: str = "/payments",
    body: bytes | str | None = b'{"amount":1}',
    *,
    method: str = "POST",
    key: str | None = None,
    host: str = "service.test",
    headers: dict[str, str] | None = None,
) -> int | None:
    """Send one request on a connection of its own; the status, or ``None`` where no whole answer came."""
    connection = http.client.HTTPConnection(host, timeout=5)
    fields = {**JSON, **({"Idempotency-Key": key} if key else {}), **(headers or {})}
    try:
        connection.request(method, path, body, fields)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def sends(*requests: dict[str, Any], wait: float = 0) -> list[int | None]:
    """Send requests one after the other, within one call that the test makes."""
    found = []
    for request in requests:
        found.append(send(**request))
        time.sleep(wait)
    return found


def groups(chaos: Chaos) -> list[list[int]]:
    """The attempts of each operation."""
    return [[attempt.index for attempt in operation.attempts] for operation in chaos.operations]


def reasons(chaos: Chaos) -> list[str]:
    """Why each attempt joined."""
    return [attempt.joined for attempt in chaos.attempts]

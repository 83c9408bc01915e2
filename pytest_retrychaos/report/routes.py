"""Routes as the matrix lists them: method and path, the ids in it folded.

Laws of this module:
1. A route that the test declared (``chaos.service.route``) is named as it was declared.
2. Of any other path a segment that looks like an identifier is folded to ``{id}``: digits alone, also with a
   suffix (``17.json``), a UUID, a long word with digits, a prefix and an underscore before such a word. A version
   (``v1``, ``api-v1``) is none.
3. A segment that holds a secret is folded to ``{secret}``, in a declared route and in a host, too: a mark would be
   another one in each run.
4. The host stands before the path where it is not the fake service's own: ``POST api.stripe.com/v1/charges``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from pytest_retrychaos import redact
from pytest_retrychaos.laws.calls import is_call
from pytest_retrychaos.laws.ends import path_of
from pytest_retrychaos.model import host_name
from pytest_retrychaos.redact.shapes import MARK
from pytest_retrychaos.trace import Attempt

OWN_HOSTS: Final = ("service.test", "localhost", "127.0.0.1", "[::1]")
"""What the fake service answers to by itself."""
LONGEST: Final = 200
"""Characters of a route; a longer path is cut."""

_ID: Final = re.compile(
    r"\d+(?:\.[a-z]{2,5})?"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|(?=[^0-9]*[0-9])[A-Za-z0-9_~.-]{12,}"
    r"|[A-Za-z]+[_-](?![vV]\d+\Z)(?=[^0-9]*[0-9])[A-Za-z0-9]+"
    r"|(?=[^0-9]*[0-9])[0-9a-f]{7,}"
    r"|\d[\d.:T-]*\d"
)

Declared = Callable[[Attempt], str | None]
"""Names the route that was declared for an attempt, where one was."""


def route_of(attempt: Attempt, declared: Declared = lambda _: None) -> str | None:
    """Name the route of an attempt; ``None`` where nothing was sent, so that no path is known."""
    if not attempt.was_sent:
        return None
    if is_call(attempt):
        return f"CALL {attempt.host}"
    named = declared(attempt)
    if named is not None:
        return _declared(named, redact.current())[:LONGEST]
    host = attempt.host
    own = "" if host.rpartition(":")[0] in OWN_HOSTS or host in OWN_HOSTS else host
    return f"{attempt.method} {_host(own, redact.current())}{folded(path_of(attempt))}"[:LONGEST]


def folded(path: str) -> str:
    """Fold the ids in a path: ``/payments/pay_8f3b21`` → ``/payments/{id}``."""
    return _folded(path, redact.current())


@lru_cache(maxsize=4096)
def _folded(path: str, redaction: redact.Redaction) -> str:
    return _hidden("/".join(["{id}" if _ID.fullmatch(part) else part for part in path.split("/")]), redaction) or "/"


@lru_cache(maxsize=4096)
def _declared(route: str, redaction: redact.Redaction) -> str:
    method, host, path = split(route)
    return f"{method} {_host(host, redaction)}{_hidden(path, redaction)}"


@lru_cache(maxsize=4096)
def _host(host: str, redaction: redact.Redaction) -> str:
    name = host_name(host)  # without its port: in auth:8080 no name has a value
    start = host.lower().find(name)
    return f"{host[:start]}{_hidden(host[start : start + len(name)], redaction)}{host[start + len(name) :]}"


def _hidden(path: str, redaction: redact.Redaction) -> str:
    parts = [part if part == "{id}" or redaction.text(part) == part else "{secret}" for part in path.split("/")]
    return MARK.sub("{secret}", redaction.text("/".join(parts)))  # an address in a path has slashes of its own


def split(route: str) -> tuple[str, str, str]:
    """Take a route apart: method, host (empty where it is the fake service's own) and path."""
    method, _, rest = route.partition(" ")
    host, slash, path = rest.partition("/")
    return method, host, f"{slash}{path}"

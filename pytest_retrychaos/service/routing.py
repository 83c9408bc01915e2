"""Routes: which handler takes a request.

Of the routes that match, one that names a host wins over one that does not, then the one with fewer
parameters, then the one registered last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from pytest_retrychaos.model import Request, Response
from pytest_retrychaos.service.handlers import Handler, takes

Judge = Callable[[Request, Response], int]
"""Says whether, or how often, a request had an effect that was answered so."""

_PARAMETER = re.compile(r"\{([^{}]*)\}")
_METHOD = re.compile(r"[A-Za-z][A-Za-z-]*\Z")
_HOST = re.compile(
    r"(?:[^/\s@?#{}]*\.[^/\s@?#{}]*|localhost)(?::\d+)?\Z|[^/\s@?#{}:]+:\d+\Z|\[[0-9A-Fa-f:.]+\](?::\d+)?\Z"
)


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One handler and what it takes; ``effect`` overrides whether what it does counts."""

    method: str
    host: str | None
    path: str
    handler: Handler
    effect: bool | Judge | None
    pattern: re.Pattern[str]
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.host or ''}{self.path}"

    def takes_host(self, host: str) -> bool:
        """Tell whether a request to this host, as sent, is meant."""
        if self.host is None:
            return True
        host = host.lower()
        return host == self.host or (":" not in self.host and host.partition(":")[0] == self.host)


def make_route(method: object, path: object, handler: Handler, effect: object) -> Route:
    """Check what `Service.route` was given; `TypeError` or `ValueError` names value, rule and way out."""
    if not isinstance(method, str) or not _METHOD.match(method):
        raise ValueError(f"route method {method!r}: a method is one word; write route('POST', '/payments', handler)")
    if not (effect is None or isinstance(effect, bool) or (callable(effect) and takes(effect, None, None))):
        raise TypeError(
            f"route effect={effect!r}: use True, False, a function of (request, response) that says whether there was "
            "an effect, or None to go by method and answer"
        )
    if not callable(handler):
        raise TypeError(f"route handler {handler!r}: a handler is a function that takes the request")
    host, bare = _split(path)
    names = tuple(_PARAMETER.findall(bare))
    _check_names(names, bare)
    return Route(method.upper(), host, bare, handler, effect, _pattern(bare), names)


def _split(path: object) -> tuple[str | None, str]:
    if not isinstance(path, str) or not path:
        raise TypeError(f"route path {path!r}: a path is a str such as '/payments/{{id}}'")
    if "://" in path:
        rest = path.partition("://")[2]
        raise ValueError(f"route path {path!r}: leave the scheme out; write {rest!r}")
    if "?" in path or "#" in path or any(letter.isspace() for letter in path):
        raise ValueError(f"route path {path!r}: a path has no query, fragment or blank; read request.query")
    if path.startswith("/"):
        return None, path
    host, slash, rest = path.partition("/")
    if not _HOST.match(host):
        raise ValueError(f"route path {path!r}: a path begins with a slash; write {'/' + path!r}")
    if not slash:
        raise ValueError(f"route path {path!r}: a host needs a path after it; write {path + '/'!r}")
    return host.lower(), "/" + rest


def _check_names(names: tuple[str, ...], path: str) -> None:
    rest = _PARAMETER.sub("", path)
    if "{" in rest or "}" in rest:
        raise ValueError(f"route path {path!r}: braces come in pairs around a name, as in '/payments/{{id}}'")
    for name in names:
        if not name.isidentifier():
            raise ValueError(f"route path {path!r}: the parameter {name!r} is no name; use letters, digits and _")
        if names.count(name) > 1:
            raise ValueError(f"route path {path!r}: the parameter {name!r} stands there twice; name each once")


def _pattern(path: str) -> re.Pattern[str]:
    parts = _PARAMETER.split(path.rstrip("/"))
    literal = [re.escape(part) if index % 2 == 0 else "([^/]+)" for index, part in enumerate(parts)]
    return re.compile("".join(literal) + "/?")


class Router:
    """The routes of a service."""

    def __init__(self) -> None:
        self._routes: list[Route] = []
        self._used: set[Route] = set()

    def __bool__(self) -> bool:
        return bool(self._routes)

    def add(self, route: Route) -> None:
        """Add a route; it comes before equal ones."""
        self._routes.insert(0, route)
        self._routes.sort(key=lambda known: (known.host is None, len(known.names)))

    def find(self, request: Request) -> tuple[Route, Mapping[str, str]] | None:
        """Find the route of a request, with its path parameters; a HEAD is taken by the GET route too."""
        if not self._routes:
            return None
        found = self._match(request, request.method)
        if found is None and request.method == "HEAD":
            found = self._match(request, "GET")
        return found

    def _match(self, request: Request, method: str) -> tuple[Route, Mapping[str, str]] | None:
        path = request.path
        for route in self._routes:
            if route.method != method or not route.takes_host(request.host):
                continue
            match = route.pattern.fullmatch(path)
            if match is not None:
                return route, _params(route, match) if route.names else {}
        return None

    def mark(self, route: Route) -> None:
        """Note that a request took this route."""
        self._used.add(route)

    @property
    def unused(self) -> tuple[Route, ...]:
        """The routes that no request took, in the order in which they are tried."""
        return tuple(route for route in self._routes if route not in self._used)

    @property
    def given_again(self) -> tuple[Route, ...]:
        """The routes that stand behind another for the same requests, and are never tried."""
        first: dict[tuple[object, ...], Route] = {}
        for route in self._routes:
            first.setdefault((route.method, route.host, route.pattern), route)
        return tuple(route for route in self._routes if route not in first.values())


def _params(route: Route, match: re.Match[str]) -> dict[str, str]:
    return dict(zip(route.names, [unquote(value) for value in match.groups()], strict=True))

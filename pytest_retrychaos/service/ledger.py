"""The effect ledger: what the service did that lasts, one row an effect, in commit order."""

from __future__ import annotations

from pytest_retrychaos.model import Effect, Request
from pytest_retrychaos.service.database import Database
from pytest_retrychaos.service.payload import JSON, is_same_payload, media_type
from pytest_retrychaos.service.reads import is_repeatable
from pytest_retrychaos.volatile import canonical_target

IDEMPOTENT = frozenset({"PUT", "DELETE"})
"""Writes that, sent again, leave everything as it is (RFC 9110, 9.2.2)."""

_NO_POST = "AND method != 'POST'"
_LAST = "SELECT * FROM (SELECT number, method, path, body FROM effects WHERE path = ? {} ORDER BY number DESC LIMIT 1)"
_MOST_ABOVE = 400
"""SQLite puts no more than 500 questions together."""
_COLUMNS = "number, attempt, method, host, target, key, body, at_ns"


class Ledger:
    """The effects in a database. Writing is done inside the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        found: int | None = database.one("SELECT max(number) FROM effects")[0]
        self._earlier = found or 0
        self._read: list[Effect] = []

    def add(self, request: Request, attempt: int, key: str | None, at_ns: int) -> None:
        """Write one effect."""
        self._database.write(
            "INSERT INTO effects (attempt, method, host, path, target, key, body, at_ns)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                attempt,
                request.method,
                request.host,
                _thing(request),
                request.target,
                key,
                request.content,
                at_ns,
            ),
        )

    def repeats(self, request: Request) -> bool:
        """Tell whether an idempotent write only says again what was last written at its path.

        That is PUT, DELETE, a merging PATCH, and what is as good by POST. Written means at the path itself, or
        by PUT, PATCH or DELETE at a path above it. What a query names there is a thing of its own, such as a part of
        an upload, but for fields that sign it. The host does not matter: the service is one, hosts are its names.
        """
        kind = media_type(request.headers.by_name)
        merges = request.method == "PATCH" and kind == JSON and "json-patch" not in request.headers["content-type"]
        if request.method not in IDEMPOTENT and not merges and not is_repeatable(request):
            return False
        thing, path = _thing(request), _path(request)
        above = _above(path)
        last = [_LAST.format(""), *[_LAST.format("")] * (thing != path), *[_LAST.format(_NO_POST)] * len(above)]
        row = self._database.one(
            f"{' UNION ALL '.join(last)} ORDER BY number DESC LIMIT 1",
            (thing, *[path] * (thing != path), *above),
        )
        return (
            row is not None
            and row[1] == request.method
            and row[2] == thing
            and is_same_payload(kind, request.content, row[3])
        )

    def holds(self, request: Request) -> bool:
        """Tell whether the same request, body and all, has had its effect."""
        kind = media_type(request.headers.by_name)
        rows = self._database.all(
            "SELECT body FROM effects WHERE path = ? AND method = ? AND target = ?",
            (_thing(request), request.method, request.target),
        )
        return any(is_same_payload(kind, request.content, row[0]) for row in rows)

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects since this service began."""
        last = self._read[-1].number if self._read else self._earlier
        rows = self._database.all(f"SELECT {_COLUMNS} FROM effects WHERE number > ? ORDER BY number", (last,))
        self._read += [Effect(*row) for row in rows]
        return tuple(self._read)

    @property
    def remembered(self) -> tuple[Effect, ...]:
        """The effects of earlier runs that the file held when it was opened."""
        rows = self._database.all(f"SELECT {_COLUMNS} FROM effects WHERE number <= ? ORDER BY number", (self._earlier,))
        return tuple(Effect(*row) for row in rows)


def _path(request: Request) -> str:
    return request.path.rstrip("/")


def _thing(request: Request) -> str:
    """Name what a request is about: its path, and its query but for what may differ on every sending."""
    _, mark, query = canonical_target(request.target).partition("?")
    return _path(request) + mark + query


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))][-_MOST_ABOVE:]

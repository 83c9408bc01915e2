"""The default REST store: what answers where neither a route nor a mounted app does.

One service answers every host, so a resource is known by its path alone, whichever way its characters are written.
POST to a collection creates, PUT creates or replaces and keeps the body as sent, PATCH merges (RFC 7396),
DELETE removes; POST to a resource that exists updates it. A path under which nothing was ever written is an
empty list, an unknown id beside known or deleted ones is 404.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from email.utils import formatdate
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from pytest_retrychaos.model import SECOND, Headers, Request, Response
from pytest_retrychaos.packing import unpacked
from pytest_retrychaos.service.database import Database
from pytest_retrychaos.service.payload import JSON, media_type, merged, read_fields, read_json, write_json
from pytest_retrychaos.service.preconditions import CONDITIONS, failed_precondition
from pytest_retrychaos.service.profiles import Problem, Profile
from pytest_retrychaos.service.values import Values, kind_of

ALLOWED = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
JSON_TYPE = "application/json"
_JSON_FIELD = ("Content-Type", JSON_TYPE)


class Stored(NamedTuple):
    """What the store did. ``executed``: the request was valid, so that its answer is a result;
    ``changed``: something is now different."""

    response: Response
    executed: bool = True
    changed: bool = False


class Resource(NamedTuple):
    """One row: ``content`` is ``None`` where it was deleted."""

    number: int
    type: str
    content: bytes | None
    etag: str
    modified_ns: int


class _RejectedError(Exception):
    def __init__(self, problem: Problem, *, executed: bool = False, etag: str | None = None) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.executed = executed
        self.etag = etag


class Store:
    """Resources in a database. `answer` is called inside the caller's transaction."""

    def __init__(self, database: Database, values: Values, wall: Callable[[], int]) -> None:
        self._database = database
        self._values = values
        self._wall = wall
        self._last: int = database.one("SELECT max(number) FROM resources")[0] or 0
        self._known: set[str] = {path for (path,) in database.all("SELECT path FROM resources")}
        """Every path with a row, so that the database is not asked for what was never written."""
        self._acts: dict[str, Callable[[Request, str, Profile], Stored]] = {
            "GET": self._get,
            "HEAD": self._get,  # the transport leaves the body out
            "POST": self._post,
            "PUT": self._put,
            "PATCH": self._patch,
            "DELETE": self._delete,
            "OPTIONS": self._options,
        }

    def answer(self, request: Request, profile: Profile) -> Stored:
        """Carry one request out."""
        act = self._acts.get(request.method)
        path = _one_spelling(request.path.rstrip("/"))
        if act is None:
            problem = Problem(405, "method_not_allowed", f"{request.method} is not supported.")
            response = profile.render(problem)
            return Stored(Response(405, response.headers.having("Allow", ALLOWED), response.body), False)
        try:
            if not CONDITIONS.isdisjoint(request.headers.by_name):
                self._check(request, path, profile)
            return act(request, path, profile)
        except _RejectedError as rejected:
            if rejected.problem.status == 304:  # with what 200 would have had (RFC 9110, 15.4.5)
                return Stored(Response(304, Headers({"ETag": rejected.etag or ""})))
            return Stored(profile.render(rejected.problem), rejected.executed)

    def _check(self, request: Request, path: str, profile: Profile) -> None:
        found = self._find(path)
        etag, modified = None, None
        if found is not None and found.content is not None:
            etag, modified = found.etag, found.modified_ns
        elif found is None and self._has_children(path):
            etag = _etag(self._list(path, profile))
        status = failed_precondition(request.method, request.headers, etag, modified)
        if status is not None:
            message = "The precondition does not hold."
            raise _RejectedError(Problem(status, "precondition_failed", message), executed=True, etag=etag)

    def _options(self, _request: Request, _path: str, _profile: Profile) -> Stored:
        return Stored(Response(204, Headers({"Allow": ALLOWED})))

    def _get(self, _request: Request, path: str, profile: Profile) -> Stored:
        found = self._find(path)
        if found is not None and found.content is not None:
            modified = formatdate(found.modified_ns // SECOND, usegmt=True)
            fields = [("Content-Type", found.type), ("ETag", found.etag), ("Last-Modified", modified)]
            return Stored(Response(200, Headers(fields), found.content))
        if found is not None or (not self._has_children(path) and self._has_children(_parent(path))):
            raise self._unknown(path)
        content = self._list(path, profile)
        return Stored(Response(200, Headers([_JSON_FIELD, ("ETag", _etag(content))]), content))

    def _post(self, request: Request, path: str, profile: Profile) -> Stored:
        found = self._find(path)
        if found is not None and found.content is not None:
            return self._merge(request, path, found, profile)
        value = self._read(request, profile)
        if not isinstance(value, dict):
            return self._create_as_sent(request, path)
        own = value.get("id")
        if own is not None:
            return self._create(path, value, _own_id(own), profile)
        return self._create(path, value, None, profile)

    def _create(self, path: str, value: dict[str, Any], own: str | None, profile: Profile) -> Stored:
        kind = kind_of(path)
        self._last = number = self._last + 1
        if own is None:
            identifier = self._values.identifier(kind, number)
            place = f"{path}/{identifier}"
        else:
            identifier, place = own, f"{path}/{quote(own, safe='')}"
            self._refuse_taken(place, own)
        now_ns = self._wall()
        made: dict[str, Any] = {"id": identifier}
        if profile.is_stripe:
            made["object"] = kind.name
        if kind.status is not None:
            made["status"] = kind.status
        made["created"] = now_ns // SECOND
        if kind.invented:
            made.update(self._values.invented(kind, number))
        made.update(value)
        if made["id"] is None:
            made["id"] = identifier
        content = _written(made)
        etag = self._write(place, path, number, JSON_TYPE, content, now_ns)
        if profile.is_stripe:
            return Stored(Response(200, Headers([_JSON_FIELD]), content), changed=True)
        fields = [_JSON_FIELD, ("Location", place), ("ETag", etag)]
        return Stored(Response(201, Headers(fields), content), changed=True)

    def _create_as_sent(self, request: Request, path: str) -> Stored:
        self._last = number = self._last + 1
        identifier = self._values.identifier(kind_of(path), number)
        place = f"{path}/{identifier}"
        sent = request.headers.get("content-type", "application/octet-stream")
        etag = self._write(place, path, number, sent, request.content, self._wall())
        answer = Response.json({"id": identifier}, 201, {"Location": place, "ETag": etag})
        return Stored(answer, changed=True)

    def _refuse_taken(self, place: str, own: str) -> None:
        found = self._find(place)
        if found is not None and found.content is not None:
            message = f"There is already a resource with the id {own!r}."
            raise _RejectedError(Problem(409, "already_exists", message), executed=True)

    def _put(self, request: Request, path: str, profile: Profile) -> Stored:
        is_json = media_type(request.headers.by_name) == JSON
        if is_json:
            self._read(request, profile)
        found = self._find(path)
        sent = request.headers.get("content-type", "application/octet-stream")
        content = request.content
        exists = found is not None and found.content is not None
        if found is None:
            self._last += 1
        number = self._last if found is None else found.number
        same = found is not None and found.content == content and found.type == sent
        etag = self._write(path, _parent(path), number, sent, content, self._wall())
        status = 200 if exists else 201
        if not is_json:  # nobody wants a file back that was just sent
            return Stored(Response(status, Headers([("ETag", etag)])), changed=not same)
        fields = [("Content-Type", sent), ("ETag", etag)]
        return Stored(Response(status, Headers(fields), content), changed=not same)

    def _patch(self, request: Request, path: str, profile: Profile) -> Stored:
        found = self._find(path)
        if found is None or found.content is None:
            raise self._unknown(path)
        return self._merge(request, path, found, profile)

    def _merge(self, request: Request, path: str, found: Resource, profile: Profile) -> Stored:
        change = self._read(request, profile)
        if not isinstance(change, dict) or "json-patch" in request.headers.get("content-type", ""):
            message = "Send the fields to change as a JSON object or a form."
            raise _RejectedError(Problem(415, "unsupported_media_type", message))
        if media_type({"content-type": found.type}) != JSON:
            raise _RejectedError(Problem(409, "not_json", "This resource is no JSON object."), executed=True)
        before = read_json(found.content or b"{}")
        content = _written(merged(before, change))
        same = read_json(content) == before
        if same:
            content = found.content or content
        etag = self._write(path, _parent(path), found.number, found.type, content, self._wall())
        fields = [("Content-Type", found.type), ("ETag", etag)]
        return Stored(Response(200, Headers(fields), content), changed=not same)

    def _delete(self, _request: Request, path: str, profile: Profile) -> Stored:
        found = self._find(path)
        if found is None or found.content is None:
            raise self._unknown(path)
        self._write(path, _parent(path), found.number, found.type, None, self._wall())
        if profile.is_stripe:
            gone = {"id": path.rpartition("/")[2], "object": kind_of(_parent(path)).name, "deleted": True}
            return Stored(Response.json(gone), changed=True)
        return Stored(Response(204), changed=True)

    def _read(self, request: Request, profile: Profile) -> Any:  # Any: JSON has no narrower type
        try:
            return read_fields(request.headers.by_name, request.content, typed=profile.is_stripe)
        except ValueError as error:
            encoding = request.headers.get("content-encoding", "")
            if unpacked(request.body, encoding) is None:
                way_out = "send gzip, deflate, aws-chunked, or none"
                message = f"The body cannot be read as Content-Encoding {encoding!r}: {way_out}."
                raise _RejectedError(Problem(415, "unsupported_content_encoding", message)) from error
            raise _unreadable(error) from error

    def _list(self, path: str, profile: Profile) -> bytes:
        rows = self._database.all(
            "SELECT path, type, content FROM resources WHERE parent = ? AND content IS NOT NULL ORDER BY number",
            (path,),
        )
        listed = b", ".join(_listed(*row) for row in rows)
        if profile.is_stripe:
            url = json.dumps(path).encode()
            return b'{"object": "list", "data": [%b], "has_more": false, "url": %b}' % (listed, url)
        return b"[%b]" % listed

    def _unknown(self, path: str) -> _RejectedError:
        message = f"There is no {path}." if path else "There is nothing here."
        return _RejectedError(Problem(404, "resource_missing", message), executed=True)

    def _find(self, path: str) -> Resource | None:
        if path not in self._known:
            return None
        row = self._database.one(
            "SELECT number, type, content, etag, modified_ns FROM resources WHERE path = ?", (path,)
        )
        return None if row is None else Resource(*row)

    def _has_children(self, path: str) -> bool:
        return self._database.one("SELECT 1 FROM resources WHERE parent = ? LIMIT 1", (path,)) is not None

    def _write(self, path: str, parent: str, number: int, kind: str, content: bytes | None, now_ns: int) -> str:
        self._known.add(path)
        etag = "" if content is None else _etag(content)
        self._database.write(
            "INSERT INTO resources VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET"
            " type = excluded.type, content = excluded.content, etag = excluded.etag,"
            " modified_ns = excluded.modified_ns",
            (path, parent, number, kind, content, etag, now_ns),
        )
        return etag


_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")


def _one_spelling(path: str) -> str:
    """Write a path as ids are written in one: some clients send ``a@b`` bare and others ``a%40b`` (RFC 3986, 2.4)."""
    if _PLAIN.fullmatch(path):
        return path
    return "/".join([quote(unquote_to_bytes(part), safe="") for part in path.split("/")])


def _parent(path: str) -> str:
    above, slash, _ = path.rpartition("/")
    return above if slash else "/"  # the root's parent is no path that a request can have


def _own_id(own: object) -> str:
    if not isinstance(own, str | int) or isinstance(own, bool) or own == "":
        raise _RejectedError(Problem(400, "invalid_id", "An id is a string or a number."))
    try:
        str(own).encode()
    except UnicodeEncodeError as error:
        raise _RejectedError(Problem(400, "invalid_id", "An id is text that UTF-8 can write.")) from error
    return str(own)


def _unreadable(error: ValueError) -> _RejectedError:
    return _RejectedError(Problem(400, "invalid_body", f"The body cannot be read: {error}."))


def _written(value: object) -> bytes:
    try:
        return write_json(value)
    except ValueError as error:
        raise _unreadable(error) from error


def _etag(content: bytes) -> str:
    return f'"{blake2b(content, digest_size=8).hexdigest()}"'


def _listed(path: str, kind: str, content: bytes) -> bytes:
    if media_type({"content-type": kind}) == JSON and content:
        return content
    entry = {"id": path.rpartition("/")[2], "content_type": kind, "size": len(content)}
    return json.dumps(entry).encode()

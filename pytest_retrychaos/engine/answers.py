"""HTTP answers inside Python objects: response objects that were returned, exceptions that carry one.

Nothing of a client is imported: attributes tell. No body is read, since that could wait on the network.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from pytest_retrychaos.engine.retry_after import header_fields
from pytest_retrychaos.engine.values import value

_STATUS_NAMES = ("status_code", "status", "http_status", "code")
"""requests, httpx, openai; http.client, urllib3, aiohttp; stripe; urllib and google-api-core."""

ATTRIBUTES = (*_STATUS_NAMES, "response", "headers", "errors")
"""Where `answer_in_error` looks."""
_NAMES = frozenset(ATTRIBUTES)
_PYTHONS = (Exception, BaseException, object)


@value
class Answer:
    """Status and headers of an answer, and the provider's error codes where an exception names them."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    codes: tuple[str, ...] = ()


def status_in_result(result: object) -> int | None:
    """Read the status of a returned response object, ``None`` for anything else."""
    headers = attribute(result, "headers")
    if headers is None or not hasattr(headers, "items"):
        return None
    return _status(result, ("status_code", "status"))


def answer_in_result(result: object) -> Answer | None:
    """Read a returned response object: one with a whole ``status_code`` or ``status``, and ``headers``."""
    status = status_in_result(result)
    return None if status is None else Answer(status, _headers(result))


def answer_in_error(error: BaseException) -> Answer | None:
    """Read the answer that an exception itself carries; its causes are not looked at."""
    if not _has_any(type(error)) and _NAMES.isdisjoint(error.__dict__):  # type: ignore[arg-type]  # mypy takes a class's hash for its instances'
        return None
    response = attribute(error, "response")
    if isinstance(response, Mapping):
        return _botocore(response)
    codes = tuple(code for code in (attribute(error, "code"), *_reasons(error)) if isinstance(code, str))
    if response is not None and (status := _status(response, _STATUS_NAMES)) is not None:
        return Answer(status, _headers(response), codes)
    status = None if isinstance(error, SystemExit) else _status(error, _STATUS_NAMES)
    if status is None and type(error).__name__ == "ResponseError":
        status = _status_in_text(str(error))
    if status is None or _is_unread(error) or _is_unread(error.__cause__):
        return None
    return Answer(status, _headers(error), codes)


def carried_status(error: BaseException) -> int | None:
    """Tell the HTTP status that an exception carries, ``None`` where it carries none."""
    answer = answer_in_error(error)
    return None if answer is None else answer.status


@functools.lru_cache(maxsize=512)
def _has_any(kind: type[BaseException]) -> bool:
    """Tell whether the type itself may have what is looked for: then its instances are to be asked."""
    return kind.__name__ == "ResponseError" or declares(kind, (*ATTRIBUTES, "__getattr__", "__getattribute__"))


def declares(kind: type[BaseException], names: tuple[str, ...]) -> bool:
    """Tell whether a type or one of its bases has one of the names, without looking at what they are."""
    return any(name in vars(base) for base in kind.__mro__ if base not in _PYTHONS for name in names)


def _botocore(response: Mapping[str, object]) -> Answer | None:
    """Read ``ClientError.response``: ``{"Error": {"Code": …}, "ResponseMetadata": {"HTTPStatusCode": …}}``."""
    metadata, problem = response.get("ResponseMetadata"), response.get("Error")
    if not isinstance(metadata, Mapping) or not _is_status(metadata.get("HTTPStatusCode")):
        return None
    code = problem.get("Code") if isinstance(problem, Mapping) else None
    codes = (code,) if isinstance(code, str) else ()
    return Answer(metadata["HTTPStatusCode"], tuple(header_fields(metadata.get("HTTPHeaders") or {})), codes)


def _is_unread(error: BaseException | None) -> bool:
    """Tell whether aiohttp's parser raised it, of what was no HTTP: its status, 400, is none of the service's."""
    return any(kind.__module__ == "aiohttp.http_exceptions" for kind in type(error).__mro__)


def _status_in_text(text: str) -> int | None:
    """Read ``too many 503 error responses``: ``urllib3.exceptions.ResponseError`` keeps the status nowhere else."""
    start, _, word = text.removesuffix(" error responses").rpartition("too many ")
    return int(word) if not start and len(word) == 3 and word.isascii() and word.isdigit() else None


def _reasons(error: BaseException) -> list[object]:
    """List ``errors[].reason`` of google-api-core."""
    listed = attribute(error, "errors")
    if not isinstance(listed, (list, tuple)):
        return []
    return [item.get("reason") for item in listed if isinstance(item, Mapping)]


def _headers(holder: object) -> tuple[tuple[str, str], ...]:
    headers = attribute(holder, "headers")
    return tuple(header_fields(headers)) if hasattr(headers, "items") else ()


def _status(holder: object, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = attribute(holder, name)
        if isinstance(value, int) and _is_status(value):
            return int(value)
    return None


def _is_status(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599


def attribute(holder: object, name: str) -> object:
    """Look up an attribute of a foreign object, whose property may raise anything."""
    try:
        return getattr(holder, name, None)
    except Exception:
        return None

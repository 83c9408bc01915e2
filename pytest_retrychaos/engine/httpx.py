"""Retry in httpx: ``httpx.Client(transport=RetryTransport(Retry(attempts=5)))``, and its async twin."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any

from httpx import (
    AsyncBaseTransport,
    AsyncHTTPTransport,
    BaseTransport,
    ByteStream,
    HTTPTransport,
    Request,
    Response,
    TransportError,
)

from pytest_retrychaos.engine import unknown
from pytest_retrychaos.engine.attempt import Attempt, this_attempt
from pytest_retrychaos.engine.resending import KEY_HEADER, UNKNOWN, resending, within
from pytest_retrychaos.engine.retry import Retry


class OutcomeUnknown(unknown.OutcomeUnknown, TransportError):
    """A request was refused at last, but an earlier attempt may have been carried out; ``answer`` is the refusal."""


class RetryTransport(BaseTransport):
    """Sends each request by a policy, underneath whatever uses the client.

    ::

        client = httpx.Client(transport=RetryTransport(Retry(attempts=5, timeout=30)))

    ``transport`` is the one that sends, `httpx.HTTPTransport` unless given; it is closed with this one.

    What is no read, PUT, DELETE or guarded write gets an idempotency key in ``key_header``, the same on all attempts,
    unless the caller gave one. With ``key_header=None``, for a service that knows no keys, such a request is
    sent again only where nothing was done. A body that can be read only once is sent once; a file is rewound.

    The time that is left of the policy's ``timeout`` cuts the request's own time limits. A failed answer that may be
    retried is read at once, so that its connection is free during the wait. `OutcomeUnknown` takes the place of a
    refusal (400, 404, …) of what an earlier attempt may have done. `httpx.TooManyRedirects` is raised above it and does
    not tell: the outcome may be unknown.
    """

    def __init__(
        self,
        retry: Retry = Retry(),  # noqa: B008 - a value
        *,
        transport: BaseTransport | None = None,
        key_header: str | None = KEY_HEADER,
    ) -> None:
        self._resending = resending(retry, key_header)
        self._transport = HTTPTransport() if transport is None else transport

    def handle_request(self, request: Request) -> Response:
        """Send a request until it succeeds or the policy gives up; return or raise what the last attempt did."""

        last: list[Attempt] = []

        def once(*, attempt: Attempt = this_attempt) -> Response:
            last[:] = [attempt]
            self._resending.add_key(request, request.method, request.headers, attempt)
            request.extensions = _within(extensions, attempt)
            if file is not None and attempt.number > 1:
                file.seek(start)
            response = self._transport.handle_request(request)
            return _read(response, request, attempt) if self._resending.is_failure(response) else response

        extensions, file = request.extensions, _file(request)
        start = 0 if file is None else file.tell()
        self._resending.forget_key(request, request.headers)
        can_resend = file is not None or _can_resend(request)
        policy = self._resending.policy_for(request.method, request.headers, can_resend=can_resend)
        try:
            response = policy.call(once)
            if self._resending.is_unknown(request.method, request.headers, last[0], response):
                raise _unknown(_read(response, request, last[0]), request)
        finally:
            request.extensions = extensions
        self._resending.spend_key(request, response)
        return response

    def __enter__(self) -> RetryTransport:
        self._transport.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._transport.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        """Close the transport that sends."""
        self._transport.close()


class AsyncRetryTransport(AsyncBaseTransport):
    """`RetryTransport` for `httpx.AsyncClient`, on asyncio and on trio."""

    def __init__(
        self,
        retry: Retry = Retry(),  # noqa: B008 - a value
        *,
        transport: AsyncBaseTransport | None = None,
        key_header: str | None = KEY_HEADER,
    ) -> None:
        self._resending = resending(retry, key_header)
        self._transport = AsyncHTTPTransport() if transport is None else transport

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request until it succeeds or the policy gives up; return or raise what the last attempt did."""

        last: list[Attempt] = []

        async def once(*, attempt: Attempt = this_attempt) -> Response:
            last[:] = [attempt]
            self._resending.add_key(request, request.method, request.headers, attempt)
            request.extensions = _within(extensions, attempt)
            response = await self._transport.handle_async_request(request)
            return await _read_async(response, attempt) if self._resending.is_failure(response) else response

        extensions = request.extensions
        self._resending.forget_key(request, request.headers)
        policy = self._resending.policy_for(request.method, request.headers, can_resend=_can_resend(request))
        try:
            response = await policy.call_async(once)
            if self._resending.is_unknown(request.method, request.headers, last[0], response):
                raise _unknown(await _read_async(response, last[0]), request)
        finally:
            request.extensions = extensions
        self._resending.spend_key(request, response)
        return response

    async def __aenter__(self) -> AsyncRetryTransport:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._transport.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        """Close the transport that sends."""
        await self._transport.aclose()


def _unknown(response: Response, request: Request) -> OutcomeUnknown:
    error = OutcomeUnknown(UNKNOWN.format(status=response.status_code), request=request)
    response.request = request  # as the client does with what it is given
    error.answer = response
    return error


def _file(request: Request) -> Any:  # Any: whatever the caller gave as content=
    """Find the file that is a request's whole body, where it can seek: httpx reads it on from where it is."""
    file: Any = getattr(request.stream, "_stream", None)  # Any: as above
    return file if hasattr(file, "seekable") and file.seekable() else None


def _can_resend(request: Request) -> bool:
    """Tell whether the body can be read again: bytes in memory, or a form of which every file can seek."""
    if isinstance(request.stream, ByteStream):
        return True
    fields = getattr(request.stream, "fields", None)  # of a multipart form, which rewinds its files itself
    files = [getattr(field, "file", b"") for field in fields or ()]
    return fields is not None and all(isinstance(file, (str, bytes)) or file.seekable() for file in files)


def _within(extensions: dict[str, object], attempt: Attempt) -> dict[str, object]:
    if attempt.remaining is None:
        return extensions
    given = extensions.get("timeout")
    limits = given if isinstance(given, dict) else {}
    names = ("connect", "read", "write", "pool")
    return {**extensions, "timeout": {name: within(limits.get(name), attempt) for name in names}}


def _read(response: Response, request: Request, attempt: Attempt) -> Response:
    """Read a failed answer, so that its connection can be used again; what breaks meanwhile stays a failed answer.

    A body that drips is read for half of the time that is left of the policy's timeout.
    """
    parts: list[bytes] = []
    least = _limit(request, attempt)
    try:
        for part in response.iter_raw():
            parts.append(part)
            _check_time(attempt, least)
    except Exception:
        response.close()
    return _read_again(response, parts)


async def _read_async(response: Response, attempt: Attempt) -> Response:
    """`_read` for async code."""
    import anyio  # as httpx has it on both event loops, once it is used there

    parts: list[bytes] = []
    limit = math.inf if attempt.remaining is None else attempt.remaining / 2
    try:
        with anyio.fail_after(limit):  # to leave the loop in the middle would leave its generators to the collector
            async for part in response.aiter_raw():
                parts.append(part)
    except Exception:
        await response.aclose()
    return _read_again(response, parts)


def _limit(request: Request, attempt: Attempt) -> float:
    """Limit the wait for each part of a body that drips; tell how much time has to be left for another, in seconds.

    httpcore takes one limit for all parts when the first is asked for. A wait for the next one begins in the first half
    of what is left of the policy's timeout, and lasts no longer than the second half.
    """
    limits = request.extensions.get("timeout")
    if attempt.remaining is None or not isinstance(limits, dict):
        return 0.0
    limits["read"] = within(limits.get("read"), attempt, share=0.5)
    return attempt.remaining / 2


def _check_time(attempt: Attempt, least: float) -> None:
    if attempt.remaining is not None and attempt.remaining <= least:
        raise TimeoutError("the answer did not end in time")


def _read_again(response: Response, parts: list[bytes]) -> Response:
    """Make an answer that can still be read: the client counts on reading it."""
    stream = ByteStream(b"".join(parts))
    return Response(response.status_code, headers=response.headers, stream=stream, extensions=response.extensions)

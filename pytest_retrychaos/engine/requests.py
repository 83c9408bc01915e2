"""Retry in requests: ``session.mount("https://", RetryAdapter(Retry(attempts=5)))``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError  # noqa: A004 - requests' own, which its users catch
from requests.models import PreparedRequest, Response
from requests.utils import rewind_body
from urllib3.util import Timeout

from pytest_retrychaos.engine import unknown
from pytest_retrychaos.engine.attempt import Attempt, this_attempt
from pytest_retrychaos.engine.resending import KEY_HEADER, UNKNOWN, resending, within
from pytest_retrychaos.engine.retry import Retry


class OutcomeUnknown(unknown.OutcomeUnknown, ConnectionError):
    """A request was refused at last, but an earlier attempt may have been carried out; ``answer`` is the refusal."""


class RetryAdapter(HTTPAdapter):
    """Sends each request by a policy, underneath whatever uses the session.

    ::

        session = requests.Session()
        session.mount("https://", RetryAdapter(Retry(attempts=5, timeout=30)))

    What is no read, PUT, DELETE or guarded write gets an idempotency key in ``key_header``, the same on all attempts,
    unless the caller gave one. With ``key_header=None``, for a service that knows no keys, such a request is
    sent again only where nothing was done. A body that can be read only once is sent once; a file is rewound.

    The time that is left of the policy's ``timeout`` cuts the request's own time limits. A failed answer that may be
    retried is read at once, so that its connection is free during the wait. `OutcomeUnknown` takes the place of a
    refusal (400, 404, …) of what an earlier attempt may have done. `requests.TooManyRedirects` is raised above it and
    does not tell: the outcome may be unknown. The other ``options`` are those of
    `requests.adapters.HTTPAdapter`.
    """

    __attrs__ = [*HTTPAdapter.__attrs__, "_resending"]  # noqa: RUF012 - requests says so what survives pickling

    def __init__(self, retry: Retry = Retry(), *, key_header: str | None = KEY_HEADER, **options: Any) -> None:  # noqa: B008 - a value  # Any: HTTPAdapter's own
        if "max_retries" in options:
            raise TypeError(f"max_retries={options['max_retries']!r}: two layers would multiply; the policy retries")
        self._resending = resending(retry, key_header)
        super().__init__(**options)

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,  # Any: None, seconds, a pair of them or urllib3's Timeout
        verify: bool | str = True,
        cert: Any = None,  # Any: a path or a pair of them
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request until it succeeds or the policy gives up; return or raise what the last attempt did."""
        method = request.method or "GET"
        self._resending.forget_key(request, request.headers)

        last: list[Attempt] = []

        def once(*, attempt: Attempt = this_attempt) -> Response:
            last[:] = [attempt]
            self._resending.add_key(request, method, request.headers, attempt)
            if attempt.number > 1 and hasattr(request.body, "seek"):
                rewind_body(request)
            limit = _within(timeout, attempt)
            response = HTTPAdapter.send(self, request, stream, limit, verify, cert, proxies)
            if self._resending.is_failure(response):
                _read(response, attempt)
            return response

        policy = self._resending.policy_for(method, request.headers, can_resend=_can_resend(request))
        response = policy.call(once)
        if self._resending.is_unknown(method, request.headers, last[0], response):
            _read(response, last[0])
            error = OutcomeUnknown(UNKNOWN.format(status=response.status_code), request=request)
            error.answer = response
            raise error
        self._resending.spend_key(request, response)
        return response


def _can_resend(request: PreparedRequest) -> bool:
    """Tell whether the body can be read again: bytes, a file that can seek, or what can be iterated anew."""
    body: Any = request.body  # Any: whatever the caller gave as data=
    if body is None or isinstance(body, (bytes, str)):
        return True
    if hasattr(body, "seek"):
        return isinstance(getattr(request, "_body_position", None), int)
    return hasattr(body, "__iter__") and not hasattr(body, "read") and iter(body) is not body


def _within(timeout: Any, attempt: Attempt) -> Any:
    if attempt.remaining is None:
        return timeout
    if isinstance(timeout, Timeout):
        return Timeout(
            total=within(_seconds(timeout.total), attempt),
            connect=within(_seconds(timeout.connect_timeout), attempt),
            read=within(_seconds(timeout._read), attempt),
        )
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return within(connect, attempt), within(read, attempt)


def _seconds(limit: Any) -> float | None:  # Any: a number, None, or urllib3's word for the socket's default
    return float(limit) if isinstance(limit, (int, float)) else None


def _read(response: Response, attempt: Attempt) -> None:
    """Read a failed answer, so that its connection can be used again; what breaks meanwhile stays a failed answer.

    A body that drips is read for half of the time that is left of the policy's timeout.
    """
    try:
        if attempt.remaining is None:
            _ = response.content
        else:
            response._content = b"".join(_parts(response.raw, attempt, attempt.remaining / 2))
            vars(response)["_content_consumed"] = True  # or requests would look for more
    except Exception:
        response._content = b""
        response.close()


def _parts(raw: Any, attempt: Attempt, least: float) -> Iterator[bytes]:  # Any: urllib3's response
    """Give a body as it arrives; `TimeoutError` where it has not ended when ``least`` seconds are left."""
    connection = getattr(getattr(getattr(getattr(raw, "_fp", None), "fp", None), "raw", None), "_sock", None)
    before = None if connection is None else connection.gettimeout()
    is_stepwise = hasattr(raw, "read1")  # since urllib3 2; before, only a single byte never waits for more
    try:
        while True:
            left = (attempt.remaining or 0.0) - least
            if left <= 0:
                raise TimeoutError("the answer did not end in time")
            if connection is not None:
                connection.settimeout(attempt.within(left))
            part = raw.read1(_AT_ONCE, decode_content=True) if is_stepwise else raw.read(1, decode_content=True)
            if not part:
                return
            yield part
    finally:
        with contextlib.suppress(OSError):  # it may be closed
            if connection is not None:
                connection.settimeout(before)  # the next request over it is sent under what the last one left


_AT_ONCE = 64 * 1024

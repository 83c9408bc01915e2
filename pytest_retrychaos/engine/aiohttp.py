"""Retry in aiohttp (3.12 and later): ``ClientSession(middlewares=[retry_middleware(Retry(attempts=5))])``."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import NamedTuple

from aiohttp import BytesPayload, ClientError, ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse
from yarl import URL

from pytest_retrychaos.engine import unknown
from pytest_retrychaos.engine.attempt import Attempt, this_attempt
from pytest_retrychaos.engine.failures import Failure, narrowed
from pytest_retrychaos.engine.resending import KEY_HEADER, READ_ONCE, UNKNOWN, Resending, resending, within
from pytest_retrychaos.engine.retry import Retry

_REDIRECTS = frozenset({301, 302, 307, 308})
"""After these aiohttp sends the same request elsewhere, or (301 and 302 of a POST) reads there."""

OVER = "not retried: aiohttp's own ClientTimeout.total has passed, which counts all attempts and waits"


class OutcomeUnknown(unknown.OutcomeUnknown, ClientError):
    """A request was refused at last, but an earlier attempt may have been carried out; ``answer`` is the refusal."""


def retry_middleware(
    retry: Retry = Retry(),  # noqa: B008 - a value
    *,
    key_header: str | None = KEY_HEADER,
) -> ClientMiddlewareType:
    """Make a client middleware that sends each request by a policy, underneath whatever uses the session.

    ::

        session = aiohttp.ClientSession(middlewares=[retry_middleware(Retry(attempts=5, timeout=30))])

    What is no read, PUT, DELETE or guarded write gets an idempotency key in ``key_header``, the same on all attempts,
    unless the caller gave one. With ``key_header=None``, for a service that knows no keys, such a request is
    sent again only where nothing was done. A body that can be read only once is sent once; a file is rewound.

    The time that is left of the policy's ``timeout`` cuts each attempt. aiohttp's own ``ClientTimeout.total``, five
    minutes unless set, counts all attempts and waits together, and ends them. A failed answer that may be retried is
    read at once, so that its connection is free during the wait. `OutcomeUnknown` takes the place of a refusal (400,
    404, …) of what an earlier attempt may have done. Where the service redirects a request, the key goes along;
    `aiohttp.TooManyRedirects` is raised above it and does not tell: the outcome may be unknown.
    """
    given = resending(retry, key_header)
    made = Resending(_in_time(given.policy), _in_time(given.careful), given.key_header)
    redirected: ContextVar[_Leg | None] = ContextVar("redirected", default=None)

    async def middleware(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        last: list[Attempt] = []
        leg = redirected.get()
        if leg is not None:
            redirected.set(None)
            if leg.leads_to(request) and key_header not in request.headers:
                made.give_key(request, request.headers, leg.key)

        async def once(*, attempt: Attempt = this_attempt) -> ClientResponse:
            last[:] = [attempt]
            made.add_key(request, request.method, request.headers, attempt)
            try:
                async with asyncio.timeout(within(None, attempt)):
                    response = await handler(request)
                    if made.is_failure(response):
                        await _read(response, attempt)
            except TimeoutError as error:
                if _is_over(request):
                    error.add_note(OVER)
                raise
            return response

        policy = made.policy_for(request.method, request.headers)
        response = await _unless_consumed(policy, request).call_async(once)
        if made.is_unknown(request.method, request.headers, last[0], response):
            await _read(response, last[0])
            error = OutcomeUnknown(UNKNOWN.format(status=response.status))
            error.answer = response
            raise error
        if (key := made.own_key(request)) and response.status in _REDIRECTS and "location" in response.headers:
            redirected.set(_Leg(request, request.url.join(URL(response.headers["location"])), key))
        return response

    return middleware


def _in_time(policy: Retry) -> Retry:
    """Make the policy that ends with the session's total limit: aiohttp sends nothing after it, and fails at once."""
    return policy.__replace__(on=narrowed(policy.on, _has_time))


def _has_time(_: Failure, outcome: object) -> bool:
    return OVER not in getattr(outcome, "__notes__", ())


def _is_over(request: ClientRequest) -> bool:
    timer = getattr(request, "_timer", None)
    try:
        if timer is not None:
            timer.assert_timeout()
    except TimeoutError:
        return True
    return False


class _Leg(NamedTuple):
    """A request that was redirected: aiohttp makes another one in the same task, with what the caller gave."""

    request: ClientRequest
    target: URL
    key: str

    def leads_to(self, request: ClientRequest) -> bool:
        before, body = self.request, request.body
        is_same = body is before.body or _content(body) == _content(before.body) is not None
        return is_same and request.method == before.method and request.url == self.target.with_fragment(None)


def _content(body: object) -> bytes | None:
    """Give the bytes of a body that is in memory."""
    return body if isinstance(body, bytes) else body._value if isinstance(body, BytesPayload) else None


def _unless_consumed(policy: Retry, request: ClientRequest) -> Retry:
    """Give the policy that does not retry once the body is read up: only afterwards aiohttp knows."""
    if isinstance(request.body, (bytes, BytesPayload)):
        return policy

    def is_there(_: Failure, outcome: object) -> bool:
        is_consumed = bool(getattr(request.body, "consumed", False))
        if is_consumed and isinstance(outcome, Exception):
            outcome.add_note(READ_ONCE)
        return not is_consumed

    return policy.__replace__(on=narrowed(policy.on, is_there))


async def _read(response: ClientResponse, attempt: Attempt) -> None:
    """Read a failed answer, so that its connection can be used again; what breaks meanwhile stays a failed answer.

    A body that drips is read for half of the time that is left of the policy's timeout.
    """
    try:
        async with asyncio.timeout(None if attempt.remaining is None else attempt.remaining / 2):
            await response.read()
    except Exception:
        response.close()

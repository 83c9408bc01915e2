"""Suites that mock with ``responses``: what they registered answers, and the script's faults strike around it.

A mock replaces ``HTTPAdapter.send``. Here an intercepted request is sent on by the real ``send`` over the
simulated network, where the exchange meets it, and the mock is asked when the service would answer. So the
client's timeouts, its adapter's ``max_retries`` and every exception are made by the real requests and urllib3.

1. Only ``RequestsMock._on_request`` is replaced, while installed: mocks started before or after follow.
2. The mock is asked once for each request that the service carries out, and finds what it always finds:
   the prepared request, ``params`` and ``req_kwargs``. It counts its calls itself.
3. The response that the mock made is the one that the client gets, unless a fault changed it.
4. Retries are urllib3's alone; the mock's own repetition on statuses is switched off.
5. Proxies, client certificates and certificate bundles are left out, as a mock leaves them out. A request that
   passes through goes to loopback only.
6. A session keeps its connections as on a real network: ``stale`` strikes there, and never a single request.
   Threads older than the run are not served: in those mocks answer by themselves, without faults.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from pytest_retrychaos import redact
from pytest_retrychaos.clock.virtual import VirtualClock
from pytest_retrychaos.transports.connections import Rules
from pytest_retrychaos.transports.names import is_loopback
from pytest_retrychaos.transports.network import Network
from pytest_retrychaos.transports.registered import ClientIsToldError, Interception, MockedExchange
from pytest_retrychaos.transports.seam import Exchange

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter
    from responses import RequestsMock


class _Own(threading.local):
    """What each thread is in the middle of."""

    def __init__(self) -> None:
        self.interceptions: list[Interception] = []
        self.answering = 0
        """How many mocks answer just now, one within the other."""


class ResponsesTransport:
    """Carries what ``responses`` mocks intercept through an exchange, while installed."""

    def __init__(self, exchange: Exchange, clock: VirtualClock, rules: Rules) -> None:
        self._exchange = exchange
        self._clock = clock
        self._is_mine = rules.is_mine
        self._own = _Own()
        self._undo: Callable[[], None] = lambda: None
        mocked = MockedExchange(exchange, self._under_way, lambda ns: clock.wait_until(clock.now_ns + ns))
        own_rules = rules._replace(is_real=lambda host: self._under_way() is None and rules.is_real(host))
        self._network = Network(cast("Exchange", mocked), clock, own_rules)  # a mocked host may be loopback

    def install(self) -> None:
        """Patch; `remove` undoes it exactly. Raises `ImportError` where ``responses`` is missing."""
        from responses import RequestsMock

        self._network.install()
        original = RequestsMock._on_request
        RequestsMock._on_request = self._on_request(original)  # type: ignore[method-assign]  # replaced in place

        def undo() -> None:
            RequestsMock._on_request = original  # type: ignore[method-assign]  # put back

        self._undo = undo

    def remove(self) -> None:
        """Put everything back."""
        self._undo()
        self._network.remove()

    @property
    def pipe_ends(self) -> tuple[int, ...]:
        """The descriptors that stand for simulated connections."""
        return self._network.pipe_ends

    def close_idle(self) -> None:
        """Close the idle connections to hosts whose next step strikes at connecting."""
        self._network.close_idle()

    def take_in(self) -> None:
        """Do as `Network.take_in`."""
        self._network.take_in()

    def _under_way(self) -> Interception | None:
        """Give the interception whose tries this thread sends; while the mock answers, there is none."""
        if self._own.answering or not self._own.interceptions or not self._is_mine():
            return None
        return self._own.interceptions[-1]

    # what takes the place of the mock's own

    def _on_request(self, original: Callable[..., requests.Response]) -> Callable[..., requests.Response]:
        from requests.adapters import HTTPAdapter

        def on_request(
            mock: RequestsMock,
            adapter: HTTPAdapter,
            request: requests.PreparedRequest,
            **named: Any,  # Any: what HTTPAdapter.send takes, and the mock's own retries=
        ) -> requests.Response:
            is_ours = (
                self._is_mine()
                and not self._own.answering
                and isinstance(adapter, HTTPAdapter)
                and urlsplit(str(request.url)).scheme in ("http", "https")
            )
            if not is_ours:
                return original(mock, adapter, request, **named)

            def ask(body: bytes) -> requests.Response:
                with self._mock_answers(mock):
                    return original(mock, adapter, _with_body(request, body), retries=_no_retries(), **named)

            return self._send(Interception(ask), adapter, request, named)

        return on_request

    def _send(
        self, interception: Interception, adapter: HTTPAdapter, request: requests.PreparedRequest, named: dict[str, Any]
    ) -> requests.Response:
        """Send a request by requests' own means over the simulated network."""
        from responses import _real_send

        self._own.interceptions.append(interception)
        try:
            sent = _real_send(adapter, request, **{**named, "verify": True, "cert": None, "proxies": {}})
        except ClientIsToldError as told:
            error = told.error
        else:
            return _grafted(interception.intact, sent)
        finally:
            self._own.interceptions.pop()
        raise error

    @contextmanager
    def _mock_answers(self, mock: RequestsMock) -> Iterator[None]:
        """Let a mock answer: what it sends itself meets no step, and what passes through is really sent."""
        real = mock._real_send

        def pass_through(
            adapter: HTTPAdapter, request: requests.PreparedRequest, **named: Any
        ) -> requests.Response:  # Any: what HTTPAdapter.send takes
            if not is_loopback(urlsplit(str(request.url)).hostname):
                url = redact.current().text(str(request.url))
                raise self._exchange.refuse(
                    f"{request.method} {url} passes through the mock and would leave this machine: "
                    "register an answer for it, or let it pass to a server on loopback"
                )
            with _own_connections(adapter):
                return real(adapter, request, **named)  # type: ignore[call-arg]  # responses' own annotation

        self._own.answering += 1
        mock._real_send = pass_through  # type: ignore[assignment]  # the mock calls it with names
        try:
            yield
        finally:
            mock._real_send = real
            self._own.answering -= 1


@contextmanager
def _own_connections(adapter: HTTPAdapter) -> Iterator[None]:
    """Lend an adapter another pool, so that real and simulated connections never mix, and no retries."""
    pool, retries = adapter.poolmanager, adapter.max_retries
    adapter.init_poolmanager(adapter._pool_connections, adapter._pool_maxsize)  # type: ignore[attr-defined]  # private
    adapter.max_retries = _no_retries()
    try:
        yield
    finally:
        adapter.poolmanager.clear()
        adapter.poolmanager, adapter.max_retries = pool, retries


def _no_retries() -> Any:  # Any: urllib3's Retry, imported here alone
    from urllib3 import Retry

    return Retry(0, read=False)


def _with_body(request: requests.PreparedRequest, body: bytes) -> requests.PreparedRequest:
    """Give the mock the prepared request itself; where its body is a stream, a copy with what arrived."""
    given: object = request.body  # the stubs do not know that it may be a stream
    if given is None or isinstance(given, str | bytes):
        return request
    copied = copy.copy(request)
    vars(copied)["body"] = body if hasattr(given, "read") else iter([body])
    return copied


def _grafted(own: requests.Response | None, sent: requests.Response) -> requests.Response:
    """Let the response that the mock made read its body from the connection."""
    if own is None:
        return sent
    own.raw = sent.raw
    vars(own).update(_content=False, _content_consumed=False)  # private: not read yet
    return own

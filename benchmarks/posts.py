"""One POST, all layers on, against the same client over a stub, and against the peers."""

from __future__ import annotations

import gc
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

from least_service import LeastService
from stub import BODY, Stubbed

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock.cpython import real_twin

NOW = real_twin(time.process_time)
ROUNDS, POSTS = 15, 300
URL = "http://service.test/payments"


def timed(count: int, act: Callable[[int], None]) -> float:
    """Give microseconds per call."""
    act(0)
    gc.collect()
    began = NOW()
    for number in range(count):
        act(number)
    return (NOW() - began) / count * 1e6


def _requests(url: str, post_all: Callable[[Callable[[int], None]], float]) -> float:
    import requests

    with requests.Session() as session:
        return post_all(
            lambda n: session.post(
                url, json={"amount": n, "currency": "USD"}, timeout=5, headers={"Idempotency-Key": f"key-{n}"}
            ).json()
        )


def _urllib3(url: str, post_all: Callable[[Callable[[int], None]], float]) -> float:
    import urllib3

    with urllib3.PoolManager(timeout=5) as pool:
        return post_all(
            lambda n: pool.request(
                "POST", url, json={"amount": n, "currency": "USD"}, headers={"Idempotency-Key": f"key-{n}"}
            ).json()
        )


def _httpx(url: str, post_all: Callable[[Callable[[int], None]], float]) -> float:
    import httpx

    with httpx.Client(timeout=5) as client:
        return post_all(
            lambda n: client.post(
                url, json={"amount": n, "currency": "USD"}, headers={"Idempotency-Key": f"key-{n}"}
            ).json()
        )


OWN_ANSWER = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nLocation: /payments/pay_0123456789abcdef01234567\r\n"
    b'ETag: "0123456789abcdef"\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Length: 117\r\n\r\n'
    b'{"id": "pay_0123456789abcdef01234567", "status": "succeeded", "created": 1893456000, "amount": 10, '
    b'"currency": "USD"}'
)
"""What the service answers to the request below: a client reads more of it than of the stub's shortest."""

CLIENTS = {"requests": _requests, "urllib3": _urllib3, "httpx": _httpx}


def on(rival: str, client: Callable[..., float], posts: int = POSTS) -> float:
    """Let a client send so many to one of the rivals; give the microseconds each took."""

    def measure(act: Callable[[int], None]) -> float:
        return timed(posts, act)

    with ExitStack() as stack:
        if rival == "retrychaos":
            chaos = stack.enter_context(Chaos())
            return client(chaos.url + "/payments", measure)
        if rival == "stub":
            stack.enter_context(Stubbed())
        if rival == "twin":
            stack.enter_context(Stubbed(OWN_ANSWER))
        if rival == "on virtual time":
            stack.enter_context(Chaos())
        if rival in ("least service", "on virtual time"):
            stack.enter_context(Stubbed(kind=LeastService))
        if rival == "responses":
            import responses

            mock = stack.enter_context(responses.RequestsMock())
            mock.add(responses.POST, URL, body=BODY, status=201, content_type="application/json")
        if rival == "respx":
            import httpx
            import respx

            stack.enter_context(respx.mock)
            respx.post(URL).mock(httpx.Response(201, content=BODY))
        if rival == "pytest-httpserver":
            from pytest_httpserver import HTTPServer

            server = stack.enter_context(HTTPServer())
            server.expect_request("/payments").respond_with_data(BODY, status=201, content_type="application/json")
            return client(server.url_for("/payments"), measure)
        return client(URL, measure)


def one_post() -> list[str]:
    """One POST, all layers on, against the same client over a stub, and against the peers."""
    lines = [
        "| client | stub | same answer | least service | on virtual time | retrychaos | pytest-httpserver | mock |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, client in CLIENTS.items():
        mock = {"requests": "responses", "httpx": "respx"}.get(name)
        floors = ["least service", "on virtual time"]
        rivals = ["stub", "twin", *floors, "retrychaos", "pytest-httpserver", *([mock] if mock else [])]
        rounds: dict[str, list[float]] = {rival: [] for rival in rivals}
        for _ in range(ROUNDS):
            for rival in rivals:
                rounds[rival].append(on(rival, client))
        middle = {rival: f"{statistics.median(values):.0f} µs" for rival, values in rounds.items()}

        def times(one: str, other: str, spent: dict[str, list[float]] = rounds) -> str:
            return f"{statistics.median(a / b for a, b in zip(spent[one], spent[other], strict=True)):.2f}"

        cells = [f"{middle[rival]}, {times(rival, 'stub')}" for rival in (*floors, "retrychaos")]
        cells.append(f"{middle['pytest-httpserver']}, {times('pytest-httpserver', 'retrychaos')} of ours")
        cells.append(
            f"{mock} {middle[mock]}: ours {times('retrychaos', mock)}, floor {times(floors[1], mock)}" if mock else "–"
        )
        lines.append(f"| {name} | {middle['stub']} | {middle['twin']} | {' | '.join(cells)} |")
    alone = statistics.median(_alone() for _ in range(ROUNDS))
    return [*lines, "", f"The same request without a client, its bytes written and the answer read: {alone:.0f} µs."]


def _alone() -> float:
    def post(number: int) -> None:
        body = b'{"amount":%d,"currency":"USD"}' % number
        connection.sendall(
            b"POST /payments HTTP/1.1\r\nHost: service.test\r\nAccept-Encoding: identity\r\nContent-Length: %d\r\n"
            b"User-Agent: python-urllib3/2\r\nContent-Type: application/json\r\nIdempotency-Key: key-%d\r\n\r\n"
            % (len(body), number)
        )
        connection.sendall(body)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 201 ")

    with Chaos(), socket.create_connection(("service.test", 80), timeout=5) as connection:
        return timed(POSTS, post)

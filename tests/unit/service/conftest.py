"""A service on a clock that the test moves, and requests in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_retrychaos.model import Headers, Request
from pytest_retrychaos.service import Answer, Service

WALL = 1_767_225_600  # 2026-01-01T00:00:00Z


class Bench:
    """A service and its clock; attempts are numbered as they come."""

    def __init__(self, **settings: Any) -> None:
        self.now_ns = 0
        self.service = Service(now=lambda: self.now_ns, wall=lambda: WALL * 10**9 + self.now_ns, **settings)
        self.attempt = 0

    def send(self, request: Request) -> Answer:
        self.attempt += 1
        return self.service.answering.handle(request, attempt=self.attempt)

    def __call__(self, method: str, target: str, body: Any = b"", **more: Any) -> Answer:
        return self.send(ask(method, target, body, **more))

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * 10**9)


def ask(
    method: str,
    target: str,
    body: Any = b"",
    *,
    key: str | None = None,
    host: str = "api.test",
    media: str | None = None,
    **headers: str,
) -> Request:
    """Make a request; a body that is no bytes goes as JSON."""
    import json

    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if not isinstance(body, bytes):
        body, media = json.dumps(body).encode(), media or "application/json"
    if media is not None:
        fields.append(("Content-Type", media))
    if key is not None:
        fields.append(("Idempotency-Key", key))
    return Request(method, host, target, Headers(fields), body)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A fresh service in memory."""
    made = Bench()
    yield made
    made.service.close()


@pytest.fixture
def make_bench() -> Iterator[Callable[..., Bench]]:
    """Make services with settings; they are closed at the end."""
    made: list[Bench] = []

    def make(**settings: Any) -> Bench:
        made.append(Bench(**settings))
        return made[-1]

    yield make
    for bench in made:
        bench.service.close()


@pytest.fixture(name="ask")
def ask_fixture() -> Callable[..., Request]:
    """Make a request in one line."""
    return ask

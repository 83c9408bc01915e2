"""What every client goes through: one fault at a time on its defaults, and what both sides saw of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import anyio
import trio

from pytest_retrychaos import Chaos, LawsBroken
from pytest_retrychaos.model import Headers, Response
from pytest_retrychaos.run import NoTimeout

Call = Callable[[], object]
"""Carries out one operation; the status where the client returns one, or whatever a success is."""

AsyncCall = Callable[[], Awaitable[object]]

Opener = Callable[[], AbstractContextManager[Call] | AbstractAsyncContextManager[AsyncCall]]
"""Makes a client, which is closed at the end."""

T = TypeVar("T")


Story = Generator[None, str, T]
"""A caller's doings: each ``yield`` is a call, and is sent what the caller was told."""


SCRIPTS = {
    "503": "503 retry-after=2, ok",
    "timeout": "timeout, ok",
    "reset": "reset after-commit, ok",
    "eof": "eof, ok",
    "stale": "ok, stale, ok",
}
"""The faults that each client meets."""

JSON = Headers({"Content-Type": "application/json"})


def in_json(text: str, **headers: str) -> Response:
    """Make the service's answer in JSON."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(200, Headers([*JSON.pairs, *pairs]), text.encode())


@dataclass(frozen=True, slots=True)
class Subject:
    """A client; ``{name}`` in its name stands for the version of that distribution."""

    name: str
    open: Opener
    where: str = ""
    """The route that answers it, as method, a space, host and path; else the service's store does."""
    answer: Response | None = None
    run: Callable[[AsyncCall], object] | None = None
    """Runs its event loop; none where it blocks."""
    without: tuple[str, ...] = ()
    """Faults that cannot strike it: it keeps no connection."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How a client took one fault."""

    attempts: int
    """Requests that the operation made."""
    waits: tuple[float, ...]
    """Seconds between them."""
    took: float
    """Seconds that the call took, waits included."""
    told: str
    """What its caller got: ``ok``, the status that it returned, or the type of the exception."""
    effects: int
    laws: tuple[str, ...]


def meet(chaos: Chaos, subject: Subject, fault: str) -> Seen:
    """Let a client meet a fault, and see to it that it reaches success at last."""
    _route(chaos, subject)
    chaos.script(SCRIPTS[fault], strict=False)
    return _tell(subject, _story(chaos, is_warm=fault == "stale"))


def persevere(chaos: Chaos, subject: Subject, script: str) -> list[str]:
    """Call until the caller gets a success; what it was told until then."""
    _route(chaos, subject)
    chaos.script(script)
    return _tell(subject, _until_success())


def _route(chaos: Chaos, subject: Subject) -> None:
    if subject.answer is not None:
        method, _, path = subject.where.partition(" ")
        chaos.service.route(method, path, lambda _: subject.answer)


def _tell(subject: Subject, story: Story[T]) -> T:
    return _block(subject, story) if subject.run is None else _loop(subject, story)


def _story(chaos: Chaos, *, is_warm: bool) -> Story[Seen]:
    """Call, see what happened, and call again where that failed."""
    if is_warm:
        assert (yield) == "ok"
    attempts, effects, began = len(chaos.attempts), len(chaos.ledger), chaos.clock.elapsed
    told = yield
    assert len(chaos.attempts) > attempts, f"nothing was sent: {told}"
    seen = Seen(
        len(chaos.attempts) - attempts,
        tuple(chaos.operations[-1].waits),
        chaos.clock.elapsed - began,
        told,
        len(chaos.ledger) - effects,
        _broken(chaos),
    )
    if told not in ("ok", NoTimeout.__name__):
        assert (yield) == "ok"
    return seen


def _until_success() -> Story[list[str]]:
    told: list[str] = []
    while (last := (yield)) != "ok":
        told.append(last)
    return told


def _broken(chaos: Chaos) -> tuple[str, ...]:
    try:
        return chaos.verify().codes
    except LawsBroken as error:
        return error.verdict.codes


def _send(story: Story[T], told: str) -> T | None:
    """Go on with a story; what was seen, at its end."""
    try:
        story.send(told)
    except StopIteration as end:
        return end.value
    return None


def _block(subject: Subject, story: Story[T]) -> T:
    next(story)
    with subject.open() as call:
        seen = None
        while seen is None:
            try:
                told = _words(call())
            except (Exception, NoTimeout) as error:
                told = type(error).__name__
            seen = _send(story, told)
        return seen


def _loop(subject: Subject, story: Story[T]) -> T:
    next(story)

    async def main() -> T:
        async with subject.open() as call:
            seen = None
            while seen is None:
                try:
                    told = _words(await call())
                except Exception as error:
                    told = type(error).__name__
                await anyio.sleep(0.001)  # a loop closes what was given up in its next turns
                seen = _send(story, told)
            return seen

    try:
        return subject.run(main)
    except NoTimeout as error:  # the whole loop would wait
        return _send(story, type(error).__name__)


def _words(told: object) -> str:
    return str(told) if isinstance(told, int) and told >= 300 else "ok"


def in_asyncio(main: AsyncCall) -> object:
    """Run in an event loop of asyncio."""
    return asyncio.run(main())


def in_trio(main: AsyncCall) -> object:
    """Run in one of trio."""
    return trio.run(main)

"""Twenty customers charged side by side, with equal bodies: no right habit is accused, and no wrong one passes."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import requests

from pytest_retrychaos import Chaos, LawsBroken
from tests.habits import side_by_side
from tests.habits.side_by_side import BODY, SHAPES

Shape = Callable[[str, bool], None]

TAKES_UP_THE_NEXT = (side_by_side.by_timer, side_by_side.by_queue, side_by_side.async_queue)
"""One worker sends for one customer after the other: only a key tells them apart."""


KEYED = [
    pytest.param(shape, script, id=f"{shape.__name__}-{script}")
    for shape in SHAPES
    for script in ("503 x7, ok", "refuse x3, ok", "timeout after-commit, 429 retry-after=9, reset after-commit, ok")
    # Three refused at once out of one call look like one that does not wait: what is not sent has no key.
    if (shape, script) != (side_by_side.by_timer, "refuse x3, ok")
]


@pytest.mark.parametrize(("shape", "script"), KEYED)
def test_with_keys_nothing_is_accused(chaos: Chaos, shape: Shape, script: str) -> None:
    """Whatever may have been carried out is repeated with its key."""
    chaos.script(script)

    shape(chaos.url, True)

    verdict = chaos.verify()
    assert verdict.of("ID04").ruling.value in ("held", "does not apply")
    assert len({effect.key for effect in chaos.ledger}) == len(chaos.ledger)


@pytest.mark.parametrize("script", ["503 x7, ok", "refuse x3, ok", "reset x3, ok"])
@pytest.mark.parametrize(
    "shape", [shape for shape in SHAPES if shape not in TAKES_UP_THE_NEXT], ids=lambda shape: shape.__name__
)
def test_without_keys_nothing_is_accused(chaos: Chaos, shape: Shape, script: str) -> None:
    """Only what was turned away or never sent is repeated."""
    chaos.script(script, strict=False)

    shape(chaos.url, False)

    chaos.verify()


@pytest.mark.parametrize("shape", TAKES_UP_THE_NEXT, ids=lambda shape: shape.__name__)
def test_without_keys_a_worker_that_takes_up_the_next_is_told_what_would_settle_it(chaos: Chaos, shape: Shape) -> None:
    """An equal request right after a failure, by the same worker: one customer without a wait, or two?"""
    chaos.script("503 x7, ok", strict=False)

    shape(chaos.url, False)

    with pytest.raises(LawsBroken, match=r"two operations\? name them with chaos\.operation"):
        chaos.verify()


# wrong ones


def _post(url: str, key: str | None) -> requests.Response:
    fields = {} if key is None else {"Idempotency-Key": key}
    return requests.post(url + "/charges", json=BODY, headers=fields, timeout=5)


def keyless(url: str) -> None:
    """Repeats what may have been carried out, without a key."""
    for number in range(3):
        try:
            _post(url, None)
            return
        except requests.RequestException:
            time.sleep(2.0**number)


def new_keys(url: str) -> None:
    """Makes a key for every attempt."""
    for number in range(3):
        try:
            _post(url, str(uuid.uuid4()))
            return
        except requests.RequestException:
            time.sleep(2.0**number)


def hot(url: str) -> None:
    """Does not wait."""
    key = str(uuid.uuid4())
    for _ in range(4):
        if _post(url, key).status_code != 503:
            return


def deaf(url: str) -> None:
    """Does not listen to Retry-After."""
    key = str(uuid.uuid4())
    for number in range(4):
        if _post(url, key).status_code != 503:
            return
        time.sleep(2.0**number)


def by_threads(client: Callable[[str], None], url: str) -> None:
    started = [threading.Thread(target=client, args=(url,)) for _ in range(20)]
    for one in started:
        one.start()
    for one in started:
        one.join()


def by_pool(client: Callable[[str], None], url: str) -> None:
    with ThreadPoolExecutor(8) as workers:
        for _ in range(20):
            workers.submit(client, url)


def by_to_thread(client: Callable[[str], None], url: str) -> None:
    async def main() -> None:
        await asyncio.gather(*(asyncio.to_thread(client, url) for _ in range(20)))

    asyncio.run(main())


@pytest.mark.parametrize("drive", [by_threads, by_pool, by_to_thread])
@pytest.mark.parametrize(
    ("client", "script", "code"),
    [
        (keyless, "ok, reset after-commit, ok", "ID04"),
        (keyless, "ok, timeout, ok", "ID01"),
        (new_keys, "ok, reset, ok", "ID02"),
        (new_keys, "ok, timeout after-commit, ok", "ID04"),
        (hot, "503 x80", "BK01"),
        (deaf, "503 retry-after=30 x20, ok", "BK04"),
    ],
)
def test_a_wrong_client_is_caught_in_threads(
    chaos: Chaos, drive: Callable[..., None], client: Callable[[str], None], script: str, code: str
) -> None:
    """By its own law, however many run beside it."""
    chaos.script(script, strict=False)

    drive(client, chaos.url)

    with pytest.raises(LawsBroken) as broken:
        chaos.verify()
    assert code in broken.value.verdict.codes


async def _send(client: httpx.AsyncClient, url: str, key: str | None) -> int:
    fields = {} if key is None else {"Idempotency-Key": key}
    return (await client.post(url + "/charges", json=BODY, headers=fields)).status_code


Attempt = Callable[[httpx.AsyncClient, str, "str | None"], Awaitable[int]]


async def directly(client: httpx.AsyncClient, url: str, key: str | None) -> int:
    return await _send(client, url, key)


async def under_wait_for(client: httpx.AsyncClient, url: str, key: str | None) -> int:
    return await asyncio.wait_for(_send(client, url, key), 4)


async def in_a_task(client: httpx.AsyncClient, url: str, key: str | None) -> int:
    return await asyncio.create_task(_send(client, url, key))


async def in_a_group(client: httpx.AsyncClient, url: str, key: str | None) -> int:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_send(client, url, key))
    return task.result()


@pytest.mark.parametrize("attempt", [directly, under_wait_for, in_a_task, in_a_group])
@pytest.mark.parametrize(
    ("kind", "script", "code"),
    [
        ("keyless", "ok, reset after-commit, ok", "ID04"),
        ("keyless", "ok, timeout, ok", "ID01"),
        ("new keys", "ok, reset, ok", "ID02"),
        ("hot", "503 x80", "BK01"),
        ("deaf", "503 retry-after=30 x20, ok", "BK04"),
        ("gives up", "503", "RT01"),
    ],
)
def test_a_wrong_client_is_caught_in_tasks(chaos: Chaos, attempt: Attempt, kind: str, script: str, code: str) -> None:
    """Also where each attempt is a task of its own."""
    chaos.script(script, strict=False)

    async def charge(client: httpx.AsyncClient) -> None:
        key = None if kind == "keyless" else str(uuid.uuid4())
        for number in range(1 if kind == "gives up" else 4):
            if kind == "new keys":
                key = str(uuid.uuid4())
            status = 503
            try:
                status = await attempt(client, chaos.url, key)
            except* (httpx.HTTPError, TimeoutError):
                pass
            if status != 503:
                return
            if kind != "hot":
                await asyncio.sleep(2.0**number)

    async def main() -> None:
        async with httpx.AsyncClient(timeout=5) as client:
            await asyncio.gather(*(charge(client) for _ in range(20)))

    asyncio.run(main())

    with pytest.raises(LawsBroken) as broken:
        chaos.verify()
    assert code in broken.value.verdict.codes

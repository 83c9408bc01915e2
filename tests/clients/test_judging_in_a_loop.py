"""Judging inside a running event loop, right after a client has given up: its loop closes the socket later."""

from __future__ import annotations

import asyncio

import aiohttp
import httpx
import pytest

from pytest_retrychaos import LawsBroken


async def by_aiohttp(url: str) -> None:
    """Ask by aiohttp, and meet its timeout."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        with pytest.raises(TimeoutError):
            await session.get(url)


async def by_httpx(url: str) -> None:
    """Ask by httpx, and meet its timeout."""
    async with httpx.AsyncClient(timeout=5) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url)


async def by_streams(url: str) -> None:
    """Ask by asyncio's own streams, and close them under a deadline."""
    secure = url.startswith("https")
    _, writer = await asyncio.open_connection("api.example.com", 443 if secure else 80, ssl=secure)
    writer.write(b"GET /rates HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
    await asyncio.sleep(5)
    writer.close()


@pytest.mark.chaos("timeout")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("ask", [by_aiohttp, by_httpx, by_streams])
def test_what_was_given_up_a_moment_ago_is_judged(chaos, ask, scheme) -> None:
    """The first look sees what one after the loop would see."""

    async def main() -> None:
        await ask(f"{scheme}://api.example.com/rates")
        with pytest.raises(LawsBroken, match="RT01 not retried: GET /rates was given up after its first attempt"):
            chaos.verify()
        assert chaos.attempts[0].error == "timeout: closed by the client while the service was silent"
        assert chaos.attempts[0].ended == 5

    asyncio.run(main())
    assert len(chaos.attempts) == 1


@pytest.mark.chaos("slow=5s")
def test_what_is_under_way_is_left_alone(chaos) -> None:
    """A look at the record ends nothing."""

    async def main() -> int:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=9)) as session:
            task = asyncio.create_task(session.get("https://api.example.com/rates"))
            await asyncio.sleep(1)
            assert chaos.attempts[0].ended is None
            return (await task).status

    assert asyncio.run(main()) == 200
    chaos.verify()

"""Clients, pools and loops older than a run: simulated in it, real after it, and no connection is carried over."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import boto3
import botocore.config
import httpx
import pytest
import requests
import trio
import urllib3

from pytest_retrychaos import Chaos

SIMULATED = "http://api.example.com/things"
SECURE = "https://api.example.com/things"


class Handler(BaseHTTPRequestHandler):
    """Answers every POST with its body, on a connection that is kept."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    """The address of a real server on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


Post = Callable[[str], int]
"""Posts and gives the status."""


def by_requests() -> tuple[Post, Callable[[], object]]:
    session = requests.Session()
    return lambda url: session.post(url, data=b"x", timeout=5).status_code, session.close


def by_urllib3() -> tuple[Post, Callable[[], object]]:
    pool = urllib3.PoolManager(timeout=5, retries=False)
    return lambda url: pool.request("POST", url, body=b"x").status, pool.clear


def by_httpx() -> tuple[Post, Callable[[], object]]:
    client = httpx.Client()
    return lambda url: client.post(url, content=b"x").status_code, client.close


def by_httpx_async() -> tuple[Post, Callable[[], object]]:
    loop = asyncio.new_event_loop()
    client = httpx.AsyncClient()

    def close() -> None:
        loop.run_until_complete(client.aclose())
        loop.close()

    return lambda url: loop.run_until_complete(client.post(url, content=b"x")).status_code, close


def by_aiohttp() -> tuple[Post, Callable[[], object]]:
    loop = asyncio.new_event_loop()

    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    session = loop.run_until_complete(make())

    async def post(url: str) -> int:
        async with session.post(url, data=b"x") as response:
            await response.read()
            return response.status

    async def end() -> None:
        await session.close()
        await asyncio.sleep(0)

    def close() -> None:
        loop.run_until_complete(end())
        loop.close()

    return lambda url: loop.run_until_complete(post(url)), close


CLIENTS = [by_requests, by_urllib3, by_httpx, by_httpx_async, by_aiohttp]


def descriptors() -> list[str]:
    """List the open descriptors of this process, by what they are, once what is garbage is gone."""
    gc.collect()
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # one is of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{name}").partition(":")[0])
    return sorted(found)


@pytest.mark.parametrize("url", [SIMULATED, SECURE], ids=["http", "https"])
@pytest.mark.parametrize("make", CLIENTS)
def test_a_client_from_before_works_in_the_run_and_for_real_after_it(
    make: Callable[[], tuple[Post, Callable[[], object]]], url: str, real: str
) -> None:
    """Its kept connection is closed with the run: each one begins with a connection of its own, and none is left."""
    post, close = make()
    try:
        assert post(real) == 200
        before = descriptors()
        for _ in range(2):
            with Chaos("503, ok") as chaos:
                assert [post(url), post(url), post(real)] == [503, 201, 200]
                assert len(chaos.attempts) == 2
            assert post(real) == 200
        assert len(descriptors()) <= len(before) + 1  # a pool drops what was closed where it next looks
    finally:
        close()
    assert descriptors().count("socket") <= before.count("socket")


def test_a_boto3_client_from_before_works_in_two_runs() -> None:
    """Its pool finds the connection of the first run closed."""
    client = boto3.client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=botocore.config.Config(retries={"max_attempts": 0}),
    )
    for _ in range(2):
        with Chaos("ok") as chaos:
            client.put_object(Bucket="bucket", Key="key", Body=b"x")
            assert len(chaos.attempts) == 1
    client.close()


def test_a_connection_left_in_the_middle_ends_with_the_run() -> None:
    """A task that still waits for an answer finds, on its loop in real time, that the peer has gone."""
    loop = asyncio.new_event_loop()

    async def begin() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("api.example.com", 80)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
        return reader, writer

    async def go_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        rest = await reader.read()
        writer.close()
        await writer.wait_closed()
        return rest

    with Chaos("timeout", strict=False):
        streams = loop.run_until_complete(begin())
    assert loop.run_until_complete(asyncio.wait_for(go_on(*streams), 10)) == b""
    loop.close()


def test_a_raw_socket_of_a_loop_ends_with_the_run() -> None:
    """No transport stands between: it becomes readable, and there is nothing to read; its number stays its own."""
    loop = asyncio.new_event_loop()
    sock = socket.socket()
    sock.setblocking(False)

    async def connect() -> int:
        await loop.sock_connect(sock, ("10.1.2.3", 80))
        loop.add_reader(sock.fileno(), lambda: None)
        return sock.fileno()

    with Chaos():
        number = loop.run_until_complete(connect())
    assert sock.fileno() == number
    assert loop.run_until_complete(asyncio.wait_for(loop.sock_recv(sock, 10), 10)) == b""
    loop.remove_reader(number)
    sock.close()
    loop.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_what_a_loop_keeps_from_before_works() -> None:
    """Its pool of threads, and a lock, a condition and a queue that belong to it."""
    loop = asyncio.new_event_loop()
    kept: dict[str, Any] = {}

    async def make() -> None:
        kept.update(lock=asyncio.Lock(), condition=asyncio.Condition(), queue=asyncio.Queue())
        await loop.run_in_executor(None, time.sleep, 0)
        async with kept["lock"], kept["condition"]:
            await kept["queue"].put(0)

    async def use(seconds: float) -> float:
        began = loop.time()
        await loop.run_in_executor(None, time.sleep, seconds)
        async with kept["lock"]:
            await asyncio.sleep(seconds)
        loop.call_later(seconds, kept["queue"].put_nowait, 1)
        await kept["queue"].get()
        await kept["queue"].get()

        async def tell() -> None:
            async with kept["condition"]:
                kept["condition"].notify_all()

        async with kept["condition"]:
            task = loop.create_task(tell())
            await kept["condition"].wait()
        await task
        return loop.time() - began

    loop.run_until_complete(make())
    with Chaos():
        assert loop.run_until_complete(use(1000)) == pytest.approx(3000, abs=0.1)
    loop.run_until_complete(make())
    assert loop.run_until_complete(use(0.001)) < 10
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.mark.parametrize("runs_on", [False, True], ids=["stands still", "runs on"])
def test_what_a_loop_puts_off_in_a_run_comes_after_it_as_soon_as_it_would_have(runs_on: bool) -> None:
    """A refresher's next round, not as much later as the run was ahead."""
    loop = asyncio.new_event_loop()
    rounds: list[float] = []

    async def refresh() -> None:
        while True:
            rounds.append(time.monotonic())
            await asyncio.sleep(0.1)

    async def use() -> None:
        with Chaos():
            await asyncio.sleep(20.05)

    task = loop.create_task(refresh())
    loop.run_until_complete(asyncio.sleep(0.01))
    if runs_on:
        loop.run_until_complete(use())
    else:
        with Chaos():
            loop.run_until_complete(asyncio.sleep(20.05))
    assert 150 < len(rounds) < 210
    before = len(rounds)

    loop.run_until_complete(asyncio.sleep(0.55))

    assert 2 <= len(rounds) - before <= 7
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()


def test_what_trio_puts_off_in_a_run_comes_after_it_as_soon_as_it_would_have() -> None:
    """The same of a task of trio's, and a deadline that is older stays where it was."""
    rounds: list[float] = []

    async def refresh() -> None:
        while True:
            rounds.append(time.monotonic())
            await trio.sleep(0.1)

    async def use() -> None:
        with trio.move_on_after(3600) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(refresh)
                await trio.sleep(0.01)
                deadline = scope.deadline
                with Chaos():
                    await trio.sleep(20.05)
                assert 150 < len(rounds) < 210
                before = len(rounds)
                await trio.sleep(0.55)
                assert 2 <= len(rounds) - before <= 7
                assert scope.deadline == deadline
                nursery.cancel_scope.cancel()

    trio.run(use)

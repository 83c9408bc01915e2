"""The clients of event loops, by asyncio and by trio: libraries, streams, and a loop's own calls on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import ModuleType
from urllib.parse import urlsplit

import aiohttp
import httpx
import httpx2
import trio

from tests.parity.clients import Client, trusting

AsyncCall = Callable[[], Awaitable[int]]
"""Carries out one operation and returns the status that the client ended with."""

Opened = AbstractAsyncContextManager[AsyncCall]

LONGEST_HEAD = 65_536
REQUEST = b'POST /payments HTTP/1.1\r\nHost: service.test\r\nContent-Length: 13\r\n\r\n{"amount": 1}'


def _in_asyncio(main: AsyncCall) -> int:
    return asyncio.run(main())


def _in_trio(main: AsyncCall) -> int:
    return trio.run(main)


@dataclass(frozen=True, slots=True)
class AsyncClient(Client):
    """A client of an event loop: ``build`` gives an asynchronous context."""

    build: Callable[[str, float, str | None], Opened]
    run: Callable[[AsyncCall], int] = _in_asyncio

    def carry_out(self, base: str, timeout: float, authority: str | None, *, times: int) -> int:
        """All of it in one run of a loop."""

        async def main() -> int:
            async with self.build(base, timeout, authority) as call:
                return [await call() for _ in range(times)][-1]

        return self.run(main)


def _httpx_of(library: ModuleType) -> Callable[[str, float, str | None], Opened]:
    @contextlib.asynccontextmanager
    async def opened(base: str, timeout: float, authority: str | None) -> AsyncIterator[AsyncCall]:
        transport = library.AsyncHTTPTransport(retries=1, verify=trusting(authority))
        async with library.AsyncClient(transport=transport, timeout=timeout) as client:

            async def call() -> int:
                return (await client.post(f"{base}/payments", json={"amount": 1})).status_code

            yield call

    return opened


@contextlib.asynccontextmanager
async def _aiohttp(base: str, timeout: float, authority: str | None) -> AsyncIterator[AsyncCall]:
    limit = aiohttp.ClientTimeout(sock_connect=timeout, sock_read=timeout)
    connector = aiohttp.TCPConnector(ssl=trusting(authority))

    async def call() -> int:
        async with session.post(f"{base}/payments", json={"amount": 1}) as response:
            await response.read()
            return response.status

    try:
        async with aiohttp.ClientSession(connector=connector, timeout=limit) as session:
            yield call
    finally:
        if base.startswith("https"):
            await asyncio.sleep(0.05)  # TLS says farewell meanwhile, as aiohttp's documentation advises


@contextlib.asynccontextmanager
async def _streams(base: str, timeout: float, authority: str | None) -> AsyncIterator[AsyncCall]:
    """One connection, opened when first used, by ``open_connection``."""
    where = urlsplit(base)
    context = ssl.create_default_context(cafile=authority) if where.scheme == "https" else None
    opened: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call() -> int:
        async with asyncio.timeout(timeout):
            if not opened:
                opened.append(await asyncio.open_connection(where.hostname, where.port or _port(base), ssl=context))
            reader, writer = opened[0]
            writer.write(REQUEST)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            return _status(head)

    try:
        yield call
    finally:
        for _, writer in opened:
            await _abort(writer)


@contextlib.asynccontextmanager
async def _start_tls(base: str, timeout: float, authority: str | None) -> AsyncIterator[AsyncCall]:
    """A stream that turns to TLS once it is connected."""
    where = urlsplit(base)
    context = ssl.create_default_context(cafile=authority)
    writers = []

    async def call() -> int:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(where.hostname, where.port or _port(base))
            writers.append(writer)
            await writer.start_tls(context, server_hostname=where.hostname)
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            return _status(head)

    try:
        yield call
    finally:
        for writer in writers:
            await _abort(writer)


@contextlib.asynccontextmanager
async def _sock_calls(base: str, timeout: float, authority: str | None) -> AsyncIterator[AsyncCall]:
    """A socket that does not block, by ``loop.sock_connect``, ``sock_sendall`` and ``sock_recv``."""
    where = urlsplit(base)
    loop = asyncio.get_running_loop()
    opened: list[socket.socket] = []

    async def read_until(sock: socket.socket, enough: Callable[[bytes], bool], received: bytes) -> bytes:
        while not enough(received):
            piece = await loop.sock_recv(sock, LONGEST_HEAD)
            if not piece:
                raise EOFError(received)
            received += piece
        return received

    async def call() -> int:
        async with asyncio.timeout(timeout):
            if not opened:
                sock = socket.socket()
                sock.setblocking(False)
                opened.append(sock)
                await loop.sock_connect(sock, (where.hostname, where.port or 80))
            await loop.sock_sendall(opened[0], REQUEST)
            received = await read_until(opened[0], lambda data: b"\r\n\r\n" in data, b"")
            head, _, body = received.partition(b"\r\n\r\n")
            await read_until(opened[0], lambda data: len(data) >= _length(head), body)
            return _status(head)

    try:
        yield call
    finally:
        for sock in opened:
            sock.close()


@contextlib.asynccontextmanager
async def _trio_streams(base: str, timeout: float, authority: str | None) -> AsyncIterator[AsyncCall]:
    """Trio's own stream, in TLS where the address says so."""
    where = urlsplit(base)
    opened: list[trio.SocketStream | trio.SSLStream] = []

    async def connect() -> trio.SocketStream | trio.SSLStream:
        if where.scheme == "http":
            return await trio.open_tcp_stream(where.hostname, where.port or 80)
        return await trio.open_ssl_over_tcp_stream(
            where.hostname,
            where.port or 443,
            https_compatible=True,
            ssl_context=ssl.create_default_context(cafile=authority),
        )

    async def call() -> int:
        with trio.fail_after(timeout):
            if not opened:
                opened.append(await connect())
            await opened[0].send_all(REQUEST)
            received = b""
            while b"\r\n\r\n" not in received:
                received += await piece(opened[0])
            head, _, body = received.partition(b"\r\n\r\n")
            while len(body) < _length(head):
                body += await piece(opened[0])
            return _status(head)

    async def piece(stream: trio.SocketStream | trio.SSLStream) -> bytes:
        data = await stream.receive_some(LONGEST_HEAD)
        if not data:
            raise EOFError
        return data

    try:
        yield call
    finally:
        for stream in opened:
            with contextlib.suppress(OSError, trio.BrokenResourceError):
                await stream.aclose()


async def _abort(writer: asyncio.StreamWriter) -> None:
    """Close without TLS's farewell, for which a server that is silent lets wait half a minute."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _port(base: str) -> int:
    return 443 if base.startswith("https") else 80


def _length(head: bytes) -> int:
    lines = head.decode("latin-1").lower().split("\r\n")
    return next((int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")), 0)


def _status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


ASYNC_CLIENTS = (
    AsyncClient("httpx-asyncio", _httpx_of(httpx)),
    AsyncClient("httpx-trio", _httpx_of(httpx), run=_in_trio),
    AsyncClient("httpx2-asyncio", _httpx_of(httpx2)),
    AsyncClient("httpx2-trio", _httpx_of(httpx2), run=_in_trio),
    AsyncClient("aiohttp", _aiohttp),
    AsyncClient("streams", _streams),
    AsyncClient("streams-start-tls", _start_tls, schemes=("https",)),
    AsyncClient("loop.sock", _sock_calls, schemes=("http",)),
    AsyncClient("trio-streams", _trio_streams, run=_in_trio),
)

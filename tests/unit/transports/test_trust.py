"""Bundles of authorities: read when a real peer is to be trusted, in the run or after it, and not for the service."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from _ssl import _SSLContext
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import certifi
import httpx
import pytest
import requests
import trio
import trustme

from pytest_retrychaos import Chaos
from pytest_retrychaos.transports import trust

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nreal"


def number_read(context: ssl.SSLContext) -> int:
    """Count the authorities that OpenSSL itself knows of, however the context was made."""
    return _SSLContext.cert_store_stats(context)["x509_ca"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who vouches for the server."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """A big file in which it stands among many, and which this process has read before."""
    path = tmp_path / "bundle.pem"
    path.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + authority.cert_pem.bytes())
    with Chaos("ok"):
        ssl.create_default_context(cafile=path)
    return str(path)


@pytest.fixture
def port(authority: trustme.CA) -> Iterator[int]:
    """A real server, in a thread older than the run."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw = listening.accept()[0]
                with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as secure:
                    secure.recv(10_000)
                    secure.sendall(ANSWER)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def with_httpx(context: ssl.SSLContext, url: str) -> str:
    """Ask by a blocking client."""
    return httpx.get(url, verify=context, timeout=5).text


def with_urllib(context: ssl.SSLContext, url: str) -> str:
    """Ask by the standard library."""
    with urllib.request.urlopen(url, context=context, timeout=5) as answer:
        return answer.read().decode()


def with_late_connect(context: ssl.SSLContext, url: str) -> str:
    """Ask through a socket that is wrapped first and connected then."""
    with context.wrap_socket(socket.socket(), server_hostname="localhost") as secure:
        secure.settimeout(5)
        secure.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return secure.recv(1000).decode()[-4:]


def with_streams(context: ssl.SSLContext, url: str) -> str:
    """Ask by asyncio's own streams."""

    async def ask() -> str:
        reader, writer = await asyncio.open_connection("localhost", int(url.rpartition(":")[2]), ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.decode()[-4:]

    return asyncio.run(ask())


def with_start_tls(context: ssl.SSLContext, url: str) -> str:
    """Ask by streams that begin in plain text."""

    async def ask() -> str:
        reader, writer = await asyncio.open_connection("localhost", int(url.rpartition(":")[2]))
        await writer.start_tls(context, server_hostname="localhost")
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.decode()[-4:]

    return asyncio.run(ask())


def with_aiohttp(context: ssl.SSLContext, url: str) -> str:
    """Ask by a client of asyncio's."""

    async def ask() -> str:
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as answer:
            return await answer.text()

    return asyncio.run(ask())


def with_trio(context: ssl.SSLContext, url: str) -> str:
    """Ask by httpx on trio."""

    async def ask() -> str:
        async with httpx.AsyncClient(verify=context, timeout=5) as client:
            return (await client.get(url)).text

    return trio.run(ask)


CLIENTS = [with_httpx, with_urllib, with_late_connect, with_streams, with_start_tls, with_aiohttp, with_trio]


def read_again(bundle: str) -> ssl.SSLContext:
    """Make a context as most clients do."""
    return ssl.create_default_context(cafile=bundle)


def test_a_bundle_is_not_read_for_the_simulated_service(bundle: str) -> None:
    """Neither by a blocking client, nor on an event loop, nor at the end."""

    async def ask(context: ssl.SSLContext) -> int:
        async with httpx.AsyncClient(verify=context, timeout=5) as client:
            return (await client.get("https://api.test/")).status_code

    with Chaos("ok"):
        context = read_again(bundle)
        assert httpx.get("https://api.test/", verify=context, timeout=5).status_code == 200
        assert asyncio.run(ask(context)) == 200
    assert number_read(context) == 0


def test_a_client_that_names_a_bundle_does_not_read_it(bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests makes a context for every session."""
    made: list[ssl.SSLContext] = []
    make = ssl.SSLContext.__new__
    monkeypatch.setattr(ssl.SSLContext, "__new__", lambda *arguments: made.append(make(*arguments)) or made[-1])
    with Chaos("ok"):
        assert requests.get("https://api.test/", verify=bundle, timeout=5).status_code == 200
    assert [number_read(context) for context in made] == [0]


@pytest.mark.parametrize("ask", CLIENTS)
def test_a_real_peer_is_trusted_in_the_run(ask: Callable[[ssl.SSLContext, str], str], bundle: str, port: int) -> None:
    """The bundle is read before its certificate is looked at."""
    with Chaos("ok"):
        context = read_again(bundle)
        assert number_read(context) == 0
        assert ask(context, f"https://localhost:{port}") == "real"
    assert type(context) is ssl.SSLContext


@pytest.mark.parametrize("ask", CLIENTS)
def test_a_real_peer_is_trusted_after_the_run(
    ask: Callable[[ssl.SSLContext, str], str], bundle: str, port: int
) -> None:
    """Clients that were made in a run go on working."""
    with Chaos("ok"):
        context = read_again(bundle)
    assert ask(context, f"https://localhost:{port}") == "real"
    assert type(context) is ssl.SSLContext


@pytest.mark.parametrize("ask", CLIENTS)
def test_a_real_peer_that_nobody_vouches_for_is_not_trusted(
    ask: Callable[[ssl.SSLContext, str], str], bundle: str, port: int
) -> None:
    """The bundle that is put off is this one and no other."""
    with Chaos("ok"):
        ssl.create_default_context(cafile=certifi.where())
        with pytest.raises((OSError, httpx.ConnectError)) as raised:
            ask(ssl.create_default_context(cafile=certifi.where()), f"https://localhost:{port}")
    assert ssl.SSLCertVerificationError in map(type, _chain(raised.value))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "look", [lambda context: len(context.get_ca_certs()), lambda context: context.cert_store_stats()]
)
def test_who_asks_what_was_read_is_told_as_ever(look: Callable[[ssl.SSLContext], object], bundle: str) -> None:
    """In a run and after it."""
    real = look(read_again(bundle))
    with Chaos("ok"):
        inside, later = read_again(bundle), read_again(bundle)
        assert look(inside) == real
    assert look(later) == real


def test_a_context_is_of_the_library_s_own_class_whatever_it_has_left_to_read(bundle: str) -> None:
    """By that anyio tells whether it may be used without a thread."""
    with Chaos("ok"):
        context = ssl.create_default_context(cafile=bundle)
        assert number_read(context) == 0
        assert type(context) is ssl.SSLContext


def test_a_context_that_nobody_holds_is_asked_what_was_read(bundle: str) -> None:
    """As in a call of what a call has just made."""
    with Chaos("ok"):
        assert ssl.create_default_context(cafile=bundle).cert_store_stats()["x509_ca"] > 100


def test_several_bundles_are_all_read(bundle: str, tmp_path: Path) -> None:
    """And what is small is read at once."""
    small = tmp_path / "own.pem"
    small.write_bytes(trustme.CA().cert_pem.bytes())
    with Chaos("ok"):
        ssl.create_default_context(cafile=certifi.where())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certifi.where())
        context.load_verify_locations(small)
        context.load_verify_locations(bundle)
        assert number_read(context) == 1
    small.unlink()
    certificates = certifi.contents().count("BEGIN CERTIFICATE")
    assert len(context.get_ca_certs()) == certificates + 2


def test_the_bundle_of_the_system_is_put_off_too(bundle: str, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """As the environment says at the time."""
    with Chaos("ok"), monkeypatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", bundle)
        context = ssl.create_default_context()
        assert number_read(context) == 0
    assert with_urllib(context, f"https://localhost:{port}") == "real"


def test_a_damaged_bundle_of_the_system_is_passed_over_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is asked for."""
    damaged = tmp_path / "damaged.pem"
    damaged.write_bytes(b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n" * 2_000)
    monkeypatch.setenv("SSL_CERT_FILE", str(damaged))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    with Chaos("ok"):
        contexts = [ssl.create_default_context() for _ in range(2)]
    assert [context.get_ca_certs() for context in contexts] == [[], []]


def test_a_bundle_that_is_missing_or_damaged_fails_where_it_is_named(bundle: str) -> None:
    """Where it was read before, too."""
    with Chaos("ok"):
        with pytest.raises(FileNotFoundError):
            read_again(bundle + ".none")
        Path(bundle).write_bytes(b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n" * 2_000)
        with pytest.raises(ssl.SSLError):
            read_again(bundle)


def test_threads_that_are_not_of_the_run_read_as_ever(bundle: str) -> None:
    """They are not simulated, and neither are their peers."""
    go, done, made = threading.Event(), threading.Event(), []

    def older() -> None:
        go.wait()
        made.append(read_again(bundle))
        done.set()

    thread = threading.Thread(target=older)
    thread.start()
    with Chaos("ok"):
        go.set()
        done.wait()
    thread.join()
    assert number_read(made[0]) > 100


def test_two_threads_may_be_the_first_to_need_it(bundle: str) -> None:
    """Both wait until it has been read."""
    with Chaos("ok"):
        context = read_again(bundle)
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(context.cert_store_stats()["x509_ca"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(counts)) == 1
    assert counts[0] > 100


def test_a_relative_path_means_the_file_it_meant(bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the working directory is by the time it is read."""
    with Chaos("ok"), monkeypatch.context() as directory:
        directory.chdir(Path(bundle).parent)
        context = ssl.create_default_context(cafile=Path(bundle).name)
        assert number_read(context) == 0
    assert len(context.get_ca_certs()) == certifi.contents().count("BEGIN CERTIFICATE") + 1


def test_a_server_reads_at_once_whom_it_trusts(bundle: str) -> None:
    """A callback for server names may put its context in the place of the one that was wrapped, unseen."""
    with Chaos("ok"):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=bundle)
        assert number_read(context) == certifi.contents().count("BEGIN CERTIFICATE") + 1


def test_a_number_is_no_path(bundle: str) -> None:
    """Though it be that of an open file that was read before."""
    with Chaos("ok"), open(bundle) as file, pytest.raises(TypeError, match="cafile should be a valid"):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file.fileno())  # type: ignore[arg-type]


def test_a_class_that_was_put_in_place_before_reads_as_ever() -> None:
    """As truststore's, whose contexts cannot change their class, put in place before the plugin is loaded."""
    script = """
import ssl

class Replaced(ssl.SSLContext):
    @property
    def __class__(self):
        return Replaced

ssl.SSLContext = Replaced

import certifi
from pytest_retrychaos import Chaos

for _ in range(2):
    with Chaos("ok"):
        context = Replaced(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certifi.where())
print(super(Replaced, context).cert_store_stats()["x509_ca"])
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (shown.stdout, shown.stderr) == (f"{certifi.contents().count('BEGIN CERTIFICATE')}\n", "")


def test_a_child_reads_though_another_thread_was_reading_at_the_fork(bundle: str) -> None:
    """The lock stands for that thread, which the child does not have."""
    with Chaos("ok"):
        context = read_again(bundle)
        with trust._LOCK:
            child = os.fork()
            if not child:
                signal.alarm(10)
                context.get_ca_certs()
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

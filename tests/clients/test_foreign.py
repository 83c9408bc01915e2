"""Libraries that go around Python's sockets and clocks: refused by name with the way out, or working."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap

import aiohttp
import httpx
import pytest

from pytest_retrychaos.clock import Refused

TWICE = """
import warnings
from pytest_retrychaos import Chaos

warnings.simplefilter("ignore")

def use(chaos):
{use}

for number in range(2):
    with Chaos() as chaos:
        try:
            use(chaos)
        except Exception:
            pass  # a wide handler of the code's own must not hide it
        try:
            chaos.judge.raise_problems()
        except Exception as refused:
            print(refused)
        assert not chaos.attempts and chaos.clock.elapsed == 0
"""

LOOPBACK = "Use transport='loopback', a real server on real time."
CURL = f"sends by libcurl, past Python's sockets, onto the real network. {LOOPBACK}"
GRPC = (
    "speaks HTTP/2 by sockets of its own, on the real network. Wrap the method that is called with chaos.faulty, or "
    "call a server on this machine from a test without chaos."
)
CARES = (
    "asks the real network's name servers by sockets of its own. Look names up by socket.getaddrinfo or the event "
    "loop's getaddrinfo, as clients do by default, or use transport='loopback'."
)
GREENLETS = f"waits by an event loop of its own, in real time. {LOOPBACK}"

USES = {
    "pycurl": (
        """
        import pycurl
        curl = pycurl.Curl()
        curl.setopt(curl.URL, chaos.url)
        curl.perform()
        """,
        f"use uses pycurl, which {CURL}",
    ),
    "pycurl, several at once": (
        """
        import pycurl
        multi = pycurl.CurlMulti()
        multi.perform()
        """,
        f"use uses pycurl, which {CURL}",
    ),
    "curl_cffi": (
        """
        from curl_cffi import requests
        requests.get(chaos.url)
        """,
        f"use uses curl_cffi, which {CURL}",
    ),
    "curl_cffi, async": (
        """
        import asyncio
        from curl_cffi.requests import AsyncSession
        async def main():
            async with AsyncSession() as session:
                await session.get(chaos.url)
        asyncio.run(main())
        """,
        f"main uses curl_cffi, which {CURL}",
    ),
    "grpcio": (
        """
        import grpc
        grpc.insecure_channel("service.test:80")
        """,
        f"use uses grpcio, which {GRPC}",
    ),
    "grpcio, async": (
        """
        import asyncio, grpc.aio
        async def main():
            grpc.aio.insecure_channel("service.test:80")
        asyncio.run(main())
        """,
        f"main uses grpcio, which {GRPC}",
    ),
    "pycares": (
        """
        import pycares
        pycares.Channel().query("example.com", pycares.QUERY_TYPE_A, callback=print)
        """,
        f"use uses pycares (aiodns), which {CARES}",
    ),
    "aiodns": (
        """
        import asyncio, aiodns
        async def main():
            await aiodns.DNSResolver().query_dns("example.com", "A")
        asyncio.run(main())
        """,
        f"main uses pycares (aiodns), which {CARES}",
    ),
    "gevent": (
        """
        import gevent
        gevent.sleep(1)
        """,
        f"use uses gevent, which {GREENLETS}",
    ),
    "eventlet": (
        """
        import eventlet
        eventlet.sleep(1)
        """,
        f"use uses eventlet, which {GREENLETS}",
    ),
    "eventlet, its sockets": (
        """
        from eventlet.green import socket
        socket.socket()
        """,
        f"use uses eventlet, which {GREENLETS}",
    ),
    "uvloop": (
        """
        import asyncio, uvloop
        loop = uvloop.new_event_loop()
        loop.call_soon(loop.stop)
        loop.run_forever()
        """,
        (
            "use uses uvloop, which keeps its own time: only asyncio's own loops and trio are on virtual time. Use "
            "asyncio's loop in this test, or transport='loopback', a real server on real time."
        ),
    ),
}


def run(code: str) -> list[str]:
    """Run a program in a process of its own, and give the lines that it prints."""
    # With its own resolver eventlet imports dnspython over green sockets, and that trio, which they do not bear.
    environment = {**os.environ, "EVENTLET_NO_GREENDNS": "yes"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(("library", "use", "told"), [(name, *rest) for name, rest in USES.items()], ids=list(USES))
def test_a_library_that_goes_around_is_refused_by_name(library: str, use: str, told: str) -> None:
    """Where it is imported during the test, and where it was before; nothing is sent and no time passes."""
    lines = run(TWICE.format(use=textwrap.indent(textwrap.dedent(use), "    ")))

    assert len(lines) == 2
    assert all(line.startswith("<string>:") and line.endswith(f" {told}") for line in lines), lines


OLDER = {
    "gevent": ("import gevent; gevent.sleep(0.001)", "gevent.sleep(1)"),
    "eventlet": ("import eventlet; eventlet.sleep(0.001)", "eventlet.sleep(1)"),
    "grpcio": (
        "import grpc; call = grpc.insecure_channel('127.0.0.1:1').unary_unary('/a/b')",
        "call(b'', timeout=0.1)",
    ),
    "pycurl": ("import pycurl; curl = pycurl.Curl(); curl.setopt(curl.URL, 'http://127.0.0.1:1/')", "curl.perform()"),
    "pycares": (
        "import pycares; channel = pycares.Channel()",
        "channel.getaddrinfo('localhost', 80, callback=print, family=0)",
    ),
    "uvloop": ("import uvloop; loop = uvloop.new_event_loop(); loop.call_soon(loop.stop)", "loop.run_forever()"),
}


def test_uvloop_leaves_nothing_where_it_is_refused() -> None:
    """The loop can be closed, and the error is the refusal itself."""
    lines = run(
        """
import asyncio, os, uvloop
from pytest_retrychaos import Chaos
uvloop.run(asyncio.sleep(0))  # libuv keeps a pipe for the process
before = len(os.listdir("/proc/self/fd"))
with Chaos() as chaos:
    coroutine = asyncio.sleep(1)
    try:
        uvloop.run(coroutine)
    except Exception as refused:
        print(type(refused).__name__)
    coroutine.close()
    chaos.clock._virtual.refused.clear()
print(asyncio._get_running_loop(), len(os.listdir("/proc/self/fd")) - before)
print(uvloop.run(asyncio.sleep(0.01, 5)))
"""
    )

    assert lines == ["Refused", "None 0", "5"]


@pytest.mark.parametrize(("library", "before", "use"), [(name, *rest) for name, rest in OLDER.items()], ids=list(OLDER))
def test_an_object_of_it_from_before_is_refused_and_works_afterwards(library: str, before: str, use: str) -> None:
    """A channel, a hub or a handle that was made before chaos began is met at its next use."""
    code = f"""
import warnings
from pytest_retrychaos import Chaos

warnings.simplefilter("ignore")
{before}

def use():
    {use}

with Chaos() as chaos:
    try:
        use()
    except Exception as refused:
        print(type(refused).__name__)
try:
    use()
except Exception as error:
    assert type(error).__name__ != "Refused"
print("went on")
"""
    assert run(code)[:1] + run(code)[-1:] == ["Refused", "went on"]


@pytest.mark.parametrize(
    ("library", "patch"),
    [
        ("gevent", "from gevent import monkey; monkey.patch_all()"),
        ("eventlet", "import eventlet; eventlet.monkey_patch()"),
    ],
)
def test_a_patched_standard_library_is_refused_before_anything_is_touched(library: str, patch: str) -> None:
    """Time and network are those of that library then; a server in a process of its own is the way out."""
    code = f"""
import warnings
warnings.simplefilter("ignore")
{patch}
from pytest_retrychaos import Chaos

for transport in ("network", "loopback"):
    try:
        with Chaos(transport=transport):
            pass
    except Exception as refused:
        print(refused)
"""
    assert run(code) == 2 * [
        (
            f"{library} has patched the standard library in this process, so that its threads, locks and waits are "
            f"{library}'s own: virtual time cannot follow them, nor can a server of ours run among them. Point the "
            "code at `python -m pytest_retrychaos serve`, a process of its own on real time, or run this test without "
            "the patch"
        )
    ]


def test_a_client_that_could_speak_http2_speaks_http1(chaos) -> None:
    """Over TLS no protocol is agreed on, which means HTTP/1.1."""
    with httpx.Client(http2=True) as client:
        assert client.get("https://api.example.com/payments").http_version == "HTTP/1.1"


def test_http2_by_prior_knowledge_is_refused_by_name(chaos) -> None:
    """A client that does not ask speaks a protocol that is not simulated."""
    with httpx.Client(http1=False, http2=True) as client, pytest.raises(Refused) as caught:
        client.get("https://api.example.com/payments")

    assert str(caught.value) == (
        "HTTP/2 by prior knowledge cannot be simulated: let the client negotiate (the service offers HTTP/1.1), or "
        "point it at a real server on loopback"
    )
    chaos._run.exchange.problems.clear()


def test_a_websocket_is_refused_by_name(chaos) -> None:
    """What the client wrote is no request that could be answered."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            await session.ws_connect(f"{chaos.url}/feed")

    with pytest.raises(Refused) as caught:
        asyncio.run(main())

    assert str(caught.value) == (
        "an upgrade to 'websocket' cannot be simulated: point the client at a real server on loopback"
    )
    chaos._run.exchange.problems.clear()


def test_a_resolver_loaded_during_the_test_is_spared() -> None:
    """With aiodns installed aiohttp would ask the real network's name servers."""
    code = """
from pytest_retrychaos import Chaos

async def main():
    import aiohttp
    async with aiohttp.ClientSession() as session, session.get("https://api.example.com/") as response:
        print(response.status)

with Chaos() as chaos:
    import asyncio
    asyncio.run(main())
    print(chaos.clock.elapsed)
"""
    assert run(code) == ["200", "0.0"]


def test_a_forked_child_is_refused_by_name() -> None:
    """It has its own copy of everything, lives in real time, and its requests would be seen by nobody."""
    code = """
import multiprocessing, os, time, requests
from pytest_retrychaos import Chaos

session = requests.Session()

def work(url):
    assert time.gmtime().tm_year < 2030
    for get in (session.get, requests.get):
        try:
            get(url, timeout=5)
        except Exception as refused:
            print(refused, flush=True)

with Chaos() as chaos:
    session.get(chaos.url, timeout=5)
    child = multiprocessing.get_context("fork").Process(target=work, args=(chaos.url,))
    child.start()
    child.join()
    print(child.exitcode, session.get(chaos.url, timeout=5).status_code, len(chaos.attempts))
"""
    told = (
        "a process that was forked during the test called service.test: what it does is not seen here, and its time "
        "is real. Use transport='loopback', a real server for any process, or call from the test itself"
    )
    assert run(code) == [told, told, "0 200 2"]

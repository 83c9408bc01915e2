"""Libraries that go around Python's sockets and clocks: all that is known of their insides.

Each is refused by name where its work begins, if a thread on virtual time begins it: its request would leave this
machine, or its wait take real time. Nothing is done about one that is not loaded, or not used.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any, NamedTuple

from pytest_retrychaos.clock.active import place
from pytest_retrychaos.clock.cpython import TypePatch
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.clock.imports import Imports
from pytest_retrychaos.clock.refusals import kept
from pytest_retrychaos.clock.workers import is_mine

_LOOPBACK = "Use transport='loopback', a real server on real time"
_CURL = f"sends by libcurl, past Python's sockets, onto the real network. {_LOOPBACK}"
_GRPC = (
    "speaks HTTP/2 by sockets of its own, on the real network. Wrap the method that is called with chaos.faulty, "
    "or call a server on this machine from a test without chaos"
)
_CARES = (
    "asks the real network's name servers by sockets of its own. Look names up by socket.getaddrinfo or the event "
    "loop's getaddrinfo, as clients do by default, or use transport='loopback'"
)
_OWN_LOOP = (
    "keeps its own time: only asyncio's own loops and trio are on virtual time. Use asyncio's loop in this test, or "
    "transport='loopback', a real server on real time"
)
_GREENLETS = f"waits by an event loop of its own, in real time. {_LOOPBACK}"


class _Door(NamedTuple):
    """Where the work of a library begins: methods of one class."""

    library: str
    why: str
    module: str
    owner: str
    methods: tuple[str, ...]


_DOORS = (
    _Door("pycurl", _CURL, "pycurl", "Curl", ("perform", "perform_rb", "perform_rs")),
    _Door("pycurl", _CURL, "pycurl", "CurlMulti", ("perform", "socket_action", "socket_all")),
    _Door("curl_cffi", _CURL, "curl_cffi.curl", "Curl", ("perform", "ws_send", "ws_recv")),
    _Door("curl_cffi", _CURL, "curl_cffi.aio", "AsyncCurl", ("add_handle",)),
    _Door("grpcio", _GRPC, "grpc._channel", "Channel", ("__init__",)),
    _Door("grpcio", _GRPC, "grpc.aio._channel", "Channel", ("__init__",)),
    _Door("grpcio", _GRPC, "grpc._cython.cygrpc", "Channel", ("integrated_call", "segregated_call")),
    _Door("grpcio", _GRPC, "grpc._cython.cygrpc", "AioChannel", ("call",)),
    _Door(
        "pycares (aiodns)",
        _CARES,
        "pycares",
        "Channel",
        ("query", "search", "getaddrinfo", "getnameinfo", "gethostbyaddr"),
    ),
    _Door("gevent", _GREENLETS, "gevent.hub", "Hub", ("__init__", "switch", "wait")),
    _Door("eventlet", _GREENLETS, "eventlet.hubs.hub", "BaseHub", ("switch", "run")),
    _Door("eventlet", _GREENLETS, "eventlet.greenio.base", "GreenSocket", ("__init__",)),
    # Refused any later, from within, it would take itself for a loop that runs, and could not be closed.
    _Door("uvloop", _OWN_LOOP, "uvloop.loop", "Loop", ("run_forever", "run_until_complete")),
)
"""What begins is refused: a channel that is made, and a call on one that was made before."""

_PATCHERS = (("gevent", "gevent.monkey", "saved"), ("eventlet", "eventlet.patcher", "already_patched"))
"""Libraries that put stand-ins over the whole standard library, and where they note that they did."""


def check_process() -> None:
    """Raise `Refused` where the standard library's threads and waits are no longer its own."""
    for library, module, notes in _PATCHERS:
        if getattr(sys.modules.get(module), notes, None):
            raise Refused(
                f"{library} has patched the standard library in this process, so that its threads, locks and waits are "
                f"{library}'s own: virtual time cannot follow them, nor can a server of ours run among them. Point the "
                "code at `python -m pytest_retrychaos serve`, a process of its own on real time, or run this test "
                "without the patch"
            )


class Foreign:
    """Stands before those libraries while `on`, whether they are loaded already or only then."""

    def __init__(self) -> None:
        self._patches: list[TypePatch] = []
        self._imports = Imports(dict.fromkeys((door.module for door in _DOORS), self._meet))

    def on(self) -> None:
        """Begin to refuse."""
        for name in dict.fromkeys(door.module for door in _DOORS):
            if name in sys.modules:
                self._meet(sys.modules[name])
        self._imports.on()

    def off(self) -> None:
        """Put everything back; harmless when it is not on."""
        self._imports.off()
        while self._patches:
            self._patches[-1].off()
            self._patches.pop()

    def _meet(self, module: ModuleType) -> None:
        for door in _DOORS:
            owner = getattr(module, door.owner, None) if door.module == module.__name__ else None
            for patch in () if owner is None else _patches(door, owner):
                self._patches.append(patch)
                patch.on()


def _patches(door: _Door, owner: type) -> Iterator[TypePatch]:
    for name in door.methods:
        holder = next((kind for kind in owner.__mro__[:-1] if name in vars(kind)), None)
        if holder is not None:
            yield TypePatch(holder, name, _refusing(door, vars(holder)[name], owner))


def _caller(frame: FrameType) -> FrameType:
    """Go out of the library, to who uses it, where that can be seen."""
    outer: FrameType | None = frame
    while outer is not None and "-packages" in outer.f_code.co_filename:
        outer = outer.f_back
    return outer or frame


def _refusing(door: _Door, real: Callable[..., Any], owner: type) -> Callable[..., Any]:  # Any: a method's own types
    @functools.wraps(real)
    def refuse(this: Any, *args: Any, **kwargs: Any) -> Any:  # Any: as the caller gives it
        if is_mine() and isinstance(this, owner):
            raise kept(f"{place(_caller(sys._getframe(1)))} uses {door.library}, which {door.why}.")
        return real(this, *args, **kwargs)

    return refuse

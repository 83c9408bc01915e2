"""Whom a client trusts, read once a peer has to be trusted: the simulated service shows no certificate.

Most clients read the same bundle of authorities whenever they are made. That takes 30 ms, some ten times what all else
in a short test does, and where nothing but the simulated service is called nobody ever asks what was in it. A context
with a bundle left to read has methods of its own that read it before anything can depend on it, in the run and after.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from _thread import allocate_lock, get_ident
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

_BIG = 64 * 1024
"""Bytes. What is smaller is read at once: it takes little, and may be a test's own and be gone soon."""
if TYPE_CHECKING:
    _PLAIN = ssl.SSLContext
else:
    _PLAIN = next(kind for kind in ssl.SSLContext.__mro__ if kind.__module__ == ssl.__name__)
"""The standard library's own: truststore and gevent put theirs in its place, which read as ever."""
_LOCK = allocate_lock()
os.register_at_fork(after_in_child=_LOCK._at_fork_reinit)  # type: ignore[attr-defined]  # its holder is not there
_SEEN: set[tuple[object, ...] | None] = set()
"""The bundles that were read without an error in this process, as they were then."""
_GREETING: set[int] = set()
"""Threads that make a connection of which it is not known yet whether its peer shows a certificate; if it does,
`tls.Undecided` reads before it is looked at.
"""


class _Unread:
    """What a context has left to read, and what stands in the way of whatever depends on it until then.

    Its methods are the context's own attributes meanwhile: it stays of the library's very class, by which anyio
    tells whether it may be used without a thread.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context  # a circle, which reading ends: who calls a method may hold nothing else
        self.bundles: list[tuple[str, str | None]] = []

    def _wrap_socket(self, *arguments: Any, **named: Any) -> Any:  # Any: private, and another one in each version
        return read(self._context)._wrap_socket(*arguments, **named)

    def _wrap_bio(self, *arguments: Any, **named: Any) -> Any:  # Any: as above
        if get_ident() in _GREETING:
            plain: Any = _PLAIN  # Any: a private method
            return plain._wrap_bio(self._context, *arguments, **named)
        return read(self._context)._wrap_bio(*arguments, **named)

    def get_ca_certs(self, *arguments: Any, **named: Any) -> Any:  # Any: the type depends on the argument
        return read(self._context).get_ca_certs(*arguments, **named)

    def cert_store_stats(self) -> dict[str, int]:
        return read(self._context).cert_store_stats()  # type: ignore[no-any-return]  # as annotated


_MARK = "_retrychaos_unread"
_STANDING_IN = ("_wrap_socket", "_wrap_bio", "get_ca_certs", "cert_store_stats")


def read(context: Any) -> Any:  # Any: an `ssl.SSLContext`, of which private methods are called
    """Read what a context has left to read, and give it back as it ever was.

    Raises `OSError` where a bundle has gone since.
    """
    with _LOCK:
        unread = getattr(context, "__dict__", {}).get(_MARK)
        if unread is not None:
            for file, folder in unread.bundles:
                super(_PLAIN, context).load_verify_locations(file, folder)
            for name in (*_STANDING_IN, _MARK):
                del context.__dict__[name]
    return context


@contextlib.contextmanager
def reading_later() -> Iterator[None]:
    """Make a connection of the running thread's before its context is read."""
    _GREETING.add(get_ident())
    try:
        yield
    finally:
        _GREETING.discard(get_ident())


def reading_methods(is_mine: Callable[[], bool]) -> Iterator[tuple[str, object]]:
    """List what takes the place of the methods of ``ssl.SSLContext`` that read bundles.

    The first time a bundle is read as ever, with whatever error there may be in it.
    """
    load, load_defaults = ssl.SSLContext.load_verify_locations, ssl.SSLContext.set_default_verify_paths

    def load_verify_locations(
        context: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None
    ) -> None:  # Any: a path or data of whatever type, as the real one's
        bundle = _bundle(cafile) if capath is None and cadata is None else None
        if bundle in _SEEN and is_mine() and _put_off(context, (cafile, None)):
            return
        load(context, cafile, capath, cadata)
        if bundle is not None:
            _SEEN.add(bundle)

    yield "load_verify_locations", load_verify_locations

    def set_default_verify_paths(context: ssl.SSLContext) -> None:
        paths = ssl.get_default_verify_paths()
        bundle = _bundle(paths.cafile)
        if bundle in _SEEN and is_mine() and _put_off(context, (paths.cafile, paths.capath)):
            return
        known = context.cert_store_stats()["x509"]
        load_defaults(context)
        if bundle is not None and context.cert_store_stats()["x509"] > known:  # what is damaged is passed over
            _SEEN.add(bundle)

    yield "set_default_verify_paths", set_default_verify_paths


def _bundle(file: Any) -> tuple[object, ...] | None:  # Any: as above
    """Identify a big file as it is now."""
    try:
        found = os.stat(os.fspath(file))
    except (OSError, TypeError, ValueError):
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size) if found.st_size >= _BIG else None


def _put_off(context: ssl.SSLContext, paths: tuple[Any, str | None]) -> bool:  # Any: as above
    """Leave a bundle to be read later, if the context is of the library's own class; whether it is.

    A server reads at once: its callback for server names may change contexts where that is not seen.
    """
    if context.protocol is ssl.PROTOCOL_TLS_SERVER:
        return False
    file, folder = paths
    with _LOCK:
        if type(context) is not _PLAIN:
            return False
        unread = context.__dict__.get(_MARK)
        if unread is None:
            unread = context.__dict__[_MARK] = _Unread(context)
            context.__dict__.update({name: getattr(unread, name) for name in _STANDING_IN})
        unread.bundles.append((os.path.abspath(file), folder and os.path.abspath(folder)))
    return True

"""Real sockets: a test database or server on loopback, used by threads on virtual time.

A blocking call looks, and where it would wait it gives the turn to others. A server and its client that are
both threads of the test are quick, since what one sends the other sees at once; an answer from outside gets
real time before a timeout passes in virtual time.
"""

from __future__ import annotations

import _socket
import errno
import functools
import os
import select
import sys
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from pytest_retrychaos.clock.active import ACTIVE
from pytest_retrychaos.clock.cpython import TypePatch
from pytest_retrychaos.clock.peers import borrow, deliver_at_once
from pytest_retrychaos.clock.waits import Readiness, await_ready, deadline, running
from pytest_retrychaos.model import SECOND

Method = Callable[..., Any]  # Any: a method of a C type, whatever it takes
Socket = Any  # Any: a socket of whatever class

_OWN = vars(_socket.socket)
_NUMBER: Callable[[Socket], int] = _OWN["fileno"]
_TIMEOUT: Callable[[Socket], float | None] = _OWN["gettimeout"]
_SET_TIMEOUT: Callable[[Socket, float | None], None] = _OWN["settimeout"]

_FILLED: dict[str, tuple[object, ...]] = {
    "recv": (),
    "recv_into": (0,),
    "recvfrom": (),
    "recvfrom_into": (0,),
    "recvmsg": (0,),
    "recvmsg_into": (0,),
    "send": (),
    "sendmsg": ((),),
}
"""Between the first argument and the flags: what is meant where it is left out."""
_NAMES = ("buffer", "nbytes", "flags")
_PAUSE = SECOND // 50
"""How long a client waits where a server's queue is full: nothing announces that it is not."""


def _is_ready(sock: Socket, events: int) -> bool:
    return Readiness([(_NUMBER(sock), events)]).look()


def _await(sock: Socket, events: int, until_ns: int | None, late: str = "timed out") -> bool:
    """Wait until a socket is ready; whether virtual time goes on. Raises `TimeoutError` at the deadline."""
    what = "a connection on a real socket" if events == _CONNECTION else "the other end of a real socket"
    patience = running().outside.patience_for(sock)
    watched = (_NUMBER(sock), select.POLLIN if events == _CONNECTION else events)
    ready = await_ready(Readiness([watched], patience), until_ns, what)
    if ready is False:
        raise TimeoutError(late)
    return ready is True


_CONNECTION = -1
"""Stands for the events that a listening socket is waited on for."""


def _until(timeout: float | None) -> int | None:
    return None if timeout is None else deadline(timeout)


# receiving and sending


def _without_waiting(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], bool]:
    """Add the flag that keeps the call from waiting; whether that can be done."""
    if name == "sendto":
        place = 1
        args = (args[0], 0, args[1]) if len(args) == 2 else args
    else:
        place = 1 + len(_FILLED[name])
        if kwargs:  # of the two that take names
            if not kwargs.keys() <= set(_NAMES):
                return args, False
            args = (*args, *(kwargs[key] for key in _NAMES[len(args) :] if key in kwargs))
        if args and len(args) <= place:
            args = (*args, *_FILLED[name][len(args) - 1 :], 0)
    if len(args) <= place or not isinstance(args[place], int) or args[place] & _socket.MSG_WAITALL:
        return args, False
    return (*args[:place], args[place] | _socket.MSG_DONTWAIT, *args[place + 1 :]), True


def _transfer(real: Method, name: str, events: int) -> Method:
    def transfer(sock: Socket, *args: Any, **kwargs: Any) -> Any:  # Any: as the caller gives it
        if get_ident() != ACTIVE.owner:
            return real(sock, *args, **kwargs)
        timeout = _TIMEOUT(sock)
        can_wait = False
        if timeout != 0:
            given, can_wait = _without_waiting(name, args, kwargs)
        if not can_wait:
            result = real(sock, *args, **kwargs)
        else:
            until = _until(timeout)
            if events == select.POLLIN and not _is_ready(sock, events) and not _would_wait(real, given):
                return real(sock, *args, **kwargs)
            while True:
                if not _await(sock, events, until):
                    return real(sock, *args, **kwargs)
                try:
                    result = real(sock, *given)
                    break
                except BlockingIOError:  # somebody else was quicker
                    continue
        _note(sock, events)
        return result

    return transfer


def _would_wait(real: Method, args: tuple[Any, ...]) -> bool:
    """Whether a receiving call waits where nothing has come: one for no bytes does not. Raises what it would."""
    near, far = _socket.socketpair()
    try:
        real(near, *args)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        near.close()
        far.close()


def _note(sock: Socket, events: int) -> None:
    ACTIVE.clock.note_traffic()
    outside = running().outside
    if events == select.POLLIN:
        outside.received(sock)
    else:
        outside.sent(sock)


def _send_all(real: Method, send: Method) -> Method:
    def sendall(sock: Socket, *args: Any) -> None:  # Any: as the caller gives it
        if get_ident() != ACTIVE.owner or _TIMEOUT(sock) == 0 or not 1 <= len(args) <= 2:
            real(sock, *args)
            if get_ident() == ACTIVE.owner:
                _note(sock, select.POLLOUT)
            return
        try:
            left = memoryview(args[0]).cast("B")
        except (TypeError, ValueError):
            real(sock, *args)
            return
        flags = args[1] if len(args) == 2 else 0
        until = _until(_TIMEOUT(sock))
        while left:
            if not _await(sock, select.POLLOUT, until):
                real(sock, left, flags)
                return
            try:
                left = left[send(sock, left, flags | _socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                continue
        _note(sock, select.POLLOUT)

    return sendall


# connections


def _accept(real: Method) -> Method:
    def accept(sock: Socket) -> Any:  # Any: a descriptor and an address
        if get_ident() != ACTIVE.owner:
            return real(sock)
        running().outside.peers.serve(sock)
        timeout = _TIMEOUT(sock)
        if timeout != 0:
            _await(sock, _CONNECTION, _until(timeout))
        accepted = real(sock)
        near = borrow(accepted[0])
        try:
            deliver_at_once(near)
        finally:
            near.detach()
        return accepted

    return accept


def _listen(real: Method) -> Method:
    def listen(sock: Socket, *args: Any) -> None:  # Any: a length
        real(sock, *args)
        if get_ident() == ACTIVE.owner:
            running().outside.peers.serve(sock)

    return listen


def _connect_ex(real: Method) -> Method:
    def connect_ex(sock: Socket, address: Any) -> int:  # Any: an address of whatever family
        if get_ident() != ACTIVE.owner:
            return real(sock, address)  # type: ignore[no-any-return]  # an error number
        peers = running().outside.peers
        timeout = _TIMEOUT(sock)
        until = _until(timeout)
        while True:
            number = _at_once(real, sock, address)
            peers.dial(sock)
            if not peers.is_outside(sock):
                deliver_at_once(sock)
            if timeout == 0 or number not in (errno.EINPROGRESS, errno.EAGAIN):
                return number
            if number == errno.EINPROGRESS:
                break
            if until is not None and ACTIVE.clock.now_ns >= until:
                return number
            ACTIVE.clock.wait_until(ACTIVE.clock.now_ns + _PAUSE)
        try:
            _await(sock, select.POLLOUT, until)
        except TimeoutError:
            return errno.EAGAIN
        number = _at_once(real, sock, address)  # tells how it ended, and lets the socket be used again
        return 0 if number == errno.EISCONN else number

    return connect_ex


def _at_once(real: Method, sock: Socket, address: Any) -> int:  # Any: an address of whatever family
    timeout = _TIMEOUT(sock)
    _SET_TIMEOUT(sock, 0.0)
    try:
        return real(sock, address)  # type: ignore[no-any-return]  # an error number
    finally:
        _SET_TIMEOUT(sock, timeout)


def _connect(real: Method, connect_ex: Method) -> Method:
    def connect(sock: Socket, address: Any) -> None:  # Any: an address of whatever family
        if get_ident() != ACTIVE.owner:
            real(sock, address)
            return
        number = connect_ex(sock, address)
        if number == errno.EAGAIN and _TIMEOUT(sock) != 0:
            raise TimeoutError("timed out")
        if number:
            raise OSError(number, os.strerror(number))

    return connect


def _close(real: Method) -> Method:
    def close(sock: Socket) -> Any:  # Any: nothing, or a descriptor
        if get_ident() == ACTIVE.owner:
            running().outside.closed(sock)
        return real(sock)

    return close


# TLS


def _secure(real: Method, events: int, late: str) -> Method:
    def call(secure: Any, *args: Any) -> Any:  # Any: a private class; as its caller gives it
        sock = secure.owner if get_ident() == ACTIVE.owner else None
        if not isinstance(sock, _socket.socket):  # of another thread, or in memory
            return real(secure, *args)
        timeout = _TIMEOUT(sock)
        until = _until(timeout)
        while True:
            _SET_TIMEOUT(sock, 0.0)
            try:
                result = real(secure, *args)
            except _want(timeout) as wants:
                needed = wants
            else:
                _note(sock, events)
                return result
            finally:
                _SET_TIMEOUT(sock, timeout)
            is_reading = needed.args[0] == _WANTS_READ
            if not _await(sock, select.POLLIN if is_reading else select.POLLOUT, until, late):
                return real(secure, *args)

    return call


_WANTS_READ = 2
"""``SSL_ERROR_WANT_READ``."""


def _want(timeout: float | None) -> Any:  # Any: the classes of a module that is loaded late
    module = sys.modules["_ssl"]
    return () if timeout == 0 else (module.SSLWantReadError, module.SSLWantWriteError)


@functools.cache
def _secure_patches(kind: type) -> tuple[TypePatch, ...]:
    own = vars(kind)
    calls = {
        "read": (select.POLLIN, "The read operation timed out"),
        "write": (select.POLLOUT, "The write operation timed out"),
        "do_handshake": (select.POLLIN, "The handshake operation timed out"),
        "shutdown": (select.POLLIN, "The read operation timed out"),
    }
    return tuple(TypePatch(kind, name, _secure(own[name], *rest)) for name, rest in calls.items())


@functools.cache
def _plain_patches() -> tuple[TypePatch, ...]:
    kind, own = _socket.socket, dict(_OWN)
    made = {name: _transfer(own[name], name, select.POLLIN) for name in _FILLED if name.startswith("recv")}
    made |= {name: _transfer(own[name], name, select.POLLOUT) for name in ("send", "sendto", "sendmsg")}
    made["sendall"] = _send_all(own["sendall"], own["send"])
    made["_accept"] = _accept(own["_accept"])
    made["listen"] = _listen(own["listen"])
    made["connect_ex"] = _connect_ex(own["connect_ex"])
    made["connect"] = _connect(own["connect"], made["connect_ex"])
    made["close"] = _close(own["close"])
    made["detach"] = _close(own["detach"])
    return tuple(TypePatch(kind, name, function) for name, function in made.items())


def socket_patches() -> tuple[TypePatch, ...]:
    """Make the patches of real sockets, and of TLS over them if that is loaded, once in a process."""
    ssl = sys.modules.get("_ssl")
    return _plain_patches() + (() if ssl is None else _secure_patches(ssl._SSLSocket))

"""The options of a run: the arguments of the marker and of `Chaos`, checked where they are written."""

from __future__ import annotations

import difflib
import errno
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from pytest_retrychaos.faults.durations import parse_duration
from pytest_retrychaos.laws.table import choose
from pytest_retrychaos.trace import Option

TRANSPORTS = ("network", "responses", "loopback")
ENTROPIES = ("real", "seeded")
LOOPS = ("asyncio", "trio")
ANY_PORT = "localhost:0"
PROFILES = ("default", "stripe", "ietf", "naive")


class CannotListen(OSError):
    """Nothing can listen at the address that was given; the text names ``listen=``, the address and the way out."""

    def __init__(self, error: OSError, host: str, port: int) -> None:
        super().__init__(error.errno, error.strerror)
        self._host, self._port = host, port

    def __str__(self) -> str:
        return f"listen={self.address!r}: {self.told('listen=')}"

    @property
    def address(self) -> str:
        """As ``listen`` takes it."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    def told(self, option: str) -> str:
        """Tell it of another option that names the host."""
        ways_out = {
            errno.EADDRINUSE: "another program has that port: name another one, or 0 for any that is free",
            errno.EACCES: "ports below 1024 are the superuser's: name another one, or 0 for any that is free",
            errno.EADDRNOTAVAIL: f"this machine has no such address: name one of its own, or leave {option} out",
        }
        return f"cannot listen on {self._host}, port {self._port}: {ways_out.get(self.errno or 0, self.strerror)}"


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is set up."""

    transport: str = "network"
    """``network``: simulated sockets. ``responses``: around what the test registered with ``responses``.
    ``loopback``: a real server, in real time."""
    profile: str = "default"
    """The provider whose idempotency rules the service follows."""
    seed: int | None = None
    """``None``: from ``--chaos-seed`` and the test's id."""
    timezone: str | None = None
    """The local time zone meanwhile, an IANA name."""
    hosts: tuple[str, ...] = ()
    """The only hosts that may be called; empty: any."""
    strict: bool = True
    """Whether a fault of its scripts that never fires fails the test; `chaos.script` has its own."""
    expect: tuple[str, ...] = ()
    """Laws that this code is known to break: not raised, and the test fails once they hold."""
    entropy: str = "real"
    """``seeded``: ``os.urandom``, ``uuid`` and ``secrets`` too follow the seed."""
    loop: str | None = None
    """Run an async test here, in a loop of its own: ``asyncio`` or ``trio``."""
    cancel: str | None = None
    """When such a test is cancelled: ``"0.5s"`` after its beginning, or ``"#2"``: while attempt 2 is in flight."""
    keep_alive: bool = True
    """Whether the service leaves a connection open after an answer."""
    switches: tuple[int, ...] = ()
    """Of the moments at which several threads or tasks could go on, counted from 1, those at which the second in the
    seed's order goes first."""
    listen: str = ANY_PORT
    """Where the server of ``loopback`` listens; port 0: any that is free."""

    @property
    def changed(self) -> tuple[Option, ...]:
        """Those that are not the default, but for the seed, each as Python writes it."""
        values = [(name, getattr(self, name), default) for name, default in _DEFAULTS]
        return tuple([Option(name, _written(value)) for name, value, default in values if value != default])

    @classmethod
    def read(cls, given: Mapping[str, Any], *, alone: bool = False) -> Options:  # Any: what a user wrote
        """Check options by name, type and value; `TypeError` or `ValueError` names what is wrong.

        ``alone``: they are those of a `Chaos` outside pytest, which has others as well and runs no test.
        """
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                if alone:
                    names = [*(one for one in names if one not in OF_A_TEST), *OF_CHAOS]
                near = difflib.get_close_matches(name, names, n=1)
                hint = f", did you mean {near[0]!r}?" if near else "."
                raise TypeError(f"unknown chaos option {name!r}{hint} The options are: {', '.join(names)}")
        values = dict(given)
        for name in ("hosts", "expect"):
            values[name] = _texts(name, values.get(name, ()))
        choose("expect", values["expect"])
        values["hosts"] = tuple(_host(one) for one in values["hosts"])
        _check_choice("transport", values.get("transport", "network"), TRANSPORTS)
        _check_choice("profile", values.get("profile", "default"), PROFILES)
        _check_choice("entropy", values.get("entropy", "real"), ENTROPIES)
        _check_type("strict", values.get("strict", True), bool)
        seed = values.get("seed")
        if seed is not None:
            _check_type("seed", seed, int)
            if isinstance(seed, bool) or seed < 0:
                raise ValueError(f"seed={seed!r}: a seed is a whole number, 0 or more")
        if values.get("timezone") is not None:
            _check_type("timezone", values["timezone"], str)
            _check_zone(values["timezone"])
        _check_type("keep_alive", values.get("keep_alive", True), bool)
        values["switches"] = _numbers("switches", values.get("switches", ()))
        _check_caller(values.get("loop"), values.get("cancel"))
        _check_type("listen", values.get("listen", ""), str)
        options = cls(**values)
        _check_loopback(options)
        return options

    @property
    def cancels_at_ns(self) -> int | None:
        """The moment of ``cancel``, where it is one."""
        return None if self.cancel is None or self.cancel.startswith("#") else parse_duration(self.cancel)

    @property
    def cancels_in(self) -> int | None:
        """The attempt of ``cancel``, where it is one."""
        return int(self.cancel[1:]) if self.cancel is not None and self.cancel.startswith("#") else None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of ``listen``."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


OF_A_TEST: Final = frozenset({"loop", "cancel"})
OF_CHAOS: Final = ("name", "database", "watchdog")
"""What `Chaos` takes besides, outside pytest."""

_DEFAULTS: Final = tuple([(one.name, one.default) for one in fields(Options) if one.name != "seed"])


def _check_loopback(options: Options) -> None:
    host, colon, port = options.listen.rpartition(":")
    is_name = host == "localhost" or _is_address(host.strip("[]"))
    if not colon or not is_name or (":" in host) != host.startswith("[") or not port.isdecimal() or int(port) > 65535:
        raise ValueError(
            f"listen={options.listen!r} is no address: write an IP address or localhost, and a port, as in "
            "'localhost:8080', '0.0.0.0:0' or '[::1]:0'"
        )
    if options.transport != "loopback":
        if options.listen != ANY_PORT:
            raise ValueError(f"listen={options.listen!r} has no meaning on transport={options.transport!r}")
        return
    if options.hosts:
        raise ValueError(f"hosts={options.hosts!r} on transport='loopback': other hosts are real there; leave it out")
    if options.cancel is not None or options.switches:
        name = "switches" if options.cancel is None else "cancel"
        raise ValueError(
            f"{name}={getattr(options, name)!r} on transport='loopback': its time is real, and who goes on when is the "
            "system's business; use transport='network'"
        )
    if options.timezone is not None:
        raise ValueError(
            f"timezone={options.timezone!r} on transport='loopback': its time is real. Set TZ for the program under "
            "test, or use transport='network'"
        )


def _check_caller(loop: object, cancel: object) -> None:
    if loop is not None:
        _check_choice("loop", loop, LOOPS)
    if cancel is None:
        return
    _check_type("cancel", cancel, str)
    if loop is None:
        raise ValueError(
            f"cancel={cancel!r} without loop=: give loop='asyncio' or loop='trio', so that the test is run here"
        )
    text = str(cancel)
    if text.startswith("#"):
        if not text[1:].isdecimal() or int(text[1:]) < 1:
            raise ValueError(f"cancel={cancel!r}: after # stands the number of an attempt, from 1, as in cancel='#2'")
        return
    try:
        parse_duration(text)
    except ValueError:
        raise ValueError(
            f"cancel={cancel!r}: give the number of the attempt that is in flight, as in '#2', or a moment, as in "
            "'1.5s'"
        ) from None


def _numbers(name: str, value: object) -> tuple[int, ...]:
    value = (value,) if isinstance(value, int) else value
    if not isinstance(value, tuple | list | set | frozenset) or not all(type(one) is int and one > 0 for one in value):
        raise ValueError(f"{name}={value!r}: give whole numbers from 1, as in {name}=(1, 3)")
    return tuple(sorted(value))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))}{',' if len(value) == 1 else ''})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _texts(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, tuple | list | set | frozenset) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{name}={value!r}: give a text or several, as in {name}=('…', '…')")
    return tuple(value)


def _host(name: str) -> str:
    if not name or set(name) & set("/*") or name.count(":") == 1:
        raise ValueError(f"hosts: {name!r} is no host name: write it without scheme, port, path and wildcard")
    return name.lower()


def _check_zone(name: str) -> None:
    from pytest_retrychaos.clock.travel import Zone

    Zone(name)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value in choices:
        return
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f", did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"{name}={value!r} is unknown{hint} It is one of {', '.join(choices)}")


def _check_type(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        given = type(value).__name__
        raise TypeError(f"{name}={value!r} is of type {given}: it has to be of type {kind.__name__}")

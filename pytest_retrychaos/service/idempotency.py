"""The idempotency layer: what a service does with a key, as settings and one pure decision.

Laws of this module:
1. ``decide(settings, arrival, record, in_flight, now_ns)`` reads no state and no clock.
2. Without ``enabled``, outside ``methods``, and for an allowed missing key, the answer is `Execute`.
3. A record older than ``lifetime`` is as if it were not there.
4. While a key lives and its answer is stored, no request with that key is executed.
"""

from __future__ import annotations

import difflib
import enum
import math
from dataclasses import FrozenInstanceError, dataclass, fields
from typing import NamedTuple

from pytest_retrychaos.model import SECOND, Response
from pytest_retrychaos.service.handlers import TOKEN
from pytest_retrychaos.service.payload import is_same_payload

DAY = 86_400.0
"""Seconds that keys live by default: Stripe prunes after at least 24 h, Easyship after 24 h."""


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What a service does with idempotency keys. Change one with ``dataclasses.replace``.

    Each choice is some provider's: see `PROFILES` for named sets of them. Bad values raise `ValueError`.
    """

    enabled: bool = True
    """Whether keys are looked at."""
    carriers: tuple[str, ...] = ()
    """Where keys are looked for besides the names that providers use: ``"X-Order-Ref"``, a header, or a field of the
    body or the query, ``"body:order_ref"``, ``"query:order_ref"``."""
    methods: tuple[str, ...] = ("POST", "PATCH", "PUT", "DELETE")
    """Methods to which the layer applies; Stripe: POST alone."""
    missing: str | int = "allow"
    """A POST or PATCH without a key: ``"allow"`` or ``400`` (the IETF draft, where a key is required)."""
    mismatch: str | int = 422
    """The key again with another payload: ``400`` (Stripe, AWS), ``409`` (some AWS services), ``422`` (the
    IETF draft, Adyen) or ``"replay"`` (Qonto, Worldline)."""
    in_flight: int = 409
    """The key again while the first request runs: ``409`` (the IETF draft, Stripe) or ``422`` (Adyen)."""
    stored: str = "all"
    """Which results are kept: ``"all"`` (Stripe, Easyship), ``"2xx"`` (Checkout.com), ``"not-5xx"``
    (Fullstory)."""
    never_stored: tuple[int, ...] = (401, 407, 425, 429, 503)
    """Statuses never kept, as they say that nothing was done (Stripe: 401 and 429 come before the layer)."""
    lifetime: float = DAY
    """Seconds of virtual time that a key lives."""
    max_length: int = 255
    """Characters in a key at most: 255 (Stripe), 64 (Adyen), 45 (Square), 40 (Worldline)."""
    scope: str = "endpoint"
    """Within what a key is one key: ``"endpoint"`` (method and path, AIP-155), ``"host"``,
    ``"credentials"`` (host and credentials), ``"everywhere"``."""
    replay_marker: tuple[str, str] | None = ("Idempotent-Replayed", "true")
    """The header on a replayed answer, or ``None``."""
    quoted: bool = False
    """Whether ``"abc"`` and ``abc`` are one key: the IETF draft's header is an RFC 8941 string."""

    def __post_init__(self) -> None:
        for name in ("enabled", "quoted"):
            if not isinstance(getattr(self, name), bool):
                raise _bad(name, getattr(self, name), "is True or False")
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or value not in choices:
                raise _bad(name, value, f"is one of {', '.join(map(repr, choices))}")
        _check_numbers(self.lifetime, self.max_length)
        _check_carriers(self.carriers)
        _check_methods(self.methods)
        _check_statuses(self.never_stored)
        _check_marker(self.replay_marker)

    def takes(self, method: str) -> bool:
        """Tell whether keys of requests of this method are looked at."""
        return self.enabled and _LIKE.get(method, method) in self.methods

    def keeps(self, status: int) -> bool:
        """Tell whether an answer of this status is stored."""
        if status in self.never_stored:
            return False
        if self.stored == "2xx":
            return 200 <= status < 300
        return self.stored == "all" or status < 500


CHOICES: dict[str, tuple[str | int, ...]] = {
    "missing": ("allow", 400),
    "mismatch": (400, 409, 422, "replay"),
    "in_flight": (409, 422),
    "stored": ("all", "2xx", "not-5xx"),
    "scope": ("endpoint", "host", "credentials", "everywhere"),
}
"""The settings that are a choice, and what they may be."""

UNSAFE_METHODS = frozenset({"POST", "PATCH"})
"""Methods that are not idempotent by themselves (RFC 9110, 9.2.2): only they can need a key."""

_LIKE = {"CALL": "POST"}
"""A method of no standard's, the call of a function, has its keys looked at where those of a POST are."""


def _bad(name: str, value: object, rule: str) -> ValueError:
    return ValueError(f"Idempotency({name}={value!r}): {name} {rule}")


def _check_numbers(lifetime: object, max_length: object) -> None:
    is_number = isinstance(lifetime, int | float) and not isinstance(lifetime, bool)
    if not is_number or not math.isfinite(lifetime) or lifetime <= 0:  # type: ignore[arg-type,operator] # is_number
        raise _bad("lifetime", lifetime, "is a number of seconds above 0; enabled=False ignores all keys")
    if not isinstance(max_length, int) or isinstance(max_length, bool) or max_length < 1:
        raise _bad("max_length", max_length, "is a number of characters, 1 or more")


def _check_carriers(carriers: object) -> None:
    if not isinstance(carriers, tuple) or not all(isinstance(one, str) and _is_carrier(one) for one in carriers):
        rule = 'is a tuple of names, such as ("X-Order-Ref",) for a header, or "body:order_ref" or "query:order_ref"'
        raise _bad("carriers", carriers, rule)


def _is_carrier(name: str) -> bool:
    place, colon, field = name.partition(":")
    return (place in ("body", "query") and field != "") if colon else TOKEN.match(name) is not None


def _check_methods(methods: object) -> None:
    if not isinstance(methods, tuple) or not all(isinstance(name, str) and name.isupper() for name in methods):
        raise _bad("methods", methods, 'is a tuple of method names in capitals, such as ("POST", "PATCH")')


def _check_statuses(statuses: object) -> None:
    if not isinstance(statuses, tuple) or not all(
        isinstance(status, int) and 100 <= status <= 599 for status in statuses
    ):
        raise _bad("never_stored", statuses, "is a tuple of statuses from 100 to 599")


def _check_marker(marker: object) -> None:
    if marker is None:
        return
    if not isinstance(marker, tuple) or len(marker) != 2 or not all(isinstance(part, str) for part in marker):
        raise _bad("replay_marker", marker, "is a pair of header name and value, or None for no marker")
    name, value = marker
    if not TOKEN.match(name) or not value or not value.isprintable() or not value.isascii():
        raise _bad("replay_marker", marker, "is a header's name, a token of HTTP, and its value, printable ASCII")


def _refuse_change(settings: Idempotency, name: str, value: object) -> None:
    """Refuse to change settings in place, and say how they are changed."""
    known = [field.name for field in fields(settings)]
    if name in known:
        way = f"{_IN_USE} = dataclasses.replace({_IN_USE}, {name}={value!r})"
        raise FrozenInstanceError(f"{_IN_USE}.{name} = {value!r}: settings are not changed in place: {way}")
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ";"
    raise AttributeError(f"{_IN_USE}.{name}: there is no such setting{hint} The settings are: {', '.join(known)}")


_IN_USE = "service.idempotency"
Idempotency.__setattr__ = _refuse_change  # type: ignore[assignment]  # a frozen dataclass takes none in its body


class Reason(enum.Enum):
    """Why a request was turned away by its key."""

    MISSING = "missing"
    TOO_LONG = "too long"
    MISMATCH = "mismatch"
    IN_FLIGHT = "in flight"


class Arrival(NamedTuple):
    """What the layer looks at in a request; ``kind`` is the body's media class."""

    method: str
    target: str
    kind: str
    body: bytes
    key: str | None

    def is_same(self, other: Arrival) -> bool:
        """Tell whether the other asks for the same thing."""
        return (
            self.method == other.method
            and self.target == other.target
            and is_same_payload(self.kind, self.body, other.body)
        )


@dataclass(frozen=True, slots=True)
class Record:
    """A request that was carried out under a key, with its answer."""

    arrival: Arrival
    response: Response
    at_ns: int


class Execute(NamedTuple):
    """Carry the request out; under a key, keep its answer."""

    keyed: bool


class Replay(NamedTuple):
    """Answer with what was stored."""

    record: Record


class Refuse(NamedTuple):
    """Turn the request away with this status."""

    status: int
    reason: Reason


Decision = Execute | Replay | Refuse

_PLAIN, _KEYED = Execute(False), Execute(True)


def decide(
    settings: Idempotency,
    arrival: Arrival,
    record: Record | None,
    in_flight: Arrival | None,
    now_ns: int,
) -> Decision:
    """Decide what becomes of a request that is no read, given what is known of its key."""
    if not settings.takes(arrival.method):
        return _PLAIN
    if arrival.key is None:
        if settings.missing == "allow" or arrival.method not in UNSAFE_METHODS:
            return _PLAIN
        return Refuse(400, Reason.MISSING)
    if len(arrival.key) > settings.max_length:
        return Refuse(400, Reason.TOO_LONG)
    if record is not None and now_ns - record.at_ns >= settings.lifetime * SECOND:
        record = None
    earlier = in_flight or (record.arrival if record else None)
    if earlier is None:
        return _KEYED
    if isinstance(settings.mismatch, int) and not arrival.is_same(earlier):
        return Refuse(settings.mismatch, Reason.MISMATCH)
    if record is None or in_flight is not None:
        return Refuse(settings.in_flight, Reason.IN_FLIGHT)
    return Replay(record)

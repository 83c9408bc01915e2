"""What the caller was told: whether a returned value claims success, and the chain of a raised exception."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_retrychaos.engine.answers import carried_status
from pytest_retrychaos.engine.classify import exception_chain
from pytest_retrychaos.trace import Raised, Told

SUCCESS_WORDS = frozenset(
    {"ok", "success", "succeeded", "successful", "paid", "captured", "completed", "complete", "confirmed", "created",
     "accepted", "processed", "done", "approved", "authorized", "requires_capture", "sent", "delivered", "active"}
)  # fmt: skip
"""Values of ``status`` that say it was done: those of Stripe, Adyen, Square and Shopify among them."""

FAILURE_WORDS = frozenset(
    {"failed", "failure", "error", "declined", "rejected", "refused", "denied", "canceled", "cancelled", "timeout",
     "unavailable", "expired", "unpaid", "requires_payment_method", "aborted"}
)  # fmt: skip
"""Values of ``status`` that say it was not."""

LONGEST = 200
"""Characters of a value that are kept."""


def tell_value(value: object, *, is_known_success: bool = False) -> Told:
    """Note a returned value; ``is_known_success``: it equals what an earlier success returned."""
    claims, source = claims_success(value)
    if claims is None and is_known_success:
        claims, source = True, "same value"
    try:
        text = repr(value)
    except Exception as error:  # a broken __repr__ of the code under test is not this test's matter
        text = f"<{type(value).__name__}, whose repr() raised {type(error).__name__}>"
    return Told(claims, _steady(text)[:LONGEST], claimed_by=source)


def tell_error(error: BaseException) -> Told:
    """Note a raised exception with its chain, the outermost first."""
    return Told(None, None, tuple(_raised(link) for link in exception_chain(error)))


def claims_success(value: object) -> tuple[bool | None, str | None]:
    """Say whether a value claims success, failure or neither (``None``), and what in it says so."""
    if isinstance(value, Mapping):
        ok, status = value.get("ok"), value.get("status", value.get("status_code"))
    else:
        ok, status = getattr(value, "ok", None), getattr(value, "status_code", None)
        if not isinstance(status, int):
            status = getattr(value, "status", None)
    if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599:
        return 200 <= status < 300, "status"
    if isinstance(ok, bool):
        return ok, "ok"
    if isinstance(status, bool):
        return status, "status"
    word = str(getattr(status, "value", status)).lower()
    if word in SUCCESS_WORDS or word in FAILURE_WORDS:
        return word in SUCCESS_WORDS, "status"
    return None, None


def _raised(error: BaseException) -> Raised:
    kind = type(error)
    bases = tuple(_name(base) for base in kind.__mro__[1:] if base is not object)
    return Raised(_name(kind), bases, _steady(str(error))[:LONGEST], carried_status(error))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _steady(text: str) -> str:
    """Leave out addresses in memory, which differ on every run."""
    import re

    return re.sub(r" at 0x[0-9a-fA-F]+|(?<=object )at 0x[0-9a-fA-F]+", "", text)

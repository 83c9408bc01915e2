"""Which fault class an attempt met: the columns of the coverage matrix.

Laws of this module:
1. What counts is what the client met, not what the script meant: a ``slow`` answer that came within the client's
   timeout is no fault of any class, and one that came too late is.
2. Whatever struck after the service had done the work is *lost after commit*, an error status included.
3. A read changes nothing, so nothing of it can be lost after commit.
"""

from __future__ import annotations

from typing import Final

from pytest_retrychaos.laws.ends import DAMAGED, NOT_SENT, STATUS, Endings
from pytest_retrychaos.report.document import FAULT_CLASSES
from pytest_retrychaos.trace import Attempt

TURNED_AWAY: Final = frozenset({425, 429, 503})
"""The server says that it did nothing (RFC 9110, 15.6.4; RFC 6585, 4; RFC 8470, 5.2)."""
AMBIGUOUS: Final = frozenset({408, 409})
"""Neither permanent nor turned away: they belong to no class."""
LIMITED: Final = 429
"""What the service itself answers beyond ``chaos.service.limit``."""

_WORDS: Final = {"down": "outage", "stale": "stale", **dict.fromkeys(NOT_SENT, "not-sent")}
_NEED_A_CONNECTION: Final = frozenset({"stale"})


def fault_class(attempt: Attempt, endings: Endings) -> str | None:
    """Tell the class of the fault that an attempt met; ``None`` where it met none of them."""
    word = (attempt.fault or "ok").partition(" ")[0].partition("=")[0]
    if word in _WORDS:
        return _WORDS[word]
    if not attempt.failed:
        return None
    if attempt.fault is None or word == "ok":
        return _of_status(attempt) if attempt.own_answer and attempt.status == LIMITED else None
    if word in DAMAGED:
        return "damaged"
    if word in ("slow", "drip"):
        return None if endings.of(attempt).how == STATUS else "too-slow"
    if attempt.committed and not attempt.is_read:
        return "lost-after-commit"
    return _of_status(attempt) if word.isdigit() else "lost-before-commit"


def _of_status(attempt: Attempt) -> str | None:
    status = attempt.status or 0
    headers = attempt.response_headers
    asks = "retry-after" in headers or "retry-after-ms" in headers
    if status in TURNED_AWAY or (asks and 400 <= status < 500 and status not in AMBIGUOUS):
        return "turned-away-retry-after" if asks else "turned-away"
    if status >= 500:
        return "server-error"
    return "permanent" if status >= 400 and status not in AMBIGUOUS else None


def applicable(method: str, *, is_read: bool) -> tuple[str, ...]:
    """List the classes that make sense for a route, in the order of the matrix."""
    left_out = {"lost-after-commit"} if is_read else set()
    if method == "CALL":
        left_out |= _NEED_A_CONNECTION  # a function has no connection
    return tuple(one for one in FAULT_CLASSES if one not in left_out)


SCRIPTS: Final = {
    "lost-before-commit": "reset, ok",
    "lost-after-commit": "reset after-commit, ok",
    "not-sent": "refuse, ok",
    "turned-away": "503, ok",
    "turned-away-retry-after": "503 retry-after=2, ok",
    "server-error": "502, ok",
    "permanent": "422, ok",
    "damaged": "truncate, ok",
    "too-slow": "slow=60s, ok",
    "outage": "down=30s:503",
    "stale": "ok, stale, ok",
}
"""For each class the plainest script in which it strikes at a path that is known.

``stale`` needs a connection that was used before.
"""

"""Conditional requests: what RFC 9110, 13.2.2 makes of a request, given the state of its target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from pytest_retrychaos.model import SECOND

CONDITIONS = frozenset({"if-match", "if-none-match", "if-unmodified-since"})

_TAG = re.compile(r'(W/)?("[^"]*"|[^,\s"]+)')


def failed_precondition(
    method: str, headers: Mapping[str, str], etag: str | None, modified_ns: int | None
) -> int | None:
    """Return the status that a failed precondition asks for (304, 400, 412), or ``None`` to go on.

    ``etag`` is ``None`` where the target does not exist. An unreadable date counts as absent.
    """
    wanted = headers.get("if-match")
    if wanted is not None:
        if not _matches(wanted, etag, weak=False):
            return 412
    elif "if-unmodified-since" in headers and modified_ns is not None:
        since = _seconds(headers["if-unmodified-since"])
        if since is not None and modified_ns // SECOND > since:
            return 412
    unwanted = headers.get("if-none-match")
    if unwanted is not None and _matches(unwanted, etag, weak=True):
        return 304 if method in ("GET", "HEAD") else 412
    return None


def _matches(field: str, etag: str | None, *, weak: bool) -> bool:
    if etag is None:
        return False
    if field.strip() == "*":
        return True
    return any((weak or not mark) and tag.strip('"') == etag.strip('"') for mark, tag in _TAG.findall(field))


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None

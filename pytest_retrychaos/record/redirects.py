"""Where an answer sends the client, and whether that is where it goes."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from pytest_retrychaos.record.sheet import REDIRECTS, Sheet

_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}


class Place(NamedTuple):
    """An address, spelled in one way: clients escape what they are given each in their own."""

    host: str
    target: bytes


def sent_to(sheet: Sheet) -> Place | None:
    """Say where an answer sends the client, ``None`` if nowhere."""
    response = sheet.response
    if sheet.status not in REDIRECTS or response is None or "location" not in response.headers:
        return None
    try:
        parts = urlsplit(urljoin(f"{sheet.scheme}://{sheet.host}{sheet.target}", response.headers["location"]))
    except ValueError:
        return None  # no address: no client can follow it
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(_USUAL_PORTS.get(parts.scheme, ""))
    return Place(host, _plain((parts.path or "/") + ("?" + parts.query if parts.query else "")))


def place_of(sheet: Sheet) -> Place:
    """Say where a request went."""
    return Place(sheet.host.lower(), _plain(sheet.target or ""))


def _plain(target: str) -> bytes:
    return unquote_to_bytes(target.encode("latin-1", "replace"))

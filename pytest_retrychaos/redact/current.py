"""What hides secrets in this process: made at first use, since most runs of pytest print none."""

from __future__ import annotations

from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_retrychaos.redact.redaction import Redaction

_current: Redaction | None = None


def current() -> Redaction:
    """Give what hides secrets in this process, with its key; made at first use."""
    global _current
    if _current is None:
        from pytest_retrychaos.redact.redaction import Redaction

        _current = Redaction()
    return _current


def use(redaction: Redaction | None) -> Redaction | None:
    """Let this one hide secrets from now on; gives the one before (``None``: none was made yet)."""
    global _current
    before, _current = _current, redaction
    return before


def written(value: Any) -> str:  # Any: any dataclass
    """Write a dataclass as Python does, without its secrets: for its ``__repr__``, which failing assertions print."""
    redaction = current()
    shown = {field.name: getattr(value, field.name) for field in fields_of(value) if field.repr}
    for name, given in [*shown.items()]:
        if isinstance(given, bytes):  # a form's parts, XML and JSON are no longer seen as such once they are written
            is_whole = getattr(value, "is_whole", True)
            shown[name], _ = redaction.body(given, shown.get("headers", {}), is_whole=is_whole)
            if "sha256" in shown and shown[name] != given:
                shown["sha256"] = redaction.digest(shown["sha256"])
    parts = [f"{name}={given!r}" for name, given in shown.items()]
    return redaction.text(f"{type(value).__qualname__}({', '.join(parts)})")

"""Files that this package wrote, opened again: JSON that says its format and version."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file."""

    format: str
    """What stands in it under ``format``."""
    version: int
    """The only one that is read."""
    called: str
    """How it is called where another file was given."""
    mend: str = ""
    """The way out where it is damaged, as it follows upon what is wrong."""
    agree: str = ""
    """The way out where it has another version."""

    def opened(self, text: str) -> dict[str, Any]:  # Any: JSON values
        """Open such a file, without format and version; `ValueError` says what is wrong with it."""
        try:
            value: Any = json.loads(text)  # Any: JSON values
        except (ValueError, RecursionError) as error:
            raise ValueError(f"it is no JSON ({error}){self.mend}") from error
        if not isinstance(value, dict) or value.get("format") != self.format:
            raise ValueError(f"it is no {self.called}")
        if (version := value.get("version")) != self.version:
            raise ValueError(
                f"it has version {version!r}, and this pytest-retrychaos reads version {self.version}{self.agree}"
            )
        return {name: part for name, part in value.items() if name not in ("format", "version")}

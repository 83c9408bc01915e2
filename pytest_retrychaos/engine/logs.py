"""The engine's logger, for programs that use `logging`; for others it is not even imported."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from logging import Logger

LOGGER = "pytest_retrychaos.engine"
"""Its name. It is told, at the level INFO, of waits, of giving up, and of what happens to circuits."""


def logger() -> Logger | None:
    """Give the engine's logger, where the program uses `logging` and asked for INFO."""
    logging = sys.modules.get("logging")
    if logging is None:
        return None
    found: Logger = logging.getLogger(LOGGER)
    return found if found.isEnabledFor(20) else None

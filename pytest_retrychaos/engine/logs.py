"""The engine's logger, for programs that use `logging`; for others it is not even imported."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from logging import Logger

LOGGER = "pytest_retrychaos.engine"
"""Its name. It is told, at the level INFO, of waits, of giving up, and of what happens to circuits."""


INFO = 20
"""`logging.INFO`."""

_found: Logger | None = None


def logger() -> Logger | None:
    """Give the engine's logger, where the program uses `logging` and asked for INFO."""
    log = _found or found_logger()
    return log if log is not None and log.isEnabledFor(INFO) else None


def found_logger() -> Logger | None:
    """Give the engine's logger, where the program uses `logging`, whatever it asked for."""
    global _found
    if _found is None:
        logging = sys.modules.get("logging")
        if logging is None:
            return None
        _found = logging.getLogger(LOGGER)
    return _found

"""What a server does on a connection, as values that a driver carries out."""

from __future__ import annotations

import enum
from typing import NamedTuple

from pytest_retrychaos.transports.seam import Ticket


class Moment(enum.Flag):
    """What the client has seen once a piece was handed to it."""

    NOTHING = 0
    HEADERS = 1
    ALL = 2


HEADERS_SEEN = (Moment.HEADERS, Moment.HEADERS | Moment.ALL)
ALL_SEEN = (Moment.ALL, Moment.HEADERS | Moment.ALL)
"""The moments of either kind: to look for one here costs less than to ask a flag for its parts."""


class Send(NamedTuple):
    """Bytes for the client; once the last of them is handed over, the ticket's moment has come."""

    data: bytes | memoryview
    ticket: Ticket | None = None
    moment: Moment = Moment.NOTHING


class Wait(NamedTuple):
    """Time passes before the next action."""

    ns: int


class Postponed(NamedTuple):
    """The answer is decided at a time to come (`Exchange.awaited`)."""

    ticket: Ticket


class End(enum.Enum):
    """The server ends the connection."""

    EOF = "eof"
    RESET = "reset"


Action = Send | Wait | Postponed | End

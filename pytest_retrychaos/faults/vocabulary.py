"""The faults and their options, as tables that parser, formatter, rules and docs read alike."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What goes wrong with one attempt; the value is the word that a script uses (``status``: a number)."""

    OK = "ok"
    STATUS = "status"
    TIMEOUT = "timeout"
    RESET = "reset"
    EOF = "eof"
    REFUSE = "refuse"
    DNS = "dns"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS = "tls"
    STALE = "stale"
    TRUNCATE = "truncate"
    GARBAGE = "garbage"
    SLOW = "slow"
    DRIP = "drip"
    DUPLICATE = "duplicate"
    DOWN = "down"


class Commit(enum.Enum):
    """Whether the service takes effect under a fault; the value is how the documentation says it."""

    ALWAYS = "yes"
    NEVER = "no"
    ON_REQUEST = "no; with `after-commit` yes"
    BY_STATUS = "2xx yes; others no, with `after-commit` yes (5xx, 408, 409)"


class Value(enum.Enum):
    """What stands after a fault's ``=``."""

    NONE = "nothing"
    DURATION = "a duration"
    OUTAGE = "a duration, and a status after a colon if the service still answers"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a fault. ``example`` is a whole right use of it."""

    word: str
    example: str
    takes_value: bool = True
    is_repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the vocabulary.

    ``usage`` is how a script writes it, ``summary`` what the client sees. A fault that is *not sent* strikes
    while connecting: no request leaves the client.
    """

    kind: Kind
    usage: str
    summary: str
    commit: Commit
    options: tuple[str, ...] = ()
    value: Value = Value.NONE
    is_not_sent: bool = False

    @property
    def word(self) -> str:
        """The word that begins the step; ``200-599`` for a status."""
        return self.usage.partition("=")[0]


_OPTIONS = (
    Option("retry-after", "retry-after=2"),
    Option("body", 'body="sorry"'),
    Option("header", 'header="Name: value"', is_repeatable=True),
    Option("after-commit", "after-commit", takes_value=False),
    Option("before-commit", "before-commit", takes_value=False),
)
OPTIONS = {option.word: option for option in _OPTIONS}
"""Every option by its word, in the order in which a step is printed."""

_LOST = ("after-commit",)
_ANSWER = ("retry-after", "body", "header", "after-commit")
_FAULTS = (
    Fault(Kind.OK, "ok", "the service's own answer", Commit.ALWAYS),
    Fault(
        Kind.STATUS,
        "200-599",
        "200-299: the service's own answer under that status; 300-599: that status alone",
        Commit.BY_STATUS,
        _ANSWER,
    ),
    Fault(Kind.TIMEOUT, "timeout", "silence until its own read timeout", Commit.ON_REQUEST, _LOST),
    Fault(Kind.RESET, "reset", "a TCP reset while it waits for the answer", Commit.ON_REQUEST, _LOST),
    Fault(Kind.EOF, "eof", "the connection closed with no answer", Commit.ON_REQUEST, _LOST),
    Fault(Kind.REFUSE, "refuse", "connection refused", Commit.NEVER, is_not_sent=True),
    Fault(
        Kind.DNS,
        "dns",
        "the name is not resolved; who has the address already (aiohttp keeps it for 10 s) is refused",
        Commit.NEVER,
        is_not_sent=True,
    ),
    Fault(Kind.CONNECT_TIMEOUT, "connect-timeout", "no TCP handshake", Commit.NEVER, is_not_sent=True),
    Fault(Kind.TLS, "tls", "the TLS handshake fails", Commit.NEVER, is_not_sent=True),
    Fault(
        Kind.STALE,
        "stale",
        "a kept-alive connection turns out dropped once the request was written to it",
        Commit.ON_REQUEST,
        _LOST,
    ),
    Fault(Kind.TRUNCATE, "truncate", "the headers promise more than arrives", Commit.ALWAYS),
    Fault(Kind.GARBAGE, "garbage", "bytes that are not HTTP", Commit.ALWAYS),
    Fault(
        Kind.SLOW,
        "slow=3s",
        "the answer starts late (`before-commit`: the service takes effect only then)",
        Commit.ALWAYS,
        ("before-commit",),
        Value.DURATION,
    ),
    Fault(
        Kind.DRIP,
        "drip=3s",
        "the body arrives in pieces over that time",
        Commit.ALWAYS,
        value=Value.DURATION,
    ),
    Fault(Kind.DUPLICATE, "duplicate", "the network delivers the request twice", Commit.ALWAYS),
    Fault(
        Kind.DOWN,
        "down=30s",
        "every attempt in the next 30 s is refused (`down=30s:503`: answered 503)",
        Commit.NEVER,
        value=Value.OUTAGE,
    ),
)
FAULTS = {fault.kind: fault for fault in _FAULTS}
"""Every fault by its kind, in the order in which the documentation lists them."""

WORDS = {fault.word: fault for fault in _FAULTS if fault.kind is not Kind.STATUS}
"""Every fault that is written as a word, by that word; a status is written as its number."""

COMMITTING_ERRORS = frozenset({408, 409, *range(500, 600)})
"""Statuses after which the service may have taken effect: the ones that take ``after-commit``."""

PLAINNESS = (
    *("ok", "503", "429", "status", "timeout", "reset", "eof", "refuse"),
    *("timeout after-commit", "reset after-commit", "eof after-commit", "status after-commit", "stale"),
    *("truncate", "garbage", "slow", "drip", "down", "dns", "connect-timeout", "tls", "duplicate"),
)
"""Steps from the plainest on: the order of shrinking."""

DEFAULT_VOCABULARY = (
    *("503", "503 retry-after=2", "503 retry-after=date+30s", "429 retry-after=90"),
    *("500", "502", "504", "400", "401", "403", "404", "422", "201 retry-after=1"),
    *("timeout", "reset", "eof", "refuse", "timeout after-commit", "reset after-commit", "eof after-commit"),
    *("502 after-commit", "stale", "truncate", "slow=2s", "down=30s"),
)
"""The steps that exploration and fuzzing choose from, the plainest first."""

ON_WRITES = frozenset({"404", "422"})
"""Steps of the vocabularies that are tried on requests that change something; on a read they are answers."""

ON_POST = frozenset({"201 retry-after=1"})
"""Steps of the vocabularies that are tried on POST only."""

HOSTILE_VOCABULARY = (
    *DEFAULT_VOCABULARY,
    *("503 retry-after=0", "429 retry-after=1.5", "503 retry-after=100000000"),
    *("503 retry-after=100000000000000", "503 retry-after=date-1m", "503 retry-after=-5"),
    *('503 retry-after="soon"', '503 retry-after=1 header="Retry-After: 3"'),
    '429 header="X-RateLimit-Remaining: 0" header="X-RateLimit-Reset: {now+5s}"',
    '429 header="X-RateLimit-Remaining: 0" header="X-RateLimit-Reset: {now-5s}"',
    *("408", "409", "412", "413", "425", "302", "304", '307 header="Location: /moved"'),
    *("503 after-commit", "stale after-commit", "garbage", "slow=2s before-commit", "drip=2s"),
    *("down=30s:503", "dns", "connect-timeout", "tls", "duplicate"),
)
"""What ``faults="hostile"`` chooses from: the default vocabulary and everything else."""

"""Whether what was raised or returned tells its caller that nobody knows what was done."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.engine.classify import Kind, classify_names, classify_status

if TYPE_CHECKING:
    from pytest_retrychaos.trace import Told

_WHAT: Final = (
    "outcome|result|state|status|fate|payment|charge|transfer|transaction|order|commit"
    "|certainty|phase|effect|settlement|disposition|resolution"
)
_LOST: Final = re.compile(r"time_?d?_?out|gateway", re.IGNORECASE)
"""Names of errors from which a caller knows enough: ``ServiceResponseTimeoutError``, ``BadGateway``. Not those of their
bases: urllib3's refused connection is a ``TimeoutError`` too.
"""
_DOUBT: Final = re.compile(
    r"indeterminate|undetermined|uncertain|ambiguous|in_?doubt"
    rf"|(unconfirmed|maybe)_?({_WHAT})|({_WHAT})s?_?(unconfirmed|maybe|needs?_?reconcil)"
    r"|(?<=.)unknown(_?(error|exception|failure))?$|unknown_?(outcome|result|state|status)",
    re.IGNORECASE,
)
"""Names that say it themselves: ``PaymentUnknown``. ``UnknownHostError`` is about something else."""
_WORDS: Final = re.compile(
    rf"\b({_WHAT})\b[^.;]{{0,40}}\b(unknown|unclear|uncertain|undetermined|unconfirmed|in doubt|not known)\b"
    rf"|\b(unknown|unclear|uncertain) ({_WHAT})\b"
    r"|\b(may|might|could)( already| still)? (have|be) "
    r"|\b(not known|unknown|unclear|not sure|do not know|don't know) (whether|if)\b",
    re.IGNORECASE,
)
"""Words of a message that may say it: "the charge may have been made"."""
_FIELD: Final = re.compile(
    rf"({_WHAT}): (unknown|unclear|unconfirmed|pending|processing|in[ _-]?progress|timed?[ _-]?out)", re.IGNORECASE
)
"""Fields of a value that say it: ``status: unknown``, ``outcome: pending``."""
_FLAG: Final = re.compile(
    rf"(is_)?(({_WHAT})_)?(is_)?(unknown|uncertain|unconfirmed|ambiguous|in_?doubt|indeterminate|undetermined): true"
    rf"|maybe_(done|made|charged|paid|committed|applied|processed|sent): true"
    rf"|(is_)?(({_WHAT})_)?(is_)?(known|certain|definite|definitive|conclusive): false",
    re.IGNORECASE,
)
"""Fields of a value that say it by true or false: ``outcome_unknown: true``, ``is_definitive: false``."""
_NAME: Final = re.compile(r"\w+: ([\w.-]+)")
"""A field that holds one word: the name of an error, or a code."""
_NO_ANSWER: Final = re.compile(
    r"time-?d?[- ]?out|\b(no|without) (answer|response|reply)\b|\b(reset|aborted|lost|closed|disconnected)\b"
    r"|\bbroken pipe\b|\bbad gateway\b|\b(still|is) (pending|processing|in progress)\b",
    re.IGNORECASE,
)
"""Words of a field that may say it, since they tell of the network: "Read timed out"."""


def tells_unknown(told: Told) -> bool:
    """Whether a chain holds an ambiguous failure, or a name that says it: the caller can know that it does not know.

    A value says it by an exception that it holds, by the status of an answer, or by a field.
    """
    links = (*told.raised, *told.held)
    chain = [(raised.type, *raised.bases) for raised in links]
    if any(classify_names(chain[place:]) is Kind.AMBIGUOUS for place in range(len(chain))):
        return True
    if any(_LOST.search(_last(raised.type)) for raised in links):
        return True
    if any(_DOUBT.search(_last(name)) for names in chain for name in names):
        return True
    carried = [raised.status for raised in links if raised.status is not None]
    if any(classify_status(status) is Kind.AMBIGUOUS for status in carried):
        return True
    return any(_field_tells(one) for one in told.said)


def may_tell_unknown(told: Told) -> bool:
    """Whether a message of the chain, or a field of the value, may say it in words."""
    if any(_WORDS.search(raised.message) for raised in (*told.raised, *told.held)):
        return True
    return any(_WORDS.search(one) or _NO_ANSWER.search(one) for one in told.said)


def _field_tells(said: str) -> bool:
    if _FIELD.fullmatch(said) or _FLAG.fullmatch(said):
        return True
    found = _NAME.fullmatch(said)
    word = "" if found is None else _last(found[1])
    if word.isdigit():
        return 100 <= int(word) <= 599 and classify_status(int(word)) is Kind.AMBIGUOUS
    return _LOST.search(word) is not None or _DOUBT.search(word) is not None


def _last(name: str) -> str:
    return name.rpartition(".")[2]

"""Whether what was raised tells its caller that nobody knows what was done."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.engine.classify import Kind, classify_names, classify_status

if TYPE_CHECKING:
    from pytest_retrychaos.trace import Told

_WHAT: Final = "outcome|result|state|status|fate|payment|charge|transfer|transaction|order|commit"
_LOST: Final = re.compile(r"time_?d?_?out|gateway", re.IGNORECASE)
"""Names of errors from which a caller knows enough: ``ServiceResponseTimeoutError``, ``BadGateway``. Not those of their
bases: urllib3's refused connection is a ``TimeoutError`` too.
"""
_DOUBT: Final = re.compile(
    r"indeterminate|undetermined|uncertain|ambiguous|in_?doubt"
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


def tells_unknown(told: Told) -> bool:
    """Whether a chain holds an ambiguous failure, or a name that says it: the caller can know that it does not know."""
    chain = [(raised.type, *raised.bases) for raised in told.raised]
    if any(classify_names(chain[place:]) is Kind.AMBIGUOUS for place in range(len(chain))):
        return True
    if any(_LOST.search(_last(raised.type)) for raised in told.raised):
        return True
    if any(_DOUBT.search(_last(name)) for names in chain for name in names):
        return True
    carried = [raised.status for raised in told.raised if raised.status is not None]
    return any(classify_status(status) is Kind.AMBIGUOUS for status in carried)


def may_tell_unknown(told: Told) -> bool:
    """Whether a message of the chain may say it in words."""
    return any(_WORDS.search(raised.message) for raised in told.raised)


def _last(name: str) -> str:
    return name.rpartition(".")[2]

"""The laws in one table: code, statement, shapes, and the function that judges."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from pytest_retrychaos.laws.amplification import ld01
from pytest_retrychaos.laws.asked import bk04
from pytest_retrychaos.laws.backoff import bk01, bk02
from pytest_retrychaos.laws.breaker import cb01, cb02, cb03, cb04
from pytest_retrychaos.laws.cancelled import rt08
from pytest_retrychaos.laws.conflicts import id06
from pytest_retrychaos.laws.deadline import bk05, bk07
from pytest_retrychaos.laws.ends import DAMAGED
from pytest_retrychaos.laws.idempotency import id01, id02, id03, id04
from pytest_retrychaos.laws.jitter import bk03
from pytest_retrychaos.laws.load import ld02, ld03
from pytest_retrychaos.laws.loops import bk06
from pytest_retrychaos.laws.maximum import rt03
from pytest_retrychaos.laws.needless import PERMANENT, rt02, rt07
from pytest_retrychaos.laws.outcome import id05
from pytest_retrychaos.laws.retry import RETRIED, rt01
from pytest_retrychaos.laws.same_request import FIXES, rt04
from pytest_retrychaos.laws.survival import PLAIN, rt06
from pytest_retrychaos.laws.tally import Terms
from pytest_retrychaos.laws.telling import rt05, rt09
from pytest_retrychaos.laws.validity import nv01
from pytest_retrychaos.laws.verdict import Finding, LawResult
from pytest_retrychaos.laws.view import View

FAMILIES: Final = {
    "RT": "retrying",
    "BK": "backing off",
    "ID": "idempotency",
    "CB": "circuit breakers",
    "LD": "load on the service",
    "NV": "the test's own validity",
}


@dataclass(frozen=True, slots=True)
class Law:
    """One law: what it says, in which ways it can be broken, and who judges it."""

    code: str
    statement: str
    judge: Callable[[View, Terms], LawResult]
    ways: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The first letters of the code: ``RT``, ``BK``, ``ID``, ``CB``, ``LD`` or ``NV``."""
        return self.code[:2]

    @property
    def shapes(self) -> tuple[str, ...]:
        """Every shape that a finding of this law can have."""
        return tuple(f"{self.code}/{way}" for way in self.ways) or (self.code,)

    @property
    def page(self) -> str:
        """What is to be known of it, as Markdown: when it is asked, when not, why, and what usually mends it."""
        return (inspect.getdoc(self.judge) or "").partition("\n\n")[2]


LAWS: Final[tuple[Law, ...]] = (
    Law("RT01", "a transient failure is retried while attempts and time remain", rt01, tuple(sorted(RETRIED))),
    Law("RT02", "a permanent failure is not retried", rt02, tuple(str(status) for status in sorted(PERMANENT))),
    Law("RT03", "attempts stay within the maximum", rt03),
    Law(
        "RT04",
        "a retry is the same request: method, path, body, and headers but for those that must change",
        rt04,
        tuple(FIXES),
    ),
    Law("RT05", "the failure that ended the operation reaches the caller", rt05),
    Law(
        "RT06",
        "the retry loop survives: it never ends in an error of its own making"
        " (a negative sleep, an overflow, an index or parse error)",
        rt06,
        tuple(sorted(name.removeprefix("builtins.") for name in PLAIN)),
    ),
    Law("RT07", "a success is not sent again, whatever its headers", rt07),
    Law("RT08", "a cancelled operation makes no further attempt", rt08),
    Law("RT09", "a damaged answer is not taken for a success", rt09, tuple(sorted(DAMAGED))),
    Law("BK01", "there is a wait before every retry", bk01),
    Law("BK02", "waits stay inside the policy's envelope, its cap included", bk02, ("long", "short")),
    Law("BK03", "waits are jittered, and by the kind of jitter claimed", bk03, ("cap", "kind", "none")),
    Law(
        "BK04",
        "`Retry-After` is obeyed: seconds, milliseconds and HTTP-date, in any time zone;"
        " past, zero, huge and malformed values do no harm",
        bk04,
        ("early", "huge", "late"),
    ),
    Law("BK05", "the operation ends within its time budget, the attempt in flight included", bk05),
    Law("BK06", "no blocking sleep inside a running event loop", bk06),
    Law("BK07", "every request has a timeout", bk07),
    Law("ID01", "a retried unsafe request carries an idempotency key", id01),
    Law("ID02", "the key is the same on every attempt of an operation", id02, ("dropped", "new-key")),
    Law(
        "ID03",
        "no key is used by two operations with different bodies (or by two that the test named)",
        id03,
        ("body", "named"),
    ),
    Law("ID04", "no operation has two effects", id04),
    Law(
        "ID05",
        "the caller was told success exactly when there is an effect, or was told that it is unknown",
        id05,
        ("false-failure", "false-success"),
    ),
    Law(
        "ID06",
        "key conflicts are handled: in flight → wait and retry with the same key, or give up;"
        " different payload → not retried",
        id06,
        ("mismatch", "new-key", "no-wait"),
    ),
    Law("CB01", "the breaker opens at its threshold", cb01, ("early", "late")),
    Law("CB02", "nothing reaches the service while it is open", cb02),
    Law("CB03", "one probe at a time when half open", cb03, ("no-probe", "two-probes")),
    Law("CB04", "it closes after success and opens again after a failed probe", cb04, ("stays-closed", "stays-open")),
    Law("LD01", "attempts per operation stay under the amplification limit through every layer", ld01),
    Law("LD02", "under a long outage the retry ratio stays within the budget", ld02),
    Law("LD03", "many clients' retries are spread out, not synchronised", ld03),
    Law("NV01", "every scripted fault fired (else the test cannot tell)", nv01),
)
"""Every law that is judged, in the order in which verdicts list them."""

CODES: Final = frozenset(law.code for law in LAWS)
_SHAPES: Final = {shape: law.code for law in LAWS for shape in law.shapes}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which laws and shapes a name list means."""

    codes: frozenset[str]
    """Laws named as a whole, by code or family."""
    shapes: frozenset[str]
    """Single shapes."""

    @property
    def touched(self) -> frozenset[str]:
        """The codes of all laws that are named at all."""
        return self.codes | {_SHAPES[shape] for shape in self.shapes}

    def names(self, finding: Finding) -> bool:
        """Whether a finding is meant, by its law or its shape."""
        return finding.code in self.codes or finding.shape in self.shapes


def choose(argument: str, names: Collection[str]) -> Choice:
    """Read codes (``RT01``), families (``RT``) and shapes (``BK04/early``).

    `ValueError` for an unknown name, with the nearest known one; `TypeError` for a bare string or no collection.
    """
    if isinstance(names, str):
        raise TypeError(f'{argument}={names!r}: it has to be a collection of codes; write {argument}=("{names}",)')
    if not isinstance(names, Iterable):
        raise TypeError(
            f'{argument}={names!r}: it has to be a collection of codes, as in {argument}=("RT01",); or leave it out'
        )
    codes: set[str] = set()
    shapes: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise ValueError(_unknown(argument, name))
        if name in FAMILIES:
            codes |= {law.code for law in LAWS if law.family == name}
        elif name in CODES:
            codes.add(name)
        elif name in _SHAPES:
            shapes.add(name)
        else:
            raise ValueError(_unknown(argument, name))
    return Choice(frozenset(codes), frozenset(shapes))


def nearest(name: object) -> str:
    """Give the code, family or shape that is most like a name, in letters of either case."""
    letters = {one.upper(): one for one in (*FAMILIES, *(law.code for law in LAWS), *_SHAPES)}
    return letters[difflib.get_close_matches(str(name).upper(), letters, n=1, cutoff=0.0)[0]]


def _unknown(argument: str, name: object) -> str:
    return (
        f"{argument}: {name!r} is no law; it has to be a code (RT01), a family ({', '.join(FAMILIES)})"
        f' or a shape (BK04/early); did you mean "{nearest(name)}"?'
    )

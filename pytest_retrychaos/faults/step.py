"""One step of a script: a fault with its options, and how often it strikes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from pytest_retrychaos.faults.durations import format_duration, seconds_source
from pytest_retrychaos.faults.fields import RetryAfter, quoted
from pytest_retrychaos.faults.rules import check_step
from pytest_retrychaos.faults.vocabulary import FAULTS, PLAINNESS, Commit, Kind, Value


class Printer(Protocol):
    """What pretty-prints a value: IPython's printer, and Hypothesis' for a failing example."""

    def text(self, text: str, /) -> None:
        """Write a text."""


_RANK = {name: rank for rank, name in enumerate(PLAINNESS)}
_OPTIONS_PER_RANK = 16


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """One step: what goes wrong with an attempt. ``str`` gives it as a script writes it, ``repr`` as Python.

    Raises `ScriptError` where the values do not go together.
    """

    kind: Kind
    status: int | None = None
    """The status sent: of a status fault, and of an outage that answers (``down=30s:503``)."""
    retry_after: RetryAfter | None = None
    body: str | None = None
    """``None``: the service's own body, or for 300-599 none."""
    headers: tuple[tuple[str, str], ...] = ()
    """More fields, as written; `render_header` fills in their times."""
    after_commit: bool = False
    before_commit: bool = False
    duration_ns: int | None = None
    """Of slow, drip and down."""
    count: int | None = 1
    """How often it strikes; ``None``: for ever."""

    def __post_init__(self) -> None:
        check_step(self)

    @property
    def is_fault(self) -> bool:
        """Whether anything is scripted: false for a plain ``ok`` only."""
        return self.kind is not Kind.OK

    @property
    def is_not_sent(self) -> bool:
        """Whether it strikes while connecting, so that no request leaves the client."""
        return FAULTS[self.kind].is_not_sent

    @property
    def commits(self) -> bool:
        """Whether the service takes effect."""
        rule = FAULTS[self.kind].commit
        is_success = rule is Commit.BY_STATUS and self.status is not None and self.status < 300
        return rule is Commit.ALWAYS or is_success or self.after_commit

    @property
    def plainness(self) -> int:
        """Its place in the order of shrinking: the smaller, the plainer. Options count between equals."""
        options = (self.retry_after, self.body, self.before_commit or None, *self.headers)
        extra = sum(option is not None for option in options)
        extra += self.after_commit + (self.kind is Kind.DOWN and self.status is not None)
        return _RANK[self._rank_name()] * _OPTIONS_PER_RANK + min(extra, _OPTIONS_PER_RANK - 1)

    def _rank_name(self) -> str:
        name = self.kind.value
        if self.after_commit and f"{name} after-commit" in _RANK:
            return f"{name} after-commit"
        return str(self.status) if self.kind is Kind.STATUS and str(self.status) in _RANK else name

    def retry_after_value(self, now_epoch_ns: int) -> str | None:
        """Write the ``Retry-After`` header's value, ``None`` where the step has none.

        ``now_epoch_ns`` is nanoseconds since the epoch.
        """
        return None if self.retry_after is None else self.retry_after.render(now_epoch_ns)

    def once(self) -> Step:
        """Return the same step, striking once."""
        return self if self.count == 1 else replace(self, count=1)

    def forever(self) -> Step:
        """Return the same step, striking every attempt from there on (``*``)."""
        return replace(self, count=None)

    def __mul__(self, times: int) -> Step:
        """Return the same step, striking that many times as often (``x3``)."""
        if self.count is None or isinstance(times, bool) or not isinstance(times, int):
            return NotImplemented
        return replace(self, count=self.count * times)

    __rmul__ = __mul__

    def __str__(self) -> str:
        words = [self._head()]
        if self.retry_after is not None:
            words.append(f"retry-after={self.retry_after}")
        if self.body is not None:
            words.append(f"body={quoted(self.body)}")
        words += [f"header={quoted(f'{name}: {value}')}" for name, value in self.headers]
        if self.after_commit:
            words.append("after-commit")
        if self.before_commit:
            words.append("before-commit")
        if self.count is None:
            words.append("*")
        elif self.count > 1:
            words.append(f"x{self.count}")
        return " ".join(words)

    def _head(self) -> str:
        if self.kind is Kind.STATUS:
            return str(self.status)
        if self.duration_ns is None:
            return f"{self.kind.value}"
        status = "" if self.status is None else f":{self.status}"
        return f"{self.kind.value}={format_duration(self.duration_ns)}{status}"

    def __repr__(self) -> str:
        call = f"{self.kind.value.replace('-', '_')}({', '.join(self._arguments())})"
        if self.count is None:
            return f"{call}.forever()"
        return call if self.count == 1 else f"{call} * {self.count}"

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:  # noqa: ARG002 - IPython's name, Hypothesis' too
        """Print as ``repr`` does: without this, a dataclass is printed field by field."""
        printer.text(repr(self))

    def _arguments(self) -> list[str]:
        given = []
        if self.kind is Kind.STATUS:
            given.append(str(self.status))
        if self.duration_ns is not None:
            given.append(seconds_source(self.duration_ns))
        if FAULTS[self.kind].value is Value.OUTAGE and self.status is not None:
            given.append(f"status={self.status}")
        if self.retry_after is not None:
            given.append(f"retry_after={self.retry_after.source}")
        if self.body is not None:
            given.append(f"body={self.body!r}")
        if self.headers:
            fields = [f"{name}: {value}" for name, value in self.headers]
            given.append(f"header={fields[0]!r}" if len(fields) == 1 else f"header={fields!r}")
        flags = {"after_commit": self.after_commit, "before_commit": self.before_commit}
        return given + [f"{name}=True" for name, is_set in flags.items() if is_set]


OK = Step(Kind.OK)
"""What every attempt meets after the last step."""

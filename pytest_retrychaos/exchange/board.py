"""The scripts that are set, and which of them decides on an attempt.

Laws of this module:
1. The most specific script decides (host and route, route, host, general), and only it advances.
2. A script is replaced only once its steps are used up, or in a phase that has ended.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_retrychaos.faults import Kind, Progress, Script, Step, parse
from pytest_retrychaos.trace import ScriptRecord, ScriptStep

PER = ("service", "operation")

_HOST = re.compile(r"[^\s/:@?#\[\]]+")
_PLACE = re.compile(r"\{\w+\}")
_ADDRESS = re.compile(r"[0-9a-f:.]+(?:%\w+)?")


@dataclass(frozen=True, slots=True)
class Binding:
    """What a script is bound to; ``None`` stands for any."""

    method: str | None = None
    path: str | None = None
    host: str | None = None

    def __str__(self) -> str:
        route = f"{self.method} {self.path}" if self.path else "every request"
        return f"{route} at {self.host}" if self.host else route

    @property
    def specificity(self) -> int:
        return 2 * (self.path is not None) + (self.host is not None)


def read_binding(route: str | None, host: str | None) -> Binding:
    """Read ``route="POST /payments"`` and ``host="api.example.com"``; `ValueError` where they are neither.

    A host is any of its ports, in any case.
    """
    if host is not None:
        host = _host_name(host)
    if route is None:
        return Binding(host=host)
    method, _, path = route.partition(" ") if isinstance(route, str) else ("", "", "")
    authority, slash, rest = path.partition("/")
    if method.isalpha() and slash and "." in authority:
        own, name = f"{method} /{rest.partition('?')[0]}", authority.partition(":")[0]
        raise ValueError(f"route={route!r} names a host, which is an argument of its own: route={own!r}, host={name!r}")
    if not method.isalpha() or not path.startswith("/") or any(sign in path for sign in " ?#"):
        raise ValueError(
            f"route={route!r} is no route: write method and path, without a query, as in route='POST /payments'"
        )
    if set(_PLACE.sub("", path)) & set("{}"):
        raise ValueError(f"route={route!r}: braces come in pairs around a name, as in route='GET /payments/{{id}}'")
    return Binding(method.upper(), path, host)


def _host_name(host: object) -> str:
    name = host.strip("[]").lower() if isinstance(host, str) else ""
    if not _HOST.fullmatch(name) and not (name.count(":") > 1 and _ADDRESS.fullmatch(name)):
        raise ValueError(
            f"host={host!r} is no host name: write it without scheme, port and path, as in host='api.test'"
        )
    return name


class ActiveScript:
    """A script that is set."""

    def __init__(self, number: int, script: Script, binding: Binding, per: str, *, strict: bool) -> None:
        self.number = number
        self.script = script
        self.binding = binding
        self.per = per
        self.strict = strict
        self.is_closed = False
        self.replaced: ActiveScript | None = None
        self.progress = Progress(script)
        """Of the whole service; with ``per="operation"``, of attempts that have no operation yet."""
        self._by_operation: dict[int, Progress] = {}
        self._path = None if binding.path is None else _pattern(binding.path)
        self._texts = [str(step.once()) for step in script.steps]
        self.text = str(script)
        """All of it, as written."""
        self.where = str(binding)
        self._record: ScriptRecord | None = None

    def end(self) -> None:
        """End its phase: what it had taken the place of is in force again."""
        self.is_closed = True
        if self.replaced is not None:
            self.replaced.is_closed = False

    def matches(self, host: str, method: str, path: str) -> bool:
        """Whether a request is this script's business."""
        binding = self.binding
        if binding.host is not None and binding.host != host:
            return False
        return self._path is None or (method == binding.method and self._path.fullmatch(path) is not None)

    def of(self, operation: int) -> Progress:
        """Give the progress of one operation, which begins where the attempts before it left off."""
        if operation not in self._by_operation:
            self._by_operation[operation] = self.progress
            self.progress = Progress(self.script)
        return self._by_operation[operation]

    def known(self, operation: int) -> Progress | None:
        """Give the progress of an operation that has met this script."""
        return self._by_operation.get(operation)

    @property
    def fired(self) -> Sequence[int]:
        """How often each step has struck; of ``per="operation"``, over all operations."""
        if not self._by_operation:
            return self.progress.fired
        every = [self.progress, *self._by_operation.values()]
        return [sum(progress.fired[step] for progress in every) for step in range(len(self.script.steps))]

    @property
    def has_steps_left(self) -> bool:
        """Whether a fault step has not struck as often as it should."""
        return any(_owes(step, fired) for step, fired in zip(self.script.steps, self.fired, strict=True))

    def record(self) -> ScriptRecord:
        """Make the trace's record of it; while nothing changes, the same one."""
        known, fired = self._record, self.fired
        if known is None or known.closed != self.is_closed or [step.fired for step in known.steps] != fired:
            steps = [
                ScriptStep(text, step.count, times, step.is_fault)
                for text, step, times in zip(self._texts, self.script.steps, fired, strict=True)
            ]
            self._record = known = ScriptRecord(self.where, self.per, self.strict, self.is_closed, tuple(steps))
        return known


def _owes(step: Step, fired: int) -> bool:
    return step.is_fault and step.count is not None and fired < step.count


def _pattern(path: str) -> re.Pattern[str]:
    """Turn ``/payments/{id}`` or ``/files/*`` into a pattern."""
    escaped = re.escape(path).replace(r"\*", ".*")
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", escaped))


class Board:
    """All scripts of a run, in the order in which they were set."""

    def __init__(self) -> None:
        self.scripts: list[ActiveScript] = []

    def set(
        self,
        spec: str | Script | Step | Sequence[Step],
        *,
        route: str | None = None,
        host: str | None = None,
        per: str = "service",
        strict: bool = True,
        in_scope: bool = False,
    ) -> ActiveScript:
        """Set a script; `ValueError` where it cannot be or would replace one with steps left."""
        script, binding = parse(spec), read_binding(route, host)
        if per not in PER:
            raise ValueError(f"per={per!r} is unknown: it is one of {', '.join(PER)}")
        for step in script.steps:
            if strikes_at_connecting(step):
                _check_not_sent(step, binding, per, in_scope=in_scope)
        earlier = next((one for one in self.open if one.binding == binding), None)
        if earlier is not None:
            if earlier.has_steps_left:
                raise ValueError(
                    f"the script for {binding} still has steps left: {_left(earlier)}. Let the code meet them first, "
                    "or bind the new one to a route or a host of its own"
                )
            earlier.is_closed = True
        active = ActiveScript(len(self.scripts), script, binding, per, strict=strict)
        active.replaced = earlier
        self.scripts.append(active)
        return active

    @property
    def open(self) -> list[ActiveScript]:
        """The scripts in force, the latest first."""
        return [one for one in reversed(self.scripts) if not one.is_closed]

    def for_request(self, host: str, method: str, path: str) -> ActiveScript | None:
        """Give the script that decides on a request."""
        found = [one for one in self.open if one.matches(host, method, path)]
        return max(found, key=lambda one: one.binding.specificity, default=None)

    def for_host(self, host: str) -> ActiveScript | None:
        """Give the script that decides on connecting to a host, when no request is known yet."""
        found = [one for one in self.open if one.binding.path is None and one.binding.host in (None, host)]
        return max(found, key=lambda one: one.binding.specificity, default=None)


def strikes_at_connecting(step: Step) -> bool:
    """Whether a step strikes before a request is sent; an outage does unless it answers."""
    return step.is_not_sent or (step.kind is Kind.DOWN and step.status is None)


def _check_not_sent(step: Step, binding: Binding, per: str, *, in_scope: bool) -> None:
    if binding.path is not None:
        raise ValueError(
            f"`{step}` cannot be bound to {binding}: it strikes while connecting, when no path is known. "
            "Bind it to a host (host=…) or to every request"
        )
    if per == "operation" and not in_scope:
        raise ValueError(
            f"`{step}` cannot stand in a script with per='operation': while connecting, no operation is known. "
            "Set the script inside `with chaos.operation(…):`, or use per='service'"
        )


def _left(active: ActiveScript) -> str:
    owed = [
        str(step.once()) if (step.count or 0) - fired == 1 else f"{step.once()} x{(step.count or 0) - fired}"
        for step, fired in zip(active.script.steps, active.fired, strict=True)
        if _owes(step, fired)
    ]
    return ", ".join(owed)

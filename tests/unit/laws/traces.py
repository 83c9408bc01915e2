"""Build traces by hand: each call of `Run.send` is one attempt, on a clock that only `Run.wait` and faults move."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from pytest_retrychaos.model import SECOND, Effect, Headers
from pytest_retrychaos.trace import (
    NO_BODY,
    Attempt,
    Body,
    HerdRecord,
    Lineage,
    Operation,
    Raised,
    Scope,
    ScriptRecord,
    ScriptStep,
    Stall,
    Told,
    Trace,
)

EPOCH = 1_767_225_600
"""2026-01-01 00:00:00 GMT."""
NOT_SENT = ("refuse", "dns", "connect-timeout", "tls")
ERRORS = {
    "timeout": "TimeoutError: timed out",
    "reset": "ConnectionResetError: connection reset by peer",
    "eof": "RemoteDisconnected: closed without response",
    "stale": "RemoteDisconnected: closed without response",
    "garbage": "BadStatusLine: garbage",
    "truncate": "IncompleteRead: 10 more expected",
}


UNSENT = {"dns": "gaierror: [Errno -2] Name or service not known"}


def ns(seconds: float) -> int:
    """Seconds as nanoseconds."""
    return round(seconds * SECOND)


def body(content: bytes) -> Body:
    """A whole body."""
    return Body(len(content), hashlib.sha256(content).hexdigest(), content)


def raised(kind: str, message: str = "", *, bases: tuple[str, ...] = (), status: int | None = None) -> Raised:
    """One exception of a chain; its bases end with Exception."""
    return Raised(kind, (*bases, "builtins.Exception", "builtins.BaseException"), message, status)


class Run:
    """A trace that grows."""

    def __init__(self, script: str = "", seed: int = 42) -> None:
        self.script = script
        self.seed = seed
        self.now = 0
        self.attempts: list[Attempt] = []
        self.operations: list[Operation] = []
        self.scopes: list[Scope] = []
        self.scripts: list[ScriptRecord] = []
        self.ended: Told | None = None
        self.scope: int | None = None
        self.ended_scopes = 0
        self.stalls: list[Stall] = []
        self.is_herd = False
        self.lineages = [Lineage(None, False), Lineage(0, False)]
        """The test's own thread, and what sends where nothing else is said."""

    def wait(self, seconds: float) -> Run:
        """Let time pass."""
        self.now += ns(seconds)
        return self

    def on_loop(self) -> Run:
        """Let what sends be a task of an event loop."""
        self.lineages[1] = replace(self.lineages[1], is_task=True)
        return self

    def cancel(self) -> Run:
        """Let the test ask what sends to end, now."""
        one = self.lineages[1]
        self.lineages[1] = replace(one, is_task=True, cancelled_ns=(*one.cancelled_ns, self.now))
        return self

    def stall(self, seconds: float, place: str = "app.py:12 charge", kind: str = "sleep", lineage: int = 1) -> Run:
        """Block the event loop for some time."""
        self.stalls.append(Stall(kind, self.now, ns(seconds), place, lineage, len(self.attempts)))
        return self.wait(seconds)

    def open(self, name: str = "charge", told: Told | None = None, cancelled: float | None = None) -> Run:
        """Begin a scope."""
        asked = None if cancelled is None else ns(cancelled)
        self.scopes.append(
            Scope(name, self.now, None, told, asked, after=len(self.attempts), came_after=self.ended_scopes)
        )
        self.scope = len(self.scopes) - 1
        return self

    def close(self) -> Run:
        """End the scope."""
        self.ended_scopes += 1
        self.scopes[-1] = replace(
            self.scopes[-1], ended_ns=self.now, ended_after=len(self.attempts), ended_as=self.ended_scopes
        )
        self.scope = None
        return self

    def new(self, *, one_or_two: bool = False, reused_key_of: int | None = None) -> Run:
        """Begin an operation: the next attempts belong to it."""
        follows = len(self.operations) - 1 if one_or_two and self.operations else None
        self.operations.append(Operation("", (), (), self.scope, one_or_two, reused_key_of, follows))
        return self

    def step(self, text: str, wanted: int | None, fired: int, **changes: Any) -> Run:
        """Note a script of one step."""
        record = ScriptRecord("every request", "service", True, False, (ScriptStep(text, wanted, fired, text != "ok"),))
        self.scripts.append(replace(record, **changes))
        return self

    def send(
        self,
        fault: str = "ok",
        method: str = "POST",
        target: str = "/payments",
        *,
        key: str | None = None,
        content: bytes = b'{"amount":1000}',
        headers: dict[str, str] | None = None,
        answer: dict[str, str] | None = None,
        lasts: float | None = None,
        **changes: Any,
    ) -> Run:
        """Add an attempt that meets a fault; ``changes`` replace fields of the attempt."""
        if not self.operations:
            self.new()
        operation = self.operations[-1]
        word = fault.split()[0].partition("=")[0]
        after_commit = "after-commit" in fault or word in ("ok", "truncate", "garbage", "duplicate", "slow", "drip")
        after_commit = after_commit or (word.isdigit() and int(word) < 300)
        is_read = method in ("GET", "HEAD")
        sent = word not in NOT_SENT
        status = int(word) if word.isdigit() else {"ok": 200 if is_read else 201, "truncate": 200}.get(word)
        if status is None and word in ("slow", "drip", "duplicate"):
            status = 201
        failed = word in ERRORS or not sent or (status is not None and status >= 400)
        spent = ns(lasts if lasts is not None else 5 if word == "timeout" else 0)
        began, self.now = self.now, self.now + spent
        answered = status is not None
        attempt = Attempt(
            index=len(self.attempts) + 1,
            operation=len(self.operations) - 1,
            joined="began" if not operation.attempts else "key" if key else "retry",
            lineage=1,
            site=1,
            scope=self.scope,
            scheme="http",
            host="api.test",
            method=method if sent else None,
            target=target if sent else None,
            headers=Headers({**({"Idempotency-Key": key} if key else {}), **(headers or {})}),
            body=body(content) if sent else NO_BODY,
            key=key if sent else None,
            key_carrier="Idempotency-Key" if key and sent else None,
            credentials=(headers or {}).get("Authorization"),
            volatile=(),
            body_relation="first" if not operation.attempts else "same",
            is_read=is_read,
            is_guarded=False,
            fault=fault,
            script=0,
            status=status,
            response_headers=Headers(answer or {}),
            response_body=NO_BODY,
            own_answer=answered and (status or 0) < 300,
            reached=sent,
            committed=sent and after_commit and not is_read,
            effects=int(sent and after_commit and not is_read) * (2 if word == "duplicate" else 1),
            replayed=False,
            began_ns=began,
            arrived_ns=began if sent else None,
            headers_ns=self.now if answered else None,
            last_byte_ns=self.now if answered and not failed else None,
            ended_ns=self.now,
            error=ERRORS.get(word) if sent else UNSENT.get(word, "ConnectionRefusedError: refused"),
            failed=failed,
            cut=False,
            timeout_ns=ns(5),
            was_silent=False,
            wall_ns=EPOCH * SECOND + self.now if answered else None,
        )
        attempt = replace(attempt, **changes)
        self.attempts.append(attempt)
        legs = (*operation.legs, attempt.index) if attempt.joined == "leg" else operation.legs
        name = operation.name or f"{attempt.method} {attempt.target}"
        numbers = (*operation.attempts, attempt.index)
        self.operations[-1] = replace(operation, name=name, attempts=numbers, legs=legs)
        return self

    def again(self, fault: str = "ok", **changes: Any) -> Run:
        """Send the last request again: same method, target, key, headers."""
        last = next(attempt for attempt in reversed(self.attempts))
        same = {
            "method": last.method or "POST",
            "target": last.target or "/payments",
            "key": last.key,
            "headers": {k: v for k, v in last.headers.pairs if k != "Idempotency-Key"},
        }
        return self.send(fault, **{**same, **changes})

    def as_herd(self) -> Run:
        """Let its scopes be the copies of one herd."""
        self.is_herd = True
        return self

    def trace(self) -> Trace:
        """The finished trace."""
        effects = [
            Effect(number, attempt.index, attempt.method or "", attempt.host, attempt.target or "", attempt.key, b"", 0)
            for number, attempt in enumerate((a for a in self.attempts for _ in range(a.effects)), start=1)
        ]
        scopes, herds = self.scopes, ()
        if self.is_herd:
            scopes = [replace(scope, herd=0) for scope in scopes]
            herds = (HerdRecord(len(scopes), 0, self.now, 0, SECOND, None),)
        return Trace(
            "test_payments",
            self.seed,
            self.script,
            tuple(self.attempts),
            tuple(self.operations),
            tuple(scopes),
            tuple(self.scripts),
            tuple(effects),
            self.ended,
            self.now,
            lineages=tuple(self.lineages),
            stalls=tuple(self.stalls),
            herds=herds,
        )

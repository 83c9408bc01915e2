"""The loopback server on its own: what is printed about it, and its record as JSON lines.

The first line says where it listens, then comes one for each attempt, in the order in which they ended, and the
last one holds the verdict and the whole trace, as `Trace.from_json` reads it.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Final

from pytest_retrychaos import redact
from pytest_retrychaos.chaos import Chaos
from pytest_retrychaos.laws.verdict import Verdict
from pytest_retrychaos.record import Sheet, operation_of
from pytest_retrychaos.run import Run
from pytest_retrychaos.text import summary
from pytest_retrychaos.trace import Attempt
from pytest_retrychaos.trace.codec import encode_fields
from pytest_retrychaos.trace.hiding import Hiding

PIECE: Final = 16_384
"""Bytes that are written at once; a pipe holds 65 536."""

PATIENCE_S: Final = 2.0
"""Seconds that a reader may read nothing at the end, when the rest of a record waits for him."""


class Lines:
    """Writes a run's record to a descriptor, line by line; where nobody reads any more, it stops.

    A thread of its own writes: who reads slowly, or nothing but the first line, delays no answer of the server's.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._written = 0
        self.failure: OSError | None = None
        """Why it stopped writing, where somebody may still read it: a disk that is full."""
        self._thread = threading.Thread(target=self._write_all, name="retrychaos record", daemon=True)
        self._thread.start()

    def begin(self, url: str, ca_file: str | None, seed: int, script: str) -> None:
        """Write where the server listens."""
        self._write({"url": url, "ca_file": ca_file, "seed": seed, "script": redact.current().text(script)})

    def attempt(self, attempt: Attempt, operation: str) -> None:
        """Write an attempt that has ended."""
        hiding = Hiding(redact.current())
        fields = encode_fields(hiding.attempt(attempt))
        self._write({"attempt": {**fields, "operation": hiding.text(operation)}})

    def end(self, chaos: Chaos, verdict: Verdict | None) -> None:
        """Write the verdict and the whole trace, and wait until all is written."""
        rulings = {} if verdict is None else {one.code: one.ruling.value for one in verdict.results}
        self._write({"verdict": rulings, "trace": json.loads(chaos.trace.to_json())})

        self._waiting.put(None)
        written = -1
        while self._thread.is_alive() and written != self._written:
            written = self._written
            self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            self.failure = TimeoutError(errno.ETIMEDOUT, f"nobody has read it for {PATIENCE_S:g} s")

    def _write(self, value: object) -> None:
        self._waiting.put(json.dumps(value).encode() + b"\n")

    def _write_all(self) -> None:
        """Write what comes; with no buffer, whose lock the interpreter would wait for where nobody reads."""
        while (line := self._waiting.get()) is not None:
            try:
                rest = memoryview(line)
                while rest and self._descriptor is not None:  # in pieces: what is read of one shows that somebody reads
                    rest = rest[os.write(self._descriptor, rest[:PIECE]) :]
                    self._written += 1
            except BrokenPipeError:  # its reader has gone
                self._descriptor = None
            except OSError as error:
                self._descriptor, self.failure = None, error


def follow(run: Run, tell: Callable[[Attempt, str], None]) -> Callable[[], None]:
    """Let each attempt on a run's real server, with its operation's name, be told once it has ended.

    ``tell`` is called by the server's thread, and at once for those that have ended already; what is returned tells
    those that have not ended, at the end.
    """
    server = run.started_server()
    waiting: list[Sheet] = []
    seen = 0

    def progress(*, is_last: bool = False) -> None:
        nonlocal seen, waiting
        with server.paused() if is_last else server.held():
            sheets = run.recorder.sheets
            waiting += sheets[seen:]
            seen = len(sheets)
            ready = [sheet for sheet in waiting if is_last or sheet.ended_ns is not None]
            waiting = [sheet for sheet in waiting if sheet not in ready]
            told = [(sheet.freeze(-1), operation_of(sheet).name) for sheet in ready]
        for attempt, operation in told:
            tell(attempt, operation)

    server.on_progress = progress
    progress()  # a client that was quick may have come before, and nothing else happens until the next
    return lambda: progress(is_last=True)


def address_lines(chaos: Chaos, *, is_https: bool, is_private: bool) -> Iterator[str]:
    """Say where the server listens, and who can reach it."""
    url = https(chaos.url) if is_https else chaos.url
    reach = "this machine only" if is_private else "every machine that reaches this one, as --host asked for"
    yield f"retrychaos: serving {url} to {reach}"
    if is_https:
        yield f"retrychaos: its certificate is signed by {chaos.ca_file}"


def https(url: str) -> str:
    """Give the address of the same port over TLS."""
    return "https" + url.removeprefix("http")


def outcome_text(chaos: Chaos, verdict: Verdict | None) -> str:
    """Write what happened, where no law is broken."""
    return summary(chaos.trace, verdict)

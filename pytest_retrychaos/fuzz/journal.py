"""What a search is about to run, on disk: where the interpreter dies in it, the next one can tell which script it was.

Laws of this module:
1. A line is there before the run that it speaks of, by one system call, which needs no flush to outlive the process.
2. It is gone once the search has ended, whatever ended it.
3. Who writes it holds a lock, which the kernel lets go with the process: what another process is writing just now is
   left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_retrychaos.fuzz.history import History

_LONGEST = 1 << 16


class Journal:
    """The line of one search."""

    def __init__(self, path: Path) -> None:
        """Take the line over from who wrote it last; `OSError` where it cannot be had."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.left = _read(os.pread(self._file, _LONGEST, 0))
            """What was being run when a process died: script and options."""
        except BaseException:
            os.close(self._file)
            raise

    def note(self, history: History) -> None:
        """Write what is about to be run."""
        script = history.script
        line = json.dumps(["" if script is None else str(script), history.options])
        os.pwrite(self._file, f"{line}\n".encode(), 0)

    def close(self) -> None:
        """Take the line away."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._file)


def _read(line: bytes) -> tuple[str, dict[str, str]] | None:
    try:
        script, options = json.loads(line.partition(b"\n")[0])
    except ValueError:
        return None
    return script, options


@contextlib.contextmanager
def journal(config: pytest.Config, test: str) -> Iterator[Journal | None]:
    """Keep a journal of a test's search in pytest's cache; ``None`` where there is no cache, or it is in use."""
    cache = getattr(config, "cache", None)  # not there under -p no:cacheprovider
    own = None
    if cache is not None:
        name = hashlib.sha256(test.encode()).hexdigest()[:16]
        with contextlib.suppress(OSError):
            own = Journal(cache.mkdir("retrychaos") / name)
    try:
        yield own
    finally:
        if own is not None:
            own.close()

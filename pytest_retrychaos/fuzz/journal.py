"""What a search is about to run, and has found, on disk: where the interpreter dies, the next one can tell of both.

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
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

TRIES = 50
"""In one real second."""


class Left(NamedTuple):
    """What a process was at when it died."""

    marker: str
    """Runs again what was being run."""
    found: dict[str, str]
    """The plainest script for each way to fail that was known by then."""


class Journal:
    """The line of one search."""

    def __init__(self, path: Path) -> None:
        """Take the line over from who wrote it last; `OSError` where it cannot be had."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.left = _read(os.pread(self._file, os.fstat(self._file).st_size, 0))
        except BaseException:
            os.close(self._file)
            raise

    def note(self, marker: str, found: Mapping[str, str]) -> None:
        """Write what is about to be run, as the marker that runs it again, and what was found before."""
        os.pwrite(self._file, f"{json.dumps([marker, found])}\n".encode(), 0)

    def close(self) -> None:
        """Take the line away."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._file)


def _read(content: bytes) -> Left | None:
    """Read the first line; ``None`` where a process died before it had written one, or an older version did."""
    try:
        marker, found = json.loads(content.partition(b"\n")[0])
        return Left(str(marker), dict(found))
    except (TypeError, ValueError):
        return None


@contextlib.contextmanager
def journal(config: pytest.Config, test: str) -> Iterator[Journal | None]:
    """Keep a journal of a test's search in pytest's cache; ``None`` where there is no cache, or it is in use."""
    path = _path(config, test)
    own = None
    if path is not None:
        with contextlib.suppress(OSError):
            own = Journal(path)
    try:
        yield own
    finally:
        if own is not None:
            own.close()


def taken_from_the_dead(config: pytest.Config, test: str) -> Left | None:
    """Take over what a process has left that died just now, in the middle of a test.

    Its lock is let go with the process, a moment after its end is seen. ``None`` where it left nothing, or where
    somebody else runs the test.
    """
    path = _path(config, test)
    if path is None or not path.exists():
        return None
    for _ in range(TRIES):
        try:
            left = Journal(path)
        except BlockingIOError:
            time.sleep(1 / TRIES)  # noqa: TID251 - for real: the kernel is at it
        except OSError:
            return None
        else:
            left.close()
            return left.left
    return None


def _path(config: pytest.Config, test: str) -> Path | None:
    cache = getattr(config, "cache", None)  # not there under -p no:cacheprovider
    name = hashlib.sha256(test.encode()).hexdigest()[:16]
    return None if cache is None else Path(cache.mkdir("retrychaos") / name)

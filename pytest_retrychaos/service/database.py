"""The SQLite store: opening it, its tables, and transactions.

A file is opened for this process alone, in WAL mode without waiting for the disk (``synchronous=OFF``): what
was committed is then with the operating system, so that a process killed at any point loses nothing and
leaves no half transaction. Only a power failure could lose something, which a test's store need not survive.

What a transaction writes is gathered and carried out at its end, or before the first thing it reads. In memory it may
wait longer, until somebody reads or much has come together: a database in memory is gone with its process anyway, and
between a client's own work each statement costs several times what it costs after another.
"""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

APPLICATION = 0x52744368
"""SQLite's ``application_id`` of our files: ``RtCh``."""
VERSION = 1

SCHEMA = """
CREATE TABLE resources (
    path TEXT PRIMARY KEY, parent TEXT NOT NULL, number INTEGER NOT NULL,
    type TEXT, content BLOB, etag TEXT, modified_ns INTEGER
) WITHOUT ROWID;
CREATE INDEX resources_by_parent ON resources (parent, number);
CREATE TABLE effects (
    number INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, method TEXT NOT NULL, host TEXT NOT NULL,
    path TEXT NOT NULL, target TEXT NOT NULL, key TEXT, body BLOB NOT NULL, at_ns INTEGER NOT NULL
);
CREATE INDEX effects_by_path ON effects (path, number);
CREATE INDEX effects_without_post ON effects (path, number) WHERE method != 'POST';
CREATE TABLE keys (
    space TEXT NOT NULL, key TEXT NOT NULL,
    method TEXT NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL,
    status INTEGER NOT NULL, headers TEXT NOT NULL, answer BLOB NOT NULL, at_ns INTEGER NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID
"""


Writing = tuple[str, Sequence[object]]
"""A statement and its values."""

_TOGETHER = 96
"""So many statements are carried out at once in memory, at the latest."""


class StoreError(Exception):
    """The store's file cannot be used; the message names the file, the rule and the way out."""


_RULES = {
    "SQLITE_NOTADB": "is not an SQLite database; name a file that does not exist yet, or delete this one",
    "SQLITE_CORRUPT": "is a damaged database; delete it, or name another file",
    "SQLITE_BUSY": "is locked: another process or another service has it open; close that one, or give each"
    " its own file (under pytest-xdist: tmp_path)",
    "SQLITE_READONLY": "is read-only; make it and its directory writable, or name another file",
    "SQLITE_CANTOPEN": "cannot be opened: its directory must exist and be writable; name another place",
    "SQLITE_FULL": "could not grow: the disk is full; free some space, or name another place",
}


class Database:
    """One SQLite database, in memory or in a file; ``with database:`` is a transaction."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._lock = threading.RLock()
        if file is not None:
            _check_file(file)
        try:
            self._connection = sqlite3.connect(
                ":memory:" if file is None else file, timeout=0, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._named(error) from error
        self._execute = self._connection.execute
        self._own: list[Writing] = []
        """What the transaction that is open has yet to write."""
        self._settled: list[Writing] = []
        """What earlier transactions have yet to write, in order; in a file always nothing."""
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        try:
            if self.file is not None:
                self._execute("PRAGMA locking_mode=EXCLUSIVE")
                self._execute("PRAGMA synchronous=OFF")
            application = self._execute("PRAGMA application_id").fetchone()[0]
            tables = self._execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            version = self._execute("PRAGMA user_version").fetchone()[0]
            if tables and application != APPLICATION:
                raise StoreError(f"{self._name} is another program's database, and was left as it is; {_OTHER}")
            if tables and version != VERSION:
                raise StoreError(f"{self._name} has format {version}, this version reads {VERSION}; {_OTHER}")
            if self.file is not None:
                self._execute("PRAGMA journal_mode=WAL")
            self._execute("BEGIN EXCLUSIVE")
            if not tables:
                for statement in SCHEMA.split(";"):
                    self._execute(statement)
                self._execute(f"PRAGMA application_id={APPLICATION}")
                self._execute(f"PRAGMA user_version={VERSION}")
            self._execute("COMMIT")
        except sqlite3.Error as error:
            raise self._named(error) from error

    @property
    def _name(self) -> str:
        return f"service store {str(self.file or ':memory:')!r}"

    def _named(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorname", "") or ""
        for start, rule in _RULES.items():
            if code.startswith(start):
                return StoreError(f"{self._name} {rule}")
        return StoreError(f"{self._name} cannot be used: {error}; close it or name another file")

    def __enter__(self) -> Database:
        self._lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._commit()
            elif self._connection.in_transaction:  # SQLite rolls back by itself where the disk is full
                self._execute("ROLLBACK")
        except sqlite3.Error as failure:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            raise self._named(failure) from failure
        finally:
            self._own.clear()
            self._lock.release()
        if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.ProgrammingError):
            raise self._named(error) from error

    def _commit(self) -> None:
        if self.file is None and not self._connection.in_transaction:
            self._settled += self._own
            if len(self._settled) >= _TOGETHER:
                self._settle()
        elif self._own or self._connection.in_transaction:
            self._carry_out()
            self._execute("COMMIT")

    def _settle(self) -> None:
        """Write what earlier transactions have left."""
        self._execute("BEGIN")
        try:
            for statement, values in self._settled:
                self._execute(statement, values)
        except BaseException:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")
        self._settled.clear()

    def _carry_out(self) -> None:
        """Begin with what the open transaction wrote."""
        if not self._connection.in_transaction:
            self._execute("BEGIN")
        for statement, values in self._own:
            self._execute(statement, values)
        self._own.clear()

    def write(self, statement: str, values: Sequence[object] = ()) -> None:
        """Change something, as part of the transaction that is open."""
        self._own.append((statement, values))

    def _read(self, statement: str, values: Sequence[object]) -> sqlite3.Cursor:
        if self._settled:
            self._settle()
        if self._own:
            self._carry_out()
        return self._execute(statement, values)

    def one(self, statement: str, values: Sequence[object] = ()) -> Any:  # Any: a row of any columns
        """Return the first row, or ``None``."""
        with self._lock:
            return self._read(statement, values).fetchone()

    def all(self, statement: str, values: Sequence[object] = ()) -> list[Any]:  # Any: rows of any columns
        """Return every row."""
        with self._lock:
            return self._read(statement, values).fetchall()

    def __del__(self) -> None:
        """Close what nobody closed: a run that never began has no end at which to do it."""
        connection: sqlite3.Connection | None = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close it; what was committed stays in the file. Closing again does nothing."""
        with self._lock:
            self._connection.close()


def file_named(database: str | Path | None) -> Path | None:
    """Read the setting ``database``: a file, or ``None`` for memory; `TypeError` for anything else."""
    if database is None or database == ":memory:":
        return None
    if not isinstance(database, str | Path) or not str(database):
        raise TypeError(f"database={database!r}: give the path of a file, or None to keep all in memory")
    return Path(database)


_OTHER = "name a file that does not exist yet"


def _check_file(file: Path) -> None:
    name = f"service store {str(file)!r}"
    if file.is_dir():
        raise StoreError(f"{name} is a directory; name a file in it")
    if not file.parent.is_dir():
        raise StoreError(f"{name} has no directory: {str(file.parent)!r} does not exist; create it first")
    # The superuser could write to it all the same, but whoever took the permission away did not want that.
    if file.exists() and not file.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise StoreError(f"{name} {_RULES['SQLITE_READONLY']}")

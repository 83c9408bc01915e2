"""The store file: what survives, and what cannot be used."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from pytest_retrychaos.service import StoreError
from pytest_retrychaos.service.database import Database

CHILD = """
import os, signal, sys
from pytest_retrychaos.model import Headers, Request
from pytest_retrychaos.service import Service

service = Service(now=lambda: 0, wall=lambda: 0, database=sys.argv[1])
left = int(sys.argv[2])

def count(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

if left:
    service.answering.database._connection.set_trace_callback(count)
for number in range(100):
    headers = Headers({"Content-Type": "application/json", "Idempotency-Key": f"k{number}"})
    answer = service.answering.handle(
        Request("POST", "a.test", "/payments", headers, b'{"n": %d}' % number), attempt=number
    )
    sys.stdout.write(answer.response.body.decode() + "\\n")
    sys.stdout.flush()
sys.stdin.read()
"""


def pay_until_killed(file, *, answers: int = 0, statement: int = 0) -> list[str]:
    """Let a child pay until it is killed, after so many answers or at a statement; return its answers."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(file), str(statement)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        text=True,
    )
    seen = [child.stdout.readline().rstrip() for _ in range(answers)]
    if not statement:
        child.send_signal(signal.SIGKILL)
    seen += [line for line in child.stdout.read().split("\n") if line.endswith("}")]
    child.stdout.close()
    child.stdin.close()
    assert child.wait() == -signal.SIGKILL
    return seen


def check_nothing_lost_or_doubled(bench, seen: list[str]) -> int:
    """Send all payments again; return how many effects the killed process had committed."""
    kept = len(bench.service.remembered)

    again = [bench("POST", "/payments", b'{"n": %d}' % n, media="application/json", key=f"k{n}") for n in range(100)]

    assert [answer.response.body.decode() for answer in again[: len(seen)]] == seen
    assert [answer.replayed for answer in again] == [True] * kept + [False] * (100 - kept)
    assert kept + len(bench.service.effects) == 100
    assert len(json.loads(bench("GET", "/payments").response.body)) == 100
    return kept


@pytest.mark.parametrize("answers", [0, 1, 13, 37, 62, 88])
def test_killed_process_loses_and_doubles_nothing(tmp_path, make_bench, answers):
    """After kill -9 every payment that was answered is there, and repeating it adds no second one."""
    seen = pay_until_killed(tmp_path / "store.db", answers=answers)

    kept = check_nothing_lost_or_doubled(make_bench(database=tmp_path / "store.db"), seen)

    assert kept in (len(seen), len(seen) + 1)


@pytest.mark.parametrize(("statement", "kept"), [*((250 + step, 50) for step in range(1, 6)), (256, 51)])
def test_process_killed_at_any_statement_keeps_whole_payments(tmp_path, make_bench, statement, kept):
    """Of the five statements of the 51st payment, none but the last makes anything last."""
    seen = pay_until_killed(tmp_path / "store.db", statement=statement)

    assert check_nothing_lost_or_doubled(make_bench(database=tmp_path / "store.db"), seen) == kept


def test_file_is_remembered_by_the_next_run(tmp_path, make_bench):
    """Resources, keys and effects outlive the service; the new run's effects stand by themselves."""
    first = make_bench(database=tmp_path / "store.db")
    first.advance(3600)
    made = first("POST", "/payments", {"a": 1}, key="k")
    first.service.close()

    second = make_bench(database=str(tmp_path / "store.db"))
    again = second("POST", "/payments", {"a": 1}, key="k")
    new = second("POST", "/payments", {"a": 1}, key="new")

    assert (again.replayed, again.response.body) == (True, made.response.body)
    assert [effect.key for effect in second.service.remembered] == ["k"]
    assert [effect.key for effect in second.service.effects] == ["new"]
    assert new.response.body != made.response.body
    assert second("GET", made.response.headers["Location"]).response.body == made.response.body


def test_file_is_named(tmp_path, make_bench):
    """The service says where it keeps what it knows."""
    assert make_bench(database=tmp_path / "a.db").service.database == tmp_path / "a.db"
    assert make_bench(database=":memory:").service.database is None


def opening(file) -> str:
    """Return why a file cannot be opened."""
    with pytest.raises(StoreError) as caught:
        Database(file)
    return str(caught.value)


def test_file_that_is_no_database_is_refused(tmp_path):
    """The file is left as it was."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database " * 100)

    assert opening(file) == (
        f"service store '{file}' is not an SQLite database; name a file that does not exist yet, or delete this one"
    )
    assert file.read_text() == "not a database " * 100


def test_database_of_another_program_is_refused(tmp_path):
    """Another program's tables are not touched."""
    file = tmp_path / "theirs.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE users (name)")
    connection.close()
    before = file.read_bytes()

    assert opening(file) == (
        f"service store '{file}' is another program's database, and was left as it is;"
        " name a file that does not exist yet"
    )
    assert file.read_bytes() == before


def test_database_of_another_format_is_refused(tmp_path):
    """A file of another version is not guessed at."""
    file = tmp_path / "store.db"
    Database(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version=9")
    connection.close()

    assert opening(file) == (
        f"service store '{file}' has format 9, this version reads 1; name a file that does not exist yet"
    )


def test_read_only_file_is_refused(tmp_path):
    """A file that nobody may write to is refused, for the superuser too."""
    file = tmp_path / "store.db"
    Database(file).close()
    file.chmod(0o444)

    assert opening(file) == (
        f"service store '{file}' is read-only; make it and its directory writable, or name another file"
    )


def test_locked_file_is_refused(tmp_path):
    """A file that another service has open is refused at once, and free when that one closes."""
    file = tmp_path / "store.db"
    holder = Database(file)

    message = opening(file)
    holder.close()
    Database(file).close()

    assert message == (
        f"service store '{file}' is locked: another process or another service has it open; close that one,"
        " or give each its own file (under pytest-xdist: tmp_path)"
    )


def test_directory_is_refused(tmp_path):
    """A store is a file in a directory that exists."""
    missing = tmp_path / "no" / "store.db"

    assert opening(tmp_path) == f"service store '{tmp_path}' is a directory; name a file in it"
    assert opening(missing) == (
        f"service store '{missing}' has no directory: '{missing.parent}' does not exist; create it first"
    )


def fail_in_the_middle(database):
    """Undo the ledger, and fail before that is committed."""
    with database:
        database.write("DELETE FROM effects")
        raise ZeroDivisionError


def test_failed_transaction_leaves_nothing(bench):
    """What fails in the middle of a transaction is undone whole."""
    bench("POST", "/payments", {"a": 1})

    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle(bench.service.answering.database)

    assert len(bench.service.effects) == 1


def fail_after_reading(database) -> None:
    """Undo the ledger, see that it is gone, and fail before that is committed."""
    with database:
        database.write("DELETE FROM effects")
        assert database.one("SELECT count(*) FROM effects") == (0,)
        raise ZeroDivisionError


@pytest.mark.parametrize("file", [None, "store.db"])
def test_transaction_reads_what_it_wrote_and_is_undone_whole(tmp_path, make_bench, file):
    """Earlier transactions are kept, in memory too, where they may not have been carried out yet."""
    bench = make_bench(database=file and tmp_path / file)
    bench("POST", "/payments", {"a": 1})

    with pytest.raises(ZeroDivisionError):
        fail_after_reading(bench.service.answering.database)
    bench("POST", "/payments", {"a": 2})

    assert [effect.body for effect in bench.service.effects] == [b'{"a": 1}', b'{"a": 2}']


def test_much_in_memory_is_kept_in_order(bench):
    """What was written and never read in between is all there, in the order in which it came."""
    for number in range(100):
        bench("POST", "/payments", b'{"n": %d}' % number, media="application/json")

    assert [effect.body for effect in bench.service.effects] == [b'{"n": %d}' % number for number in range(100)]
    assert [one["n"] for one in json.loads(bench("GET", "/payments").response.body)] == list(range(100))


def fill(database):
    """Write more than fits, in one transaction."""
    with database:
        for number in range(100):
            database.write(
                "INSERT INTO effects VALUES (?, 1, 'POST', 'h', '/', '/', NULL, ?, 0)", (number, b"x" * 4096)
            )


def test_failure_of_the_file_is_a_store_error(tmp_path):
    """A disk that is full is named with the way out."""
    file = tmp_path / "store.db"
    database = Database(file)
    database.one("PRAGMA max_page_count=10")

    with pytest.raises(StoreError) as caught:
        fill(database)

    assert str(caught.value) == (
        f"service store '{file}' could not grow: the disk is full; free some space, or name another place"
    )
    assert database.one("SELECT count(*) FROM effects") == (0,)
    database.close()

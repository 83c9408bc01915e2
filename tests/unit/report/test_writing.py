"""Files that are written whole or not at all, however many write and read them."""

from __future__ import annotations

import resource
import stat
import threading
from pathlib import Path

import pytest

from pytest_retrychaos.report.writing import write_whole

ONE, OTHER = "a" * 3_000_000, "b" * 2_000_000


def test_of_two_that_write_one_file_at_the_same_time_one_is_read_whole(tmp_path: Path) -> None:
    """Two runs with one report: whoever looks meanwhile or afterwards sees all of the one or all of the other."""
    path = tmp_path / "r.json"
    write_whole(path, ONE)
    begin = threading.Barrier(3)

    def write(text: str) -> None:
        begin.wait()
        for _ in range(30):
            write_whole(path, text)

    writers = [threading.Thread(target=write, args=(text,)) for text in (ONE, OTHER)]
    for writer in writers:
        writer.start()
    begin.wait()
    read = []
    while any(writer.is_alive() for writer in writers):
        read.append(path.read_text())
    read.append(path.read_text())

    assert [(len(text), text[:1]) for text in read if text not in (ONE, OTHER)] == []
    assert list(tmp_path.iterdir()) == [path]


def test_who_reads_an_old_report_goes_on_reading_it(tmp_path: Path) -> None:
    """It is put in the place of the old one, and nothing is written into that."""
    path = tmp_path / "r.json"
    write_whole(path, ONE)

    with path.open() as file:
        first = file.read(10)
        write_whole(path, OTHER)
        rest = file.read()

    assert first + rest == ONE
    assert path.read_text() == OTHER


def test_a_link_stays_one_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    """A report of CI may be a link into a folder of artifacts."""
    target = tmp_path / "artifacts" / "r.json"
    write_whole(target, "old")
    target.chmod(0o640)
    link = tmp_path / "r.json"
    link.symlink_to(target)

    write_whole(link, "new")

    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_file_that_has_no_room_stays_as_it_was(tmp_path: Path) -> None:
    """And what was written of the new one is gone."""
    path = tmp_path / "r.json"
    write_whole(path, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))

    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(path, ONE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]

"""What the command line tells of laws, faults and scripts, and how it puts reports together."""

from __future__ import annotations

import errno
import io
import re
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from pytest_retrychaos.cli import main
from pytest_retrychaos.faults.vocabulary import FAULTS
from pytest_retrychaos.laws import LAWS
from pytest_retrychaos.report.jsonform import from_json, to_json
from tests.unit.report.documents import BROKEN, DOCUMENT


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command; give its exit status and what it printed."""
    status = main(arguments)
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def test_explain_shows_a_laws_page(capsys: pytest.CaptureFixture[str]) -> None:
    """Statement, shapes, when it is asked, why and fix; a shape shows its law, in any case."""
    status, page, _ = told(capsys, "explain", "id02/NEW-key")

    assert status == 0
    assert page == (
        "ID02  the key is the same on every attempt of an operation\n"
        "  shapes: ID02/dropped, ID02/new-key\n\n"
        "  All attempts of an operation carry the first one's key. Two equal requests with different keys\n"
        "  after a failure look exactly like this; if they are two orders, name them with chaos.operation.\n\n"
        "  Why: Under another key it is a new order to the service.\n\n"
        "  Fix: Make the key outside the retry loop.\n"
    )


def test_explain_knows_every_law_and_shape(capsys: pytest.CaptureFixture[str]) -> None:
    """Each page says why and how to mend it, without markup, within the width of a terminal."""
    names = [shape for law in LAWS for shape in (law.code, *law.shapes)]

    for name in names:
        status, page, _ = told(capsys, "explain", name)
        assert status == 0, name
        assert re.search(r"^  Why: .*^  Fix: ", page, re.M | re.S), name
        assert "`" not in page
        assert max(map(len, page.splitlines())) <= 100


def test_a_family_shows_all_its_laws(capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the table."""
    _, page, _ = told(capsys, "explain", "cb")

    assert re.findall(r"^CB\d\d", page, re.M) == ["CB01", "CB02", "CB03", "CB04"]


@pytest.mark.parametrize(("name", "near"), [("ID99", "ID"), ("BK04/erly", "BK04/early")])
def test_an_unknown_law_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str], name: str, near: str) -> None:
    """Exit status 2, on the error stream."""
    status, out, error = told(capsys, "explain", name)

    assert (status, out) == (2, "")
    assert f"there is no such law; did you mean {near}? `laws` lists all of them" in error


def test_laws_and_faults_list_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Every code, every word."""
    _, laws, _ = told(capsys, "laws")
    _, faults, _ = told(capsys, "faults")

    assert re.findall(r"^  ([A-Z]{2}\d\d)", laws, re.M) == [law.code for law in LAWS]
    assert [fault.usage for fault in FAULTS.values() if not re.search(f"^{fault.usage} ", faults, re.M)] == []


def test_parse_tells_what_a_script_means_or_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """Step by step, and as Python writes it; a wrong one with a caret under the place."""
    status, out, _ = told(capsys, "parse", "reset after-commit x2, ok")
    assert status == 0
    assert out.splitlines() == [
        "reset after-commit  2 times  a TCP reset while it waits for the answer",
        "ok                  once     the service's own answer",
        "",
        "as text    reset after-commit x2, ok",
        "in Python  parse([reset(after_commit=True) * 2, ok()])",
    ]

    status, _, error = told(capsys, "parse", "503, tiemout")
    assert status == 2
    assert "did you mean 'timeout'?\n  503, tiemout\n       ^^^^^^^\n" in error


def test_where_nothing_can_be_written_no_traceback_is_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed stream is left alone, a full one is told, and what its encoding has not is escaped."""
    monkeypatch.setattr("sys.stdout", None)
    assert main(["laws"]) == 0
    full = io.StringIO()
    monkeypatch.setattr(full, "flush", mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    monkeypatch.setattr("sys.stdout", full)
    assert main(["laws"]) == 2
    assert "cannot write to the standard output: No space left" in capsys.readouterr().err
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", ascii_only)
    assert main(["parse", '503 body="é"']) == 0
    assert b'503 body="\\xe9"' in ascii_only.detach().getvalue()  # type: ignore[attr-defined]
    monkeypatch.setattr("sys.stderr", None)
    assert main(["parse", "tiemout"]) == 2


def shard(path: Path, *tests: str, seed: int = 7) -> str:
    """Write the report of a shard."""
    path.write_text(
        to_json(replace(DOCUMENT, seed=seed, problems=(), tests=tuple(replace(BROKEN, id=t) for t in tests)))
    )
    return str(path)


def test_merge_holds_the_gates_of_the_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Coverage and baseline are those of all shards; exit status 1 where they do not hold."""
    one, two = shard(tmp_path / "1.json", "a", "b"), shard(tmp_path / "2.json", "c")
    whole = tmp_path / "all.json"

    status, out, _ = told(capsys, "merge", two, one, "--report", str(whole), "--fail-under", "50", "--omit", "stale")

    assert status == 1
    assert "FAILED        fault coverage of 20 % is under 50 % (2 of 10 cells judged)" in out
    assert [test.id for test in from_json(whole.read_text()).tests] == ["a", "b", "c"]


def test_a_merged_run_began_with_its_first_shard_and_has_the_problems_of_all(tmp_path: Path) -> None:
    """It is not whole where one of them is not."""
    one, two, whole = (tmp_path / f"{name}.json" for name in ("one", "two", "all"))
    shard(one, "a")
    shard(two, "b")
    one.write_text(one.read_text().replace("2030-01-01", "2030-01-02"))
    two.write_text(two.read_text().replace('"problems": []', '"problems": ["it was interrupted"]'))

    assert main(["merge", str(one), str(two), "--report", str(whole)]) == 0

    merged = from_json(whole.read_text())
    assert (merged.began, merged.problems) == ("2030-01-01T00:00:00Z", ("it was interrupted",))


@pytest.mark.parametrize(
    ("shards", "said"),
    [
        (["{missing}"], "merge: {missing}: cannot read it: No such file or directory"),
        (["{one}", "{damaged}"], "merge: {damaged}: it is no JSON "),
        (
            ["{one}", "{one}"],
            "merge: a stands in {one} and in {one}: give each test to one shard, or leave one of the ",
        ),
        (["{one}", "{seeded}"], "merge: the shards ran with seeds [7, 8]: run all of them with one --chaos-seed"),
        (["{one}", "--report", "r.pdf"], "merge: --report=r.pdf: no format has the suffix '.pdf'; it is "),
        (["{one}", "--fail-under", "x"], "merge: --fail-under=x is no percentage: give a number from 0 to 100"),
    ],
)
def test_what_cannot_be_merged_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shards: list[str], said: str
) -> None:
    """The file is named, with the way out; exit status 2."""
    paths = {
        "missing": str(tmp_path / "missing.json"),
        "damaged": str(tmp_path / "damaged.json"),
        "one": shard(tmp_path / "one.json", "a"),
        "seeded": shard(tmp_path / "seeded.json", "b", seed=8),
    }
    Path(paths["damaged"]).write_text(Path(paths["one"]).read_text()[:-100])

    status, out, error = told(capsys, "merge", *(word.format(**paths) for word in shards))

    assert (status, out) == (2, "")
    assert said.format(**paths) in error

"""What exploring finds in unmodified clients on their defaults: the table of docs/clients.md, run."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_retrychaos import Chaos, parse
from pytest_retrychaos.fuzz.faultlist import read_faults
from pytest_retrychaos.fuzz.history import History
from pytest_retrychaos.fuzz.playing import Test
from pytest_retrychaos.fuzz.search import Found, NotTheSameError, Search
from pytest_retrychaos.laws.words import counted, grouped
from tests.clients.defaults import SUBJECTS, with_versions
from tests.clients.subjects import Subject, in_trio

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
DEPTH = 2
MOST_RUNS = 3000
"""Of one client: more than any of them gives rise to."""

Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One client, and how its call is run under a `Chaos`."""

    subject: Subject

    @property
    def name(self) -> str:
        """With the versions that are installed."""
        return with_versions(self.subject.name)

    @property
    def loop(self) -> str | None:
        """The event loop that it runs in, if any."""
        run = self.subject.run
        return None if run is None else "trio" if run is in_trio else "asyncio"

    def body(self, chaos: Chaos) -> object:
        """Make the client, call it once, and close it."""
        subject = self.subject
        if subject.answer is not None:
            method, _, path = subject.where.partition(" ")
            chaos.service.route(method, path, lambda _: subject.answer)
        if self.loop is not None:
            return chaos.recorded.caller.run(self.loop, lambda: self._awaited(chaos))
        with subject.open() as call:
            return chaos.call(call)

    async def _awaited(self, chaos: Chaos) -> object:
        async with self.subject.open() as call:
            return await chaos.call_async(call)

    def test(self) -> Test:
        """Give it as what is explored."""
        code = self.body.__code__ if self.loop is None else self._awaited.__code__
        return Test(self.body, code, self.subject.name, {"seed": 7, "entropy": "seeded", "loop": self.loop})


@contextlib.contextmanager
def without_a_mind_of_its_own() -> Iterator[None]:
    """Keep a client from sending what it was not asked for."""
    name = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def search(subject: Subject, most: int = MOST_RUNS) -> Row:
    """Explore a client: its name, the laws that it breaks by what, and how far that goes."""
    case = Case(subject)
    test = case.test()
    with without_a_mind_of_its_own():
        test.play(History())  # what a library loads or caches once
        root = test.play(History())
        shapes = sorted(root.breaches)
        if shapes:
            return case.name, f"without a fault: {', '.join(shapes)}", "1 history"
        found = Search(test.play, read_faults("default"), DEPTH, lambda runs: runs >= most)
        try:
            found.run(root)
        except NotTheSameError as error:
            return case.name, f"not the same after {error.before.history}, at attempt {error.index}", "cannot tell"
    return case.name, _broken(found.found), _extent(found.found)


def _broken(found: Found) -> str:
    by_code: dict[str, dict[str, Any]] = {}
    for shape, played in sorted(found.worst.items(), key=lambda item: item[1].history.order):
        by_code.setdefault(shape.partition("/")[0], {})[str(played.history)] = None
    cells = [f"{code}: {', '.join(f'`{script}`' for script in scripts)}" for code, scripts in sorted(by_code.items())]
    return "; ".join(cells) or "–"


def _extent(found: Found) -> str:
    runs = f"{grouped(found.runs)} {'history' if found.runs == 1 else 'histories'}"
    return f"{runs}, the others cut off" if found.is_cut else runs


def page(rows: list[Row]) -> str:
    """Write the whole page."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return (
        "# What exploring finds in clients on their defaults\n\n"
        "Each client makes one call, unmodified and with nothing set that need not be, under every history of up to "
        f"{counted(DEPTH, 'choice')}\nof the default vocabulary: faults, and cancellation, zone and closed connections "
        "where they matter. A cell has each law that\na history broke and the shortest script for each way in which it "
        "did. It states behaviour seen in the version named; what\nis right for a client depends on who uses it: one "
        f"that leaves retrying to its caller breaks RT01. Of a client at most {grouped(MOST_RUNS)}\nhistories are run, "
        "those of fewer choices first.\n\n"
        "`python -m tests.clients CLIENT SCRIPT` runs one again, with the rest of a cell (`cancel='#1'`) behind it; "
        "`make clients`\nruns all and writes this page.\n\n"
        "| client | laws, and what breaks them | looked at |\n| --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )


def rows_of(text: str) -> list[Row]:
    """Read the rows of a page."""
    found = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return [row for row in found if row[0] not in ("client", "---")]


def replay(name: str, script: str, options: Mapping[str, Any]) -> str:
    """Run a client once under a script, and tell what it broke, with the timeline."""
    subject = next((one for one in SUBJECTS if name in (one.name, with_versions(one.name))), None)
    if subject is None:
        names = "\n  ".join(with_versions(one.name) for one in SUBJECTS)
        raise SystemExit(f"no client {name!r}. There are:\n  {names}")
    test = Case(subject).test()
    with without_a_mind_of_its_own():
        played = replace(test, options={**test.options, **options}).play(history(script))
    broken = "\n\n".join(one.text for one in played.breaches.values())
    return broken or f"{counted(len(played.attempts), 'attempt')}, and no law broken"


def history(script: str) -> History:
    """Read a script of the page."""
    steps = parse(script).steps if script != "no fault" else ()
    each = [step for step in steps for _ in range(step.count or 1)]
    faults = [(index, replace(step, count=1)) for index, step in enumerate(each, 1) if step.is_fault]
    return History(tuple(faults), for_ever=bool(steps) and steps[-1].count is None)

"""The shortest script for a way to fail, from a longer one: nothing can be left out of it, and nothing made plainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_retrychaos.faults import Step
from pytest_retrychaos.fuzz.history import History, Played
from pytest_retrychaos.fuzz.search import Play


def shortest(failed: Played, shape: str, play: Play, faults: Sequence[Step]) -> Played:
    """Try every history that is one step plainer, again and again; give the last that fails in the same way."""
    while True:
        plainer = (play(history) for history in _plainer(failed.history, faults))
        found = next((one for one in plainer if shape in one.breaches and (one.struck or one.history.for_ever)), None)
        if found is None:
            return failed
        failed = found


def _plainer(history: History, faults: Sequence[Step]) -> Iterator[History]:
    """Give the histories that differ in one respect and are plainer, those with fewer faults first."""
    for one in _different(history, faults):
        if one.plainness < history.plainness:
            yield one


def _different(history: History, faults: Sequence[Step]) -> Iterator[History]:
    met, for_ever = history.faults, history.for_ever
    for number in range(len(met)):
        before, after = met[:number], met[number + 1 :]
        yield History((*before, *after), for_ever and bool(after))
        yield History((*before, *_earlier(after)), for_ever and bool(after))
    if for_ever:
        yield History(met)
    for number, (index, given) in enumerate(met):
        for step in faults:
            if step != given:
                yield History((*met[:number], (index, step), *met[number + 1 :]), for_ever)
        first = met[number - 1][0] + 1 if number else 1
        if index > first:
            yield History((*met[:number], *_earlier(met[number:])), for_ever)


def _earlier(met: tuple[tuple[int, Step], ...]) -> tuple[tuple[int, Step], ...]:
    return tuple((index - 1, step) for index, step in met)

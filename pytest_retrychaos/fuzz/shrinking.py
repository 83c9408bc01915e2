"""The shortest script for a way to fail, from a longer one: nothing can be left out of it, and nothing made plainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from pytest_retrychaos.faults import Step
from pytest_retrychaos.fuzz.choices import choices
from pytest_retrychaos.fuzz.history import History, Played
from pytest_retrychaos.fuzz.search import Play

Met = tuple[tuple[int, Step], ...]


def shortest(failed: Played, shape: str, play: Play, faults: Sequence[Step]) -> Played:
    """Try every history that is one step plainer, again and again; give the last that fails in the same way.

    Of faults that are equally plain the first in ``faults`` is the plainer one, so that one script is the shortest.
    """
    while True:
        plainer = (play(history) for history in _plainer(failed.history, play, faults))
        found = next((one for one in plainer if shape in one.breaches and (one.struck or one.history.for_ever)), None)
        if found is None:
            return failed
        failed = found


def _plainer(history: History, play: Play, faults: Sequence[Step]) -> Iterator[History]:
    """Give the histories that differ in one respect and are plainer, those with fewer faults first."""
    rank = {step: number for number, step in enumerate(faults)}

    def order(one: History) -> tuple[object, ...]:
        return (*one.plainness, *(rank.get(step, len(faults)) for _, step in one.faults))

    for one in chain(_different(history, faults), _chosen_anew(history, play)):
        if order(one) < order(history):
            yield one


def _different(history: History, faults: Sequence[Step]) -> Iterator[History]:
    met, for_ever = history.faults, history.for_ever

    def with_(faults: Met, *, for_ever: bool = for_ever) -> History:
        return replace(history, faults=faults, for_ever=for_ever)

    yield History(met, for_ever)  # without a choice that is no fault
    for number in range(len(met)):
        before, after = met[:number], met[number + 1 :]
        for rest in _moved(after):
            yield with_((*before, *rest), for_ever=for_ever and bool(after))
    if for_ever:
        yield with_(met, for_ever=False)
    for number, (index, given) in enumerate(met):
        for step in faults:
            if step != given:
                yield with_((*met[:number], (index, step), *met[number + 1 :]))
        if index > (met[number - 1][0] + 1 if number else 1):
            yield with_((*met[:number], *_earlier(met[number:])))


def _chosen_anew(history: History, play: Play) -> Iterator[History]:
    """Give the other choices that there are with the same faults or one less.

    The moment of a cancellation or of a switch is another one in another run.
    """
    if not history.others:
        return
    met = history.faults
    fewer = [(*met[:number], *after) for number in range(len(met)) for after in _moved(met[number + 1 :])]
    for faults in (*fewer, met):
        run = play(History(faults))
        if run.struck:
            yield from choices(run, switches=len(history.switches), timezone=history.timezone)


def _moved(met: Met) -> tuple[Met, Met]:
    """Give what follows a fault that is left out: where it was, and, as the attempt may not be made, one earlier."""
    return met, _earlier(met)


def _earlier(met: Met) -> Met:
    return tuple((index - 1, step) for index, step in met)

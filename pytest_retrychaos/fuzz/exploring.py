"""``@chaos_explore``: run a test under every history of faults that its own behaviour gives rise to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any, overload

import pytest

from pytest_retrychaos.chaos import Chaos
from pytest_retrychaos.clock.cpython import real_twin
from pytest_retrychaos.faults.durations import parse_duration
from pytest_retrychaos.fuzz import words
from pytest_retrychaos.fuzz.faultlist import Faults, read_faults
from pytest_retrychaos.fuzz.history import History
from pytest_retrychaos.fuzz.playing import Test
from pytest_retrychaos.fuzz.repeating import F, Function, Told, check_switches, options_of, repeated, watched
from pytest_retrychaos.fuzz.search import Found, NotTheSameError, Search, TooDeepError
from pytest_retrychaos.fuzz.shares import Share, report, share_of
from pytest_retrychaos.judging import not_broken
from pytest_retrychaos.laws.words import grouped
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.settings import EXPLORED, IS_EXPLORED

MOST_RUNS = 20_000
"""A search that the test has not limited ends here, and cannot tell."""

_WAY_OUT = "Choose a smaller depth or fewer faults=, or say with budget= how far to go"


@overload
def chaos_explore(test: F, /) -> F: ...


@overload
def chaos_explore(
    *,
    depth: int = ...,
    faults: Faults = ...,
    budget: int | str | None = ...,
    reduce: bool = ...,
    switches: int = ...,
    loop: str = ...,
    **options: Any,
) -> Callable[[F], F]: ...


def chaos_explore(
    test: Function | None = None,
    /,
    *,
    depth: int = 2,
    faults: Faults = "default",
    budget: int | str | None = None,
    reduce: bool = True,
    switches: int = 0,
    loop: str | None = None,
    **options: Any,  # Any: checked one by one by Options
) -> Any:  # Any: the test, or what decorates it
    """Run a test under every history of up to ``depth`` faults, and report the shortest script for each way to fail.

    ``depth`` is the number of choices: faults at any attempts and, where a run shows that they matter, the caller's
    cancellation, the clock's zone, and closed connections; beside that each fault is tried for ever, from each of the
    test's requests on. ``switches`` is how often, at most, another thread or task goes on than the seed chose (none),
    each a choice, too. ``faults`` is
    ``"default"``, ``"hostile"`` or a list of faults as a script writes them. ``budget`` is the most runs, or a
    duration of real time (``"60s"``); without one, a search that takes more than 20 000 runs fails: it cannot tell.
    ``reduce=False`` runs also what is known to be equivalent. An async test runs in a loop of its own each time:
    ``loop`` is asyncio (the default) or trio. ``options`` are those of ``@pytest.mark.chaos``.

    The test gets a fresh ``chaos`` each time; its other fixtures are made once. Where it judges by itself (``verify``,
    ``assert_…``), that is the verdict, else every law is. An error that it lets through after a fault is what the
    caller was told, and no failure.

    Bad arguments raise `TypeError` or `ValueError`, in the line that is wrong.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ValueError(f"depth={depth!r}: it is how many faults a history may have, 1 or more")
    check_switches(switches)
    steps = read_faults(faults)
    limit = _limit(budget)

    def explored(run: Test, request: pytest.FixtureRequest) -> Told:
        found, zone, share = Found(), run.options.get("timezone"), share_of(request.node)
        expected, met = options_of(run).expect, set[str]()

        def failure(noted: Test) -> str | None:
            def watch(chaos: Chaos) -> None:
                met.update(chaos.judge.met_expected())
                noted.watch(chaos)

            is_over = limit(share)
            look = replace(noted, watch=lambda _: None).play
            play = replace(noted, watch=watch).play
            search = Search(play, steps, depth, is_over, reduce, switches, zone, share.has, found, look)
            failed = _failure(search, is_named=budget is not None)
            is_whole = not found.is_cut and share.of == 1  # else another history may break it
            held = [one for one in expected if one not in met] if is_whole else []
            return failed or ("\n\n".join([not_broken(held), coverage()]) if held else None)

        def coverage() -> str:
            return words.coverage(found, depth)

        told = watched(run, request, failure, found, coverage)
        if share.of > 1:
            request.node.stash[EXPLORED] = report(run.name, found, depth)
        return Told(told, coverage())

    def decorate(function: Function) -> Function:
        test = repeated(function, explored, by="@chaos_explore", loop=loop, options=options)
        test.__dict__[IS_EXPLORED] = True
        return test

    return decorate if test is None else decorate(test)


def _failure(search: Search, *, is_named: bool) -> str | None:
    """Search; say why the test fails, or that it cannot be told whether it should. ``None``: it passes."""
    root = search.play(History())
    unfit = words.without_fault(root)
    if unfit is not None:
        return unfit
    try:
        found = search.run(root, most=None if is_named else MOST_RUNS)
    except TooDeepError as error:
        return (
            f"cannot tell: depth={search.depth} takes about {grouped(error.needed)} runs, as the first "
            f"{grouped(search.found.runs)} show, and unasked no more than {grouped(MOST_RUNS)} are made. {_WAY_OUT}"
        )
    except NotTheSameError as error:
        return words.not_the_same(error)
    if found.worst:
        return words.failure(found, search.beside(), words.coverage(found, search.depth))
    if found.is_cut and not is_named:
        return f"cannot tell: {words.coverage(found, search.depth)}. {_WAY_OUT}"
    return None


def _limit(budget: int | str | None) -> Callable[[Share], Callable[[int], bool]]:
    """Make what makes, when a search begins, the question whether it is over after so many runs."""
    if isinstance(budget, str):
        seconds = parse_duration(budget) / SECOND
        now = real_twin(monotonic)

        def begin(_: Share) -> Callable[[int], bool]:
            end = now() + seconds
            return lambda _: now() >= end

        return begin
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
        raise ValueError(f"budget={budget!r}: it is the most runs, or a duration of real time such as '60s'")
    most = MOST_RUNS if budget is None else budget
    return lambda share: lambda runs: runs >= max(1, most // share.of)

"""``@chaos_fuzz``: run a test under histories of faults that Hypothesis draws, shrinks and remembers."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from typing import Any, overload

import pytest
from hypothesis import settings as Settings  # noqa: N812 - a class, by Hypothesis's own custom

from pytest_retrychaos.faults import Script, ScriptError, Step, parse
from pytest_retrychaos.fuzz import words
from pytest_retrychaos.fuzz.drawing import UnsteadyError, draw_walks, settings_for, shrinks
from pytest_retrychaos.fuzz.faultlist import Faults, read_faults
from pytest_retrychaos.fuzz.history import History, parted
from pytest_retrychaos.fuzz.kept import Kept, from_script
from pytest_retrychaos.fuzz.playing import Test
from pytest_retrychaos.fuzz.repeating import F, Function, Told, check_switches, repeated, watched
from pytest_retrychaos.fuzz.search import Found, NotTheSameError, Search
from pytest_retrychaos.fuzz.shrinking import shortest
from pytest_retrychaos.fuzz.walk import Walks
from pytest_retrychaos.options import Options

MOST_ATTEMPTS = 2000
"""A run is ended there: a script of ``also=`` says nothing of what comes later."""

_SETTINGS, _SEED = "_hypothesis_internal_use_settings", "_hypothesis_internal_use_seed"
_LEFT = (_SETTINGS, _SEED, "_hypothesis_internal_settings_applied")
"""What ``@settings`` and ``@seed`` put on a test. Hypothesis's plugin refuses it where there is no ``@given``."""


@overload
def chaos_fuzz(test: F, /) -> F: ...


@overload
def chaos_fuzz(
    *,
    faults: Faults = ...,
    also: Collection[str | Sequence[Step] | Script] = ...,
    switches: int = ...,
    loop: str = ...,
    **options: Any,
) -> Callable[[F], F]: ...


def chaos_fuzz(
    test: Function | None = None,
    /,
    *,
    faults: Faults = "default",
    also: Collection[str | Sequence[Step] | Script] = (),
    switches: int = 0,
    loop: str | None = None,
    **options: Any,  # Any: checked one by one by Options, or by Hypothesis
) -> Any:  # Any: the test, or what decorates it
    """Run a test under histories of faults that Hypothesis draws, and report the shortest script for each way to fail.

    A fault is drawn when the attempt that it meets has been seen: no further fault, or which attempt and which fault.
    So failing examples shrink to fewer, earlier and plainer faults. ``faults`` is ``"default"``, ``"hostile"`` or a
    list of faults as a script writes them; the scripts of ``also`` are run first, after one run without a fault. Some
    walks end with another choice, as `chaos_explore` makes: the caller cancels, another zone, connections that are
    closed, and, at most ``switches`` times, another thread or task that goes on. An async test runs in a loop of its
    own each time: ``loop`` is asyncio (the default) or trio.

    ``options`` are Hypothesis's settings (``max_examples=500``, also by ``@settings`` above or below) and those of
    ``@pytest.mark.chaos``. Failing examples go to Hypothesis's database and are replayed first. There is no deadline
    unless one is asked for: an example is a handful of runs.

    The test gets a fresh ``chaos`` each time; its other fixtures are made once. The verdict is that of
    `chaos_explore`. Bad arguments raise `TypeError` or `ValueError`, in the line that is wrong.
    """
    check_switches(switches)
    steps = read_faults(faults)
    scripts = _read_also(also)
    own, asked = _split(options)
    settings_for(None, asked)

    def decorate(function: Function) -> Function:
        if getattr(function, "is_hypothesis_test", False):
            raise TypeError(
                f"@chaos_fuzz on {function.__name__}, which is a test of @given: draw the script too, as in "
                "@given(scripts(), …), and begin the test by `with Chaos(script) as chaos:`"
            )
        left: dict[str, Any] = {}  # Any: what @settings and @seed have put on the test, above or below

        def collected(seen: Function) -> None:
            left.update({name: vars(seen).pop(name) for name in _LEFT if name in vars(seen)})

        def fuzzed(run: Test, request: pytest.FixtureRequest) -> Told:
            settings = settings_for(left.get(_SETTINGS), asked)
            fuzzing = _Fuzzing(steps, scripts, switches, settings, left.get(_SEED))
            failure = watched(run, request, fuzzing.failure, fuzzing.found, fuzzing.coverage)
            return Told(failure, fuzzing.coverage())

        item = repeated(function, fuzzed, by="@chaos_fuzz", loop=loop, options=own)
        collected(item)
        item.retrychaos_collected = collected  # type: ignore[attr-defined]  # see the plugin
        return item

    return decorate if test is None else decorate(test)


class _Fuzzing:
    """One test's fuzzing: how far it is, and what was found."""

    def __init__(
        self, faults: Sequence[Step], also: Sequence[Script], switches: int, settings: Settings, seed: object
    ) -> None:
        self._faults, self._also, self._switches = faults, also, switches
        self._settings, self._seed = settings, seed
        self.found = Found()
        self._examples = 0

    def failure(self, run: Test) -> str | None:
        """Run it all; say why the test fails, or ``None``. Raises what is no failure of the code under test."""
        walks = Walks(run.play, self._faults, self.found, self._switches, run.options.get("timezone"))
        unfit = words.without_fault(walks.run(History()))
        if unfit is not None:
            return unfit
        try:
            never = self._search(walks, run)
        except NotTheSameError as error:
            return words.not_the_same(error)
        except UnsteadyError as error:
            return words.unsteady(str(error))
        if self.found.worst:
            coverage, beside = self.coverage(), Search(walks.look, self._faults, 0, lambda _: False, found=self.found)
            return words.failure(self.found, beside.beside(), coverage)
        return words.never_struck(never) if never else None

    def _search(self, walks: Walks, run: Test) -> list[Script]:
        """Run what failed before, what is asked for, and what is drawn; give what was asked for and never struck."""
        kept = Kept(self._settings, run.name)
        before = kept.histories()
        try:
            for history in before:
                walks.run(history)
            never = [script for script in self._also if not self._strikes(walks, script, run)]
            draw_walks(walks, self._settings, self._seed, self._drawn)
            if shrinks(self._settings):
                self._shorten(walks)
            self._check_steady(run)
            return never
        finally:
            kept.keep([played.history for played in self.found.worst.values()], before)

    def coverage(self) -> str:
        """Write how far was looked."""
        return words.drawn(self.found, self._examples)

    def _drawn(self) -> None:
        self._examples += 1

    def _strikes(self, walks: Walks, script: Script, run: Test) -> bool:
        """Run a script of ``also=``; tell whether all of it met an attempt, where that is asked for."""
        played = walks.run(from_script(script))
        return played.struck or played.history.for_ever or run.options.get("strict") is False

    def _shorten(self, walks: Walks) -> None:
        done: set[str] = set()
        while left := [shape for shape in self.found.worst if shape not in done]:
            shape = left[0]
            done.add(shape)
            self.found.worst[shape] = shortest(self.found.worst[shape], shape, walks.run, self._faults)

    def _check_steady(self, run: Test) -> None:
        """Run what was found once more: what differs then proves nothing."""
        for before in {played.history: played for played in self.found.worst.values()}.values():
            now = run.play(before.history)
            index = parted(before, now, max(len(before.attempts), len(now.attempts)))
            if index is not None:
                raise NotTheSameError(before, now, index)
            if set(now.breaches) != set(before.breaches):
                raise UnsteadyError(words.other_verdict(before, now))


def _read_also(also: Collection[str | Sequence[Step] | Script]) -> tuple[Script, ...]:
    if isinstance(also, str | Script) or not isinstance(also, Collection):
        raise TypeError(f"also={also!r}: it is a list of scripts, as in also=['503, reset after-commit']")
    scripts = tuple(parse(one) for one in also)
    for script in scripts:
        if not any(step.is_fault for step in script.steps):
            raise ScriptError(f"also= holds {str(script)!r}, which has no fault", "a run without one is made anyway")
        if sum(step.count or 1 for step in script.steps) > MOST_ATTEMPTS:
            raise ScriptError(
                f"also= holds {str(script)!r}, which is for more than {MOST_ATTEMPTS} attempts",
                "a run is ended there; write * for ever",
            )
    return scripts


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:  # Any: as the user wrote them
    """Tell the options of a run from the settings of Hypothesis."""
    of_settings = set(inspect.signature(Settings).parameters) - {"parent"}
    of_run = {field.name for field in fields(Options)}
    for name in options:
        if name not in of_settings | of_run:
            near = difflib.get_close_matches(name, of_settings | of_run, n=1)
            hint = f", did you mean {near[0]!r}?" if near else "."
            raise TypeError(
                f"unknown option {name!r} of chaos_fuzz{hint} It takes faults, also, loop; of a run: "
                f"{', '.join(sorted(of_run))}; of Hypothesis: {', '.join(sorted(of_settings))}"
            )
    asked = {name: value for name, value in options.items() if name in of_settings}
    return {name: value for name, value in options.items() if name in of_run}, asked

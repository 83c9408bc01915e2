"""What Hypothesis does for a fuzzed test: it draws the walks, one integer a choice.

Laws of this module:
1. Hypothesis stays as it is, and sees real time alone: nothing is drawn while a run is under way.
2. A walk that breaks something does not end the drawing, as a failing example would: others may break something else.
3. What is no failure of the code under test (a handler that failed, what cannot be simulated) ends it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given
from hypothesis import seed as seeded
from hypothesis import settings as Settings  # noqa: N812 - a class, by Hypothesis's own custom
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from pytest_retrychaos.fuzz.history import History, Played
from pytest_retrychaos.fuzz.search import NotTheSameError
from pytest_retrychaos.fuzz.walk import Walks

_ITS_OWN_DEADLINE = Settings.get_profile("default").deadline


class UnsteadyError(Exception):
    """The same choices did not lead to the same."""


class _Left(BaseException):
    """Carries an error past Hypothesis, which takes every `Exception` for a failing example."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        """``None``: enough was drawn."""


def settings_for(given: Settings | None, asked: dict[str, Any]) -> Settings:  # Any: as the user wrote them
    """Put what decorator and keywords ask for upon what a run of many runs needs.

    Without a word on it there is no deadline: an example is a handful of runs, whose virtual time costs none.
    """
    base = given or Settings.default
    assert base is not None
    usual: dict[str, Any] = {  # Any: as above
        "phases": tuple(phase for phase in base.phases if phase is not Phase.explain),
        "suppress_health_check": tuple({*base.suppress_health_check, HealthCheck.too_slow}),
    }
    if base.deadline == _ITS_OWN_DEADLINE:
        usual["deadline"] = None
    if base.verbosity is Verbosity.normal:
        usual["verbosity"] = Verbosity.quiet  # what an example drew, the script says better
    return Settings(base, **{**usual, **asked})


def draw_walks(walks: Walks, settings: Settings, seed: object, drawn: Callable[[], None]) -> None:
    """Let Hypothesis draw walks as long as its settings say, and call ``drawn`` at each. They note what they find.

    With ``report_multiple_bugs=False`` the first walk that breaks something is the last. Raises `NotTheSameError`,
    `UnsteadyError`, and what Hypothesis says of a deadline or of its own.
    """
    if Phase.generate not in settings.phases:
        return
    gone: list[_Left] = []
    inner = replace(walks, play=_passing(walks.play, gone))
    if settings.deadline is not None:  # what Hypothesis measures twice has to take as long twice
        inner = replace(inner, known={}, keeps=False)

    @given(st.data())
    def example(data: st.DataObject) -> None:
        drawn()
        try:
            for _ in inner.walk(lambda most: data.draw(st.integers(0, most)) if most else 0):
                pass
        except NotTheSameError as error:
            raise _Left(error) from None
        if walks.found.worst and not settings.report_multiple_bugs:
            raise _Left

    test = Settings(settings, database=None)(example)
    if seed is not None:
        test = seeded(seed)(test)
    try:
        test()
    except (_Left, Flaky) as error:
        left = _left_behind(error) or (gone[0] if gone else None)
        if left is None:
            raise UnsteadyError(str(error)) from None
        if left.error is not None:
            raise left.error from left.error.__cause__


def _left_behind(error: BaseException) -> _Left | None:
    """Find what was on its way out, also where Hypothesis saw that less was drawn than the time before."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, _Left):
        found = found.__context__
    return found


def shrinks(settings: Settings) -> bool:
    """Whether what was found is to be made shorter."""
    return Phase.shrink in settings.phases


def _passing(play: Callable[[History], Played], gone: list[_Left]) -> Callable[[History], Played]:
    def played(history: History) -> Played:
        try:
            return play(history)
        except (Exception, SystemExit, GeneratorExit) as error:
            gone.append(_Left(error))
            raise gone[-1] from error.__cause__

    return played

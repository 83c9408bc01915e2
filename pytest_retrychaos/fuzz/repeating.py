"""A test that is run again and again within one item, each time with a fresh ``chaos``; what both decorators share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar

import pytest

from pytest_retrychaos.blame import raise_at
from pytest_retrychaos.chaos import Chaos
from pytest_retrychaos.fuzz import words
from pytest_retrychaos.fuzz.history import History
from pytest_retrychaos.fuzz.journal import journal
from pytest_retrychaos.fuzz.playing import Test, is_out_of_time
from pytest_retrychaos.fuzz.search import Found
from pytest_retrychaos.fuzz.shares import whole_name
from pytest_retrychaos.options import LOOPS, Options
from pytest_retrychaos.settings import INTERRUPTED, SAID, WATCHING, derived_seed, known_of, watchdog
from pytest_retrychaos.text import marker
from pytest_retrychaos.views import LawsBroken

Function = Callable[..., Any]  # Any: a test, with whatever fixtures
F = TypeVar("F", bound=Function)


class Told(NamedTuple):
    """What came of all the runs."""

    failure: str | None
    """Why the test fails; ``None``: it passes."""
    said: str
    """How far was looked."""


_REPEATED: Final = "retrychaos_repeated"
"""The attribute of a test that holds the decorator which runs it."""


def repeated(
    function: Function,
    act: Callable[[Test, pytest.FixtureRequest], Told],
    *,
    by: str,
    loop: str,
    options: dict[str, Any],  # Any: as the user wrote them
) -> Function:
    """Make the test that pytest sees: it asks for all fixtures but ``chaos``, and lets ``act`` run the test.

    ``by`` is the decorator's name, for the errors. Raises `TypeError` or `ValueError` for what cannot be repeated.
    """
    if loop not in LOOPS:
        raise ValueError(f"loop={loop!r}: it is {' or '.join(map(repr, LOOPS))}")
    Options.read(options)
    options = {"entropy": "seeded", **options}  # real entropy would be another history each time
    if inspect.iscoroutinefunction(function):
        options["loop"] = loop
    signature = inspect.signature(function)
    below = function.__dict__.get(_REPEATED)
    if below is not None:
        raise TypeError(
            f"{by} on {function.__qualname__}: {below} stands below it, and runs the test by itself: take one"
        )
    if "chaos" not in signature.parameters:
        raise TypeError(f"{by} on {function.__qualname__}: it has to take chaos, which is run anew each time")
    asks_for_request = "request" in signature.parameters

    @functools.wraps(function)
    def test(*args: object, request: pytest.FixtureRequest | None = None, **fixtures: object) -> None:
        __tracebackhide__ = True
        if request is None:  # called by unittest, not by pytest
            raise TypeError(
                f"{by} on {function.__qualname__}: a unittest.TestCase gives its methods no fixtures: write the test "
                "as a function, or in a class that is no TestCase"
            )
        if asks_for_request:
            fixtures["request"] = request

        def body(chaos: Chaos) -> object:
            return _call(chaos, function, loop, *args, **fixtures)

        code = inspect.unwrap(function).__code__
        stash = request.config.stash
        name = whole_name(request.node.nodeid)
        run = Test(body, code, name, _of_test(request, name, options, by), known=known_of(request.node))
        watching = stash.get(WATCHING, None)
        if watching is not None:
            run = replace(run, watch=functools.partial(watching, request.node))
        told = act(run, request)
        if told.failure is not None:
            raise_at(code, LawsBroken(told.failure))
        request.node.stash[SAID] = told.said

    test.__signature__ = _without_chaos(signature)  # type: ignore[attr-defined]  # what pytest reads first
    test.__dict__[_REPEATED] = by
    return test


def check_switches(switches: object) -> None:
    """Refuse what is no number of switches; `ValueError`."""
    if isinstance(switches, bool) or not isinstance(switches, int) or switches < 0:
        raise ValueError(f"switches={switches!r}: it is how often another thread or task may go on, 0 or more")


def watched(
    run: Test,
    request: pytest.FixtureRequest,
    judge: Callable[[Test], str | None],
    found: Found,
    coverage: Callable[[], str],
) -> str | None:
    """Let ``judge`` run a test, each run noted on disk, unless the time before died in one; say why it fails, if so.

    An interrupt leaves what was ``found`` so far to be told at the end.
    """
    last = History()

    def again(history: History) -> str:
        return _marker(run, "" if history.script is None else str(history.script), history.options)

    def note(history: History) -> None:
        nonlocal last
        last = history
        if own is not None:
            own.note(again(history), words.plainest(found))

    def so_far() -> str:
        return words.failure(found, {}, coverage())

    with journal(request.config, request.node.nodeid) as own:
        if own is not None and own.left is not None:
            return words.died(own.left)
        try:
            return judge(replace(run, note=note))
        except pytest.fail.Exception as late:
            if not is_out_of_time(late):
                raise
            return words.out_of_time(late.msg or "", last, again(last), so_far())
        except KeyboardInterrupt:
            request.config.stash.setdefault(INTERRUPTED, []).append((run.name, so_far()))
            raise


def _marker(run: Test, script: str, options: Mapping[str, Any]) -> str:  # Any: as a user writes them
    given = {name: value for name, value in run.options.items() if name != "watchdog"}
    return marker(script, Options.read({**given, **options}).changed, run.options["seed"])


def _call(chaos: Chaos, function: Function, loop: str, /, *args: object, **named: object) -> object:
    test = functools.partial(function, *args, chaos=chaos, **named)
    return chaos.recorded.caller.run(loop, test) if inspect.iscoroutinefunction(function) else test()


def _of_test(
    request: pytest.FixtureRequest, test: str, options: dict[str, Any], by: str
) -> dict[str, Any]:  # Any: as above
    if request.node.get_closest_marker("chaos") is not None:
        raise pytest.UsageError(
            f"{request.node.nodeid} has both {by} and @pytest.mark.chaos: the search chooses the scripts; "
            f"give the marker's other options to {by.removeprefix('@')}"
        )
    seed = options.get("seed")
    own = derived_seed(request.config, test) if seed is None else seed
    return {**options, "seed": own, "watchdog": watchdog(request.config)}


def _without_chaos(signature: inspect.Signature) -> inspect.Signature:
    parameters = [one for one in signature.parameters.values() if one.name not in ("chaos", "request")]
    parameters.append(inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY))
    return signature.replace(parameters=parameters)

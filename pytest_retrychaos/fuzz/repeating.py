"""A test that is run again and again within one item, each time with a fresh ``chaos``; what both decorators share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import pytest

from pytest_retrychaos.blame import raise_at
from pytest_retrychaos.chaos import Chaos
from pytest_retrychaos.fuzz import words
from pytest_retrychaos.fuzz.history import History
from pytest_retrychaos.fuzz.journal import journal
from pytest_retrychaos.fuzz.playing import Test, is_out_of_time
from pytest_retrychaos.fuzz.search import Found
from pytest_retrychaos.fuzz.shares import whole_name
from pytest_retrychaos.markers import Marked, read_markers
from pytest_retrychaos.options import LOOPS, Options
from pytest_retrychaos.settings import INTERRUPTED, REPEATED, SAID, WATCHING, derived_seed, known_of, watchdog
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


def repeated(
    function: Function,
    act: Callable[[Test, pytest.FixtureRequest], Told],
    *,
    by: str,
    loop: str | None,
    options: dict[str, Any],  # Any: as the user wrote them
) -> Function:
    """Make the test that pytest sees: it asks for all fixtures but ``chaos``, and lets ``act`` run the test.

    ``by`` is the decorator's name, for the errors. Raises `TypeError` or `ValueError` for what cannot be repeated.
    """
    if loop is not None and loop not in LOOPS:
        raise ValueError(f"loop={loop!r}: it is {' or '.join(map(repr, LOOPS))}")
    if Options.read(options).transport == "loopback":
        raise ValueError(_in_real_time(by))
    if loop is not None:
        options = {**options, "loop": loop}
    signature = inspect.signature(function)
    below = function.__dict__.get(REPEATED)
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
            return _call(chaos, function, *args, **fixtures)

        code = inspect.unwrap(function).__code__
        stash = request.config.stash
        name = whole_name(request.node.nodeid)
        merged = _of_test(request, name, options, by, is_async=inspect.iscoroutinefunction(function))
        run = Test(body, code, name, merged, known=known_of(request.node))
        watching = stash.get(WATCHING, None)
        if watching is not None:
            run = replace(run, watch=functools.partial(watching, request.node))
        told = act(run, request)
        if told.failure is not None:
            raise_at(code, LawsBroken(told.failure))
        request.node.stash[SAID] = told.said

    test.__signature__ = _without_chaos(signature)  # type: ignore[attr-defined]  # what pytest reads first
    test.__dict__[REPEATED] = by
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


def options_of(run: Test, chosen: Mapping[str, Any] | None = None) -> Options:  # Any: as a user writes them
    """Read the options of a test's runs, and those that the search has chosen."""
    given = {name: value for name, value in run.options.items() if name != "watchdog"}
    return Options.read({**given, **(chosen or {})})


def _marker(run: Test, script: str, chosen: Mapping[str, Any]) -> str:  # Any: as above
    return marker(script, options_of(run, chosen).changed, run.options["seed"])


def _call(chaos: Chaos, function: Function, /, *args: object, **named: object) -> object:
    test = functools.partial(function, *args, chaos=chaos, **named)
    loop = chaos.options.loop
    return test() if loop is None else chaos.recorded.caller.run(loop, test)


def _of_test(
    request: pytest.FixtureRequest, test: str, options: dict[str, Any], by: str, *, is_async: bool
) -> dict[str, Any]:  # Any: as above
    """Put what the decorator was given, and what the markers of test, class and module say, together."""
    marked = read_markers(request.node) or Marked([], {})
    chosen = [f"{name}=" for name in ("cancel", "switches") if name in marked.options]
    if marked.scripts or chosen:
        what = "a script" if marked.scripts else chosen[0]
        raise pytest.UsageError(
            f"{request.node.nodeid} has both {by} and @pytest.mark.chaos: the search chooses {what}; take it off the "
            "marker (of the test, its class or its module), whose other options count"
        )
    # real entropy would be another history each time
    merged = {"entropy": "seeded", **marked.options, **options}
    if merged.get("transport") == "loopback":
        raise pytest.UsageError(_in_real_time(by))
    if is_async:
        merged.setdefault("loop", LOOPS[0])
    else:
        merged.pop("loop", None)
    if merged.get("seed") is None:
        merged["seed"] = derived_seed(request.config, test)
    return {**merged, "watchdog": watchdog(request.config)}


def _in_real_time(by: str) -> str:
    return (
        f"{by} on transport='loopback': there time is real, and no run is like the one before it. Use "
        'transport="network", or try single scripts: @pytest.mark.chaos("503, ok", …, transport="loopback")'
    )


def _without_chaos(signature: inspect.Signature) -> inspect.Signature:
    parameters = [one for one in signature.parameters.values() if one.name not in ("chaos", "request")]
    parameters.append(inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY))
    return signature.replace(parameters=parameters)

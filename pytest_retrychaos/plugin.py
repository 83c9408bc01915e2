"""The pytest plugin: hooks, options, the marker and the fixture. Everything else is imported where it is used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_retrychaos import redact
from pytest_retrychaos.blame import raise_at
from pytest_retrychaos.markers import Marked, read_markers
from pytest_retrychaos.report.asked import add_options, read_asked
from pytest_retrychaos.report.collecting import RUN, Collecting
from pytest_retrychaos.report.items import code_of
from pytest_retrychaos.settings import (
    IS_EXPLORED,
    REDACT_OPTION,
    REDACTION_KEY,
    REPEATED,
    SEED_OPTION,
    WATCHDOG_OPTION,
    derived_seed,
    known_of,
    main_seed,
    redaction,
    watchdog,
)
from pytest_retrychaos.showing import pytest_runtest_makereport, pytest_terminal_summary  # noqa: F401 - hooks, too

if TYPE_CHECKING:
    from pytest_retrychaos.chaos import Chaos
    from pytest_retrychaos.faults import Script
    from pytest_retrychaos.redact import Redaction
    from pytest_retrychaos.run import Run

MARKER = (
    "chaos(*scripts, transport='network', profile='default', seed=None, timezone=None, hosts=(), strict=True, "
    "expect=(), entropy='real', loop=None, cancel=None, keep_alive=True, switches=(), "
    "listen='localhost:0'): script faults into the fake service; several scripts parametrize the test."
)
REDACTION_BEFORE: pytest.StashKey[Redaction | None] = pytest.StashKey()
ACTIVE_BEFORE: pytest.StashKey[Run | None] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and their ini twins."""
    group = parser.getgroup("retrychaos", "pytest-retrychaos: code that retries")
    group.addoption(
        SEED_OPTION,
        type=int,
        metavar="N",
        help="seed of every chaos test, together with the test's id (default: ini chaos_seed, else 0)",
    )
    group.addoption(
        WATCHDOG_OPTION,
        type=float,
        metavar="SECONDS",
        help="real seconds after which a thread that blocks for real while others wait for it is reported, 0 for "
        "never (default: ini chaos_watchdog, else 30)",
    )
    group.addoption(
        REDACT_OPTION,
        action="append",
        metavar="NAME|REGEX",
        help="a header or field whose value is a secret, or a regular expression for secrets; may be given again. "
        "They are hidden in what is printed and written, beside the usual ones (also: ini chaos_redact)",
    )
    parser.addini("chaos_redact", "names or regular expressions, as --chaos-redact", type="linelist", default=[])
    add_options(group, parser)
    parser.addini("chaos_watchdog", "real seconds, as --chaos-watchdog", default="30")
    parser.addini("chaos_seed", "seed of every chaos test, as --chaos-seed", default="0")
    parser.addini(
        "chaos_verify",
        "'auto': judge by every law at the end of a chaos test that did not judge itself; 'manual' (default): "
        "only that every scripted fault fired",
        default="manual",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and check the options."""
    config.addinivalue_line("markers", MARKER)
    main_seed(config)
    watchdog(config)
    config.stash[REDACTION_BEFORE] = redact.use(redaction(config))
    config.stash[ACTIVE_BEFORE] = _active_run()
    if config.getini("chaos_verify") not in ("auto", "manual"):
        raise pytest.UsageError(
            f"ini chaos_verify = {config.getini('chaos_verify')!r} is unknown: it is 'auto' or 'manual'"
        )
    config.pluginmanager.register(Collecting(config, read_asked(config)), "retrychaos-report")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Let nobody's end of the session run on virtual time: an interrupt leaves the test's fixtures standing."""
    try:
        _end_interrupted(session)
    finally:
        yield


def _end_interrupted(session: pytest.Session) -> None:
    """Tear down as pytest itself does, but before other plugins: in order, since fixtures may need the run."""
    before = session.config.stash[ACTIVE_BEFORE]
    try:
        if _active_run() is not before:
            session._setupstate.teardown_exact(None)
    finally:
        left = _active_run()
        if left is not None and left is not before:  # interrupted in a tear-down: pytest forgets what comes after
            left.stop()


def _active_run() -> Run | None:
    module = sys.modules.get("pytest_retrychaos.run")  # a session without a chaos test does not load it
    return None if module is None else module.Run.active


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Let what hid secrets before hide them again: a run may stand inside another."""
    if REDACTION_BEFORE in config.stash:
        redact.use(config.stash[REDACTION_BEFORE])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # Any: a worker of pytest-xdist
    """Give each worker the key of this run's marks, so that the same secret has the same mark in all of them."""
    node.workerinput[REDACTION_KEY] = redact.current().key.hex()


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: Any) -> None:  # Any: as above, which the report names
    """Say what a worker that died was about to run, where it searched, and what it had found."""
    from pytest_retrychaos.fuzz import words
    from pytest_retrychaos.fuzz.journal import taken_from_the_dead

    left = taken_from_the_dead(report.node.config, crashitem)
    if left is not None:
        report.longrepr = redact.current().text(f"{report.longrepr}{words.died_in(left)}")


def pytest_report_header(config: pytest.Config) -> str:
    """Say the seed, so that a run can be repeated."""
    return f"retrychaos: {SEED_OPTION}={main_seed(config)}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a marker bring its fixture, and several scripts parametrize the test."""
    _collect_repeated(metafunc.function)
    if hasattr(metafunc.function, IS_EXPLORED):
        from pytest_retrychaos.fuzz.shares import spread

        spread(metafunc)
    marked = read_markers(metafunc.definition)
    if marked is None or hasattr(metafunc.function, REPEATED):  # which makes a chaos for each of its runs
        return
    scripts = marked.scripts
    if "chaos" not in metafunc.fixturenames:
        metafunc.fixturenames.append("chaos")
    if len(scripts) > 1:
        metafunc.parametrize("chaos", scripts, indirect=True, ids=[str(script) for script in scripts])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let a marker bring its fixture to a method of a `unittest.TestCase`, too: pytest generates no tests of it."""
    if not (isinstance(item, pytest.Function) and _is_of_test_case(item)) or "chaos" in item.fixturenames:
        return
    if read_markers(item) is not None:
        item.fixturenames.append("chaos")


def _is_of_test_case(item: pytest.Item) -> bool:
    unittest = sys.modules.get("unittest")  # a suite without one does not load it
    return unittest is not None and issubclass(getattr(item, "cls", None) or object, unittest.TestCase)


def _collect_repeated(function: Callable[..., object]) -> None:
    """Let @chaos_fuzz take over what decorators above it have put on a test; refuse @given there."""
    collected = getattr(function, "retrychaos_collected", None)
    if collected is None:
        return
    if getattr(function, "is_hypothesis_test", False):
        pytest.fail(
            "@given stands on top of @chaos_fuzz, which draws by itself: take one of them. With @given draw the script "
            "too, as in @given(scripts(), …), and begin the test by `with Chaos(script) as chaos:`",
            pytrace=False,
        )
    collected(function)


@pytest.fixture
def chaos(request: pytest.FixtureRequest) -> Iterator[Chaos]:
    """Provide a fake service on a simulated network and clock; see ``pytest_retrychaos.Chaos``."""
    from pytest_retrychaos.chaos import Chaos
    from pytest_retrychaos.clock.errors import LeftRunning
    from pytest_retrychaos.options import CannotListen

    marked = read_markers(request.node) or Marked([], {})
    script, options = _sole_script(request, marked.scripts), marked.options
    if options.get("seed") is None:
        options["seed"] = derived_seed(request.config, request.node.nodeid)
    run = Chaos(
        script,
        name=request.node.nodeid,
        test_code=code_of(request.node),
        watchdog=watchdog(request.config),
        known=known_of(request.node),
        **options,
    )
    try:
        with run:
            request.node.stash[RUN] = run
            yield run
    except LeftRunning as left:
        text = str(left)
    except CannotListen as error:
        text = f"@pytest.mark.chaos(listen={error.address!r}): {error.told('listen=')}"
    else:
        return
    pytest.fail(text, pytrace=False)


def _sole_script(request: pytest.FixtureRequest, scripts: list[Script]) -> Script | None:
    """Give the script of this test: the marker of a set of parameters makes no tests of its own."""
    if hasattr(request, "param"):
        script: Script = request.param
        return script
    if len(scripts) > 1 and _is_of_test_case(request.node):
        pytest.fail(
            f"@pytest.mark.chaos: a method of a unittest.TestCase takes no parameters, and has one script, not "
            f"{len(scripts)}: write it once for each, or make it a function",
            pytrace=False,
        )
    if len(scripts) > 1:
        pytest.fail(
            "@pytest.mark.chaos: the marker of a set of parameters (pytest.param(…, marks=…)) has one script, not "
            f"{len(scripts)}: write the set once for each",
            pytrace=False,
        )
    return scripts[0] if scripts else None


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Seed ``random`` right before the test itself: other plugins reseed it before the call."""
    run = pyfuncitem.stash.get(RUN, None)
    if run is None:
        return (yield)
    run.begin_test()
    if run.options.loop is None:
        return (yield)
    real = pyfuncitem.obj
    pyfuncitem.obj = _in_loop(pyfuncitem, run)
    try:
        return (yield)
    finally:
        pyfuncitem.obj = real


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Judge what a test that passed left over, while its virtual time still runs."""
    __tracebackhide__ = True
    run = item.stash.get(RUN, None)
    if run is None:
        return (yield)
    try:
        yield
    except BaseException as error:
        run.judge.note_end(error)
        raise
    if getattr(item, "_excinfo", None):  # a unittest.TestCase that failed raises nothing here
        return None
    try:
        is_cancelled = run.options.cancel is not None  # it may not have come to where it judges
        run.judge.finish(judge_all=is_cancelled or item.config.getini("chaos_verify") == "auto")
        return None
    except AssertionError as error:  # no line of the test is to blame: the text says all
        left: BaseException = pytest.fail.Exception(str(error), pytrace=False)
    except Exception as error:
        left = error
    raise_at(code_of(item), left)


def _in_loop(item: pytest.Function, run: Chaos) -> Callable[..., object]:
    """Make what runs an async test in the loop that its marker names, whatever other plugins made of the test."""
    import functools
    import inspect

    function = inspect.unwrap(item.obj)
    loop = run.options.loop
    if loop is None or not inspect.iscoroutinefunction(function):
        pytest.fail(f"{item.nodeid}: loop={loop!r} is for an async test, and this is none: leave it out", pytrace=False)
    own = () if item.instance is None or inspect.ismethod(function) else (item.instance,)

    def called(**fixtures: object) -> None:
        __tracebackhide__ = True
        run.recorded.caller.run(loop, functools.partial(function, *own, **fixtures))

    return called

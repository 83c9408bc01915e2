"""Nothing stays patched: after a test that passes, fails, errors or is interrupted, time and network are real."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin import inner

WATCH = """
import importlib.util
import pytest

spec = importlib.util.spec_from_file_location("watch", {watch!r})
watch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(watch)
before = {{}}


def pytest_sessionstart(session):
    import asyncio, requests, time_machine  # loaded before, so that only patches can make a difference
    before.update(watch.patched_state())


@pytest.hookimpl(tryfirst=True)  # before pytest tears down what an interrupt left standing
def pytest_sessionfinish(session):
    print("CHANGED", watch.changed_names(before, watch.patched_state()))
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Provide a directory whose conftest compares every patched name before and after the session."""
    pytester.makeconftest(WATCH.format(watch=str(Path(__file__).parents[1] / "watch.py")))
    return pytester


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in a process of its own."""
    return inner.run(pytester, "-s", "-p", "pytest_timeout", *arguments)


ENDINGS = {
    "passes": "pass",
    "fails": "assert False",
    "fails in a law": "chaos.verify()",
    "raises": "raise OSError('of its own')",
    "is ended by the run": "requests.get('https://api.example.com', timeout=None)",
    "exits": "raise SystemExit(3)",
    "is interrupted": "raise KeyboardInterrupt",
    "ends the session": "pytest.exit('enough')",
    "is interrupted while it waits": "import signal; signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
    "    while True: time.sleep(1)",
    "is interrupted while an app answers": "import asyncio\n"
    "    async def app(scope, receive, send):\n"
    "        assert scope['type'] == 'http'\n"
    "        signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
    "        await asyncio.Event().wait()\n"
    "    chaos.service.mount(app)\n"
    "    chaos.script('ok')\n"
    "    requests.get(chaos.url, timeout=5)",
}


@pytest.mark.parametrize("ending", list(ENDINGS.values()), ids=list(ENDINGS))
def test_nothing_stays_patched_when_a_test(suite: pytest.Pytester, ending: str) -> None:
    """Every patched name and type is as it was before."""
    suite.makepyfile(
        f"""
import signal, time, requests, pytest

signal.signal(signal.SIGALRM, signal.default_int_handler)

@pytest.mark.chaos("timeout", strict=False, timezone="Asia/Tokyo", entropy="seeded")
def test_it(chaos):
    {ending}
"""
    )

    run(suite).stdout.fnmatch_lines(["*CHANGED []"])


INTERRUPTS = {
    "in the test": ("pass", "raise KeyboardInterrupt"),
    "by pytest.exit": ("pass", "pytest.exit('enough')"),
    "in a tear-down": ("raise KeyboardInterrupt", "pass"),
}


@pytest.mark.parametrize(("torn_down", "act"), list(INTERRUPTS.values()), ids=list(INTERRUPTS))
def test_fixtures_are_torn_down_in_the_run_when_it_is_interrupted(
    suite: pytest.Pytester, torn_down: str, act: str
) -> None:
    """What they do is simulated still; what the suite does at the session's end is real."""
    suite.makepyfile(
        f"""
        import time, pytest, requests

        @pytest.fixture
        def client(chaos):
            yield
            time.sleep(3600)
            print("TORN DOWN", requests.get(chaos.url, timeout=1).status_code, chaos.clock.elapsed)
            {torn_down}

        def test_it(client):
            {act}
        """
    )

    result = run(suite)

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*TORN DOWN 200 3600.0", "*CHANGED []"])
    assert "Traceback" not in result.stderr.str()


def test_a_tear_down_that_fails_after_an_interrupt_hides_nothing(suite: pytest.Pytester) -> None:
    """It is told once the session has ended, as pytest tells it."""
    suite.makepyfile(
        """
        import pytest

        @pytest.fixture
        def client(chaos):
            yield
            raise OSError("tear-down")

        def test_it(client):
            raise KeyboardInterrupt
        """
    )

    result = run(suite)

    result.stdout.fnmatch_lines(["*CHANGED []", "*no tests ran*"])
    result.stderr.fnmatch_lines(["OSError: tear-down*"])


@pytest.mark.parametrize("where", ["before", "after"])
def test_nothing_stays_patched_when_another_fixture_fails(suite: pytest.Pytester, where: str) -> None:
    """An error in set-up or tear-down of another fixture changes nothing."""
    order = "chaos, broken" if where == "before" else "broken, chaos"
    suite.makepyfile(
        f"""
        import pytest

        @pytest.fixture
        def broken():
            if {where == "before"}:
                raise OSError("set-up")
            yield
            raise OSError("tear-down")

        def test_it({order}):
            pass
        """
    )

    result = run(suite)

    result.assert_outcomes(errors=1, passed=int(where == "after"))
    result.stdout.fnmatch_lines(["*CHANGED []*"])


def test_a_test_without_chaos_sees_real_time(suite: pytest.Pytester) -> None:
    """It is never touched, though others in its session use the plugin."""
    suite.makepyfile(
        """
        import time

        def test_one(chaos):
            time.sleep(3600)
            assert chaos.clock.elapsed == 3600

        def test_two():
            began = time.monotonic()
            time.sleep(0.01)
            assert 0.01 <= time.monotonic() - began < 3600
            assert time.gmtime().tm_year < 2030
        """
    )

    result = run(suite, "-p", "no:randomly")

    result.assert_outcomes(passed=2)


def test_durations_stay_real(suite: pytest.Pytester) -> None:
    """pytest times the test by the real clock, though an hour passed inside."""
    suite.makepyfile(
        """
        import time

        def test_it(chaos):
            time.sleep(3600)
        """
    )

    result = run(suite, "--durations=5", "-vv")

    result.assert_outcomes(passed=1)
    result.stdout.no_re_match_line(r"^3\d\d\d\.\d\ds")


def test_pytest_timeout_counts_real_time(suite: pytest.Pytester) -> None:
    """An hour of back-off does not run into a limit of five seconds."""
    suite.makepyfile(
        """
        import time, pytest

        @pytest.mark.timeout(5)
        def test_it(chaos):
            time.sleep(3600)
        """
    )

    run(suite).assert_outcomes(passed=1)


def test_side_by_side_tests_do_not_mix(suite: pytest.Pytester) -> None:
    """Under xdist each worker has a clock, a network and seeds of its own, the same as without."""
    suite.makepyfile(
        """
        import hashlib, random, time, pytest, requests

        @pytest.mark.parametrize("number", range(8))
        def test_it(chaos, number, request):
            chaos.script("503 x2, ok")
            while requests.post(chaos.url + "/payments", json={"n": number}, timeout=1).status_code != 201:
                time.sleep(random.random())
            print("TRACE", request.node.name, hashlib.sha256(chaos.trace.to_json().encode()).hexdigest())
        """
    )

    def traces(*arguments: str) -> list[str]:
        result = inner.run(suite, "-rP", "-p", "no:cacheprovider", *arguments)
        result.assert_outcomes(passed=8)
        return sorted(line for line in result.stdout.lines if line.startswith("TRACE"))

    alone = traces()
    assert len(alone) == 8
    assert traces("-p", "randomly", "-n", "2") == alone
    assert traces("-p", "randomly") == alone


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (
            "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('10.1.2.3', 8125))",
            "*a datagram to 10.1.2.3:8125 cannot*",
        ),
    ],
)
def test_what_cannot_be_simulated_is_told_though_it_was_swallowed(suite: pytest.Pytester, act: str, told: str) -> None:
    """A wide ``except`` in the code under test hides nothing."""
    suite.makepyfile(
        f"""
import asyncio, socket, threading

def test_it(chaos):
    try:
        {act}
    except Exception:
        pass
"""
    )

    result = run(suite)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])


def test_a_run_is_let_go_once_its_test_is_over(pytester: pytest.Pytester) -> None:
    """Not kept until the session ends, with all that it has recorded; with reports and without."""
    pytester.makepyfile(
        """
        import gc
        import urllib.request
        import weakref

        RUNS = []

        def test_one(chaos):
            urllib.request.urlopen(chaos.url, timeout=5)
            RUNS.append(weakref.ref(chaos.recorded))

        def test_next(chaos):
            gc.collect()
            assert RUNS[0]() is None
        """
    )

    for options in ((), ("--chaos-report=r.json",), ("-p", "no:retrychaos-report")):
        inner.run(pytester, *options).assert_outcomes(passed=2)

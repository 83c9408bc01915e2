"""What ends code that would never have ended is told at the end, where the code under test swallowed it."""

from __future__ import annotations

import pytest

from tests.plugin.inner import run

CLIENT = """
import threading, time
import requests


def attempt_for_ever(url):
    for _ in range(2_001):
        try:
            return requests.get(url, timeout=5).raise_for_status()
        except BaseException:
            pass


def wait_for_ever(url):
    try:
        return requests.get(url)
    except BaseException:
        return None


def lock_for_ever(url):
    lock = threading.Lock()
    lock.acquire()
    try:
        lock.acquire()
    except BaseException:
        pass


def poll_for_ever(url):
    while True:
        try:
            time.monotonic()
        except BaseException:
            return
"""
SWALLOWED = "The code under test swallowed this: catch `Exception`, not `BaseException`"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Provide clients that catch everything."""
    pytester.makepyfile(client=CLIENT)
    return pytester


@pytest.mark.parametrize(
    ("client", "error"),
    [
        ("attempt_for_ever", "*Runaway: a connection to service.test was tried 2000 times in a row: *"),
        ("wait_for_ever", "*NoTimeout: the client waits for service.test without any timeout and met silence: *"),
        ("lock_for_ever", "*Deadlock: client.py:24 lock_for_ever waits for a lock that is held without a limit, *"),
        ("poll_for_ever", "*ClockPolled: client.py:32 poll_for_ever polls the clock without waiting, *"),
    ],
)
def test_a_test_whose_code_swallows_its_end_fails(suite: pytest.Pytester, client: str, error: str) -> None:
    """With the error that was swallowed, and how it came to that."""
    script = "timeout*" if client == "wait_for_ever" else "refuse*"
    suite.makepyfile(
        f"""
        import client

        def test_it(chaos):
            chaos.script("{script}", strict=False)
            client.{client}(chaos.url)
        """
    )

    result = run(suite)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E *{error}", f"E *{SWALLOWED}"], consecutive=True)


def test_verify_tells_it_where_no_law_is_broken(suite: pytest.Pytester) -> None:
    """Also outside pytest, where there is no end of a test."""
    suite.makepyfile(
        """
        import client, pytest, requests
        from pytest_retrychaos import Chaos
        from pytest_retrychaos.clock.errors import Deadlock

        def test_it():
            with Chaos() as chaos:
                requests.get(chaos.url, timeout=5)
                client.lock_for_ever(chaos.url)
                with pytest.raises(Deadlock):
                    chaos.verify()
        """
    )

    run(suite).assert_outcomes(passed=1)


def test_an_end_that_reached_the_test_is_the_tests_own_matter(suite: pytest.Pytester) -> None:
    """A test may ask for it."""
    suite.makepyfile(
        """
        import pytest, requests
        from pytest_retrychaos import NoTimeout

        def fetch(url):
            try:
                requests.get(url)
            except BaseException as error:
                raise error

        @pytest.mark.chaos("timeout")
        def test_it(chaos):
            with pytest.raises(NoTimeout):
                fetch(chaos.url)

        @pytest.mark.chaos("timeout")
        class TestIt:
            def test_it(self, chaos):
                with pytest.raises(NoTimeout):
                    chaos.call(fetch, chaos.url)
        """
    )

    run(suite).assert_outcomes(passed=2)


@pytest.mark.parametrize("style", ["auto", "short", "line"])
def test_what_is_told_at_the_end_has_the_test_as_its_place(suite: pytest.Pytester, style: str) -> None:
    """A report, an editor and ``--tb=line`` show where to look."""
    suite.makepyfile(
        """
        import pytest, requests

        @pytest.mark.chaos("503", seed=1)
        def test_left_over(chaos):
            assert chaos.attempts == ()

        def test_handler(chaos):
            chaos.service.route("GET", "/", lambda request: 1 / 0)
            requests.get(chaos.url, timeout=5)
        """
    )

    result = run(suite, f"--tb={style}")

    result.assert_outcomes(failed=2)
    result.stdout.no_fnmatch_line("*traceback entries are hidden*")
    if style == "line":
        result.stdout.fnmatch_lines(
            ["*/test_what_*.py:3: Failed: NV01 cannot tell: *", "*/test_what_*.py:7: *HandlerFailed: *"]
        )
    else:
        result.stdout.fnmatch_lines(["NV01 cannot tell: *", "*def test_handler(chaos):", "E   *HandlerFailed: the h*"])

"""Ways in which a wrong test or client could have gone unnoticed, or left something behind."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest
import requests

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine import Retry, fixed
from tests.plugin.inner import run

POOL = ThreadPoolExecutor(1)


def test_a_unittest_case_is_judged_too(pytester: pytest.Pytester) -> None:
    """It is no pytest function, and a fault that never fired fails it all the same."""
    pytester.makepyfile(
        """
        import unittest
        import pytest, requests

        class Tests(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def keep(self, chaos):
                self.chaos = chaos

            def test_left_over(self):
                self.chaos.script("503 x2")

            def test_used_up(self):
                self.chaos.script("503")
                requests.get(self.chaos.url, timeout=1)
        """
    )

    result = run(pytester)

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(['NV01 cannot tell: "503" (0 of 2 times) *'])


def test_a_run_cannot_be_begun_twice() -> None:
    """Its service is closed; and nothing of the first time stays."""
    again = Chaos()
    with again:
        pass

    with pytest.raises(RuntimeError, match="this chaos was begun before"), again:
        pass
    with Chaos() as other:
        assert requests.get(other.url, timeout=1).ok


def test_a_store_closed_by_the_test_leaves_nothing_behind() -> None:
    """The run ends as ever."""
    with pytest.raises(Exception, match="closed"), Chaos() as chaos:
        chaos.service.close()

    with Chaos() as other:
        assert requests.get(other.url, timeout=1).ok


@pytest.mark.parametrize("expect", ["RT91", "XX", "BK04/erly"])
def test_an_unknown_law_cannot_be_expected(expect: str) -> None:
    """It is named where it is written, with what there is."""
    with pytest.raises(ValueError, match=re.escape(f"expect: '{expect}' is no law; it has to be a code (RT01)")):
        Chaos(expect=(expect,))


@pytest.mark.chaos("503 x2", expect=("BK02",))
def test_a_breach_that_only_a_policy_shows_may_be_expected(chaos) -> None:  # type: ignore[no-untyped-def]  # the fixture
    """The end of the test does not judge anew without the policy."""
    import time

    for _ in range(3):
        if requests.get(chaos.url, timeout=1).ok:
            break
        time.sleep(2)

    chaos.verify(Retry(attempts=3, backoff=fixed(7)))


def test_an_older_thread_lets_no_request_out() -> None:
    """It would be on real time and on the real network."""
    ways: queue.SimpleQueue[str] = queue.SimpleQueue()
    told: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def call() -> None:
        try:
            requests.get(ways.get(), timeout=1)
        except RuntimeError as error:
            told.put(error)

    older = threading.Thread(target=call)
    older.start()
    with Chaos() as chaos:
        ways.put("https://api.example.com")
        assert "which was there before chaos began, called api" in str(told.get())
        with pytest.raises(RuntimeError, match="which was there before chaos began"):
            chaos.judge.finish()
    older.join()


def test_a_loop_in_an_older_thread_asks_no_name_server() -> None:
    """aiohttp's resolver in C would: what it asks leaves the machine, and its error looks like the service's."""

    async def call() -> int:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
            return (await session.get("http://api.example.com/")).status

    loop = asyncio.new_event_loop()
    older = threading.Thread(target=loop.run_forever)
    older.start()
    with Chaos() as chaos:
        with pytest.raises(RuntimeError, match=r"was there before chaos began, called api\.example\.com"):
            asyncio.run_coroutine_threadsafe(call(), loop).result(20)
        with pytest.raises(RuntimeError, match="which was there before chaos began"):
            chaos.judge.finish()
    loop.call_soon_threadsafe(loop.stop)
    older.join()
    loop.close()


def test_a_signals_handler_lets_no_request_out_while_another_thread_has_the_turn() -> None:
    """It runs in the test's own thread, in the middle of a wait; the refusal says what to do instead."""
    told: list[BaseException] = []

    def send(*_: object) -> None:
        try:
            requests.get("https://api.example.com", timeout=1)
        except RuntimeError as error:
            told.append(error)

    before = signal.signal(signal.SIGUSR1, send)
    try:
        with Chaos() as chaos:
            timer = threading.Timer(3, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            timer.join()
            with pytest.raises(RuntimeError, match="a signal's handler called"):
                chaos.judge.finish()
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert str(told[0]) == (
        "a signal's handler called api.example.com while another thread had the turn: what it does there cannot be "
        "simulated. Let it set a flag or an Event, and send from the thread itself"
    )


def test_a_request_goes_out_once_a_signals_handler_has_set_an_event(chaos: Chaos) -> None:
    """The thread that waited for it sends at the signal's moment."""
    event = threading.Event()

    before = signal.signal(signal.SIGUSR1, lambda *_: event.set())
    try:
        threading.Timer(3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        event.wait(10)
        requests.get(chaos.url, timeout=1)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert len(chaos.attempts) == 1
    assert chaos.clock.elapsed == 3


def test_a_pool_from_before_works_in_the_run() -> None:
    """It has workers on virtual time meanwhile, and its own again afterwards."""
    before = POOL.submit(threading.get_ident).result()

    with Chaos() as chaos:
        assert POOL.submit(requests.get, "https://api.example.com", timeout=1).result().status_code == 200
        POOL.submit(time.sleep, 3600).result()
        assert chaos.clock.elapsed == 3600

    assert POOL.submit(threading.get_ident).result() == before


def test_an_outer_phase_goes_on_after_an_inner_one(chaos) -> None:  # type: ignore[no-untyped-def]  # the fixture
    """The inner one took its place for a while."""
    with chaos.script("503 *"):
        with chaos.script("500"):
            inner = requests.get(chaos.url, timeout=1).status_code
        outer = requests.get(chaos.url, timeout=1).status_code

    assert (inner, outer, requests.get(chaos.url, timeout=1).status_code) == (500, 503, 200)


def test_a_large_body_is_not_kept_by_its_effect(chaos) -> None:  # type: ignore[no-untyped-def]  # the fixture
    """The trace has its length, its digest and its first KiB."""
    requests.post(f"{chaos.url}/files", data=b"x" * 1_000_000, timeout=5)

    assert len(chaos.trace.to_json()) < 20_000
    assert len(chaos.ledger[0].body) == 1_000_000


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (
            lambda chaos: chaos.verify(3),
            (
                "verify(3): what it promises cannot be read; give a Retry of the engine or of urllib3, a Retrying of "
                "tenacity or what it decorates, or say it by hand: verify(attempts=4, "
                "bounds=lambda retry: (0, 2**retry), timeout=30)"
            ),
        ),
        (lambda chaos: chaos.assert_attempts("x"), "assert_attempts('x'): give a whole number, 0 or more"),
        (lambda chaos: chaos.assert_retried(-1), "assert_retried(-1): give a whole number, 0 or more"),
        (lambda chaos: chaos.assert_within(None), "assert_within(None): give a number of seconds, 0 or more"),
        (
            lambda chaos: chaos.assert_backoff("x"),
            "assert_backoff('x'): give a back-off, such as engine.exponential(0.1, cap=20)",
        ),
        (lambda chaos: chaos.script("503", strict="no"), "chaos.script(strict='no'): strict is True or False"),
    ],
)
def test_a_bad_argument_is_named(chaos, act, told) -> None:  # type: ignore[no-untyped-def]  # the fixture, lambdas
    """The call as written, the rule and the way out."""
    with pytest.raises(TypeError) as caught:
        act(chaos)

    assert str(caught.value) == told


def test_an_async_function_cannot_be_called_blocking(chaos) -> None:  # type: ignore[no-untyped-def]  # the fixture
    """Its coroutine would never run."""

    async def pay() -> None: ...

    with pytest.raises(TypeError, match=r"this is an async function: await chaos\.call_async"):
        chaos.call(pay)


@pytest.mark.parametrize("host", ["*.example", "b.example:8080", "http://a.example"])
def test_a_host_that_no_request_could_have_is_refused(host: str) -> None:
    """A port, a wildcard or a scheme would never match."""
    with pytest.raises(ValueError, match="is no host name"):
        Chaos(hosts=(host,))


def test_once_a_run_is_over_no_fault_of_its_script_may_fire_yet() -> None:
    """Outside pytest nobody else asks at its end."""
    with Chaos("503 x3, reset after-commit") as chaos:
        requests.get(chaos.url, timeout=1)
        chaos.verify(only=("NV01",))
    with pytest.raises(AssertionError, match=r"^NV01 cannot tell: .503. \(1 of 3 times\)"):
        chaos.verify(only=("NV01",))


def test_a_trace_prints_as_its_timeline() -> None:
    """Whatever became of the test."""
    with Chaos("503 retry-after=2, ok") as chaos:
        assert str(chaos.trace) == "  nothing was sent"
        requests.get(f"{chaos.url}/a", timeout=1)
    assert str(chaos.trace) == "  t+0.00s  #1  GET /a   503, Retry-After: 2   (503 retry-after=2)"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("latency", "chaos.latency = 5: that is the service's; write chaos.service.latency = …"),
        (
            "strict",
            "chaos.strict = 5: there is no such setting. Options stand in @pytest.mark.chaos(…), or are given to ",
        ),
    ],
)
def test_a_setting_that_is_none_is_refused(name: str, told: str) -> None:
    """It would be taken and do nothing."""
    with Chaos() as chaos, pytest.raises(AttributeError, match=re.escape(told)):
        setattr(chaos, name, 5)


def test_an_option_of_chaos_alone_is_known_to_its_hint() -> None:
    """It has some that a marker has not, and none of those that run a test."""
    with pytest.raises(
        TypeError, match=r"'datbase', did you mean 'database'\? .* listen, name, database, watchdog$"
    ) as told:
        Chaos(datbase="x")
    assert "loop" not in str(told.value)


def test_a_route_that_was_given_again_is_told(pytester: pytest.Pytester) -> None:
    """The later one takes its requests: what arrived matches, and yet it was never asked."""
    pytester.makepyfile(
        """
        import requests

        def test_it(chaos):
            chaos.service.route("GET", "/p/{id}", lambda request: {"first": True})
            chaos.service.route("GET", "/p/{number}", lambda request: {"first": False})
            assert requests.get(chaos.url + "/p/1", timeout=5).json() == {"first": False}
        """
    )
    run(pytester).stdout.fnmatch_lines(["*the route 'GET /p/{id}' was given again, and the later handler takes its *"])


def test_a_proxy_of_this_machine_that_is_named_meanwhile_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would send for real what the client sends to it, unseen."""
    with socket.create_server(("127.0.0.1", 0)) as proxy, Chaos() as chaos, socket.socket() as client:
        monkeypatch.setenv("http_proxy", f"http://localhost:{proxy.getsockname()[1]}")
        with pytest.raises(
            RuntimeError, match=r"the proxy of http_proxy='http://localhost:\d+', would let requests out"
        ):
            client.connect(proxy.getsockname())
        with pytest.raises(RuntimeError, match="would let requests out past the simulated network"):
            chaos.judge.finish()


def test_a_row_of_messages_may_be_as_long_as_it_likes() -> None:
    """Each says in its body which attempt it is; the first fails, and comes again when all others have been sent."""
    with Chaos("503, ok") as chaos:

        def deliver(waiting: list[int]) -> None:
            for attempt in range(2):
                for message in list(waiting):
                    body = {"message": message, "attempt": attempt}
                    if requests.post(f"{chaos.url}/events", json=body, timeout=5).ok:
                        waiting.remove(message)
                time.sleep(10)

        chaos.call(deliver, list(range(20)))
        chaos.verify()

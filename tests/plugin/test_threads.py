"""Threads in a test that uses the plugin: what is left of them, who hangs, and interrupts in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.test_cleanup import WATCH, run


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Provide a directory whose conftest compares every patched name before and after the session."""
    pytester.makeconftest(WATCH.format(watch=str(Path(__file__).parents[1] / "watch.py")))
    return pytester


def test_a_thread_that_is_left_running_fails_the_test(suite: pytest.Pytester) -> None:
    """By name and place, after a second; the next test is not touched."""
    suite.makepyfile(
        """
        import threading, time

        def poll():
            time.sleep(2.5)

        def test_one(chaos):
            threading.Thread(target=poll, name="poller").start()
            time.sleep(0.5)

        def test_two(chaos):
            time.sleep(3600)
        """
    )

    result = run(suite, "-p", "no:randomly")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*CHANGED []*"])
    told = (
        "1 thread that the test started was still running when it had ended, now in real time: what it "
        "sends from now on is not simulated. Join threads in the test, or where the fixture that started them ends."
    )
    place = "  poller: *test_a_thread_that_is_left_running_fails_the_test.py:4 poll"
    result.stdout.fnmatch_lines([told, place])


def test_a_daemon_that_is_left_running_is_noted(suite: pytest.Pytester) -> None:
    """Where pytest is asked to say more."""
    suite.makepyfile(
        """
        import threading, time

        def refresh():
            while True:
                time.sleep(60)

        def test_it(chaos):
            threading.Thread(target=refresh, name="refresher", daemon=True).start()
            time.sleep(0.5)
        """
    )

    result = run(suite, "-v")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*= retrychaos notes =*",
            "test_a_daemon_that_is_left_running_is_noted.py::test_it",
            "  1 thread that the test started was still running *",
            "    refresher: *.py:5 refresh",
        ]
    )
    run(suite).stdout.no_fnmatch_line("*refresher*")


def test_threads_that_end_or_are_idle_are_no_matter(suite: pytest.Pytester) -> None:
    """A thread that ends by itself within a second, workers of a pool, and a fixture that joins its own."""
    suite.makepyfile(
        """
        import threading, time, pytest
        from concurrent.futures import ThreadPoolExecutor

        POOL = ThreadPoolExecutor(2)

        @pytest.fixture
        def client(chaos):
            stop = threading.Event()
            thread = threading.Thread(target=lambda: stop.wait(1000))
            thread.start()
            yield
            stop.set()
            thread.join()

        @pytest.mark.parametrize("number", range(2))
        def test_it(chaos, client, number):
            assert POOL.submit(lambda: 1).result() == 1
            threading.Thread(target=lambda: time.sleep(0.1)).start()
        """
    )

    run(suite, "-v").assert_outcomes(passed=2)
    run(suite, "-v").stdout.no_fnmatch_line("*retrychaos note*")


def test_what_a_left_thread_sends_does_not_leave_the_machine(suite: pytest.Pytester) -> None:
    """It is refused while the test ends."""
    suite.makepyfile(
        """
        import threading, time, requests

        told = []

        def send():
            time.sleep(0.2)
            try:
                requests.get("http://api.example.com/", timeout=5)
            except BaseException as error:
                told.append(str(error))

        def test_one(chaos):
            threading.Thread(target=send).start()

        def test_two():
            assert "called api.example.com" in told[0]
        """
    )

    run(suite, "-p", "no:randomly").assert_outcomes(passed=2)


@pytest.mark.parametrize("how", ["option", "ini"])
def test_a_thread_that_blocks_for_real_is_reported(suite: pytest.Pytester, how: str) -> None:
    """Instead of hanging; and what comes next runs."""
    suite.makepyfile(
        """
        import ctypes, threading, time

        def block():
            ctypes.CDLL(None).poll(None, 0, 1500)

        def test_one(chaos):
            thread = threading.Thread(target=block, name="blocker", daemon=True)
            thread.start()
            thread.join()

        def test_two(chaos):
            time.sleep(3600)
        """
    )
    arguments = ["--chaos-watchdog=0.2"] if how == "option" else ["-o", "chaos_watchdog=0.2"]

    result = run(suite, "-p", "no:randomly", *arguments)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*CHANGED []*"])
    result.stdout.fnmatch_lines(["*Stuck: blocker has had the turn for 0.2 s of real time*block blocks in a call*"])


@pytest.mark.parametrize("given", ["--chaos-watchdog=-1", "-o chaos_watchdog=soon"])
def test_a_watchdog_of_no_seconds_is_refused(pytester: pytest.Pytester, given: str) -> None:
    """By its name and value."""
    result = run(pytester, *given.split(" "))

    result.stderr.fnmatch_lines(["*chaos*watchdog*is no number of seconds: give 0 (never) or more"])


ENDINGS = {
    "Ctrl-C while another thread has the turn": (
        "_thread.interrupt_main()\n        spin(0.2)",
        "thread.join()",
    ),
    "Ctrl-C while another thread blocks for real": (
        "_thread.interrupt_main()\n        ctypes.CDLL(None).poll(None, 0, 4000)",
        "thread.join()",
    ),
    "an alarm that raises": (
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\n        spin(0.2)",
        "thread.join()",
    ),
    "an alarm while the test runs": ("time.sleep(3600)", "signal.setitimer(signal.ITIMER_REAL, 0.05)\n    spin(9)"),
    "an error in a thread": ("raise OSError('of its own')", "thread.join()"),
    "a thread that exits": ("raise SystemExit", "thread.join()"),
    "a busy-wait on a clock": (
        "end = time.monotonic() + 5\n        while time.monotonic() < end: pass",
        "thread.join(); assert 5 <= chaos.clock.elapsed < 6",
    ),
    "a busy-wait beside a sleep": (
        "time.sleep(5)",
        "end = time.monotonic() + 9\n    while time.monotonic() < end: pass\n    assert not thread.is_alive()",
    ),
}


@pytest.mark.parametrize(("inside", "outside"), list(ENDINGS.values()), ids=list(ENDINGS))
def test_nothing_stays_patched_after(suite: pytest.Pytester, inside: str, outside: str) -> None:
    """Whatever strikes while two threads run."""
    suite.makepyfile(
        f"""
import _thread, ctypes, signal, threading, time, pytest
from pytest_retrychaos.clock.functions import real

signal.signal(signal.SIGALRM, signal.default_int_handler)

def spin(seconds):
    began = real("monotonic")()
    while real("monotonic")() - began < seconds: pass

@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_it(chaos):
    def work():
        {inside}

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    {outside}
"""
    )

    result = run(suite)

    result.stdout.fnmatch_lines(["*CHANGED []*"])
    result.stdout.no_fnmatch_line("*Deadlock*")


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_pytest_timeout_goes_on_working(suite: pytest.Pytester, method: str) -> None:
    """Where a thread has the turn and does not come back, where all sleep for hours, and where none does."""
    suite.makepyfile(
        f"""
        import threading, time, pytest
        from pytest_retrychaos.clock.functions import real

        @pytest.mark.timeout(20, method={method!r}, func_only=True)
        def test_hours(chaos):
            thread = threading.Thread(target=lambda: time.sleep(7200))
            thread.start()
            time.sleep(3600)
            thread.join()

        @pytest.mark.timeout(0.3, method={method!r}, func_only=True)
        def test_hangs(chaos):
            def work():
                began = real("monotonic")()
                while real("monotonic")() - began < 1: pass

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        """
    )

    result = run(suite, "-p", "no:randomly")

    if method == "signal":
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["*CHANGED []*"])
        result.stdout.fnmatch_lines(["*Timeout (>0.3s) from pytest-timeout.*"])
    else:  # it ends the process
        assert result.ret == 1
        (result.stdout if "Timeout" in result.stdout.str() else result.stderr).fnmatch_lines(["*+ Timeout +*"])


DATABASE = """
import json, socketserver, sqlite3, sys, time

class Database(socketserver.StreamRequestHandler):
    def handle(self):
        connection = sqlite3.connect(sys.argv[1])
        for line in self.rfile:
            sql, values = json.loads(line)
            time.sleep(0.01)
            with connection:
                rows = connection.execute(sql, values).fetchall()
            self.wfile.write(json.dumps(rows).encode() + b"\\n")

with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Database) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""


def test_a_test_database_on_loopback_goes_on_working(suite: pytest.Pytester) -> None:
    """A real server in another process, a blocking client with a limit, and threads that back off beside it."""
    suite.path.joinpath("database.py").write_text(DATABASE)
    suite.makepyfile(
        """
        import json, pathlib, socket, subprocess, sys, threading, time, pytest, requests

        @pytest.fixture(scope="session")
        def database(tmp_path_factory):
            server = pathlib.Path(__file__).with_name("database.py")
            file = str(tmp_path_factory.mktemp("database") / "file")
            with subprocess.Popen([sys.executable, server, file], stdout=subprocess.PIPE, text=True) as process:
                yield Client(int(process.stdout.readline()))
                process.kill()

        class Client:
            def __init__(self, port):
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=0.5)
                self.file = self.socket.makefile("rw")
                self.lock = threading.Lock()

            def execute(self, sql, *values):
                with self.lock:
                    self.file.write(json.dumps([sql, values]) + "\\n")
                    self.file.flush()
                    return json.loads(self.file.readline())

        def order(chaos, database, number):
            for attempt in range(5):
                answer = requests.post(f"{chaos.url}/orders", json={"n": number}, timeout=5,
                                       headers={"Idempotency-Key": f"order {number}"})
                database.execute("insert into attempts values (?, ?)", number, answer.status_code)
                if answer.ok:
                    return
                time.sleep(2 ** attempt)

        @pytest.mark.parametrize("round", range(3))
        def test_orders(chaos, database, round):
            chaos.script("503 x2, ok", per="operation")
            database.execute("drop table if exists attempts")
            database.execute("create table attempts (number, status)")
            threads = [threading.Thread(target=order, args=(chaos, database, number)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert database.execute("select status, count(*) from attempts group by 1 order by 1") == [
                [201, 4], [503, 8]
            ]
            assert chaos.clock.elapsed == pytest.approx(3, abs=0.3)

        def test_afterwards(database):
            assert database.execute("select 1") == [[1]]
        """
    )

    result = run(suite, "-p", "no:randomly")

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*CHANGED []*"])

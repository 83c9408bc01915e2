"""Faults around what is registered with ``responses``."""

from __future__ import annotations

import gzip
import http.server
import io
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses
import urllib3
from requests.adapters import HTTPAdapter
from responses.registries import OrderedRegistry

from pytest_retrychaos import Chaos, NoTimeout
from pytest_retrychaos.clock.errors import Refused
from pytest_retrychaos.exchange.exchange import HandlerFailed
from pytest_retrychaos.views import LawsBroken

URL = "https://api.example.com/payments"
PLAIN_URL = "http://api.example.com/payments"
TIMEOUT = (3, 5)
RESET = "ConnectionResetError(104, 'Connection reset by peer')"


def run(script: str | None = None, **options: Any) -> Chaos:
    return Chaos(script, transport="responses", **options)


def mock(**options: Any) -> responses.RequestsMock:
    return responses.RequestsMock(**{"assert_all_requests_are_fired": False, **options})


def session(retries: Any = 0) -> requests.Session:
    made = requests.Session()
    made.mount("https://", HTTPAdapter(max_retries=retries))
    made.mount("http://", HTTPAdapter(max_retries=retries))
    return made


def retry(**options: Any) -> urllib3.Retry:
    return urllib3.Retry(
        **{"total": 4, "backoff_factor": 1, "status_forcelist": [503], "allowed_methods": None, **options}
    )


def steady(value: object) -> str:
    """Write a value without addresses."""
    return re.sub(r"0x[0-9a-f]+", "0x", repr(value))


def chain(error: BaseException | None) -> list[str]:
    """List types and arguments from the outermost exception to the innermost."""
    found = []
    while error is not None:
        arguments = steady(error.args)
        found.append(f"{type(error).__module__}.{type(error).__qualname__}{arguments}")
        error = error.__cause__ or error.__context__
    return found


def types(error: BaseException) -> list[str]:
    return [line.partition("(")[0] for line in chain(error)]


@pytest.fixture
def payments() -> Iterator[responses.RequestsMock]:
    with mock() as made:
        made.add(responses.POST, URL, json={"id": "pay_1"}, status=201)
        yield made


# as on the real network

SCRIPTS = (
    *("ok", "201", "503 retry-after=2", "timeout", "timeout after-commit", "reset after-commit", "eof", "refuse"),
    *("dns", "connect-timeout", "tls", "truncate", "garbage", "slow=7s", "slow=2s before-commit"),
    *("slow=7s before-commit", "drip=2s", "drip=60s", "duplicate", "down=3s", "down=3s:503", "503 x9", "reset x9"),
)


def attempt(url: str, retries: Any, stream: bool) -> object:
    try:
        with session(retries) as client:
            answer = client.post(url, json={"amount": 1}, timeout=TIMEOUT, stream=stream)
            return answer.status_code, answer.json(), steady(answer.raw.retries and answer.raw.retries.history)
    except Exception as error:
        return chain(error)


def facts(chaos: Chaos, told: object) -> object:
    attempts = [(one.fault, one.status, one.error, one.committed, one.started, one.ended) for one in chaos.attempts]
    return told, attempts, chaos.clock.elapsed, len(chaos.ledger)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    ("retries", "stream"),
    [(0, False), (3, False), (retry(), False), (0, True)],
    ids=["no retries", "three", "Retry", "stream"],
)
def test_what_the_client_gets_is_what_the_network_gives(script: str, retries: Any, stream: bool) -> None:
    """Exception chain, retry history, times, trace and ledger equal those of the simulated network."""
    with run(script, strict=False) as chaos, mock() as made:
        made.add(responses.POST, URL, json={"id": "pay_1"}, status=201)
        mocked = facts(chaos, attempt(URL, retries, stream))
    with Chaos(script, strict=False) as chaos:
        chaos.service.route("POST", "/payments", lambda _: (201, {"id": "pay_1"}))
        real = facts(chaos, attempt(URL, retries, stream))
    assert mocked == real


@pytest.mark.parametrize(
    ("script", "expected", "elapsed"),
    [
        (
            "timeout",
            ["requests.exceptions.ReadTimeout", "urllib3.exceptions.ReadTimeoutError", "builtins.TimeoutError"],
            5,
        ),
        (
            "reset",
            [
                "requests.exceptions.ConnectionError",
                "urllib3.exceptions.ProtocolError",
                "builtins.ConnectionResetError",
            ],
            0,
        ),
        (
            "eof",
            [
                "requests.exceptions.ConnectionError",
                "urllib3.exceptions.ProtocolError",
                "http.client.RemoteDisconnected",
            ],
            0,
        ),
        (
            "connect-timeout",
            [
                "requests.exceptions.ConnectTimeout",
                "urllib3.exceptions.MaxRetryError",
                "urllib3.exceptions.ConnectTimeoutError",
                "builtins.TimeoutError",
            ],
            3,
        ),
        (
            "dns",
            [
                "requests.exceptions.ConnectionError",
                "urllib3.exceptions.MaxRetryError",
                "urllib3.exceptions.NameResolutionError",
                "socket.gaierror",
            ],
            0,
        ),
        (
            "truncate",
            [
                "requests.exceptions.ChunkedEncodingError",
                "urllib3.exceptions.ProtocolError",
                "urllib3.exceptions.IncompleteRead",
            ],
            0,
        ),
    ],
)
def test_a_fault_arrives_as_the_clients_own_exception(script: str, expected: list[str], elapsed: float) -> None:
    """Each fault has requests' type, urllib3's cause and the system's error, and costs the client's own timeout."""
    with run(script) as chaos, mock() as made:
        made.add(responses.GET, PLAIN_URL, json=1)
        with pytest.raises(requests.RequestException) as caught:
            requests.get(PLAIN_URL, timeout=TIMEOUT)
    assert types(caught.value) == expected
    assert chaos.clock.elapsed == elapsed


def test_a_reset_has_the_systems_number() -> None:
    """The innermost error of a reset is errno 104, the one around it says that the connection was aborted."""
    with run("reset"), mock(), pytest.raises(requests.ConnectionError) as caught:
        requests.get(PLAIN_URL, timeout=TIMEOUT)
    assert chain(caught.value)[1:] == [
        f"urllib3.exceptions.ProtocolError('Connection aborted.', {RESET})",
        f"builtins.{RESET}",
    ]


def test_a_client_without_timeout_that_meets_silence_is_told_so(payments: responses.RequestsMock) -> None:
    """The missing timeout is named, by an error that no `except Exception` takes."""
    with run("timeout"), pytest.raises(NoTimeout, match=r"waits for api.example.com without any timeout"):
        requests.post(URL)


# the adapter's retries

SLEEPS = "503, reset, timeout, refuse, ok"


def test_max_retries_are_driven_by_statuses_and_connection_faults_alike(payments: responses.RequestsMock) -> None:
    """urllib3's Retry goes through all four failures, on virtual time, and the callback is asked once."""
    with run(SLEEPS) as chaos:
        answer = session(retry()).post(URL, json={}, timeout=TIMEOUT)
        assert [one.fault for one in chaos.attempts] == ["503", "reset", "timeout", "refuse", "ok"]
        assert chaos.waits == [0, 2, 4, 8]
        assert chaos.clock.elapsed == 19
    assert answer.status_code == 201
    assert [one.status for one in answer.raw.retries.history] == [503, None, None, None]
    assert len(payments.calls) == 1


def test_a_method_that_may_not_be_retried_is_not(payments: responses.RequestsMock) -> None:
    """By default urllib3 does not send a POST again after a reset."""
    with run("reset") as chaos, pytest.raises(requests.ConnectionError):
        session(urllib3.Retry(4)).post(URL, timeout=TIMEOUT)
    assert len(chaos.attempts) == 1


def test_retry_after_is_obeyed_unless_the_adapter_says_not_to(payments: responses.RequestsMock) -> None:
    """`respect_retry_after_header` decides whether the scripted seconds are slept."""
    waits = []
    for obeys in (True, False):
        with run("503 retry-after=7") as chaos:
            session(retry(respect_retry_after_header=obeys)).post(URL, timeout=TIMEOUT)
            waits.append(chaos.waits)
    assert waits == [[7], [0]]


def test_a_registered_status_is_retried_once_for_each_try_not_squared() -> None:
    """Three tries of a registered 503 are three calls of the mock and one RetryError."""
    with run() as chaos, mock() as made:
        made.add(responses.GET, URL, status=503)
        with pytest.raises(requests.exceptions.RetryError):
            session(urllib3.Retry(2, status_forcelist=[503])).get(URL, timeout=TIMEOUT)
        assert len(made.calls) == 3
    assert [one.status for one in chaos.attempts] == [503, 503, 503]


def test_without_raise_on_status_the_last_answer_is_returned() -> None:
    """`raise_on_status=False` hands the last 503 to the caller."""
    with run("503 x3"), mock():
        answer = session(retry(total=2, raise_on_status=False)).get(URL, timeout=TIMEOUT)
    assert answer.status_code == 503


# where mocks are started


@pytest.mark.chaos("503 retry-after=2, ok", transport="responses")
@responses.activate
def test_under_activate_the_script_strikes(chaos: Chaos) -> None:
    """A test decorated with `responses.activate` gains the faults with nothing rewritten."""
    responses.add(responses.POST, URL, json={"id": "pay_1"})
    answer = session(retry()).post(URL, timeout=TIMEOUT)
    assert answer.json() == {"id": "pay_1"}
    assert chaos.waits == [2]
    assert responses.calls[0].request.url == URL


@responses.activate(registry=OrderedRegistry, assert_all_requests_are_fired=True)
def test_an_ordered_registry_advances_only_where_the_service_is_reached(chaos_run: Chaos) -> None:
    """A request that is lost before commit takes nothing from the order."""
    responses.add(responses.GET, URL, json=1)
    responses.add(responses.GET, URL, json=2)
    chaos_run.script("reset, ok, reset after-commit")
    client = session(retry())
    assert client.get(URL, timeout=TIMEOUT).json() == 1
    with pytest.raises(requests.ConnectionError, match="Connection refused by Responses"):
        client.get(URL, timeout=TIMEOUT)


@pytest.fixture
def chaos_run() -> Iterator[Chaos]:
    with run() as chaos:
        yield chaos


def test_a_mock_from_a_fixture_started_before_is_followed(payments: responses.RequestsMock, chaos_run: Chaos) -> None:
    """What was active before the run began meets the script."""
    chaos_run.script("503, ok")
    assert [requests.post(URL, timeout=5).status_code for _ in range(2)] == [503, 201]


def test_the_innermost_mock_answers(payments: responses.RequestsMock, chaos_run: Chaos) -> None:
    """Of nested mocks the one started last is asked, and the outer one again after it."""
    chaos_run.script("reset, ok")
    with mock() as inner:
        inner.add(responses.POST, URL, json="inner")
        with pytest.raises(requests.ConnectionError):
            requests.post(URL, timeout=5)
        assert requests.post(URL, timeout=5).json() == "inner"
    assert requests.post(URL, timeout=5).json() == {"id": "pay_1"}
    assert len(payments.calls) == 1


def test_a_registered_answer_that_a_fault_kept_away_counts_as_not_fired(chaos_run: Chaos) -> None:
    """`assert_all_requests_are_fired` complains of an answer that was never asked for."""
    chaos_run.script("refuse")
    made = mock(assert_all_requests_are_fired=True)
    made.start()
    made.add(responses.GET, URL)
    with pytest.raises(requests.ConnectionError):
        requests.get(URL, timeout=5)
    with pytest.raises(AssertionError, match="Not all requests have been executed"):
        made.stop()


def test_without_a_mock_the_fake_service_answers(chaos_run: Chaos) -> None:
    """Where no mock is active, requests are answered as on the simulated network."""
    assert requests.post(f"{chaos_run.url}/orders", json={"n": 1}, timeout=5).status_code == 201


def test_everything_is_put_back() -> None:
    """After the run the mock's method is the one that it was, and a mock answers by itself."""
    before = responses.RequestsMock._on_request
    with run():
        assert responses.RequestsMock._on_request is not before
    assert responses.RequestsMock._on_request is before
    with mock() as made:
        made.add(responses.GET, URL, json=1)
        assert requests.get(URL, timeout=5).json() == 1


def test_a_thread_older_than_the_run_is_left_to_its_mock(payments: responses.RequestsMock) -> None:
    """A thread that lives in real time meets no step and leaves no attempt."""
    begin, told = threading.Event(), []

    def work() -> None:
        begin.wait(5)
        told.append(requests.post(URL, timeout=5).status_code)

    thread = threading.Thread(target=work)
    thread.start()
    with run("503", strict=False) as chaos:
        begin.set()
        thread.join(5)
        assert chaos.attempts == ()
    assert told == [201]


# what the mock raises


def test_a_request_that_nothing_is_registered_for_is_refused_as_ever(chaos_run: Chaos) -> None:
    """An `ok` step gives responses' own error, without retries, and the trace keeps it."""
    with mock() as made:
        with pytest.raises(requests.ConnectionError, match="Connection refused by Responses") as caught:
            session(retry()).get(URL, timeout=5)
        assert made.calls[0].response is caught.value
    assert caught.value.request.url == URL
    (only,) = chaos_run.attempts
    assert (only.error or "").startswith("ConnectionError: Connection refused by Responses")
    assert (only.status, only.committed, only.failed) == (None, False, True)


@pytest.mark.parametrize("script", ["timeout", "reset after-commit", "503"])
def test_a_fault_strikes_though_nothing_is_registered(chaos_run: Chaos, script: str) -> None:
    """The script's fault is what the client sees, whatever the mock would have said."""
    chaos_run.script(script)
    with mock():
        try:
            told: object = requests.get(URL, timeout=5).status_code
        except requests.RequestException as error:
            told = type(error).__name__
    assert told == {"timeout": "ReadTimeout", "reset after-commit": "ConnectionError", "503": 503}[script]


@pytest.mark.parametrize("script", ["ok", "201", "slow=2s", "slow=2s before-commit", "truncate"])
def test_a_registered_exception_is_raised_itself(chaos_run: Chaos, script: str) -> None:
    """The very object that was registered reaches the caller; nothing was done, and no key is kept."""
    chaos_run.script(script)
    registered = requests.exceptions.ReadTimeout("as registered")
    with mock() as made:
        made.add(responses.POST, URL, body=registered)
        made.add(responses.POST, URL, json=1)
        with pytest.raises(requests.exceptions.ReadTimeout) as caught:
            session(retry()).post(URL, headers={"Idempotency-Key": "k1"}, timeout=5)
        assert requests.post(URL, headers={"Idempotency-Key": "k1"}, timeout=5).json() == 1
    assert caught.value is registered
    assert [(one.error, one.committed) for one in chaos_run.attempts] == [
        ("ReadTimeout: as registered", False),
        (None, True),
    ]
    assert len(chaos_run.ledger) == 1


def test_an_answer_that_no_server_could_send_is_the_tests_fault(chaos_run: Chaos) -> None:
    """A registered status of 999 is named as the handler's, and cannot be swallowed."""
    with mock() as made:
        made.add(responses.GET, URL, status=999)
        requests.get(URL, timeout=5)
    with pytest.raises(HandlerFailed, match="the status 999"):
        chaos_run.verify()


# effects


def test_a_response_lost_after_commit_was_asked_of_the_callback(chaos_run: Chaos) -> None:
    """The callback ran, the ledger has its effect, and ID04 tells of the second."""
    asked: list[object] = []

    def charge(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        asked.append(request.body)
        return 201, {}, "{}"

    chaos_run.script("timeout after-commit, ok")
    with mock() as made:
        made.add_callback(responses.POST, URL, callback=charge)
        session(retry()).post(URL, data=b"x", timeout=5)
    assert asked == [b"x", b"x"]
    assert len(chaos_run.ledger) == 2
    with pytest.raises(LawsBroken, match="ID04"):
        chaos_run.verify(only=("ID04",))


def test_a_replayed_key_does_not_reach_the_callback(payments: responses.RequestsMock, chaos_run: Chaos) -> None:
    """The idempotency layer stands before the mock: one effect, one call, the same answer."""
    chaos_run.script("timeout after-commit, ok")
    answer = session(retry()).post(URL, json={}, headers={"Idempotency-Key": "k1"}, timeout=5)
    assert (answer.status_code, answer.json()) == (201, {"id": "pay_1"})
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert (len(payments.calls), len(chaos_run.ledger)) == (1, 1)


def test_duplicate_asks_the_callback_twice(payments: responses.RequestsMock, chaos_run: Chaos) -> None:
    """A request delivered twice is two calls and two effects, and one answer."""
    chaos_run.script("duplicate")
    assert requests.post(URL, timeout=5).status_code == 201
    assert (len(payments.calls), len(chaos_run.ledger), len(chaos_run.attempts)) == (2, 2, 1)


def test_a_route_declares_a_mocked_request_a_read(payments: responses.RequestsMock, chaos_run: Chaos) -> None:
    """`effect=False` on a route holds for the mock's answer, which still is the mock's."""
    chaos_run.service.route("POST", "/payments", lambda _: "unused", effect=False)
    assert requests.post(URL, timeout=5).json() == {"id": "pay_1"}
    assert chaos_run.ledger == ()


def test_a_postponed_request_is_asked_though_the_client_has_gone(
    payments: responses.RequestsMock, chaos_run: Chaos
) -> None:
    """`slow before-commit` beyond the client's timeout takes effect later, with its own request."""
    chaos_run.script("slow=7s before-commit")
    with pytest.raises(requests.ReadTimeout):
        requests.post(URL, json={"n": 1}, timeout=5)
    assert len(payments.calls) == 0
    chaos_run.clock.advance(2)
    assert len(chaos_run.ledger) == 1
    assert payments.calls[0].request.body == b'{"n": 1}'


# fidelity


def test_the_answer_is_the_mocks_own_object(chaos_run: Chaos) -> None:
    """What `responses.calls` keeps is what the client got, headers as registered and callbacks applied."""

    def mark(answer: Any) -> Any:
        answer.marked = True
        return answer

    with mock(response_callback=mark) as made:
        made.add(responses.GET, URL, body="héllo", headers={"X-Name": "zoë"})
        answer: Any = requests.get(URL, timeout=5)
        assert made.calls[0].response is answer
    assert answer.marked
    assert answer.text == "héllo"
    assert dict(answer.headers) == {"Content-Type": "text/plain; charset=utf-8", "X-Name": "zoë"}


def test_a_callback_that_reads_the_body_takes_nothing_from_the_fault(chaos_run: Chaos) -> None:
    """The client still reads the body from the connection, and a slow body costs its time."""

    def read(answer: Any) -> Any:
        assert answer.text == "content"
        return answer

    chaos_run.script("drip=2s")
    with mock(response_callback=read) as made:
        made.add(responses.GET, URL, body="content")
        assert requests.get(URL, timeout=5).text == "content"
    assert chaos_run.clock.elapsed == 2


def test_a_registered_length_that_is_wrong_keeps_nobody_waiting(chaos_run: Chaos) -> None:
    """The connection counts the body itself."""
    with mock() as made:
        made.add(responses.GET, URL, body="content", headers={"Content-Length": "100"})
        assert requests.get(URL, timeout=5).text == "content"
    assert chaos_run.clock.elapsed == 0


def test_an_answer_that_was_lost_stays_readable_in_the_calls(
    payments: responses.RequestsMock, chaos_run: Chaos
) -> None:
    """The mock's record of a lost answer has its body."""
    chaos_run.script("reset after-commit")
    with pytest.raises(requests.ConnectionError):
        requests.post(URL, timeout=5)
    assert payments.calls[0].response.json() == {"id": "pay_1"}  # type: ignore[union-attr]  # a requests.Response


def test_a_coded_body_travels_coded(chaos_run: Chaos) -> None:
    """A gzipped registered body is decoded by the client, and raw where it is read raw."""
    coded = gzip.compress(b"plain text")
    with mock() as made:
        made.add(responses.GET, URL, body=coded, headers={"Content-Encoding": "gzip"})
        assert requests.get(URL, timeout=5).content == b"plain text"
        assert requests.get(URL, timeout=5, stream=True).raw.read() == coded


def test_repeated_headers_and_cookies_arrive(chaos_run: Chaos) -> None:
    """Two registered cookies are two cookies of the session."""
    with mock() as made:
        made.add(responses.GET, URL, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])  # type: ignore[arg-type]  # pairs are documented
        with requests.Session() as client:
            client.get(URL, timeout=5)
            assert client.cookies.get_dict() == {"a": "1", "b": "2"}


def test_the_length_that_a_head_request_is_told_is_the_registered_one(chaos_run: Chaos) -> None:
    """HEAD has no body, and the Content-Length that was registered."""
    with mock() as made:
        made.add(responses.HEAD, URL, headers={"Content-Length": "1234"})
        answer = requests.head(URL, timeout=5)
    assert (answer.headers["Content-Length"], answer.content) == ("1234", b"")


def test_a_redirect_is_a_leg(payments: responses.RequestsMock, chaos_run: Chaos) -> None:
    """A registered redirect is followed through the mock, and belongs to the same operation."""
    payments.add(responses.POST, "https://old.example.com/", status=307, headers={"Location": URL})
    answer = requests.post("https://old.example.com/", json={}, timeout=5)
    assert (answer.status_code, [one.status_code for one in answer.history]) == (201, [307])
    assert [one.joined for one in chaos_run.attempts] == ["began", "leg"]


def test_matchers_see_the_request_and_its_arguments(chaos_run: Chaos) -> None:
    """Matchers on body, query and keyword arguments decide as ever."""
    with mock() as made:
        made.add(
            responses.POST,
            URL,
            json="matched",
            match=[
                responses.matchers.json_params_matcher({"n": 1}),
                responses.matchers.query_param_matcher({"q": "x"}),
                responses.matchers.request_kwargs_matcher({"timeout": 5, "verify": False, "stream": False}),
            ],
        )
        answer = requests.post(URL, params={"q": "x"}, json={"n": 1}, timeout=5, verify=False)
    assert answer.json() == "matched"


@pytest.mark.parametrize("body", [io.BytesIO(b"content"), iter([b"con", b"tent"])], ids=["file", "generator"])
def test_a_streamed_body_reaches_the_mock_whole(chaos_run: Chaos, body: Any) -> None:
    """The mock is shown the bytes that arrived."""
    with mock() as made:
        made.add(responses.POST, URL)
        requests.post(URL, data=body, timeout=5)
        sent: Any = made.calls[0].request.body
    assert (sent if isinstance(sent, bytes) else b"".join(sent)) == b"content"


def test_a_file_that_was_read_to_its_end_is_sent_empty(payments: responses.RequestsMock, chaos_run: Chaos) -> None:
    """A client that sends the same open file again is shown to have lost the body."""
    chaos_run.script("503, ok")
    content = io.BytesIO(b"content")
    for _ in range(2):
        requests.post(URL, data=content, timeout=5)
    assert [one.body.size for one in chaos_run.attempts] == [7, 0]


def test_a_slow_body_meets_the_clients_read_timeout(payments: responses.RequestsMock, chaos_run: Chaos) -> None:
    """Ten pieces in 60 s are too slow for 5 s of patience, and fast enough for 7."""
    chaos_run.script("drip=60s x2")
    with pytest.raises(requests.ConnectionError, match="Read timed out"):
        requests.post(URL, timeout=5, stream=True).content  # noqa: B018 - reading is what fails
    assert requests.post(URL, timeout=7, stream=True).json() == {"id": "pay_1"}


def test_a_request_made_inside_a_callback_is_no_attempt(payments: responses.RequestsMock, chaos_run: Chaos) -> None:
    """What the mocked service itself asks for meets no step."""

    def relay(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        return 200, {}, requests.post(URL, timeout=5).text

    payments.add_callback(responses.GET, "https://gateway.example.com/", callback=relay)
    assert requests.get("https://gateway.example.com/", timeout=5).json() == {"id": "pay_1"}
    assert [one.host for one in chaos_run.attempts] == ["gateway.example.com"]


# connections


def test_a_step_that_is_not_sent_strikes_a_kept_connection_too(
    payments: responses.RequestsMock, chaos_run: Chaos
) -> None:
    """`refuse` as the second step strikes the second send of one session."""
    chaos_run.script("ok, refuse, ok")
    client = session()
    client.post(URL, timeout=5)
    with pytest.raises(requests.ConnectionError):
        client.post(URL, timeout=5)
    assert client.post(URL, timeout=5).status_code == 201


def test_stale_strikes_only_a_session_that_keeps_its_connection(
    payments: responses.RequestsMock, chaos_run: Chaos
) -> None:
    """Two single requests never reuse a connection; the second of one session does."""
    chaos_run.script("stale")
    for _ in range(2):
        requests.post(URL, timeout=5)
    with pytest.raises(LawsBroken, match="NV01"):
        chaos_run.judge.finish()
    client = session()
    client.post(URL, timeout=5)
    with pytest.raises(requests.ConnectionError, match="Connection aborted"):
        client.post(URL, timeout=5)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_a_mocked_loopback_address_is_simulated(chaos_run: Chaos, host: str) -> None:
    """Mocks of a local address meet the script; nothing connects for real."""
    chaos_run.script("refuse, dns, reset, ok")
    with mock() as made:
        made.add(responses.GET, f"http://{host}/", json=1)
        assert session(retry()).get(f"http://{host}/", timeout=5).json() == 1
    assert [one.fault for one in chaos_run.attempts] == ["refuse", "dns", "reset", "ok"]
    assert chaos_run.attempts[-1].host == host.removesuffix(":80")


class _Real(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    busy = 0

    def do_GET(self) -> None:
        is_busy = self.path == "/busy"
        _Real.busy += is_busy
        self.send_response(503 if is_busy else 200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"real")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the handler's own name
        pass


@pytest.fixture
def real_server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Real) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join(5)


def test_what_passes_through_to_loopback_is_really_sent_with_faults_around(real_server: str) -> None:
    """A real local server answers the `ok` steps of one session, as often as the script lets requests through."""
    with run("503, ok, reset, ok") as chaos, mock() as made:
        made.add_passthru(real_server)
        client = session(retry())
        assert [client.get(real_server, timeout=5).text for _ in range(2)] == ["real", "real"]
        assert [one.fault for one in chaos.attempts] == ["503", "ok", "reset", "ok"]


def test_a_status_from_what_passes_through_is_retried_once_for_each_try(real_server: str) -> None:
    """urllib3's retries are driven around the real request, never inside it."""
    _Real.busy = 0
    with run() as chaos, mock() as made:
        made.add_passthru(real_server)
        with pytest.raises(requests.exceptions.RetryError):
            session(retry(total=2)).get(f"{real_server}busy", timeout=5)
        assert [one.status for one in chaos.attempts] == [503, 503, 503]
    assert _Real.busy == 3


def test_what_passes_through_to_elsewhere_is_refused_by_name(chaos_run: Chaos) -> None:
    """No request leaves the machine."""
    with mock() as made:
        made.add_passthru("https://real.example.com")
        with pytest.raises(Refused, match=r"https://real.example.com/x passes through the mock"):
            requests.get("https://real.example.com/x", timeout=5)


def test_proxies_and_certificates_are_left_out_as_a_mock_leaves_them(
    payments: responses.RequestsMock, chaos_run: Chaos
) -> None:
    """A proxy, a client certificate and a bundle that do not exist disturb nothing."""
    answer = requests.post(
        URL, timeout=5, proxies={"https": "http://proxy.test:3128"}, cert="/no/cert.pem", verify="/no/bundle.pem"
    )
    assert answer.status_code == 201


def test_hosts_outside_the_allowed_ones_are_refused() -> None:
    """`hosts=` holds for mocked hosts too."""
    with run(hosts=("api.other.com",)), mock() as made:
        made.add(responses.GET, URL)
        with pytest.raises(Refused, match=r"'api.example.com', which is not among hosts="):
            requests.get(URL, timeout=5)


def test_importing_the_transport_loads_no_client() -> None:
    """`requests`, `responses` and urllib3 are imported when the transport is installed."""
    program = (
        "import sys, pytest_retrychaos.transports.responses, pytest_retrychaos.transports.function\n"
        "print(sorted({'requests', 'responses', 'urllib3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

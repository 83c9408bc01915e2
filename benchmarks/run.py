"""Measure what RESULTS.md states, each figure beside its peer in the same run. Run it by ``make bench``.

Rounds of the rivals are interleaved and the median of each is taken, since machines are noisy; what counts is
the ratio. ``--write`` puts the result into RESULTS.md.
"""

from __future__ import annotations

import datetime
import gc
import platform
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from stub import BODY, Stubbed

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock.cpython import real_twin
from pytest_retrychaos.laws import judge

HERE = Path(__file__).parent
NOW = real_twin(time.perf_counter)
ROUNDS, POSTS = 9, 300
URL = "http://service.test/payments"


def _timed(count: int, act: Callable[[int], None]) -> float:
    """Give microseconds per call."""
    act(0)
    gc.collect()
    began = NOW()
    for number in range(count):
        act(number)
    return (NOW() - began) / count * 1e6


def _requests(url: str, post_all: Callable[[Callable[[int], None]], float]) -> float:
    import requests

    with requests.Session() as session:
        return post_all(
            lambda n: session.post(
                url, json={"amount": n, "currency": "USD"}, timeout=5, headers={"Idempotency-Key": f"key-{n}"}
            ).json()
        )


def _urllib3(url: str, post_all: Callable[[Callable[[int], None]], float]) -> float:
    import urllib3

    with urllib3.PoolManager(timeout=5) as pool:
        return post_all(
            lambda n: pool.request(
                "POST", url, json={"amount": n, "currency": "USD"}, headers={"Idempotency-Key": f"key-{n}"}
            ).json()
        )


def _httpx(url: str, post_all: Callable[[Callable[[int], None]], float]) -> float:
    import httpx

    with httpx.Client(timeout=5) as client:
        return post_all(
            lambda n: client.post(
                url, json={"amount": n, "currency": "USD"}, headers={"Idempotency-Key": f"key-{n}"}
            ).json()
        )


CLIENTS = {"requests": _requests, "urllib3": _urllib3, "httpx": _httpx}


def _on(rival: str, client: Callable[..., float]) -> float:
    def measure(act: Callable[[int], None]) -> float:
        return _timed(POSTS, act)

    with ExitStack() as stack:
        if rival == "retrychaos":
            chaos = stack.enter_context(Chaos())
            return client(chaos.url + "/payments", measure)
        if rival == "stub":
            stack.enter_context(Stubbed())
        if rival == "responses":
            import responses

            mock = stack.enter_context(responses.RequestsMock())
            mock.add(responses.POST, URL, body=BODY, status=201, content_type="application/json")
        if rival == "respx":
            import httpx
            import respx

            stack.enter_context(respx.mock)
            respx.post(URL).mock(httpx.Response(201, content=BODY))
        if rival == "pytest-httpserver":
            from pytest_httpserver import HTTPServer

            server = stack.enter_context(HTTPServer())
            server.expect_request("/payments").respond_with_data(BODY, status=201, content_type="application/json")
            return client(server.url_for("/payments"), measure)
        return client(URL, measure)


def one_post() -> list[str]:
    """One POST, all layers on, against the same client over a stub, and against the peers."""
    lines = [
        "| client | stub socket | pytest-retrychaos | times stub | pytest-httpserver | times faster | mock |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, client in CLIENTS.items():
        mock = {"requests": "responses", "httpx": "respx"}.get(name)
        rivals = ["stub", "retrychaos", "pytest-httpserver", *([mock] if mock else [])]
        rounds: dict[str, list[float]] = {rival: [] for rival in rivals}
        for _ in range(ROUNDS):
            for rival in rivals:
                rounds[rival].append(_on(rival, client))
        middle = {rival: statistics.median(values) for rival, values in rounds.items()}
        stub, ours, server = middle["stub"], middle["retrychaos"], middle["pytest-httpserver"]
        beside = f"{mock} {middle[mock]:.0f} µs" if mock else "–"
        lines.append(
            f"| {name} | {stub:.0f} µs | {ours:.0f} µs | {ours / stub:.2f} | {server:.0f} µs | "
            f"{server / ours:.1f} | {beside} |"
        )
    return lines


def one_hour() -> list[str]:
    """An hour of exponential back-off, from the first attempt to the success."""
    lines = ["| client | attempts | virtual time | real time |", "|---|---|---|---|"]
    for name, get in (("urllib3", _urllib3_get), ("requests", _requests_get)):
        runs = [_back_off(get) for _ in range(16)][1:]
        spent = statistics.median(real for real, _ in runs) * 1e3
        lines.append(f"| {name} | 12 | {runs[0][1] / 3600:.2f} h | {spent:.1f} ms |")
    with Chaos() as chaos:
        began = NOW()
        delay = 1.0
        while chaos.clock.elapsed < 3600:
            time.sleep(delay)
            delay *= 2
        alone = (NOW() - began) * 1e3
    return [*lines, f"| the sleeps alone | – | 1.14 h | {alone:.2f} ms |"]


def _back_off(get: Callable[[str], int]) -> tuple[float, float]:
    with Chaos("503 x11, ok") as chaos:
        began = NOW()
        delay = 1.8
        while get(chaos.url) != 200:
            time.sleep(delay)
            delay *= 2
        return NOW() - began, chaos.clock.elapsed


def _urllib3_get(url: str) -> int:
    import urllib3

    return urllib3.request("GET", url, timeout=5, retries=False).status


def _requests_get(url: str) -> int:
    import requests

    return requests.get(url, timeout=5).status_code


def start_up() -> list[str]:
    """pytest with the plugin installed and unused against pytest without it."""
    test = HERE / "empty_test.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(test)]

    def run(*more: str) -> float:
        """Give milliseconds of processor time, which other programs disturb less than the clock on the wall."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command, *more], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3

    pairs = []
    for number in range(22):
        first = number % 2
        times = {}
        for without in (first, 1 - first):
            times[without] = run(*(["-p", "no:retrychaos"] if without else []))
        pairs.append(times[0] - times[1])
    middle = statistics.median(pairs[2:])
    return [f"Median of 20 pairs: {middle:+.1f} ms of processor time."]


def big_trace() -> list[str]:
    """Recording and judging, to 100 000 attempts."""
    import tracemalloc

    lines = [
        "| attempts | recording µs each | trace µs each | laws µs each | state bytes each |",
        "|---|---|---|---|---|",
    ]
    for count in (10_000, 30_000, 100_000):
        tracemalloc.start()
        with Chaos(", ".join(["503 retry-after=1, reset, ok"] * (count // 3))):
            before = tracemalloc.get_traced_memory()[0]
            _many(count)
            state = (tracemalloc.get_traced_memory()[0] - before) / count
        tracemalloc.stop()
        with Chaos(", ".join(["503 retry-after=1, reset, ok"] * (count // 3))) as chaos:
            recording = _many(count)
            began = NOW()
            trace = chaos.trace
            taking = NOW() - began
            began = NOW()
            verdict = judge(trace)
            judging = NOW() - began
        assert verdict.ok, verdict.codes
        each = [1e6 * spent / count for spent in (recording, taking, judging)]
        lines.append(f"| {count:,} | {each[0]:.0f} | {each[1]:.1f} | {each[2]:.1f} | {state:.0f} |".replace(",", " "))
    return lines


def _many(count: int) -> float:
    """Send operations of three attempts each over a bare simulated connection; give the seconds spent."""
    import http.client

    began = NOW()
    for number in range(count // 3):
        for _ in range(3):
            connection = http.client.HTTPConnection("service.test", timeout=5)
            try:
                connection.request(
                    "POST", "/payments", b'{"amount": %d}' % number, {"Idempotency-Key": f"key-{number}"}
                )
                connection.getresponse().read()
            except OSError:
                pass
            connection.close()
            time.sleep(1)
    return NOW() - began


def parser() -> list[str]:
    """Parsing one request head and body: why httptools and not h11."""
    import h11
    import httptools

    class Nothing:
        def on_header(self, name: bytes, value: bytes) -> None: ...

    raw = (
        b"POST /payments HTTP/1.1\r\nHost: service.test\r\nUser-Agent: python-requests/2.34\r\nAccept: */*\r\n"
        b"Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nIdempotency-Key: key-1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 33\r\n\r\n" + b"x" * 33
    )

    def by_h11(_: int) -> None:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(raw)
        while type(connection.next_event()) is not h11.EndOfMessage:
            pass

    def by_httptools(_: int) -> None:
        httptools.HttpRequestParser(Nothing()).feed_data(raw)

    rounds = [(_timed(2000, by_h11), _timed(2000, by_httptools)) for _ in range(ROUNDS)]
    slow, fast = (statistics.median(column) for column in zip(*rounds, strict=True))
    return [f"h11 {slow:.1f} µs, httptools {fast:.1f} µs: {slow / fast:.0f} times. Both are kept up and typed."]


SECTIONS = {
    "HTTP/1.1 parser": (parser, "The choice between two maintained parsers, by measurement."),
    "One POST, all layers on": (
        one_post,
        "At most 1.5 times the stub; at least 5 times faster than pytest-httpserver.",
    ),
    "One hour of exponential back-off": (one_hour, "Under 5 ms."),
    "pytest with the plugin installed and unused": (start_up, "At most 10 ms slower to start."),
    "A trace of 100 000 attempts": (big_trace, "Linear; laws under 20 µs an attempt."),
}


def _quiet() -> None:
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)


def main() -> None:
    """Run all sections, or those whose titles contain a word given."""
    random.seed(0)
    _quiet()
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    text = [
        "# Benchmark results",
        "",
        (
            f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {platform.python_implementation()} "
            f"{platform.python_version()}, {platform.system()} {platform.machine()}, by `make bench`. "
            "Medians of interleaved rounds; what counts is the ratio within one run."
        ),
    ]
    for title, (measure, aim) in SECTIONS.items():
        if words and not any(word in title for word in words):
            continue
        block = ["", f"## {title}", "", f"Aim: {aim}", "", *measure()]
        print("\n".join(block), flush=True)
        text += block
    if "--write" in sys.argv:
        (HERE / "RESULTS.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()

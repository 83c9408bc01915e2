"""Measure what RESULTS.md states, each figure beside its peer in the same run. Run it by ``make bench``.

Times are processor time, the process's own and the system's for it: what else runs on the machine changes that
little. Rounds of the rivals are interleaved and the median of each is taken; what counts is the ratio.
``--write`` puts the result into RESULTS.md: all sections, or those whose titles contain a word given.
"""

from __future__ import annotations

import datetime
import gc
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import breaker
import concurrency
import engine
import exploring
import fuzzing
import herd
import jitter
import page
import reporting
from keep_alive import keep_alive
from posts import ROUNDS, one_post, timed
from stub import Stubbed

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock.cpython import real_twin
from pytest_retrychaos.laws import judge

HERE = Path(__file__).parent
NOW = real_twin(time.process_time)


def one_hour() -> list[str]:
    """An hour of exponential back-off, from the first attempt to the success."""
    lines = ["| client | attempts | virtual time | processor time | 12 answers of the stub |", "|---|---|---|---|---|"]
    for name, get in (("urllib3", _urllib3_get), ("requests", _requests_get)):
        runs = [(*_back_off(get), _straight(get)) for _ in range(16)][1:]
        spent, alone = (statistics.median(one[part] for one in runs) * 1e3 for part in (0, 2))
        lines.append(f"| {name} | 12 | {runs[0][1] / 3600:.2f} h | {spent:.1f} ms | {alone:.1f} ms |")
    with Chaos() as chaos:
        began = NOW()
        delay = 1.0
        while chaos.clock.elapsed < 3600:
            time.sleep(delay)
            delay *= 2
        alone = (NOW() - began) * 1e3
    return [*lines, f"| the sleeps alone | – | 1.14 h | {alone:.2f} ms | – |"]


def _back_off(get: Callable[[str], int]) -> tuple[float, float]:
    with Chaos("503 x11, ok") as chaos:
        began = NOW()
        delay = 1.8
        while get(chaos.url) != 200:
            time.sleep(delay)
            delay *= 2
        return NOW() - began, chaos.clock.elapsed


def _straight(get: Callable[[str], int]) -> float:
    with Stubbed():
        began = NOW()
        for _ in range(12):
            get("http://stub.test/")
        return NOW() - began


def _urllib3_get(url: str) -> int:
    import urllib3

    return urllib3.request("GET", url, timeout=5, retries=False).status


def _requests_get(url: str) -> int:
    import requests

    return requests.get(url, timeout=5).status_code


SIDES = {
    "pytest-retrychaos": ["-p", "pytest_retrychaos.plugin"],
    "the plugins that its dependencies bring": [
        *("-p", "time_machine", "-p", "faker.contrib.pytest.plugin", "-p", "_hypothesis_pytestplugin")
    ],
    "nothing: the noise": [],
}
EMPTY_PLUGIN = ["-p", "empty_plugin"]
"""On both sides: for a plugin named by `-p` pytest reads about every distribution, as it does in any run of its own."""


def start_up() -> list[str]:
    """One empty test with a plugin against the same with one that does nothing.

    Other plugins are left out, since each adds its noise and none its sense. Bytecode is kept, as it is where
    packages are installed, in a place of its own. A run is never too fast, only disturbed: of three the least counts.
    """
    lines = ["| plugin | slower by | half of the pairs |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPYCACHEPREFIX": bytecode,
            "PYTHONPATH": str(HERE),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for name, plugins in SIDES.items():
            _empty_run(plugins, environment)
            pairs = sorted(_pair(plugins, environment) for _ in range(20))
            middle = statistics.median(pairs)
            lines.append(f"| {name} | {middle:+.1f} ms | {pairs[5]:+.1f} to {pairs[14]:+.1f} ms |")
    return lines


def _pair(plugins: list[str], environment: dict[str, str]) -> float:
    runs = [(_empty_run(plugins, environment), _empty_run([], environment)) for _ in range(3)]
    return min(one for one, _ in runs) - min(other for _, other in runs)


def _empty_run(plugins: list[str], environment: dict[str, str]) -> float:
    """Give milliseconds of processor time of one child."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(HERE / "empty.ini")]
    child = subprocess.Popen(
        [*command, *EMPTY_PLUGIN, *plugins, str(HERE / "empty_test.py")],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, child.args
    return (usage.ru_utime + usage.ru_stime) * 1e3


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
            gc.collect()
            began = NOW()
            trace = chaos.trace
            taking = NOW() - began
            gc.collect()
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

    rounds = [(timed(2000, by_h11), timed(2000, by_httptools)) for _ in range(ROUNDS)]
    slow, fast = (statistics.median(column) for column in zip(*rounds, strict=True))
    return [f"h11 {slow:.1f} µs, httptools {fast:.1f} µs: {slow / fast:.0f} times. Both are kept up and typed."]


Section = tuple[Callable[[], Iterable[str]], str, str]
"""What measures it, its aim, and what is to be said of it."""

SECTIONS: dict[str, Section] = {
    "HTTP/1.1 parser": (parser, "The choice between two maintained parsers, by measurement.", ""),
    "One POST, all layers on": (
        one_post,
        "At most 1.5 times the stub; at least 5 times faster than pytest-httpserver; httpx at most 2 times respx.",
        """
Medians of the rounds, and of the ratios within each. The stub keeps nothing, and has no socket object; "same answer" is
the stub with the header fields and the body that the service sends, which costs the client little more. "Least service"
(benchmarks/least_service.py) is a stub that reads the request, keeps resource, effect and answer in SQLite, looks the
key up, notes the attempt and answers. "On virtual time" is that service while a run's own time stands in for the
client's: the floor of what remembers and does not wait, without a fault, a socket, an operation or a law.

The aim of 1.5 is met for requests, not for urllib3 and httpx; on a machine one and a half times as fast it was 1.56,
2.22 and 1.76 (alternating with the stub alone in a process, 1.48 to 1.50 for requests). The floor leaves urllib3 a
sixth of its stub's time, 60 µs, for all the rest. That takes ours 90 µs alone on the faster machine, 165 on this one:
the simulated socket and its connection, HTTP as a server has to read and refuse it, the script, routes, limits and
idempotency's rules, the record, and to which operation an attempt belongs: 204 calls, no part of which stands out (the
dearest takes 4 µs). In between a client's own work it takes three quarters more than alone, and the client, too, takes
a seventh longer than over the stub: together they no longer fit into the processor's nearest caches. Of what requests
takes more than over the stub, some 165 µs are HTTP, service and record, 35 the clock's and locks' own methods (a POST
takes and frees ten locks and reads the time eight times), 25 the simulated socket, and 75 that the client is slower
(by leaving each out in turn, on the faster machine). Without SQLite, Python's collector, or the patched locks it would
be 1 to 3 % less each (interleaved runs). Compiled by mypyc, 31 modules of exchange, record, service and the server's
side of HTTP, it is hardly faster: 0.9 to 1.1 times as long, alone and by each client (eight pairs of runs, the least of
15 rounds each).

Twice respx's time for a POST through httpx is out of reach: the stub alone takes 1.6 times it, the floor 1.9 times (the
median of eight runs, 1.6 to 2.1), which leaves a tenth of respx's time for all the rest.

No service could be 5 times faster than pytest-httpserver: the client's own part, which the stub column shows, is more
than a fifth of that. What the client and pytest-httpserver's thread wait for each other is no processor time, and is
not counted here.
""",
    ),
    "One keep-alive client on loopback": (
        keep_alive,
        "At least 5 times the requests a second of pytest-httpserver.",
        """
Requests a second, by the clock on the wall: medians of the rounds, and of the ratios within each. What else runs on the
machine is in every column, and decides the ratio: on a busy machine (a load of 3 to 8) ours was 3.3 to 3.6, 2.5 to 2.6
and 3.6 to 3.9 times pytest-httpserver. That closes the connection after each answer, so that its client connects anew.

The aim is out of reach on a machine at rest. The least server answers whatever comes by the same bytes: it is what
client, sockets and the kernel leave to anybody. The least service (benchmarks/least_service.py), which reads a request
by the same parser as ours, notes it and answers by the same bytes, without a socket's end to watch, a fault, a route or
an operation, comes to 4.4 to 4.9 times by a bare socket, 3.2 to 3.8 by http.client and 2.9 to 3.5 from another process
(five runs). What is left to ours is what it does more than that: it keeps, joins and judges.

Where client and server find themselves on one processor, as on a busy machine, a request to the least server takes 8 µs
by a bare socket and 57 by http.client. Where each sleeps on a processor of its own it has to be woken, twice a request,
for 40 µs each on that virtual machine: 90 and 140 µs at no load at all, and the same 80 µs more for a server that
works. Ours waits no more often than that (counted: one switch of threads there and one back).

A server that looks again for up to 100 µs before it sleeps, where the request before came that soon, was tried. In the
client's own process it makes things worse: the least server then takes 107 µs by http.client. For other processes (who
holds the other end can be known, for 30 µs a connection) it brings a bare socket nothing while every processor is busy
(1.00 times as long, 25 interleaved rounds), and costs Node a twentieth and 22 µs of processor time a request. Where
another thread of the server's process computes, a request takes 1.5 to 3.6 times as long (longer in 39 of 48 rounds),
since each look gives the interpreter's lock away. With sched_yield Node's loss is 0 to 3 %, and the rest no better. So
it sleeps. On a machine at rest it would save the quickest clients one waking of two, 40 of 155 µs. With every processor
busy nothing sleeps: a request from another process then takes 85 µs here and 278 by pytest-httpserver (a load of 7).

The rest is processor time. A request of the bare socket takes 69 µs in one thread, client included (90 before): 6 for
the system calls of both, 3 for the server's loop (with a conversation that does nothing), 60 for HTTP, service, record
and joining. Half of the loop's calls written out in place save 0.1 of its 3. In a loop by itself HTTP takes 8 µs and
the others 38, and one after the other 57: any other code in between (10 µs of json and formatting) costs the others the
same 10 µs more, a sum in a small loop or reading 64 KB of data 1 to 2, and the collector has no part in it. So it is
what the processor keeps of instructions and branches, which a loop of 38 µs alone still fits into. In two threads a
request takes 78 µs, and pytest-httpserver's 270; by http.client 145 and 400, since between that client's own code ours
takes half again as long. 5 times would be 54 and 80, of which 8 and 57 are the client's: by http.client it is out of
reach for a server in Python that parses, answers and records.
""",
    ),
    "One hour of exponential back-off": (
        one_hour,
        "Under 5 ms.",
        """
`requests.get` opens a session, and with it a connection, for each attempt: the last column is what the client spends
on that by itself.
""",
    ),
    "pytest with the plugin installed and unused": (
        start_up,
        "At most 10 ms slower to start.",
        """
Each pair is the least of three runs with and of three runs without, interleaved, with all other plugins left out; the
last row compares pytest with itself. On both sides stands a plugin that does nothing: for one that is named by `-p`
pytest reads about every distribution there is, for 5 ms here, as it does anyway where plugins are found by themselves.
A test holds what each start loads. Earlier figures (-33 to +27 ms) came of two things: with ten other plugins
loaded a run takes three times as long and differs from the next by more than 10 ms; and where
`PYTHONDONTWRITEBYTECODE` is set, the plugin is compiled anew on each start, for 6 ms. Time Machine, Faker and
Hypothesis are dependencies with plugins of their own, which pytest loads whether they are used or not; they cost
about 17, 76 and 192 ms (least of six runs each). Where that matters, `-p no:hypothesispytest -p no:Faker` leaves the
two out, unless the suite uses them itself.
""",
    ),
    "A trace of 100 000 attempts": (
        big_trace,
        "Linear; laws under 20 µs an attempt.",
        """
Python's collector is paused while the laws are asked, which make no cycles: a full pass looks at all that the run
keeps, twelve objects an attempt. Without the pause the laws take 8 µs more an attempt from 30 000 on.
""",
    ),
}


def _quiet() -> None:
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)


def main() -> None:
    """Run all sections, or those whose titles contain a word given."""
    random.seed(0)
    _quiet()
    others = (concurrency, engine, breaker, herd, jitter, exploring, fuzzing, page, reporting)
    sections = dict(SECTIONS)
    for one in others:
        sections |= one.SECTIONS
    tell(sections)


def tell(sections: Mapping[str, Section]) -> None:
    """Measure what the command line asks for of these, print it, and write it where it asks for that."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    for title, (measure, aim, remark) in sections.items():
        if words and not any(word in title for word in words):
            continue
        lines = [f"## {title}", "", f"Aim: {aim} {_circumstances()}", "", *measure(), *remark.rstrip().split("\n")]
        block = "\n".join(lines) + "\n"
        print(block, flush=True)
        if "--write" in sys.argv:
            _write(title, block)


def _circumstances() -> str:
    return (
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {platform.python_implementation()} "
        f"{platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} processors with a "
        f"load of {os.getloadavg()[2]:.1f}."
    )


def _write(title: str, block: str) -> None:
    """Put a section in the place of the one of its title, or at the end."""
    results = HERE / "RESULTS.md"
    head, *sections = results.read_text().split("\n## ")
    kept = {section.partition("\n")[0]: f"## {section.rstrip()}\n" for section in sections}
    kept[title] = block
    results.write_text("\n".join([head.rstrip() + "\n", *kept.values()]))


if __name__ == "__main__":
    main()

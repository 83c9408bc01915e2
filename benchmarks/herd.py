"""A herd through an outage: a thousand clients in threads, ten thousand and a hundred thousand in tasks.

Each run is a process of its own, since the peak of memory is the process's. As a script (``python benchmarks/herd.py
NAME COUNT``) it is such a run: the service is down for ten seconds, then takes a thousand requests a second, and each
client retries with full jitter.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

from pytest_retrychaos import Chaos
from pytest_retrychaos.clock.cpython import real_twin
from pytest_retrychaos.engine import Retry, exponential
from pytest_retrychaos.herd import Herd

NOW = real_twin(time.process_time)
RETRY = Retry(attempts=20, backoff=exponential(20, cap=60))
"""Whose mean first wait is as long as the outage."""


def requests_threads(chaos: Chaos, count: int) -> Herd[object]:
    """One client a thread, each with a session of its own."""
    import requests

    return chaos.herd(count, RETRY(lambda: requests.get(f"{chaos.url}/orders", timeout=5)))


def aiohttp_tasks(chaos: Chaos, count: int) -> Herd[object]:
    """One task a client, all of them with one session, whose pool holds a hundred connections."""
    import asyncio

    import aiohttp

    async def main() -> Herd[object]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=5)) as session:

            @RETRY
            async def fetch() -> int:
                async with session.get(f"{chaos.url}/orders") as answer:
                    await answer.read()
                    answer.raise_for_status()
                    return answer.status

            return await chaos.herd_async(count, fetch)

    return asyncio.run(main())


def outage(client: Callable[[Chaos, int], Herd[object]], count: int) -> dict[str, float]:
    """Run one herd through the outage; give its figures."""
    with Chaos("down=10s:503", seed=1, watchdog=600) as chaos:
        chaos.service.limit(f"{max(count // 10, 1)}/s")
        began = NOW()
        herd = client(chaos, count)
        spent = NOW() - began
        began = NOW()
        verdict = chaos.verify()
        judging = NOW() - began
    assert not herd.errors, next(iter(herd.errors.values()))
    assert "LD03" in [result.code for result in verdict.held]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": spent, "judging": judging, "attempts": herd.arrivals.attempts, "peak": peak}


def herd() -> list[str]:
    """Clients through an outage, in processes of their own."""
    lines = [
        "| clients | attempts | processor time | an attempt | record and laws | peak of memory |",
        "|---|---|---|---|---|---|",
    ]
    for client, what, counts in (
        (requests_threads, "requests, threads", (1000,)),
        (aiohttp_tasks, "aiohttp, tasks", (1000, 10_000, 100_000)),
    ):
        for count in counts:
            command = [sys.executable, __file__, client.__name__, str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr)
            one = json.loads(done.stdout.splitlines()[-1])
            lines.append(
                f"| {count:,} {what} | {one['attempts']:,} | {one['seconds']:.1f} s | "
                f"{1e6 * one['seconds'] / one['attempts']:.0f} µs | {one['judging']:.1f} s | {one['peak']:.0f} MB |"
            )
    return [line.replace(",", " ").replace("  ", ", ") for line in lines]


SECTIONS = {
    "A herd through an outage": (
        herd,
        "A thousand blocking and ten thousand async clients in under 15 s and 1 GB; a hundred thousand possible.",
        """
The service answers 503 for ten virtual seconds and then takes a tenth of the clients each second; every client retries
with full jitter until it is served (2.5 attempts on average). The clients in threads open a session, and so a
connection, for every attempt; the tasks share a session of a hundred connections. An event
loop's connection takes two descriptors: ten thousand at once need more than the usual limit, and a herd that meets it
fails by name.
""",
    ),
}

if __name__ == "__main__":
    print(json.dumps(outage(globals()[sys.argv[1]], int(sys.argv[2]))))

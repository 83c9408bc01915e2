"""Show what a hundred clients do to a service that comes back after five seconds: fixed delays, then full jitter."""

from __future__ import annotations

from orders import Orders

from pytest_retrychaos import Chaos
from pytest_retrychaos.engine import exponential, fixed

for backoff in (fixed(1), exponential(1, cap=20, jitter="full")):
    with Chaos("down=5s", seed=1) as chaos:
        chaos.service.limit("20/s")
        herd = chaos.herd(100, Orders(chaos.url, backoff).fetch)
        print(f"{backoff}: once it is back, {herd.arrivals.peak_after_cause} come in one second")
        print(herd.chart, end="\n\n")

"""Chaos without pytest: a script that can run anywhere. ``python examples/outside_pytest/soak.py``"""

from __future__ import annotations

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from pytest_retrychaos import Chaos, LawsBroken

RETRY = Retry(total=3, backoff_factor=0.5, status_forcelist=[503], respect_retry_after_header=False)

for script in ("503 x3, ok", "503 retry-after=60, ok", "reset x2, ok", "timeout, ok"):
    with Chaos(script) as chaos, requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=RETRY))
        session.get(f"{chaos.url}/rates", timeout=5)
        try:
            chaos.verify()
            print(f"{script}: every law kept, in {chaos.clock.elapsed:.1f} s of virtual time")
        except LawsBroken as broken:
            print(broken)

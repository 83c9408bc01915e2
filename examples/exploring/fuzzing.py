import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from pytest_retrychaos import chaos_fuzz


def orders(url: str) -> list[object]:
    """Read the orders, four times at most. What is wrong with it?"""
    for retry in range(1, 5):
        try:
            response = requests.get(f"{url}/orders", timeout=10)
            if response.status_code not in (429, 502, 503, 504) or retry == 4:
                break
            wait = asked(response.headers.get("Retry-After", ""))
        except requests.RequestException:
            if retry == 4:
                raise
            wait = 0
        time.sleep(wait or 2**retry)
    response.raise_for_status()
    listed: list[object] = response.json()
    return listed


def asked(value: str) -> float:
    """Read ``Retry-After``, seconds or a date, up to two minutes."""
    try:
        return min(float(value), 120)
    except ValueError:
        pass
    try:
        return min((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 120)
    except ValueError:
        return 0


@chaos_fuzz(faults="hostile", max_examples=200, also=["503 retry-after=90, reset, ok"])
def test_orders_are_read(chaos):
    orders(chaos.url)

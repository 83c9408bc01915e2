import contextlib

import requests
from hypothesis import given, settings

from examples.payments.client import PaymentClient
from pytest_retrychaos import Chaos
from pytest_retrychaos.fuzz import retry_after_values, scripts


@settings(deadline=None)
@given(scripts(retry_after_values(kinds=["seconds", "date", "past", "huge", "malformed"]), max_size=3))
def test_whatever_the_service_asks_for_nobody_waits_for_more_than_ten_minutes(script):
    with Chaos(script) as chaos:
        with contextlib.suppress(requests.HTTPError):  # given up
            PaymentClient(chaos.url, attempts=3).charge(amount=1000, currency="USD")
        assert max(chaos.waits, default=0) < 600
        chaos.verify()

import time
import uuid

import requests


def send(url, payment, key):
    headers = {"Idempotency-Key": key}
    return requests.post(f"{url}/payments", json=payment, headers=headers, timeout=5).json()


def charge(url, **payment):
    key = str(uuid.uuid4())  # one key per charge, made before the first attempt
    for wait in (1, 2):
        try:
            return send(url, payment, key)
        except requests.ConnectionError:
            time.sleep(wait)
    return send(url, payment, key)


def test_a_lost_response_never_charges_twice(chaos):
    chaos.script("reset after-commit, ok")
    charge(chaos.url, amount=1000, currency="USD")
    chaos.verify()

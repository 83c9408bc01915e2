import time

import requests


def send(url, payment):
    return requests.post(f"{url}/payments", json=payment, timeout=5).json()


def charge(url, **payment):
    for wait in (1, 2):
        try:
            return send(url, payment)
        except requests.ConnectionError:
            time.sleep(wait)
    return send(url, payment)


def test_a_lost_response_never_charges_twice(chaos):
    chaos.script("reset after-commit, ok")
    charge(chaos.url, amount=1000, currency="USD")
    chaos.verify()

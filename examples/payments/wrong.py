"""Payment clients as one meets them, each with one thing wrong. `test_wrong_clients.py` shows what catches which.

Do not copy from here: `client.py` is the one that is right.
"""

from __future__ import annotations

import io
import json
import time
import uuid
from email.utils import parsedate_to_datetime
from typing import Any

import requests

Payment = dict[str, Any]


def _post(url: str, body: Payment, key: str | None) -> requests.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return requests.post(f"{url}/payments", json=body, headers=headers, timeout=10)


def _new_key() -> str:
    return str(uuid.uuid4())


def new_key_per_attempt(url: str, **body: Any) -> Payment:
    """Makes the key inside the loop: to the service each attempt is a new payment."""
    for attempt in range(4):
        try:
            response = _post(url, body, key=_new_key())
            if response.status_code < 500:
                return dict(response.json())
        except requests.ConnectionError:
            pass
        time.sleep(2**attempt)
    raise RuntimeError("the payment service cannot be reached")


def no_key(url: str, **body: Any) -> Payment:
    """Sends no key at all, and repeats what may have been carried out."""
    for attempt in range(4):
        try:
            response = _post(url, body, key=None)
            if response.status_code < 500:
                return dict(response.json())
        except requests.ConnectionError:
            pass
        time.sleep(2**attempt)
    raise RuntimeError("the payment service cannot be reached")


def new_key_for_one_in_flight(url: str, **body: Any) -> Payment:
    """Takes "this key is in use" for "use another key", while its first request is still being carried out."""
    key = _new_key()
    for attempt in range(4):
        try:
            response = _post(url, body, key)
            if response.status_code < 400:
                return dict(response.json())
            if response.status_code == 409:
                key = _new_key()
        except requests.Timeout:
            pass
        time.sleep(2**attempt)
    raise RuntimeError("the payment service cannot be reached")


def ignores_retry_after(url: str, **body: Any) -> Payment:
    """Waits as it likes, whatever the service asks for."""
    key = _new_key()
    for attempt in range(4):
        response = _post(url, body, key)
        if response.status_code not in (429, 503):
            break
        time.sleep(2**attempt)
    response.raise_for_status()
    return dict(response.json())


def reads_the_date_as_local_time(url: str, **body: Any) -> Payment:
    """Obeys ``Retry-After``, but takes the GMT of its date for local time: right in London, in winter."""
    key = _new_key()
    for attempt in range(4):
        response = _post(url, body, key)
        if response.status_code != 503:
            break
        moment = parsedate_to_datetime(response.headers["Retry-After"])
        time.sleep(max(2**attempt, moment.replace(tzinfo=None).timestamp() - time.time()))
    response.raise_for_status()
    return dict(response.json())


def crashes_on_a_date(url: str, **body: Any) -> Payment:
    """Takes ``Retry-After`` for a number always."""
    key = _new_key()
    for attempt in range(4):
        response = _post(url, body, key)
        if response.status_code != 503:
            break
        time.sleep(max(2**attempt, int(response.headers.get("Retry-After", 0))))
    response.raise_for_status()
    return dict(response.json())


def retries_a_bad_request(url: str, **body: Any) -> Payment:
    """Tries again whatever went wrong, a request that will never be taken included."""
    key = _new_key()
    for attempt in range(4):
        response = _post(url, body, key)
        if response.ok:
            break
        time.sleep(2**attempt)
    response.raise_for_status()
    return dict(response.json())


def hot_loop(url: str, **body: Any) -> Payment:
    """Does not wait at all."""
    key = _new_key()
    for _ in range(10):
        response = _post(url, body, key)
        if response.status_code < 500:
            break
    response.raise_for_status()
    return dict(response.json())


def never_stops(url: str, **body: Any) -> Payment:
    """Waits between attempts, but has no maximum of them."""
    key = _new_key()
    while True:
        response = _post(url, body, key)
        if response.status_code < 500:
            return dict(response.json())
        time.sleep(5)


def gives_up_at_once(url: str, **body: Any) -> Payment:
    """Has no retry."""
    response = _post(url, body, key=_new_key())
    response.raise_for_status()
    return dict(response.json())


def swallows_the_last_error(url: str, **body: Any) -> None:
    """Logs the failures and returns, as it does after a success."""
    key = _new_key()
    for attempt in range(4):
        try:
            _post(url, body, key).raise_for_status()
            return
        except requests.RequestException as error:
            print(f"payment failed, attempt {attempt + 1}: {error}")
            time.sleep(2**attempt)


def tells_doubt_as_failure(url: str, **body: Any) -> Payment:
    """Says that the payment failed where nobody knows: the caller will pay again."""
    key = _new_key()
    for attempt in range(3):
        try:
            return dict(_post(url, body, key).json())
        except requests.Timeout:
            time.sleep(2**attempt)
    raise RuntimeError("payment failed")


def loses_the_body(url: str, **body: Any) -> Payment:
    """Uploads from a file and does not rewind it: the second attempt sends what is left, nothing."""
    upload = io.BytesIO(json.dumps(body).encode())
    headers = {"Idempotency-Key": _new_key(), "Content-Type": "application/json"}
    for attempt in range(4):
        response = requests.post(f"{url}/payments", data=upload, headers=headers, timeout=10)
        if response.status_code != 503:
            break
        time.sleep(2**attempt)
    response.raise_for_status()
    return dict(response.json())


def no_timeout(url: str, **body: Any) -> Payment:
    """Waits for ever when the service falls silent, as `requests` does unless told otherwise."""
    key = _new_key()
    for attempt in range(4):
        try:
            response = requests.post(f"{url}/payments", json=body, headers={"Idempotency-Key": key})
            return dict(response.json())
        except requests.ConnectionError:
            time.sleep(2**attempt)
    raise RuntimeError("the payment service cannot be reached")


def sends_a_success_again(url: str, **body: Any) -> Payment:
    """Takes every ``Retry-After`` for an invitation, also beside a 201 that says when to look."""
    key = _new_key()
    for _ in range(4):
        response = _post(url, body, key)
        if "Retry-After" not in response.headers:
            break
        time.sleep(int(response.headers["Retry-After"]))
    response.raise_for_status()
    return dict(response.json())


def one_key_per_customer(url: str, **body: Any) -> Payment:
    """Derives the key from the customer, so that the second purchase carries the key of the first."""
    for attempt in range(4):
        response = _post(url, body, key=f"customer-{body['customer']}")
        if response.status_code < 500:
            break
        time.sleep(2**attempt)
    return dict(response.json())

"""A payment client that retries as it should: copy it, and change what your service does differently.

* One idempotency key per charge, made before the first attempt and sent on every attempt: however often the
  request is sent, the customer is charged once.
* Only failures that may pass are tried again, a bounded number of times.
* The wait between attempts grows, has a cap and is jittered, so that clients do not come back all together.
* ``Retry-After`` is obeyed, as seconds or as a date. A service that asks for more than `LONGEST_WAIT` is given up.
* Every request has a timeout.
* When no attempt is left, the last error reaches the caller. If an earlier attempt may have been carried out, that
  failure is its cause: "503" alone would say that nothing was done.
"""

from __future__ import annotations

import random
import time
import uuid
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed; 409: one with the same key is still being worked on."""

DID_NOTHING = frozenset({425, 429, 503})
"""Those of them by which the service says that it has not carried the request out."""

LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
"""Failures without an answer. Most of them leave open what the service did: see `was_sent`."""

FIRST_WAIT, WAIT_CAP = 0.5, 20.0
"""Seconds: the wait before the first retry is at most the first, and doubles up to the second."""

LONGEST_WAIT = 300.0
"""Seconds that the service may ask for before it is given up."""

CONNECT_TIMEOUT, READ_TIMEOUT = 3.0, 10.0
"""Seconds for one attempt: to be connected, and to wait for the answer."""


class PaymentUnknown(requests.RequestException):
    """The service did not refuse, and what it says of the charge cannot be read: ask it before charging anew."""


class PaymentClient:
    """A client of the payment service at one address."""

    def __init__(self, url: str, *, attempts: int = 5, session: requests.Session | None = None) -> None:
        if attempts < 1:
            raise ValueError(f"attempts={attempts}: at least one is needed; 1 means no retry")
        self.url = url.rstrip("/")
        self.attempts = attempts
        self.session = session or requests.Session()

    def charge(self, *, amount: int, currency: str, key: str | None = None) -> dict[str, Any]:
        """Charge once, and return the payment.

        ``key`` names this charge; give your own order number to be safe over a restart of the program too.
        Raises ``requests.HTTPError`` when the service refuses, `PaymentUnknown` for a success that cannot be read,
        another ``requests.RequestException`` for an answer that cannot be followed, and the last error when no attempt
        is left. Where that is a timeout or a lost connection, or has a cause, the charge may have been made: ask the
        service before charging anew.
        """
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        body = {"amount": amount, "currency": currency}
        doubt: requests.RequestException | None = None
        for retry in range(1, self.attempts + 1):
            asked = 0.0
            try:
                response = self._send(body, headers)
                asked = seconds_asked(response)
                response.raise_for_status()
            except requests.HTTPError as error:
                if error.response.status_code not in TRANSIENT or retry == self.attempts or asked > LONGEST_WAIT:
                    raise error from doubt
                if error.response.status_code not in DID_NOTHING:
                    doubt = error
            except LOST as error:
                if retry == self.attempts:
                    raise error from doubt
                if was_sent(error):
                    doubt = error
            except requests.RequestException as error:  # an answer that says neither yes nor no
                raise error from doubt
            else:
                return payment_in(response)
            time.sleep(asked + random.uniform(0, min(WAIT_CAP, FIRST_WAIT * 2 ** (retry - 1))))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send(self, body: dict[str, Any], headers: dict[str, str]) -> requests.Response:
        return self.session.post(
            f"{self.url}/payments", json=body, headers=headers, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
        )


def payment_in(response: requests.Response) -> dict[str, Any]:
    """Return the payment in an answer; raises `PaymentUnknown` where there is none."""
    try:
        return dict(response.json())
    except (ValueError, TypeError) as error:
        raise PaymentUnknown(f"status {response.status_code}, and no payment in it", response=response) from error


def was_sent(error: requests.RequestException) -> bool:
    """Return whether the request may have left this machine: not if no connection was made."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(reason, NewConnectionError | ConnectTimeoutError)


def seconds_asked(response: requests.Response) -> float:
    """Return how long ``Retry-After`` asks to wait: seconds or a date; 0 where it is absent, past or unreadable."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:  # "-0000" and a missing zone: HTTP dates are GMT
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())

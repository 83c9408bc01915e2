"""A client whose backoff is the caller's choice, for herds of it."""

from __future__ import annotations

import requests

from pytest_retrychaos.engine import Backoff, Retry


class Orders:
    """Reads orders, with up to twelve attempts."""

    def __init__(self, url: str, backoff: Backoff) -> None:
        self._url = url
        self._fetch = Retry(attempts=12, backoff=backoff)(self._get)

    def fetch(self) -> list[dict[str, object]]:
        """Fetch all orders; raises what the last attempt did."""
        answer = self._fetch()
        answer.raise_for_status()
        orders: list[dict[str, object]] = answer.json()
        return orders

    def _get(self) -> requests.Response:
        return requests.get(f"{self._url}/orders", timeout=5)

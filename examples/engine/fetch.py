"""The engine alone: standard library, no pytest. ``python examples/engine/fetch.py https://example.com/``"""

from __future__ import annotations

import sys
from http.client import HTTPResponse
from urllib.request import urlopen

from pytest_retrychaos.engine import Retry, exponential

POLICY = Retry(attempts=4, backoff=exponential(base=0.5, cap=20, jitter="full"), timeout=60)


def fetch(url: str) -> bytes:
    """Read a page; the last error is raised when no attempt or no time is left."""
    return POLICY.call(_fetch_once, url)


def _fetch_once(url: str) -> bytes:
    response: HTTPResponse
    with urlopen(url, timeout=10) as response:
        return response.read()


if __name__ == "__main__":
    sys.stdout.buffer.write(fetch(sys.argv[1]))

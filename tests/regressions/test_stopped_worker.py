"""A worker that waits for its next try on an event, by which it is told to stop."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
import requests

from pytest_retrychaos import LawsBroken


def post(url):
    """Send once, with a key."""
    return requests.post(f"{url}/orders", json={}, headers={"Idempotency-Key": "order-7"}, timeout=5).status_code


def work(url, stop):
    """Try until it succeeds, or is told to stop."""
    delay = 1
    while not stop.is_set() and post(url) >= 500:
        if stop.wait(delay):
            return
        delay *= 2


@pytest.mark.chaos("503 *", strict=False)
@pytest.mark.parametrize("after", [0.5, 10])
@pytest.mark.parametrize("in_pool", [True, False])
def test_who_is_stopped_in_its_back_off_has_not_given_up(chaos, after, in_pool):
    """Before its first retry, or after some."""
    stop = threading.Event()
    if in_pool:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work, chaos.url, stop)
            time.sleep(after)
            stop.set()
    else:
        worker = threading.Thread(target=work, args=(chaos.url, stop))
        worker.start()
        time.sleep(after)
        stop.set()
        worker.join()

    chaos.verify()


def serve(url, orders):
    """Send each order once, and look for the next now and then."""
    while True:
        try:
            if orders.get(timeout=5) is None:
                return
        except queue.Empty:
            continue
        post(url)


def test_who_does_not_retry_is_still_told(chaos):
    """It waits for its next order, and is told that there is none."""
    chaos.script("503")
    orders = queue.Queue()
    worker = threading.Thread(target=serve, args=(chaos.url, orders))
    worker.start()
    orders.put(1)
    time.sleep(2)
    orders.put(None)
    worker.join()

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()


@pytest.mark.parametrize("awaits", ["a thread", "a future", "an event, and sends more"])
def test_who_waits_for_another_is_still_told(chaos, awaits):
    """Its wait ends early since the other one has."""
    chaos.script("503")
    other, done = threading.Timer(1, lambda: done.set()), threading.Event()
    other.start()
    post(chaos.url)
    if awaits == "a thread":
        other.join(5)
    elif awaits == "a future":
        with ThreadPoolExecutor(1) as pool:
            wait([pool.submit(time.sleep, 1)], timeout=5)
    else:
        done.wait(5)
        requests.get(f"{chaos.url}/rates", timeout=5)

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()

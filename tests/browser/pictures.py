"""Take the pictures of the page that stand in the documentation: ``python tests/browser/pictures.py``.

They are of a real run, and are to be looked at before they are committed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
SUITE = """
import contextlib

import pytest
import requests

from examples.payments import wrong
from examples.payments.client import PaymentClient
from pytest_retrychaos.engine import CircuitBreaker, Retry, exponential

PATIENT = Retry(attempts=6, backoff=exponential(base=0.5, cap=20, jitter="full"))


@pytest.mark.chaos("503 retry-after=2", "timeout, 502", "reset after-commit", "503 x2, refuse")
def test_a_customer_is_charged_once(chaos):
    PaymentClient(chaos.url).charge(amount=1000, currency="USD")
    chaos.verify()


@pytest.mark.chaos("503 retry-after=2, reset after-commit, ok")
def test_an_old_client_charges_once(chaos):
    wrong.no_key(chaos.url, amount=1000, currency="USD")
    chaos.verify()


@pytest.mark.chaos("503, 429 retry-after=12, timeout, 503, ok")
def test_rates_are_read_by_the_policy(chaos):
    PATIENT.call(requests.get, f"{chaos.url}/rates", timeout=5)
    chaos.verify(PATIENT)


@pytest.mark.chaos("down=50s:503, ok")
def test_the_breaker_keeps_off_an_outage(chaos):
    breaker = CircuitBreaker(threshold=3, cooldown=30)
    for _ in range(14):
        with contextlib.suppress(Exception):
            breaker.call(lambda: requests.get(f"{chaos.url}/rates", timeout=5).raise_for_status())
        chaos.clock.advance(7)
    chaos.verify(breaker=breaker, ignore=["RT01"])


@pytest.mark.chaos("down=4s:503, ok")
def test_a_hundred_clients_come_back_spread(chaos):
    chaos.service.limit("40/s")
    chaos.herd(100, lambda: PATIENT.call(requests.get, f"{chaos.url}/rates", timeout=5), over=2)
"""
SCROLL = "document.documentElement.style.scrollBehavior = 'auto'; "
OPEN = (
    "for (const word of ['old_client', 'the_policy', 'an_outage', 'hundred_clients'])"
    " [...document.querySelectorAll('details.t')].find((one) => one.textContent.includes(word)).open = true;"
)
SHORTEN = (
    "document.querySelectorAll('details.t table, details.t:not([open])').forEach((one, at) => one.remove());"
    "document.querySelector('.legend').scrollIntoView();"
)
"""For the picture only: what stands below each drawing is left out."""
PICTURES = (("page-light.png", "light", "", "scrollTo(0, 0)", 860), ("timelines-dark.png", "dark", OPEN, SHORTEN, 1140))


def main() -> None:
    """Run the suite, open its report, and take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        suite, report = Path(folder) / "test_shop.py", Path(folder) / "report.html"
        suite.write_text(SUITE, encoding="utf-8")
        options = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--rootdir", folder, "--tb=short")
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, f"--chaos-report={report}", "--chaos-fail-under=30", str(suite)],
            check=False,
            cwd=ROOT,
        )
        take(report)


def take(report: Path) -> None:
    """Open a page and take its pictures."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        for name, scheme, first, then, height in PICTURES:
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            browser.set_window_size(1000, height)
            browser.get(report.as_uri())
            browser.execute_script(SCROLL + first)
            browser.execute_async_script("setTimeout(arguments[0], 300)")
            browser.execute_script(then)
            browser.execute_async_script("setTimeout(arguments[0], 300)")
            browser.save_screenshot(str(IMAGES / name))
    finally:
        browser.quit()


if __name__ == "__main__":
    main()

"""The report as a page: how large it is, how long it takes to write, and how it behaves in Chromium."""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_retrychaos.clock.cpython import real_twin
from pytest_retrychaos.model import SECOND
from pytest_retrychaos.report.document import (
    FAULT_CLASSES,
    Bar,
    Cell,
    CellRecord,
    Coverage,
    Document,
    EffectMark,
    FindingRecord,
    LawRecord,
    Mark,
    Row,
    TestRecord,
    Timeline,
    Wait,
)
from pytest_retrychaos.report.page import to_html

if TYPE_CHECKING:
    from selenium import webdriver

NOW = real_twin(time.perf_counter)
FAULTS = (
    ("503", "turned-away", "503"),
    ("503 retry-after=2", "turned-away-retry-after", "503, Retry-After: 2"),
    ("timeout", "lost-before-commit", "no answer in 5 s"),
    ("reset after-commit", "lost-after-commit", "committed, then the response was lost"),
    ("refuse", "not-sent", "connection refused"),
)
ROUTES = ("POST /payments", "GET /payments/{id}", "PUT /orders/{id}", "POST /refunds")
LAWS = ["RT01", "RT03", "RT04", "RT05", "BK01", "BK02", "BK04", "ID01", "ID02", "ID04", "ID05", "NV01"]


def document(tests: int, attempts: int) -> Document:
    """Make the document of a suite; every seventh test that lost an answer has a finding."""
    rows = tuple(
        Row(route, route.startswith("GET"), tuple(Cell(name, 3, 3, 3, None) for name in FAULT_CLASSES))
        for route in ROUTES
    )
    made = tuple(_test(random.Random(number), number, attempts) for number in range(tests))
    return Document("2026-01-01T00:00:00Z", 0, (), made, Coverage(44, 44, rows), None, None)


def _test(chooser: random.Random, number: int, attempts: int) -> TestRecord:
    route = chooser.choice(ROUTES)
    bars, waits, effects, now = [], [], [], 0
    for index in range(1, attempts + 1):
        is_last = index == attempts
        fault, kind, outcome = (None, None, "201, committed") if is_last else chooser.choice(FAULTS)
        ended = now + (5 * SECOND if fault == "timeout" else chooser.randint(0, 3) * SECOND // 20)
        committed = is_last or fault == "reset after-commit"
        asked = 2 * SECOND if fault == "503 retry-after=2" else None
        request = route.replace("{id}", f"pay_{number:05}")
        bars.append(
            Bar(
                index, 0, request, route, fault, kind, outcome, 201 if is_last else 503, "K1", now, now, ended, ended,
                ended, asked, not is_last, committed, False, False, None,
            )
        )  # fmt: skip
        if committed:
            effects.append(EffectMark(ended, index, 0, bool(effects)))
        most = 2 ** min(index, 5) * SECOND // 4
        now = ended + int(chooser.uniform(0.5, 1) * most)
        if not is_last:
            waits.append(Wait(0, index + 1, ended, now, most // 2, most))
    is_broken = len(effects) > 1 and number % 7 == 0
    is_read = route.startswith("GET")
    struck = [bar.fault_class for bar in bars if bar.fault_class is not None]
    return TestRecord(
        id=f"tests/payments/test_charging.py::TestCharging::test_a_lost_response_never_charges_twice[{number}]",
        file="tests/payments/test_charging.py", line=number, outcome="failed" if is_broken else "passed",
        message=f"ID04 duplicate effect: {route} was carried out 2 times for one operation" if is_broken else "",
        seed=number, scripts=("503 x3, timeout, reset after-commit, ok",),
        again=f'@pytest.mark.chaos("503 x3, timeout, reset after-commit, ok", seed={chooser.getrandbits(32)})',
        runs=1, reruns=0, attempts=attempts, operations=1, effects=len(effects), virtual_ns=now, real_ns=8_000_000,
        was_judged=True,
        laws=tuple(LawRecord(law, "broken" if is_broken and law == "ID04" else "held", "1 retry") for law in LAWS),
        not_applicable=("RT02",), findings=(_finding(route),) if is_broken else (),
        cells=tuple(CellRecord(route, is_read, one, struck.count(one), 1) for one in dict.fromkeys(struck)),
        timeline=Timeline((route,), tuple(bars), tuple(waits), tuple(effects), (), (), now, 0),
    )  # fmt: skip


def _finding(route: str) -> FindingRecord:
    return FindingRecord(
        "ID04", "ID04", route, "lost-after-commit", "new",
        f"ID04 duplicate effect: {route} was carried out 2 times for one operation",
        "the request has no Idempotency-Key: the service cannot tell a retry from a new payment",
        "make one key per operation, outside the retry loop, and send it on every attempt",
        None, '@pytest.mark.chaos("reset after-commit, ok", seed=42)', 0, (Mark(2, "second effect"),),
    )  # fmt: skip


FILTER = """
const done = arguments[0], field = document.forms.filter.elements.test, spent = [];
const next = (left) => {
  if (!left) return done(spent);
  const began = performance.now();
  field.value = left % 2 ? "[1" : "";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => { spent.push(performance.now() - began); next(left - 1); }));
};
next(10);
"""
SCROLL = """
const done = arguments[0], spent = [];
document.documentElement.style.scrollBehavior = "auto";
for (const one of document.querySelectorAll("details.t")) one.open = true;
setTimeout(() => {
  let before = performance.now();
  const next = (left) => {
    if (!left) return done(spent);
    scrollBy(0, 600);
    requestAnimationFrame((now) => { spent.push(now - before); before = now; next(left - 1); });
  };
  requestAnimationFrame((now) => { before = now; next(120); });
}, 500);
"""
LOADED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
PAINTED = "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
"""Milliseconds since the page was asked for."""


def page() -> Iterator[str]:
    """Write pages and open them."""
    yield "| page | size | written in | first painted after | loaded after | a filter takes | frames, all tests open |"
    yield "|---|---|---|---|---|---|---|"
    browser = _browser()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for tests, attempts in ((2000, 10), (500, 20)):
                yield _row(browser, Path(folder) / "report.html", tests, attempts)
    finally:
        browser.quit()


def _row(browser: webdriver.Chrome, path: Path, tests: int, attempts: int) -> str:
    made = document(tests, attempts)
    to_html(made)
    began = NOW()
    text = to_html(made)
    spent = NOW() - began
    path.write_text(text, encoding="utf-8")
    loads, paints = [], []
    for _ in range(5):
        browser.get("about:blank")
        browser.get(path.as_uri())
        loads.append(browser.execute_script(LOADED))
        paints.append(browser.execute_script(PAINTED))
    filtering: list[float] = browser.execute_async_script(FILTER)
    frames: list[float] = sorted(browser.execute_async_script(SCROLL))
    return (
        f"| {tests} tests × {attempts} attempts | {len(text.encode()) / 1e6:.2f} MB | {spent:.2f} s "
        f"| {statistics.median(paints):.0f} ms | {statistics.median(loads):.0f} ms "
        f"| {statistics.median(filtering):.0f} ms "
        f"| {statistics.median(frames):.0f} ms, 19 of 20 under {frames[len(frames) * 19 // 20]:.0f} ms |"
    )


def _browser() -> webdriver.Chrome:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    browser.set_script_timeout(120)
    return browser


Measure = Callable[[], Any]
SECTIONS: dict[str, tuple[Measure, str, str]] = {
    "The report as a page": (
        page,
        "2 000 tests × 10 attempts: under 5 MB, open in Chromium in under 1 s; 500 × 20 stay smooth.",
        """
Medians of five openings from disk in Chromium (headless, no graphics processor), and of ten filterings up to the next
frame; the frames are those of scrolling through all tests, once every one was opened.
""",
    )
}

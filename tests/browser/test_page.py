"""The page in a real browser: it opens, filters, links, and shows what comes from tests as text."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import replace
from typing import Any

import pytest

from pytest_retrychaos.report.coverage import coverage
from pytest_retrychaos.report.document import FAULT_CLASSES, Coverage, Document, TestRecord
from tests.browser.conftest import Opener
from tests.unit.report.documents import BROKEN, DOCUMENT

EVIL = (
    "<script>alert('x')</script><img src=x onerror=alert(1)>\"'`&lt;</noscript></style></svg><!-- ${1} {{ 7*7 }} "
    "\0\x07\x1b[31m\r\n\t \U0001f4b3\u202e\u2066 \u05e9\u05dc\u05d5\u05dd \ud83d javascript:alert(2)"
)
READ = TestRecord(
    id="tests/test_rates.py::test_reads",
    file="tests/test_rates.py",
    line=3,
    outcome="passed",
    message="",
    seed=1,
    scripts=("503, ok",),
    again='@pytest.mark.chaos("503, ok", seed=1)',
    runs=1,
    reruns=0,
    attempts=2,
    operations=1,
    effects=0,
    virtual_ns=1,
    real_ns=1,
    was_judged=True,
    laws=(dataclasses.replace(BROKEN.laws[0], code="RT01"),),
    not_applicable=(),
    findings=(),
    cells=(replace(BROKEN.cells[0], route="GET /rates", fault="turned-away"),),
    timeline=None,
)
PAY = replace(BROKEN, id="tests/test_pay.py::test_charge")
TWO = replace(DOCUMENT, tests=(PAY, READ), problems=())


def spoilt(value: Any, text: str) -> Any:
    """Put a text into every text of a document, where it is free."""
    if isinstance(value, tuple):
        return tuple(spoilt(item, text) for item in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    fixed = {"outcome", "status", "ruling", "fault_class", "law", "code", "state", "fail_under", "began"}
    fixed |= {"fault"} if not hasattr(value, "index") else set()
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        if isinstance(given, str) and field.name not in fixed:
            changes[field.name] = f"{field.name} {text}"
        elif isinstance(given, tuple) and given and isinstance(given[0], str):
            changes[field.name] = tuple(f"{one} {text}" for one in given) if field.name != "not_applicable" else given
        else:
            changes[field.name] = spoilt(given, text)
    return dataclasses.replace(value, **changes)


def test_it_opens_without_a_complaint_and_asks_for_nothing(open_page: Opener) -> None:
    """No error in the console, no request but for the file itself; every drawing and every row is there."""
    page = open_page(DOCUMENT)

    assert page.complaints == []
    assert set(page.requests) == {page.url, "about:blank"} - ({"about:blank"} - set(page.requests))
    assert page.run("return document.querySelectorAll('details.t[open] svg[role=img]').length") == 2
    assert page.run("return document.querySelectorAll('details.t tr').length") == 4
    assert page.run("return document.querySelectorAll('noscript').length") == 0


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("law", "ID04 broken", [PAY.id]),
        ("law", "RT01 held", [READ.id]),
        ("law", "BK04 held", [PAY.id]),
        ("route", "GET /rates", [READ.id]),
        ("fault", "lost after commit", [PAY.id]),
        ("fault", "outage", []),
        ("test", "TEST_reads", [READ.id]),
    ],
)
def test_a_filter_leaves_what_it_names(open_page: Opener, name: str, text: str, left: list[str]) -> None:
    """Says how much is left, stands in the address, and is there again when that is opened."""
    page = open_page(TWO)
    assert page.tests == [PAY.id, READ.id]

    page.choose(name, text)

    assert page.tests == left
    count = page.run("return document.forms.filter.elements.count.value")
    assert count == f"{len(left)} of 2 tests, {int(PAY.id in left and text != 'BK04 held')} of 1 findings"
    assert page.run("return document.getElementById('none').hidden") is bool(left)
    page.go(page.run("return location.hash"))
    assert page.tests == left
    assert page.complaints == []


def test_links_lead_to_tests_and_findings(open_page: Opener) -> None:
    """Also to a test that is folded, or that a filter had put away; a cell of the matrix filters."""
    page = open_page(TWO)
    finding = page.run("return document.querySelector('.finding').id")
    target = page.run("return document.querySelectorAll('details.t')[0].id")

    page.run("document.querySelectorAll('details.t')[0].open = false")
    page.choose("test", "reads")
    page.run("document.querySelector(`.finding dd a`).click()")
    page.browser.execute_async_script("setTimeout(arguments[0], 50)")

    assert page.run("return location.hash") == f"#{target}"
    assert page.run("return document.querySelectorAll('details.t')[0].open")
    assert page.tests == [PAY.id, READ.id]
    page.run("document.querySelector('.matrix td a').click()")
    page.browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert page.tests == [PAY.id]
    assert page.run("return location.hash") == "#route=POST%20/payments&fault=lost%20after%20commit"
    page.go(f"#{finding}")
    assert page.run("return document.querySelector(':target').id") == finding


def test_a_cell_shows_its_tests_and_no_others(open_page: Opener) -> None:
    """Not one that met the fault at another route, nor those of a route that begins alike."""
    cells = [replace(READ.cells[0], route=f"GET api.example/{'v' * 90}/{one}", fault="damaged") for one in "ab"]
    tests = [replace(READ, id=f"a.py::test_{cell.route[-1]}", cells=(cell,)) for cell in cells]
    both = (*READ.cells, replace(READ.cells[0], fault="stale"), replace(PAY.cells[0], fault="damaged"))
    tests = [replace(PAY, cells=(*PAY.cells, *both)), replace(READ, cells=both[:1]), *tests]
    page = open_page(replace(TWO, tests=tuple(tests), coverage=coverage(tests)))
    cell = """
        const [route, place] = arguments, rows = [...document.querySelectorAll(".matrix tbody tr")];
        return rows.find((row) => row.innerText.startsWith(route)).cells[place].querySelector("a").hash;
    """
    places = {name: place for place, name in enumerate(FAULT_CLASSES, 1)}

    for route, fault, left in (
        ("POST /payments", "lost-after-commit", [PAY.id]),
        ("GET /rates", "turned-away", [PAY.id, READ.id]),
        ("GET /rates", "stale", [PAY.id]),
        ("POST /payments", "damaged", [PAY.id]),
        (cells[1].route, "damaged", ["a.py::test_b"]),
    ):
        page.go(page.run(cell, route, places[fault]))
        assert page.tests == left, (route, fault)
        page.go()
    page.choose("route", "GET /rates")
    page.choose("fault", "damaged")
    assert page.tests == []


def test_links_stay_good_in_the_next_run(open_page: Opener) -> None:
    """They do not depend on what else there is."""
    page = open_page(TWO)
    before = page.run("return [...document.querySelectorAll('.t, .finding')].map((one) => one.id)")

    page = open_page(replace(TWO, tests=(READ, PAY)))

    after = page.run("return [...document.querySelectorAll('.t, .finding')].map((one) => one.id)")
    assert sorted(before) == sorted(after)
    assert len(set(before)) == 3


def test_whatever_comes_from_a_test_is_text(open_page: Opener) -> None:
    """Nothing of it runs, nothing becomes an element, nothing makes the page wider; what is not seen is written out."""
    page = open_page(spoilt(DOCUMENT, EVIL))

    assert page.complaints == []
    assert page.run("return document.scripts.length") == 1
    assert page.run("return document.querySelectorAll('img, iframe, object, link, base, [onerror]').length") == 0
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    (shown,) = page.tests
    assert shown.startswith("id <script>alert('x')</script><img src=x onerror=alert(1)>\"'`&lt;</noscript>")
    assert "\\x00\\x07\\x1b[31m\\x0d\\x0a\\x09 \U0001f4b3\\u202e\\u2066 \u05e9\u05dc\u05d5\u05dd \\ud83d" in shown
    folded = page.run("return document.querySelector('details.t').innerText")
    assert "{{ 7*7 }}" in folded
    assert "request <script>" in folded


def test_a_megabyte_of_text_does_not_break_the_page(open_page: Opener) -> None:
    """It is cut, and what is left wraps."""
    page = open_page(spoilt(DOCUMENT, "W" * 1_000_000))

    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    assert page.run("return document.documentElement.outerHTML.length") < 150_000


CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (color) => color.slice(0, 3).map((one) => one / 255)
  .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
  .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
const ratio = (one, other) => {
  const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = parse(getComputedStyle(at).backgroundColor);
    if (color.length < 4 || color[3] > 0) return color;
  }
  return [255, 255, 255];
};
const bad = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const style = getComputedStyle(element), inDrawing = element instanceof SVGElement;
  const checks = [];
  if (own && !["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName)) {
    checks.push([inDrawing ? style.fill : style.color, 4.5]);
  }
  if (element.tagName === "path" && !element.closest("defs")) {
    for (const paint of [style.fill, style.stroke]) if (paint.startsWith("rgb")) checks.push([paint, 3]);
    if (element.matches(".l")) checks.pop();
  }
  for (const [color, least] of checks) {
    const found = ratio(parse(color), behind(element));
    const isGround = element.matches(".d") && color === style.fill;
    if (found < least && !isGround) bad.push(`${element.outerHTML.slice(0, 60)} ${color} ${found.toFixed(2)}`);
  }
}
return bad;
"""
"""WCAG 2.2: 4.5 for text (1.4.3), 3 for what else has to be told from its ground (1.4.11)."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_light_and_in_dark(open_page: Opener, scheme: str) -> None:
    """Every text and every shape stands out from what is behind it."""
    page = open_page(DOCUMENT)
    page.asks("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    ground = page.run("return getComputedStyle(document.body).backgroundColor")

    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    assert page.run(CONTRAST) == []


NAMED = {"image", "link", "button", "combobox", "searchbox", "textbox", "heading", "region", "columnheader"}
"""Roles that say nothing without a name."""


def test_a_screen_reader_finds_its_way(open_page: Opener) -> None:
    """Landmarks, headings in order, and a name for every drawing, field, link and button."""
    page = open_page(DOCUMENT)
    page.asks("Accessibility.enable")
    nodes = page.asks("Accessibility.getFullAXTree")["nodes"]
    page.asks("Accessibility.disable")
    seen = [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in nodes if not one["ignored"]]

    roles = {role for role, _ in seen}
    assert {"main", "banner", "search", "navigation", "contentinfo", "article", "table", "alert"} <= roles
    nameless = [role for role, name in seen if role in NAMED and not name]
    assert nameless == []
    levels = page.run("return [...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert ("image", "3 attempts in 4 s, 2 effects, 1 duplicate") in seen
    herd = "arrivals of a herd of 3 over 3 s: 3 attempts, 2 failed, 2 in the fullest column"
    assert ("image", herd) in seen


def test_it_works_by_keyboard(open_page: Opener) -> None:
    """The first stop leads past everything to the tests; a test opens with the enter key."""
    page = open_page(TWO)

    def press(key: str, code: int) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            page.asks("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)
        if key == "Enter":
            page.asks("Input.dispatchKeyEvent", type="char", text="\r", key=key)

    press("Tab", 9)
    assert page.run("return document.activeElement.textContent") == "To the tests"
    page.run("document.querySelectorAll('details.t')[1].querySelector('summary').focus()")
    assert page.run("return document.querySelectorAll('details.t')[1].open") is False
    page.asks("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13)
    page.asks("Input.dispatchKeyEvent", type="keyUp", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    assert page.run("return document.querySelectorAll('details.t')[1].open") is True


def test_it_prints_without_what_is_for_the_screen(open_page: Opener) -> None:
    """The filter and the links are left out, and it becomes a file."""
    page = open_page(DOCUMENT)
    page.asks("Emulation.setEmulatedMedia", media="print")

    shown = "return ['#filter', 'nav', 'h1', '.finding'].map((one) => document.querySelector(one).checkVisibility())"

    assert page.run(shown) == [False, False, True, True]
    page.asks("Emulation.setDeviceMetricsOverride", width=700, height=900, deviceScaleFactor=1, mobile=False)
    assert page.run("return document.documentElement.scrollWidth") <= 700, "the matrix is cut off on paper"
    page.asks("Emulation.clearDeviceMetricsOverride")
    assert len(page.asks("Page.printToPDF")["data"]) > 10_000


def test_it_is_whole_without_javascript(open_page: Opener) -> None:
    """But for the filter: findings, matrix, drawings and tables are there."""
    page = open_page(DOCUMENT)
    page.asks("Emulation.setScriptExecutionDisabled", value=True)
    page.go()
    drawn = page.height("details.t noscript svg[role=img]")
    page.asks("Emulation.setScriptExecutionDisabled", value=False)

    assert drawn > 50
    assert page.run("return document.getElementById('filter').hidden") is True
    assert page.run("return document.querySelectorAll('details.t noscript svg[role=img]').length") == 2


def test_it_fits_a_narrow_screen(open_page: Opener) -> None:
    """Nothing but the matrix and code is scrolled sideways, and the filter does not stay in the way."""
    page = open_page(DOCUMENT)
    page.asks("Emulation.setDeviceMetricsOverride", width=380, height=800, deviceScaleFactor=1, mobile=False)

    wide = page.run("return document.documentElement.scrollWidth")
    position = page.run("return getComputedStyle(document.getElementById('filter')).position")
    page.asks("Emulation.clearDeviceMetricsOverride")

    assert wide <= 380
    assert position == "static"


def test_a_run_without_chaos_says_so(open_page: Opener) -> None:
    """An empty page is a page."""
    page = open_page(Document("2030-01-01T00:00:00Z", 0, (), (), Coverage(0, 0, ()), None, None))

    text = page.run("return document.querySelector('main').innerText")

    assert "None." in text
    assert "No test used chaos." in text
    assert page.complaints == []

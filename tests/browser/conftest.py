"""One Chromium for all tests of the page."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from pytest_retrychaos.report.document import Document
from pytest_retrychaos.report.page import to_html

PROGRAMS = ("chromium", "chromedriver")


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    """Start Chromium; where it is missing, that fails and says what installs it: a page nobody opened is not tested."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.fail(
            f"{' and '.join(missing)} not found: the page is tested in a real browser; `make tools` installs it"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1200,900")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


class Opened:
    """A page in the browser."""

    def __init__(self, browser: webdriver.Chrome, path: Path) -> None:
        self.browser = browser
        self.url = path.as_uri()

    def go(self, fragment: str = "") -> None:
        """Open the page anew, at a fragment."""
        self.browser.get("about:blank")
        self.browser.get(self.url + fragment)

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page and give what it returns."""
        return self.browser.execute_script(script, *arguments)

    def asks(self, command: str, **arguments: object) -> Any:
        """Ask the browser itself."""
        return self.browser.execute_cdp_cmd(command, arguments)

    def height(self, selector: str) -> int:
        """Scroll to what is found first and give its height in pixels, by the browser itself: no script has to run.

        A browser leaves out what is not in sight.
        """
        root = self.asks("DOM.getDocument")["root"]["nodeId"]
        found = self.asks("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.asks("DOM.scrollIntoViewIfNeeded", nodeId=found)
        return int(self.asks("DOM.getBoxModel", nodeId=found)["model"]["height"])

    def choose(self, name: str, text: str) -> None:
        """Choose what a field of the filter offers, or type into it."""
        self.run(
            """
            const [name, text] = arguments, field = document.forms.filter.elements[name];
            field.value = field.options ? [...field.options].find((one) => one.text.startsWith(text)).value : text;
            field.dispatchEvent(new Event("input", { bubbles: true }));
            """,
            name,
            text,
        )

    @property
    def tests(self) -> list[str]:
        """The tests that are shown, by their names."""
        shown = "details.t:not([hidden]) summary bdi"
        return list(
            self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", shown)
        )

    @property
    def complaints(self) -> list[str]:
        """What the browser's console has to say since it was last asked."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    @property
    def requests(self) -> list[str]:
        """What was asked for since it was last asked."""
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        sent = [one["params"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent]


class Opener:
    """Opens documents as pages."""

    def __init__(self, browser: webdriver.Chrome, folder: Path) -> None:
        self._browser = browser
        self._folder = folder

    def __call__(self, document: Document, fragment: str = "") -> Opened:
        path = self._folder / "report.html"
        path.write_text(to_html(document), encoding="utf-8")
        opened = Opened(self._browser, path)
        opened.go()
        if fragment:
            opened.go(fragment)
        return opened


@pytest.fixture
def open_page(chromium: webdriver.Chrome, tmp_path: Path) -> Iterator[Opener]:
    """Provide what opens a document in Chromium; the browser is as before afterwards."""
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    yield Opener(chromium, tmp_path)
    with contextlib.suppress(Exception):
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

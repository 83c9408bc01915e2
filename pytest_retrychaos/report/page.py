"""The report as a page: one HTML file that asks for nothing from outside, to be opened from disk or as an artifact.

Laws of this module:
1. Whatever comes from a test is text: it is escaped by the template, and what would not be seen is written out.
2. The page works without JavaScript, but for its filter. What there is of it, and of style, stands in the page, and
   the page's own policy (CSP) lets nothing else run or load.
3. Links into the page stay good in the next run: they name tests and findings, not their places.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_retrychaos.laws import LAWS
from pytest_retrychaos.laws.words import counted
from pytest_retrychaos.report.asked import NO_JINJA
from pytest_retrychaos.report.document import FAULT_CLASSES, Document
from pytest_retrychaos.report.plain import visible
from pytest_retrychaos.report.shown import Page
from pytest_retrychaos.report.svg import DEFS

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES: Final = Path(__file__).with_name("templates")
WIDEST: Final = 300
"""Characters of a name or a message that are shown."""


class NoJinja(ImportError):
    """The extra ``report`` is not installed."""


def to_html(document: Document) -> str:
    """Write a document as a page; `NoJinja` names the extra where it is missing."""
    return _template().render(page=Page(document))


def require_jinja() -> None:
    """Raise `NoJinja` where a page could not be made."""
    try:
        import jinja2  # noqa: F401 - is it there?
    except ImportError as error:
        raise NoJinja(NO_JINJA) from error


@functools.cache
def _template() -> Template:
    require_jinja()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    style, script = (
        _squeezed(TEMPLATES.joinpath(name).read_text(encoding="utf-8")) for name in ("page.css", "page.js")
    )
    from markupsafe import Markup

    environment.globals |= {
        "style": Markup(style),
        "script": Markup(script),
        "policy": Markup(
            f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src '{_source(style)}'; "
            f"script-src '{_source(script)}'"
        ),
        "defs": Markup(DEFS),
        "faults": FAULT_CLASSES,
        "statements": {law.code: law.statement for law in LAWS},
        "counted": counted,
    }
    environment.filters["shown"] = _shown
    return environment.get_template("page.html.j2")


def _squeezed(text: str) -> str:
    """Leave out how lines are set in."""
    return "\n".join([line.strip() for line in text.splitlines() if line.strip()])


def _source(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


class _Shown(str):
    """A text that was made safe to show."""

    __slots__ = ()


@functools.lru_cache(maxsize=10_000)
def _shown(text: str, most: int = WIDEST) -> _Shown:
    """Write a text of unknown origin so that all of it is seen and nothing of it moves anything."""
    return _Shown(visible(text, most))


def _finalized(value: object) -> object:
    """Make every text safe that the template writes, whether it thought of that or not."""
    is_ours = not isinstance(value, str) or isinstance(value, _Shown) or hasattr(value, "__html__")
    return value if is_ours else _shown(str(value))

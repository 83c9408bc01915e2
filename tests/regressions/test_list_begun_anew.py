"""A list whose cursor has expired is read anew from its beginning, and so comes to the refused page again."""

from __future__ import annotations

import time

import pytest
import requests

from pytest_retrychaos import LawsBroken

LAST = 4


@pytest.fixture
def url(chaos):
    """A list of pages, by numbers."""

    @chaos.service.route("GET", "/feed")
    def page(request):
        return {"items": [request.target]}

    return f"{chaos.url}/feed"


def read(url, page):
    """Read a page."""
    return requests.get(url, params={"page": page}, timeout=5).status_code


@pytest.mark.chaos("ok x2, 410, ok", "ok, 400, ok", "ok x2, 404, 503, ok")
@pytest.mark.parametrize("earlier", [1, 2])
def test_who_begins_anew_repeats_nothing_that_was_refused(chaos, url, earlier):
    """From the first page, or from the one before."""
    page = 1
    while page <= LAST:
        status = read(url, page)
        if status == 503:
            time.sleep(1)
        else:
            page = page + 1 if status == 200 else max(page - earlier, 1)

    chaos.verify()


@pytest.mark.chaos("ok x2, 410, ok")
@pytest.mark.parametrize("between", ["nothing", "a page that is new", "another list"])
def test_who_asks_for_the_refused_page_again_is_still_told(chaos, url, between):
    """Beside it it may read what it has not read yet, or something else."""
    pages = [1, 2, 3]
    while pages:
        page = pages.pop(0)
        if read(url, page) == 410:
            if between == "another list":
                requests.get(f"{chaos.url}/rates?page=1", timeout=5)
            pages[:0] = [4, page] if between == "a page that is new" else [page]

    with pytest.raises(LawsBroken, match="RT02"):
        chaos.verify(only=["RT02"])

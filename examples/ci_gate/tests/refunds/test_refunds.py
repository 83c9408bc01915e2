"""Refunding: the second script finds what the client has wrong."""

import pytest
from shop import refund


@pytest.mark.chaos("503, ok", "reset after-commit, ok")
def test_an_order_is_refunded(chaos):
    refund(chaos.url, order="A-17")

"""README's table of what clients do by default, run."""

from __future__ import annotations

import contextlib

import pytest

from pytest_retrychaos import LawsBroken
from tests.clients.defaults import DEFAULTS

ROWS = [
    pytest.param(row, call, id=f"{row.client.split()[0]}-{'-'.join(row.laws)}-{place}-{number}")
    for place, row in enumerate(DEFAULTS)
    for number, call in enumerate(row.calls)
]


@pytest.mark.parametrize(("row", "call"), ROWS)
def test_a_client_does_by_default_what_the_table_says(chaos, monkeypatch, row, call):
    """The laws that report it are those in the table, and no others."""
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")  # a thread beside each upload
    chaos.script(row.script, strict=False)
    with contextlib.suppress(Exception):  # whatever a client makes of a failure
        call(chaos)

    with pytest.raises(LawsBroken) as caught:
        chaos.verify()

    assert caught.value.verdict.codes == row.laws

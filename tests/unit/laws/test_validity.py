"""NV01: every scripted fault fired."""

from __future__ import annotations

import pytest

NOT_APPLIED = ("does not apply",)


@pytest.mark.parametrize(("text", "wanted"), [("503", 1), ("reset x2", 2)])
def test_nv01_is_held_when_every_fault_fired(run, ruling, text, wanted):
    """As often as written."""
    assert ruling(run().send("503").step(text, wanted, wanted), "NV01") == ("held",)


@pytest.mark.parametrize(("text", "wanted", "fired"), [("503", 1, 0), ("reset x2", 2, 1)])
def test_nv01_is_broken_when_a_fault_did_not_fire(run, ruling, text, wanted, fired):
    """Not at all, or not often enough."""
    assert ruling(run().send("503").step(text, wanted, fired), "NV01") == ("broken", "NV01")


def test_nv01_is_broken_when_nothing_was_sent(run, ruling):
    """It is the one law that an empty run can break."""
    assert ruling(run().step("503", 1, 0), "NV01") == ("broken", "NV01")


@pytest.mark.parametrize(
    ("text", "wanted", "changes"), [("503*", None, {}), ("ok", 1, {}), ("503", 1, {"strict": False})]
)
def test_nv01_does_not_apply_to_what_need_not_fire(run, ruling, text, wanted, changes):
    """For ever, a plain ok, and scripts that are not strict."""
    assert ruling(run().send().step(text, wanted, 0, **changes), "NV01") == NOT_APPLIED


@pytest.mark.parametrize(("closed", "expected"), [(True, ("broken", "NV01")), (False, NOT_APPLIED)])
def test_nv01_in_the_middle_judges_closed_scripts_only(run, ruling, closed, expected):
    """An open script may yet fire."""
    assert ruling(run().send().step("503", 1, 0, closed=closed), "NV01", scripts="closed") == expected


def test_nv01_text_names_the_step(run, text):
    """The failure text, whole."""
    assert text(run("503, reset").send("503").step("reset", 1, 0), "NV01") == (
        'NV01 cannot tell: "reset" of the script for every request never fired\n'
        "  why   1 attempt met the script, 1 attempt arrived in all:"
        " what the code does after the missing fault was not seen\n"
        "  fix   make the code go on, shorten the script, or say strict=False where fewer attempts are meant\n"
        '  again @pytest.mark.chaos("503, reset", seed=42)'
    )

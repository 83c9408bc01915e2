"""Every script reads back as itself, as text and as Python."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from pytest_retrychaos import faults
from pytest_retrychaos.faults import FAULTS, Kind, RetryAfter, Script, ScriptError, Step, format_script, parse
from pytest_retrychaos.faults.durations import LONGEST_NS, format_duration, parse_duration
from pytest_retrychaos.faults.rules import BODILESS
from pytest_retrychaos.faults.vocabulary import COMMITTING_ERRORS, Value

NAMESPACE = {name: getattr(faults, name) for name in faults.__all__}
LATIN = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"])
VALUES = st.text(LATIN, max_size=12).map(lambda text: text.strip(" \t"))
DURATIONS = st.integers(1, LONGEST_NS) | st.integers(1, 5_000).map(lambda ms: ms * 1_000_000)
TIMES = st.builds(
    lambda sign, text: f"{{now{sign}{text}}}", st.sampled_from("+-"), st.sampled_from(["5s", "1.5", "2h"])
)
NAMES = st.sampled_from(["Retry-After", "X-RateLimit-Reset", "a", "Location", "!#$%&'*+-.^_`|~"])
HEADERS = st.tuples(NAMES, VALUES.filter(lambda value: "{now" not in value) | TIMES)
RETRY_AFTERS = (
    st.builds(RetryAfter, seconds=st.integers(-(10**20), 10**20))
    | st.builds(RetryAfter, seconds=st.floats(allow_nan=False, allow_infinity=False))
    | st.builds(RetryAfter, date_offset_ns=st.integers(-LONGEST_NS, LONGEST_NS))
    | st.builds(RetryAfter, text=VALUES.filter(lambda text: not text.startswith("date")))
)
COUNTS = st.integers(1, 1_000_000) | st.just(1)


@st.composite
def steps(draw, counts=COUNTS):
    fault = FAULTS[draw(st.sampled_from(Kind))]
    fields = {"kind": fault.kind, "count": draw(counts)}
    if fault.value is not Value.NONE:
        fields["duration_ns"] = draw(DURATIONS)
    if fault.value is Value.OUTAGE:
        fields["status"] = draw(st.none() | st.integers(300, 599))
    if fault.kind is Kind.STATUS:
        fields["status"] = draw(st.integers(200, 599))
        fields["retry_after"] = draw(st.none() | RETRY_AFTERS)
        if fields["status"] not in BODILESS:
            fields["body"] = draw(st.none() | st.text(st.characters(codec="utf-8"), max_size=20))
        fields["headers"] = tuple(draw(st.lists(HEADERS, max_size=3)))
    if "after-commit" in fault.options and fields.get("status", 500) in COMMITTING_ERRORS:
        fields["after_commit"] = draw(st.booleans())
    if "before-commit" in fault.options:
        fields["before_commit"] = draw(st.booleans())
    return Step(**fields)


SCRIPTS = st.builds(
    lambda before, last: Script((*before, last)),
    st.lists(steps(), max_size=4),
    steps(counts=COUNTS | st.none()),
)


@given(SCRIPTS)
def test_a_script_reads_back_from_its_text(script):
    """Formatting loses nothing, and is a fixed point."""
    text = format_script(script)

    assert parse(text) == script
    assert format_script(parse(text)) == text


@given(SCRIPTS)
def test_a_script_reads_back_from_its_repr(script):
    """The Python that a script prints as makes the same script."""
    assert eval(repr(script), dict(NAMESPACE)) == script
    assert parse(list(script.steps)) == script


@given(st.integers(0, LONGEST_NS))
def test_a_duration_reads_back_from_its_text(nanoseconds):
    """Every whole nanosecond has a text of its own."""
    assert parse_duration(format_duration(nanoseconds), zero=True) == nanoseconds


PIECES = [
    "503",
    "ok",
    "reset",
    "slow",
    "down",
    "=",
    "3s",
    ":",
    ",",
    " ",
    "*",
    "x2",
    '"',
    "\\",
    "body",
    "header",
]
PIECES += [
    "retry-after",
    "after-commit",
    "before-commit",
    "date+",
    "1e9",
    "{now",
    "}",
    "-",
    "\n",
    "é",
    "9" * 5000,
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=30))
@example("503 retry-after=1e999999999")
@example("slow=" + "9" * 5000)
@example("503 x" + "9" * 5000)
@example("9" * 5000)
def test_any_text_is_a_script_or_a_script_error(text):
    """Nothing else comes out of the parser, and an error points into the text that was given."""
    read = _read(text)

    if isinstance(read, Script):
        assert parse(str(read)) == read
    elif text.strip():
        start, end = read.span
        assert read.script == text
        assert 0 <= start < end <= len(text)


def _read(text):
    try:
        return parse(text)
    except ScriptError as error:
        return error

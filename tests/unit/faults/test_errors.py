"""The text of a script error: headline, place, way out."""

from __future__ import annotations

import pytest

from pytest_retrychaos.faults import ScriptError, parse

FAULTS_ARE = (
    "the faults are: ok, 200-599, timeout, reset, eof, refuse, dns, connect-timeout, tls, stale, truncate, "
    "garbage, slow, drip, duplicate, down"
)
STATUS_RULE = "200-299 answer as the service would, under that status; 300-599 with that status alone"
DURATIONS = "durations are 300ms, 2s, 5m, 1h; a bare number is seconds"
COUNTS = "a count is x1 to x1000000; * is for ever"
NO_BODY = "take the body away, or write a status that has one"
AFTER_COMMIT = "after-commit goes with 5xx, 408, 409, timeout, reset, eof and stale"
QUOTING = 'a text is quoted with "…" and JSON\'s escapes, so that \\" is a quote and \\n a line end'
HEADER = 'write header="Name: value"; {now}, {now+5s} and {now-5s} stand for an epoch time'
RETRY_AFTER = 'write retry-after=2 for seconds, retry-after=date+2s for a date, retry-after="…" for any text'
NO_DATE = "write retry-after=date+2s or retry-after=date-60s: now and a duration"
SENDABLE = "printable characters of Latin-1, spaces and tabs can be sent"
OUTAGE = "write down=30s:503, or down=30s to refuse connections"

CASES = [
    # unknown faults
    (
        "503 x2, tiemout, ok",
        "tiemout",
        "unknown fault 'tiemout' in the script, did you mean 'timeout'?",
        FAULTS_ARE,
    ),
    ("OK", "OK", "unknown fault 'OK' in the script, did you mean 'ok'?", FAULTS_ARE),
    ("5xx", "5xx", "unknown fault '5xx' in the script", FAULTS_ARE),
    ("503x2", "503x2", "unknown fault '503x2' in the script, did you mean '503 x2'?", FAULTS_ARE),
    (
        "503, after-commit",
        "after-commit",
        "after-commit is an option and needs a fault before it",
        "an option stands behind its fault, with no comma between: 503 after-commit",
    ),
    ("timeout=3", "timeout=3", "timeout takes no value", "write timeout"),
    # statuses
    ("99", "99", "there is no status 99: a status is 200 to 599", STATUS_RULE),
    ("ok, 600", "600", "there is no status 600: a status is 200 to 599", STATUS_RULE),
    ("199", "199", "there is no status 199: a status is 200 to 599", STATUS_RULE),
    ("5033", "5033", "there is no status 5033: a status is 200 to 599", STATUS_RULE),
    ("down=3s:99", "99", "an outage answers 300 to 599, not '99'", OUTAGE),
    ("down=3s:201", "201", "an outage answers 300 to 599, not 201", OUTAGE),
    ("down=3s:", "3s:", "an outage answers 300 to 599, not ''", OUTAGE),
    # options
    (
        "503 retry_after=2",
        "retry_after",
        "unknown option 'retry_after' of 503, did you mean 'retry-after'?",
        "the options of 503 are: retry-after, body, header, after-commit",
    ),
    ("dns fast", "fast", "unknown option 'fast' of dns", "dns has no options"),
    (
        "timeout retry-after=2",
        "retry-after=2",
        "retry-after is no option of timeout",
        "retry-after goes with 200-599",
    ),
    (
        "503 before-commit",
        "before-commit",
        "before-commit is no option of 503",
        "before-commit goes with slow",
    ),
    ("503 retry-after", "retry-after", "retry-after needs a value", "write for example retry-after=2"),
    ("503 body", "body", "body needs a value", 'write for example body="sorry"'),
    ('204 body="gone"', 'body="gone"', "204 has no body", NO_BODY),
    ("205 body=gone", "body=gone", "205 has no body", NO_BODY),
    ('503, 304 body="" x2', 'body=""', "304 has no body", NO_BODY),
    (
        "503 retry-after= 2",
        "retry-after=",
        "'retry-after=' needs a value right behind the '='",
        "write for example slow=3s or retry-after=2",
    ),
    ("503 body=a body=b", "body=b", "body stands twice in one step", "take one of them away"),
    ("503 after-commit=yes", "after-commit=yes", "after-commit takes no value", "write after-commit"),
    ("ok reset", "reset", "'reset' is a fault", "a comma goes between two steps"),
    # after-commit where it makes no sense
    ("ok after-commit", "after-commit", "ok commits as it is", "take after-commit away"),
    ("201 after-commit", "after-commit", "201 commits as it is", "take after-commit away"),
    ("truncate after-commit", "after-commit", "truncate commits as it is", "take after-commit away"),
    (
        "404 after-commit",
        "after-commit",
        "404 cannot be after-commit: it tells the client that nothing was done",
        AFTER_COMMIT,
    ),
    ("refuse after-commit", "after-commit", "refuse cannot be after-commit: nothing was sent", AFTER_COMMIT),
    (
        "down=3s after-commit",
        "after-commit",
        "down cannot be after-commit: the service is away",
        AFTER_COMMIT,
    ),
    # durations
    ("slow", "slow", "slow needs a duration: slow=3s", DURATIONS),
    ("down, ok", "down", "down needs a duration: down=30s", DURATIONS),
    ("slow=3sec", "3sec", "'3sec' is no duration, did you mean '3s'?", DURATIONS),
    ("drip=5M", "5M", "'5M' is no duration, did you mean '5m'?", DURATIONS),
    ("slow=soon", "soon", "'soon' is no duration", DURATIONS),
    ("slow=-3s", "-3s", "a duration is not negative, but this is '-3s'", DURATIONS),
    ("slow=nan", "nan", "a duration is finite, not nan", DURATIONS),
    ("slow=inf", "inf", "a duration is finite, not inf", DURATIONS),
    ("slow=0", "0", "a duration is longer than nothing, but this is '0'", DURATIONS),
    ("down=2000000h:503", "2000000h", "a duration is at most 1000000h, but this is '2000000h'", DURATIONS),
    # counts and order
    ("503 x0", "x0", "a step cannot strike 0 times", COUNTS),
    ("503 x1000001", "x1000001", "a step cannot strike 1000001 times", COUNTS),
    ("503 x99999999", "x99999999", "'x99999999' is no count", COUNTS),
    ("503 x", "x", "'x' is no count", COUNTS),
    ("503 X2", "X2", "'X2' is no count", COUNTS),
    ("503 3x", "3x", "'3x' is no count", COUNTS),
    ("503 x-1", "x-1", "'x-1' is no count", COUNTS),
    ("503 x2 x3", "x3", "a step has one count", "take one of them away"),
    ("503 x2*", "*", "a step has one count", "take one of them away"),
    (
        "503 x2 retry-after=2",
        "retry-after",
        "retry-after stands behind the count",
        "the order is: fault, options, count",
    ),
    ("503 x2 eof", "eof", "'eof' stands behind the count", "a comma goes between two steps"),
    ("x2, ok", "x2", "the count 'x2' needs a fault before it", "write for example 503 x2"),
    (
        "503*, reset",
        "reset",
        "'reset' can never strike: '503 *' before it goes on for ever",
        "give that step a count, such as '503 x3', or let it be the last",
    ),
    # commas
    ("503,", ",", "the script ends with a comma", "take it away: after the last step every attempt is ok"),
    (
        ", ok",
        ",",
        "a step is missing before this comma",
        "write the step that is missing, or take the comma away",
    ),
    # quotes
    ('503 body="abc', '"abc', "the quote that opens here is never closed", QUOTING),
    ('503 body="a\\q"', '"a\\q"', "the text '\"a\\\\q\"' has an escape that JSON does not know", QUOTING),
    ('503 body=a"b"', 'a"b"', "a quoted text stands alone behind its '=', with a space after it", QUOTING),
    ('503 body="a"b', '"a"b', "a quoted text stands alone behind its '=', with a space after it", QUOTING),
    ("503 body='a b'", "'a", "a text is quoted with double quotes", QUOTING),
    ('503 "x"', '"x"', "a quoted text needs a name", 'write body="…" or header="Name: value"'),
    ("503 retry-after =2", "=", "no spaces stand around '='", "write for example retry-after=2"),
    # what HTTP cannot carry
    ("503 header=abc", "abc", "a header is 'Name: value', not 'abc'", HEADER),
    (
        '503 header="A b: c"',
        '"A b: c"',
        "a header name is letters, digits and !#$%&'*+-.^_`|~, not 'A b'",
        HEADER,
    ),
    (
        '503 header="A: c\\r\\nX: 1"',
        '"A: c\\r\\nX: 1"',
        "the value of A cannot hold a line break: 'c\\r\\nX: 1'",
        SENDABLE,
    ),
    (
        '503 header="A\\nX: 1"',
        '"A\\nX: 1"',
        "a header name is letters, digits and !#$%&'*+-.^_`|~, not 'A\\nX'",
        HEADER,
    ),
    ('503 header="A: €"', '"A: €"', "the value of A cannot hold the character '\\u20ac': '€'", SENDABLE),
    ('503 header="A: {now+5x}"', '"A: {now+5x}"', "'5x' is no duration", DURATIONS),
    ('503 header="A: {now 5s}"', '"A: {now 5s}"', "the time in '{now 5s}' cannot be read", HEADER),
    (
        '503 header="Content-Length: 1"',
        '"Content-Length: 1"',
        "Content-Length cannot be scripted",
        "the length is always the right one; `truncate` is the fault that breaks it",
    ),
    (
        '503 retry-after="a\\nb"',
        '"a\\nb"',
        "the value of Retry-After cannot hold a line break: 'a\\nb'",
        SENDABLE,
    ),
    (
        '503 retry-after=" 2"',
        '" 2"',
        "the value of Retry-After has spaces around it: ' 2'",
        "recipients drop the spaces around a value: take them away",
    ),
    (
        "503 retry-after=2s",
        "2s",
        "the header Retry-After has no units, but '2s' has one",
        'write retry-after=2 for 2 s, or retry-after="2s" to send that very text',
    ),
    ("503 retry-after=date", "date", "retry-after=date names no date", NO_DATE),
    ("503 retry-after=date+2x", "date+2x", "retry-after=date+2x names no date", NO_DATE),
    ("503 retry-after=1e400", "1e400", "retry-after as a number is finite", RETRY_AFTER),
    (
        '503 body="\\ud800"',
        'body="\\ud800"',
        "the body '\\ud800' cannot be sent",
        "a body is sent as UTF-8, which has no lone surrogates",
    ),
]


@pytest.mark.parametrize(("script", "place", "headline", "way_out"), CASES, ids=[case[0] for case in CASES])
def test_a_bad_script_is_shown_with_a_caret_the_rule_and_the_way_out(script, place, headline, way_out):
    """Each error's whole text: headline, script, carets under the last such place, way out."""
    carets = " " * script.rindex(place) + "^" * len(place)

    with pytest.raises(ScriptError) as caught:
        parse(script)

    assert str(caught.value) == f"{headline}\n  {script}\n  {carets}\n{way_out}"


@pytest.mark.parametrize("script", ["", "   ", "\n"])
def test_an_empty_script_is_refused_with_the_way_out(script):
    """Nothing to point at: only the rule and what to write."""
    with pytest.raises(ScriptError) as caught:
        parse(script)

    assert str(caught.value) == ("the script is empty\nwrite ok: every attempt then gets the service's own answer")


def test_a_long_script_is_shown_around_the_place():
    """A window of 90 columns moves to the caret."""
    with pytest.raises(ScriptError) as caught:
        parse("503 x2, " * 20 + "tiemout, " + "ok, " * 30 + "ok")

    assert str(caught.value).splitlines()[1:3] == [
        "  …503 x2, 503 x2, 503 x2, 503 x2, 503 x2, tiemout, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, o…",
        "                                           ^^^^^^^",
    ]


def test_a_long_script_is_shown_to_its_end_where_the_place_is_there():
    """The window stops at the end of the script."""
    with pytest.raises(ScriptError) as caught:
        parse("503 x2, " * 20 + "tiemout")

    shown, carets = str(caught.value).splitlines()[1:3]
    assert shown == "  …2, " + "503 x2, " * 10 + "tiemout"
    assert carets == "  " + " " * 84 + "^^^^^^^"


def test_a_script_over_several_lines_is_shown_on_one():
    """Line ends and tabs become spaces, so that the caret stays under its place."""
    with pytest.raises(ScriptError) as caught:
        parse("503,\n\ttiemout")

    assert str(caught.value).splitlines()[1:3] == ["  503,  tiemout", "        ^^^^^^^"]


def test_a_very_long_value_is_shortened_in_the_headline():
    """A headline stays one line that can be read."""
    with pytest.raises(ScriptError) as caught:
        parse("slow=" + "9" * 5000)

    assert caught.value.headline == f"'{'9' * 38}… is no duration"


def test_a_secret_in_a_script_is_hidden_and_the_caret_stays_under_its_place():
    """A mark is shorter or longer than what it hides."""
    with pytest.raises(ScriptError) as caught:
        parse('503 body="sk_live_4eC39HqLyjWDarjtT1zdp7dc" foo, ok')

    line, carets = str(caught.value).splitlines()[1:3]
    assert "sk_live" not in str(caught.value)
    assert line.startswith('  503 body="[hidden:')
    assert line[carets.index("^") : len(carets)] == "foo"


@pytest.mark.parametrize("script", ["{} x2", "503 {}=1", "slow={}", "503 password={}", '503 header="X-Api-Key {}"'])
def test_a_secret_that_is_the_mistake_is_hidden(script: str):
    """In the headline, too; and one that is known by the name before it, where the name is the mistake."""
    with pytest.raises(ScriptError) as caught:
        parse(script.format("sk_live_4eC39HqLyjWDarjtT1zdp7dc"))

    assert "sk_live" not in str(caught.value)
    assert "[hidden:" in str(caught.value)


def test_a_secret_that_a_name_gives_away_is_hidden_where_the_name_is_the_mistake():
    """By itself it would be no secret."""
    with pytest.raises(ScriptError, match=r"503 password=\[hidden:"):
        parse("503 password=hunter2hunter2")

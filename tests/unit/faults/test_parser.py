"""Reading scripts."""

from __future__ import annotations

import pytest

from pytest_retrychaos.faults import (
    Kind,
    RetryAfter,
    Script,
    ScriptError,
    Step,
    connect_timeout,
    dns,
    down,
    drip,
    duplicate,
    eof,
    format_script,
    garbage,
    ok,
    parse,
    refuse,
    reset,
    slow,
    stale,
    status,
    timeout,
    tls,
    truncate,
)

PAIRS = [
    ("ok", ok()),
    ("200", status(200)),
    ("201 retry-after=1", status(201, retry_after=1)),
    ("503", status(503)),
    ("503 retry-after=1.5", status(503, retry_after=1.5)),
    ("503 retry-after=-5", status(503, retry_after=-5)),
    ("503 retry-after=date+2s", status(503, retry_after="date+2s")),
    ("503 retry-after=date-1m", status(503, retry_after="date-60s")),
    ('503 retry-after="2"', status(503, retry_after="2")),
    ('503 retry-after=""', status(503, retry_after="")),
    (
        '503 retry-after="Wed, 21 Oct 2015 07:28:00 GMT"',
        status(503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
    ),
    ('503 body="{\\"error\\": 1}\\n"', status(503, body='{"error": 1}\n')),
    ('429 header="X-RateLimit-Reset: {now-5s}"', status(429, header="X-RateLimit-Reset: {now-5s}")),
    ('429 header="A: 1" header="B: 2"', status(429, header=["A: 1", "B: 2"])),
    ("500 after-commit", status(500, after_commit=True)),
    ("408 after-commit", status(408, after_commit=True)),
    ("409 after-commit", status(409, after_commit=True)),
    ("timeout", timeout()),
    ("timeout after-commit", timeout(after_commit=True)),
    ("reset", reset()),
    ("reset after-commit", reset(after_commit=True)),
    ("eof", eof()),
    ("eof after-commit", eof(after_commit=True)),
    ("refuse", refuse()),
    ("dns", dns()),
    ("connect-timeout", connect_timeout()),
    ("tls", tls()),
    ("stale", stale()),
    ("stale after-commit", stale(after_commit=True)),
    ("truncate", truncate()),
    ("garbage", garbage()),
    ("slow=3s", slow(3)),
    ("slow=3s before-commit", slow(3, before_commit=True)),
    ("drip=300ms", drip(0.3)),
    ("duplicate", duplicate()),
    ("down=30s", down(30)),
    ("down=30s:503", down(30, status=503)),
    ("503 x3", status(503) * 3),
    ("reset after-commit *", reset(after_commit=True).forever()),
]


@pytest.mark.parametrize(("text", "step"), PAIRS, ids=[text for text, _ in PAIRS])
def test_text_and_constructor_are_the_same_step_and_print_as_each_other(text, step):
    """The text reads as the step, and the step prints as the text."""
    assert parse(text) == parse([step])
    assert str(step) == text


def test_every_kind_of_fault_has_a_text_and_a_constructor_here():
    """No fault of the vocabulary is left out above."""
    assert {step.kind for _, step in PAIRS} == set(Kind)


SPELLINGS = [
    ("503*", "503 *"),
    ("503 x1", "503"),
    ("503 x007", "503 x7"),
    (" 503 ,\n\tok ", "503, ok"),
    ("503,ok", "503, ok"),
    ("slow=3", "slow=3s"),
    ("slow=3.0s", "slow=3s"),
    ("slow=0.5", "slow=500ms"),
    ("slow=1.5ms", "slow=1.5ms"),
    ("slow=90s", "slow=90s"),
    ("slow=120s", "slow=2m"),
    ("slow=7200s", "slow=2h"),
    ("down=60:503", "down=1m:503"),
    ('down="60s:503"', "down=1m:503"),
    ("503 retry-after=1e8", "503 retry-after=100000000"),
    ("503 retry-after=2.0", "503 retry-after=2"),
    ("503 retry-after=-0", "503 retry-after=0"),
    ("503 retry-after=0.0001", "503 retry-after=0.0001"),
    ("503 retry-after=soon", '503 retry-after="soon"'),
    ('503 retry-after="date+2"', "503 retry-after=date+2s"),
    ("503 retry-after=date-0s", "503 retry-after=date+0s"),
    ("503 body=sorry", '503 body="sorry"'),
    ("503 body=a=b", '503 body="a=b"'),
    ('503 body=""', '503 body=""'),
    ('503 body="a\nb"', '503 body="a\\nb"'),
    ('503 body="caf\\u00e9"', '503 body="café"'),
    ('503 body="a, b *" *', '503 body="a, b *" *'),
    ("503 header=A:1", '503 header="A: 1"'),
    ('503 header="A:  1 "', '503 header="A: 1"'),
    ('503 header="A:"', '503 header="A: "'),
    ("503 after-commit retry-after=2 x2", "503 retry-after=2 after-commit x2"),
]


@pytest.mark.parametrize(("given", "canonical"), SPELLINGS, ids=[given for given, _ in SPELLINGS])
def test_other_spellings_print_in_the_canonical_one(given, canonical):
    """Spaces, order, units and quotes are free when reading and fixed when printing."""
    assert format_script(parse(given)) == canonical


def test_a_word_and_a_quoted_number_differ_in_retry_after():
    """A bare number is seconds, a quoted one a text."""
    assert parse("503 retry-after=02").steps[0].retry_after == RetryAfter(seconds=2)
    assert parse('503 retry-after="02"').steps[0].retry_after == RetryAfter(text="02")


def test_a_script_a_step_and_a_list_are_scripts():
    """`parse` takes every form in which a script can be given."""
    expected = Script((status(503), ok()))

    assert parse(expected) is expected
    assert parse([status(503), ok()]) == expected
    assert parse((status(503), ok())) == expected
    assert parse(ok()) == Script((Step(Kind.OK),))


REFUSED = [
    ([], "the script is empty\nwrite ok: every attempt then gets the service's own answer"),
    ([503], "a script's list holds steps, not 503\nwrite [status(503), ok()]"),
    ([reset], "a script's list holds steps, not the function reset\nwrite reset()"),
    (None, 'a script is a text or a list of steps, not None\nwrite "503 x2, ok" or [status(503) * 2, ok()]'),
    (
        [ok(), reset().forever(), status(503, retry_after=2)],
        (
            "'503 retry-after=2' can never strike: 'reset *' before it goes on for ever\n"
            "  ok, reset *, 503 retry-after=2\n"
            "               ^^^^^^^^^^^^^^^^^\n"
            "give that step a count, such as 'reset x3', or let it be the last"
        ),
    ),
]


@pytest.mark.parametrize(("spec", "text"), REFUSED)
def test_a_bad_list_is_refused_with_the_way_out(spec, text):
    """Lists of constructors meet the same rules as text."""
    with pytest.raises(ScriptError) as caught:
        parse(spec)

    assert str(caught.value) == text


def test_a_script_prints_as_python_too():
    """`repr` is source that makes the same script."""
    script = parse("503 retry-after=2 x2, reset after-commit, ok *")

    assert repr(script) == ("parse([status(503, retry_after=2) * 2, reset(after_commit=True), ok().forever()])")


def test_a_list_of_steps_is_formatted_as_a_script():
    """`format_script` takes what `parse` takes as a list."""
    assert format_script([status(503) * 2, ok()]) == "503 x2, ok"

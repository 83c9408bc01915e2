"""``--chaos-redact`` and its ini twin: no secret is printed, and the same one has the same mark in a whole run."""

from __future__ import annotations

import re

import pytest

from tests.plugin.inner import run


def test_what_is_named_is_hidden_in_every_process_of_a_run(pytester: pytest.Pytester) -> None:
    """By the command line, by the ini file and by default; with one key for all workers."""
    pytester.makeini("[pytest]\nchaos_redact =\n    partner\n    acct_\\w+\n")
    pytester.makepyfile(
        """
        import pytest
        import urllib.request

        @pytest.mark.parametrize("number", range(4))
        def test_one(chaos, number):
            for query in ("partner=P-{}1", "shop=P-{}1", "token=P-{}1", "ref=acct_{}1"):
                urllib.request.urlopen(f"{chaos.url}/a?{query.format(773)}", timeout=5)
            pytest.fail("see below")
        """
    )

    found = run(pytester, "-n", "2", "--chaos-redact", "shop", "--tb=short")

    found.assert_outcomes(failed=4)
    text = found.stdout.str()
    assert "7731" not in text
    marks = re.findall(r"GET /a\?(\w+)=\S*(\[hidden:\w{8}\])", text)
    assert len(marks) == 16
    assert len({mark for name, mark in marks if name != "ref"}) == 1
    assert len(set(marks)) == 4


def test_a_pattern_that_is_none_is_refused(pytester: pytest.Pytester) -> None:
    """Before anything is run."""
    found = run(pytester, "--chaos-redact", "(")

    assert found.ret == pytest.ExitCode.USAGE_ERROR
    assert re.search(r"--chaos-redact: '\(' is no name, and no regular expression: .*Give the name", found.stderr.str())

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


def test_no_file_has_a_secret(pytester: pytest.Pytester) -> None:
    """Neither a report in any format, nor JUnit's own file, nor a job's summary."""
    pytester.makeini("[pytest]\nchaos_redact = acct_\\w+\n")
    pytester.makepyfile(
        """
        import pytest
        import requests
        import time

        SECRETS = [f"S3CRET-{n}x" for n in range(9)]

        @pytest.mark.chaos("503, reset after-commit, ok", timezone="Asia/Tokyo")
        @pytest.mark.parametrize("token", ["sk_live_" + "S3CRET" * 4])
        def test_one(chaos, token):
            for _ in range(3):
                try:
                    answer = requests.post(
                        f"{chaos.url}/pay/{token}?sig={SECRETS[0]}&ref=acct_S3CRET",
                        json={"password": SECRETS[1], "card": "4242 4242 4242 4242"},
                        headers={"X-Api-Key": SECRETS[2], "Cookie": f"sid={SECRETS[3]}"},
                        auth=("shop", SECRETS[4]),
                        timeout=5,
                    )
                except requests.RequestException:
                    time.sleep(1)
            with chaos.operation(f"pay with token={SECRETS[5]}"):
                requests.get(f"{chaos.url}/a", timeout=5)
            chaos.verify()

        def test_other(chaos):
            requests.get(f"{chaos.url}/a?token={SECRETS[6]}", timeout=5)
            raise ValueError(f"bad password={SECRETS[7]!r}")
        """
    )
    suffixes = ("json", "html", "md", "sarif")

    found = run(pytester, "--tb=no", *(f"--chaos-report=r.{one}" for one in suffixes), "--junit-xml=j.xml", "-rN")

    assert found.ret == pytest.ExitCode.TESTS_FAILED
    for suffix in suffixes:
        text = (pytester.path / f"r.{suffix}").read_text(encoding="utf-8")
        assert "POST /pay/" in text
        for secret in ("S3CRET", "4242", "c2hvcDpTM0"):
            assert secret not in text, suffix


def test_a_verdict_stands_under_its_test_without_the_secret_in_its_id(pytester: pytest.Pytester) -> None:
    """pytest's own list has the id as it is; ours has a mark."""
    pytester.makepyfile(
        """
        import pytest
        import urllib.request

        @pytest.mark.parametrize("key", ["sk_live_4eC39HqLyjWDarjtT1zdp7dc"])
        def test_one(chaos, key):
            urllib.request.urlopen(chaos.url, timeout=5)
            chaos.verify()
        """
    )

    found = run(pytester, "-v").stdout.str()

    _, ours = found.split("retrychaos verdicts")
    assert "sk_live" not in ours
    assert "::test_one[[hidden:" in ours


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--chaos-redact", "("], "--chaos-redact"),
        (["-o", "chaos_redact=partner", "--chaos-redact", "("], "--chaos-redact"),
        (["-o", "chaos_redact=(", "--chaos-redact", "partner"], "ini chaos_redact"),
    ],
)
def test_a_pattern_that_is_none_is_refused(pytester: pytest.Pytester, arguments: list[str], option: str) -> None:
    """Before anything is run, by the name of where it stands."""
    found = run(pytester, *arguments)

    assert found.ret == pytest.ExitCode.USAGE_ERROR
    told = rf"ERROR: {option}: '\(' is no name, and no regular expression: .*Give the name"
    assert re.search(told, found.stderr.str())

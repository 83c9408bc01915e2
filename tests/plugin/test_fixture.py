"""The fixture: what a test that uses ``chaos`` sees, and what its failure shows."""

from __future__ import annotations

import pytest

from tests.plugin.inner import run

CLIENT = """
import time, uuid
import requests


def charge(url, key=None, attempts=4):
    for _ in range(attempts):
        try:
            answer = requests.post(
                url + "/payments", json={"amount": 5}, timeout=5, headers={"Idempotency-Key": key} if key else {}
            )
        except requests.RequestException:
            time.sleep(1)
            continue
        if answer.status_code < 500:
            return answer.json()
        time.sleep(int(answer.headers.get("Retry-After", 1)))
    raise RuntimeError("gave up")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Provide a directory with a client and no configuration of its own."""
    pytester.makepyfile(client=CLIENT)
    return pytester


def test_a_right_client_passes_when_faults_strike(suite: pytest.Pytester) -> None:
    """The script strikes, the client recovers, and no real time is spent."""
    suite.makepyfile(
        """
        from client import charge

        def test_it(chaos):
            chaos.script("503 retry-after=60, reset after-commit, timeout, ok")
            assert charge(chaos.url, key="order-7")["status"] == "succeeded"
            assert chaos.waits == [60.0, 1.0, 1.0]
            assert len(chaos.ledger) == 1
            verdict = chaos.verify()
            assert "ID04" in [result.code for result in verdict.held]
        """
    )

    run(suite).assert_outcomes(passed=1)


def test_a_wrong_client_fails_with_the_finding(suite: pytest.Pytester) -> None:
    """The failure shows headline, timeline, why, fix and how to run it again."""
    suite.makepyfile(
        """
        import pytest
        from client import charge

        @pytest.mark.chaos("reset after-commit, ok", seed=42)
        def test_it(chaos):
            charge(chaos.url)
            chaos.verify(only=["ID04"])
        """
    )

    result = run(suite)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *LawsBroken: ID04 duplicate effect: POST /payments was carried out 2 times for one operation",
            "E         t+0.00s  #1  POST /payments  key –   committed, then the response was lost   *after-commit)",
            "E         t+1.00s  #2  POST /payments  key –   201, committed                          ◄ second effect",
            "E         why   the request has no Idempotency-Key: the service cannot tell a retry from a new payment",
            "E         fix   make one key per operation, outside the retry loop, and send it on every attempt",
            'E         again @pytest.mark.chaos("reset after-commit, ok", seed=42)',
        ],
        consecutive=True,
    )
    result.stdout.fnmatch_lines(["FAILED *::test_it - ID04 dup*"])


def test_the_timeline_is_shown_when_a_test_fails_for_another_reason(suite: pytest.Pytester) -> None:
    """Whatever the reason, what was sent stands under the failure, with the seed."""
    suite.makepyfile(
        """
        import pytest
        from client import charge

        @pytest.mark.chaos("503, ok", seed=3)
        def test_it(chaos):
            assert charge(chaos.url, key="k")["status"] == "nonsense"
        """
    )

    result = run(suite)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- retrychaos -*",
            "  t+0.00s  #1  POST /payments  key K1   503",
            "  t+1.00s  #2  POST /payments  key K1   201, committed",
            'again  @pytest.mark.chaos("503, ok", seed=3)',
        ],
        consecutive=True,
    )


def test_a_fault_that_never_fired_fails_a_test_that_passed(suite: pytest.Pytester) -> None:
    """A test whose script was not used up cannot tell."""
    suite.makepyfile(
        """
        import pytest
        from client import charge

        @pytest.mark.chaos("ok, 503", seed=1)
        def test_it(chaos):
            charge(chaos.url, key="k")
        """
    )

    result = run(suite)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            'NV01 cannot tell: "503" of the script for every request never fired',
            "  why   1 attempt met the script, 1 attempt arrived in all: *",
            "  fix   make the code go on, shorten the script, or say strict=False where fewer attempts are meant",
            '  again @pytest.mark.chaos("ok, 503", seed=1)',
        ],
        consecutive=True,
    )


@pytest.mark.parametrize("loosening", ['"ok, 503 *"', '"ok, 503", strict=False'])
def test_a_fault_may_be_left_over_when_the_test_says_so(suite: pytest.Pytester, loosening: str) -> None:
    """A step for ever and a script that is not strict owe nothing."""
    suite.makepyfile(
        f"""
        import pytest
        from client import charge

        @pytest.mark.chaos({loosening})
        def test_it(chaos):
            charge(chaos.url, key="k")
        """
    )

    run(suite).assert_outcomes(passed=1)


def test_a_leftover_is_not_told_when_the_test_failed_already(suite: pytest.Pytester) -> None:
    """One failure, one reason."""
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.chaos("503")
        def test_it(chaos):
            assert False, "its own reason"
        """
    )

    result = run(suite)

    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*NV01*")
    result.stdout.fnmatch_lines(["  nothing was sent"])


def test_verify_before_any_request_cannot_tell(chaos) -> None:  # type: ignore[no-untyped-def]  # the fixture
    """A verdict on nothing would be a silent pass."""
    from pytest_retrychaos import CannotTell

    with pytest.raises(CannotTell, match=r"verify\(\) before any request: cannot tell"):
        chaos.verify()


def test_verify_with_the_code_alone_is_told_how_to_write_it(chaos) -> None:  # type: ignore[no-untyped-def]
    """Before all else: its letters would be taken for names."""
    with pytest.raises(TypeError, match=r'^ignore=\'BK04\': .* write ignore=\("BK04",\)$'):
        chaos.verify(ignore="BK04")


def test_a_second_chaos_is_refused_while_one_is_active(chaos) -> None:  # type: ignore[no-untyped-def]  # the fixture
    """There is one clock and one network in a process."""
    from pytest_retrychaos import Chaos

    with pytest.raises(RuntimeError, match="a second chaos was started while one is active"), Chaos():
        pass


def test_one_chaos_after_the_other_does_not_mix() -> None:
    """Outside pytest a run is a context manager, and the next one starts anew."""
    import requests

    from pytest_retrychaos import Chaos

    for _ in range(2):
        with Chaos("503, ok") as chaos:
            assert [requests.get(chaos.url, timeout=1).status_code for _ in range(2)] == [503, 200]
            assert [attempt.index for attempt in chaos.attempts] == [1, 2]
        assert len(chaos.attempts) == 2  # the record stays readable
        assert chaos.ledger == ()


def test_a_handler_that_raises_is_the_handlers_fault(suite: pytest.Pytester) -> None:
    """It is never shown as the client's."""
    suite.makepyfile(
        """
        from client import charge

        def broken(request):
            return {}["missing"]

        def test_it(chaos):
            chaos.service.route("POST", "/payments", broken)
            try:
                charge(chaos.url, attempts=1)
            except RuntimeError:
                pass
        """
    )

    result = run(suite)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the handler for POST /payments failed, not the client: KeyError: 'missing'*"])


def test_a_route_that_matched_nothing_is_named(suite: pytest.Pytester) -> None:
    """A misspelt path would leave its handler out unnoticed."""
    suite.makepyfile(
        """
        from client import charge

        def test_it(chaos):
            chaos.service.route("POST", "/paiments", lambda request: {})
            charge(chaos.url, key="k")
        """
    )

    result = run(suite)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["no request matched the route 'POST /paiments'*What arrived: POST service.test/payments*"]
    )


def test_a_route_that_matched_nothing_is_named_outside_pytest_too() -> None:
    """At the end of the block, unless an error ends it or the test lets it be."""
    import requests

    from pytest_retrychaos import CannotTell, Chaos

    def use(*, strict: bool = True, error: Exception | None = None) -> None:
        with Chaos(strict=strict) as chaos:
            chaos.service.route("POST", "/paiments", lambda _: {})
            requests.post(f"{chaos.url}/payments", timeout=5)
            if error is not None:
                raise error

    with pytest.raises(CannotTell, match="no request matched the route 'POST /paiments'"):
        use()
    use(strict=False)
    with pytest.raises(LookupError):
        use(error=LookupError())


def test_random_follows_the_seed_and_is_restored() -> None:
    """The same seed gives the same jitter; outside, ``random`` goes on where it was."""
    import random

    from pytest_retrychaos import Chaos

    random.seed(5)
    expected = random.random()
    random.seed(5)
    drawn = []
    for seed in (1, 1, 2):
        with Chaos(seed=seed):
            drawn.append(random.random())

    assert random.random() == expected
    assert drawn[0] == drawn[1] != drawn[2]


def test_seeded_entropy_makes_keys_repeat() -> None:
    """With ``entropy="seeded"`` ``uuid`` and ``secrets`` follow the seed too."""
    import secrets
    import uuid

    from pytest_retrychaos import Chaos

    drawn = []
    for entropy in ("seeded", "seeded", "real"):
        with Chaos(seed=1, entropy=entropy):
            drawn.append((uuid.uuid4(), secrets.token_hex()))

    assert drawn[0] == drawn[1] != drawn[2]


def test_the_ledger_names_the_operation(chaos) -> None:  # type: ignore[no-untyped-def]  # the fixture
    """An effect tells which operation it belongs to, when, and by which attempt."""
    import requests

    with chaos.operation("order 7"):
        requests.post(chaos.url + "/payments", json={"amount": 5}, timeout=1, headers={"Idempotency-Key": "k7"})
    (effect,) = chaos.ledger

    assert (effect.operation, effect.attempt, effect.method, effect.target, effect.key, effect.at) == (
        "order 7", 1, "POST", "/payments", "k7", 0.0
    )  # fmt: skip
    assert effect.body == b'{"amount": 5}'

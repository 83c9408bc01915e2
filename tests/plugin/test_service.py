"""The service as a test sets it up: a file to keep its state in, routes, latency, apps, profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from pytest_retrychaos import Chaos, Response
from pytest_retrychaos.service import StoreError
from tests.plugin.inner import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def pay(chaos: Chaos, key: str, amount: int = 5) -> requests.Response:
    """Make one payment."""
    return requests.post(chaos.url + "/payments", json={"amount": amount}, timeout=5, headers={"Idempotency-Key": key})


def test_a_store_file_outlives_the_run(tmp_path: Path) -> None:
    """The next run replays what the last one stored under a key."""
    file = tmp_path / "service.db"
    with Chaos(database=file) as chaos:
        first = pay(chaos, "k1")
    with Chaos() as chaos:
        chaos.service.database = file
        again = pay(chaos, "k1")

        assert again.json() == first.json()
        assert again.headers["Idempotent-Replayed"] == "true"
        assert chaos.ledger == ()


def test_a_store_file_may_be_set_twice(tmp_path: Path) -> None:
    """A fixture and a test may both name it."""
    file = tmp_path / "service.db"
    with Chaos(database=file) as chaos:
        chaos.service.database = file
        pay(chaos, "k1")

        assert len(chaos.ledger) == 1


def test_a_store_file_cannot_be_set_once_there_was_a_request(chaos: Chaos, tmp_path: Path) -> None:
    """What was done so far would be lost."""
    pay(chaos, "k1")

    with pytest.raises(ValueError, match="the service has had a request already; set it before the first"):
        chaos.service.database = tmp_path / "service.db"


def test_a_store_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """It is left as it is, and nothing stays patched."""
    file = tmp_path / "notes.txt"
    file.write_text("these are notes, not a database, and they are long enough to be read as a header of one" * 3)

    with pytest.raises(StoreError, match=r"notes\.txt"), Chaos(database=file):
        pass


def test_latency_is_virtual(chaos: Chaos) -> None:
    """A round trip takes as long as the service says, in no real time."""
    chaos.service.latency = 0.25

    pay(chaos, "k1")

    assert chaos.clock.elapsed == 0.25


def test_a_route_may_name_a_host(chaos: Chaos) -> None:
    """An SDK with a fixed address needs no set-up."""
    chaos.service.route(
        "GET", "api.example.com/v1/rates/{currency}", lambda request: {"of": request.params["currency"]}
    )

    assert requests.get("https://api.example.com/v1/rates/EUR", timeout=5).json() == {"of": "EUR"}


def test_a_handler_answers_in_every_form(chaos: Chaos) -> None:
    """A value, a status with it, headers too, or a whole response."""
    forms: dict[str, object] = {
        "/value": {"n": 1},
        "/status": (202, {"n": 2}),
        "/headers": (429, {"n": 3}, {"Retry-After": "7"}),
        "/response": Response(418, body=b"short and stout"),
    }
    for path, form in forms.items():
        chaos.service.route("GET", path, lambda _, form=form: form)

    answers = [requests.get(chaos.url + path, timeout=5) for path in forms]

    assert [answer.status_code for answer in answers] == [200, 202, 429, 418]
    assert answers[2].headers["Retry-After"] == "7"
    assert answers[3].text == "short and stout"


def test_an_app_answers_what_no_route_takes(chaos: Chaos) -> None:
    """A WSGI app stands behind the faults, our idempotency layer in front of it."""
    seen = []

    def app(environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        seen.append(environ["PATH_INFO"])
        start_response("201 Created", [("Content-Type", "application/json")])
        return [b'{"by": "the app"}']

    chaos.service.mount(app)
    chaos.script("reset after-commit, ok")

    with pytest.raises(requests.ConnectionError):
        pay(chaos, "k1")
    answer = pay(chaos, "k1")

    assert answer.json() == {"by": "the app"}
    assert seen == ["/payments"]
    assert len(chaos.ledger) == 1


def test_a_slow_commit_keeps_the_key_in_flight(chaos: Chaos) -> None:
    """A retry that comes before the first one is done meets a conflict, and the effect is one."""
    chaos.script("slow=30s before-commit, ok")

    with pytest.raises(requests.ReadTimeout):
        pay(chaos, "k1")
    conflict = pay(chaos, "k1")
    chaos.clock.advance(30)
    done = pay(chaos, "k1")

    assert conflict.status_code == 409
    assert done.status_code == 201
    assert done.headers["Idempotent-Replayed"] == "true"
    assert [effect.at for effect in chaos.ledger] == [30.0]


def test_a_slow_commit_is_not_forgotten_when_the_client_gave_up(chaos: Chaos) -> None:
    """The judge counts what a real service would still have carried out."""
    chaos.script("slow=30s before-commit, ok")

    for key in ("k1", "k2"):
        try:
            pay(chaos, key)
        except requests.ReadTimeout:
            continue

    with pytest.raises(AssertionError, match="ID04 duplicate effect") as caught:
        chaos.verify(only=["ID04"])
    assert len(chaos.ledger) == 2
    assert "carried out 2 times" in str(caught.value)


def test_the_stripe_profile_words_its_errors(chaos: Chaos) -> None:
    """A scripted error has the provider's own shape."""
    chaos.service.profile = "stripe"
    chaos.script("503")

    answer = pay(chaos, "k1")

    assert answer.json()["error"]["type"] == "api_error"
    assert answer.headers["Request-Id"].startswith("req_")


def test_an_app_that_fails_to_shut_down_is_an_error_of_the_test(pytester: pytest.Pytester) -> None:
    """It passed, and its app did not end well: both are told."""
    pytester.makepyfile(
        """
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.failed", "message": "still busy"})

        def test_it(chaos):
            chaos.service.mount(app)
        """
    )

    result = run(pytester)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*HandlerError: app app: its lifespan's shutdown failed: still busy"])

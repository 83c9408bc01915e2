"""Requests that bring their answer along."""

from __future__ import annotations

from dataclasses import replace

from pytest_retrychaos.model import Request, Response
from pytest_retrychaos.service.brought import RaisesError, Unanswered


class Own:
    """Answers each time it is asked; or raises what the client is to get."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[bytes] = []
        self.told: list[Exception] = []

    def answer(self, request: Request) -> Response:
        self.asked.append(request.body)
        if self.error is not None:
            raise RaisesError(self.error)
        return Response.json({"by": "own"}, 201)

    def raised(self, error: Exception) -> None:
        self.told.append(error)


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"app"]


def test_it_answers_before_route_app_and_store(make_bench, ask):
    """And what it did is an effect like any other."""
    bench, own = make_bench(), Own()
    bench.service.route("POST", "/payments", lambda _: {"by": "route"})
    bench.service.mount(app)

    answers = [
        bench.service.answering.handle(replace(ask("POST", path, {"amount": 1}), answerer=own), attempt=number)
        for number, path in enumerate(["/payments", "/other"], 1)
    ]

    assert [answer.response.body for answer in answers] == [b'{"by": "own"}'] * 2
    assert own.asked == [b'{"amount": 1}'] * 2
    assert [effect.target for effect in bench.service.effects] == ["/payments", "/other"]


def test_its_key_is_remembered(make_bench, ask):
    """The second time it is not asked."""
    bench, own = make_bench(), Own()
    request = replace(ask("CALL", "/charge", {"amount": 1}, key="k"), answerer=own)

    answers = [bench.service.answering.handle(request, attempt=number) for number in (1, 2)]

    assert [(answer.response.status, answer.replayed) for answer in answers] == [(201, False), (201, True)]
    assert len(own.asked) == len(bench.service.effects) == 1


def test_an_exception_in_place_of_an_answer_has_no_effect(make_bench, ask):
    """It is the client's to see, and no fault of a handler's."""
    error = LookupError("gone")
    bench, own = make_bench(), Own(error)

    answer = bench.service.answering.handle(replace(ask("POST", "/payments", {}), answerer=own), attempt=1)

    assert isinstance(answer.response, Unanswered)
    assert (answer.response.error, answer.error, answer.effects) == (error, None, 0)
    assert own.told == [error]
    assert bench.service.effects == ()

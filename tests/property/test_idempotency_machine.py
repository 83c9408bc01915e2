"""Whatever is sent in whatever order: within its lifetime no key has two effects."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pytest_retrychaos.model import Headers, Request
from pytest_retrychaos.service import Reservation, Service

LIFETIME_NS = 86_400 * 10**9

KEYS = st.sampled_from(["a", "b", "c"])
AMOUNTS = st.integers(1, 2)
OUTCOMES = st.sampled_from([201, 204, 400, 404, 409, 429, 500, 503, None])


def payment(key: str, amount: int) -> Request:
    headers = Headers({"Idempotency-Key": key, "Content-Type": "application/json"})
    return Request("POST", "api.test", "/payments", headers, json.dumps({"amount": amount}).encode())


class Keys(RuleBasedStateMachine):
    """Requests, answers of every kind, requests in flight, and time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.outcome: int | None = 201
        self.waiting: list[Reservation] = []
        self.service = Service(now=lambda: self.now_ns, wall=lambda: self.now_ns)
        self.service.route("POST", "/payments", self._pay)

    def _pay(self, _request: Request) -> object:
        if self.outcome is None:
            raise ConnectionError("the handler failed")
        return self.outcome, None

    @rule(key=KEYS, amount=AMOUNTS, outcome=OUTCOMES)
    def send(self, key: str, amount: int, outcome: int | None) -> None:
        self.outcome = outcome
        self.service.answering.handle(payment(key, amount), attempt=1)

    @rule(key=KEYS, amount=AMOUNTS)
    def begin(self, key: str, amount: int) -> None:
        taken = self.service.answering.reserve(payment(key, amount), attempt=1)
        if isinstance(taken, Reservation):
            assert key not in [waiting.key for waiting in self.waiting]
            self.waiting.append(taken)

    @rule(outcome=OUTCOMES, give_up=st.booleans())
    def end(self, outcome: int | None, give_up: bool) -> None:
        if self.waiting:
            self.outcome = outcome
            (self.service.answering.release if give_up else self.service.answering.complete)(self.waiting.pop(0))

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.now_ns += hours * 3600 * 10**9

    @invariant()
    def no_key_has_two_effects(self) -> None:
        moments: dict[str | None, list[int]] = defaultdict(list)
        for effect in self.service.effects:
            moments[effect.key].append(effect.at_ns)
        for times in moments.values():
            assert all(later - sooner >= LIFETIME_NS for sooner, later in itertools.pairwise(times))

    def teardown(self) -> None:
        self.service.close()


TestKeys = Keys.TestCase
TestKeys.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

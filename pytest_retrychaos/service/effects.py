"""What counts as an effect of a mounted app, as the test says it.

Without a word, an effect is a request that is no read and is answered 2xx or 303. ``effects=`` says it otherwise:
routes (``["POST /payments"]``: they alone have effects, all else are reads), a function of a request and its
answer (whether, or how often, it had an effect), both (``{"POST /payments": function}``), or a function of
nothing that gives how many effects the app has had so far.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_retrychaos.model import Request, Response
from pytest_retrychaos.service import reads
from pytest_retrychaos.service.handlers import HandlerError, takes
from pytest_retrychaos.service.routing import Judge, Router, make_route

Effects = Callable[[], int] | Judge | Iterable[str] | Mapping[str, Judge]

_WAYS = (
    "give routes such as ['POST /payments'], a function of (request, response) that says whether there was an "
    "effect, both as {'POST /payments': function}, or a function without arguments that gives how many there have been"
)


@dataclass(frozen=True, slots=True)
class EffectRule:
    """What was given, in one of its forms."""

    count: Callable[[], int] | None = None
    judge: Judge | None = None
    routes: Router | None = None
    called: str = "effects="
    """What the test calls it."""

    @property
    def tells_replays(self) -> bool:
        """Whether a second answer that looks like the first can be known to be no second effect."""
        return self.judge is not None or self.count is not None

    def is_read(self, request: Request) -> bool | None:
        """Whether a request can have no effect; ``None`` where only its answer tells."""
        if self.routes is None or not request.target.startswith("/"):
            return None
        if self.routes.find(request) is None:
            return True
        return self.judge is not None and reads.travels_by_post(request)

    def so_far(self) -> int:
        """Count the effects before a request, where they are counted."""
        return 0 if self.count is None else self.count()

    def of(self, request: Request, response: Response, before: int) -> int | None:
        """Count the effects of one request; ``None`` where its method and answer tell."""
        if self.judge is not None:
            told: Any = self.judge(request, response)  # Any: whatever it returned
            if not isinstance(told, int) or told < 0:
                raise HandlerError(f"{self.called} said {told!r}: it says True, False, or how many effects there were")
            return int(told)
        if self.count is None:
            return None
        number = self.count() - before
        if number < 0:
            raise HandlerError("the app's effects= went backwards: it gives how many there are so far")
        return number


def effect_rule(given: Effects | None) -> EffectRule:
    """Read ``effects=``; `TypeError` or `ValueError` names value, rule and way out."""
    if given is None:
        return EffectRule()
    if callable(given):
        return _function(given)
    if not isinstance(given, Iterable):
        raise TypeError(f"mount(effects={given!r}): {_WAYS}")
    texts: list[str] = [given] if isinstance(given, str) else list(given)
    judges = given if isinstance(given, Mapping) else dict.fromkeys(texts, _placeholder)
    router = Router()
    for text in texts:
        if not isinstance(text, str) or not callable(judges[text]):
            raise TypeError(f"mount(effects={given!r}): {_WAYS}")
        method, _, path = text.strip().partition(" ")
        router.add(make_route(method, path.strip(), judges[text], None))
    if not isinstance(given, Mapping):
        return EffectRule(routes=router)

    def judge(request: Request, response: Response) -> int:
        found = router.find(request)
        return found[0].handler(request, response) if found is not None else 0

    return EffectRule(judge=judge, routes=router)


def _function(given: Callable[..., int]) -> EffectRule:
    if takes(given):  # a built-in that does not say what it takes, too: such count
        return EffectRule(count=given)
    if takes(given, None, None):
        return EffectRule(judge=given)
    raise TypeError(f"mount(effects={given!r}) takes {inspect.signature(given)}: {_WAYS}")


def _placeholder(request: Request, response: Response) -> int:
    """Stand for a judge: the route says only that its method and answer count."""
    raise NotImplementedError(request, response)

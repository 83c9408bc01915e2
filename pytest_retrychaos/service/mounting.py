"""Mounting an app: which interface it has, who keeps its keys, and what counts as its effects."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pytest_retrychaos.service.backstage import Backstage
from pytest_retrychaos.service.effects import EffectRule, Effects, effect_rule
from pytest_retrychaos.service.handlers import Handler, name_of
from pytest_retrychaos.service.wsgi import WsgiHandler

App = Callable[..., Any]
"""A WSGI or an ASGI application; their types have nothing more in common."""
ANSWER_WITHIN = 20.0
"""Real seconds: less than the patience of the watch on threads that block in real time."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """A mounted app."""

    handler: Handler
    has_own_keys: bool
    effects: EffectRule
    close: Callable[[], None] = field(default=lambda: None)


def mounted(
    app: App,
    *,
    kind: str | None,
    idempotency: str,
    effects: Effects | None,
    answer_within: float,
    backstage: Backstage,
) -> Mounted:
    """Check what `Service.mount` was given; `TypeError` or `ValueError` names value, rule and way out."""
    kind = _kind(app) if kind is None else kind
    if kind not in ("wsgi", "asgi"):
        raise ValueError(f"mount(kind={kind!r}): use 'wsgi', 'asgi', or leave it out")
    if not callable(app):
        raise _neither(app, "it cannot be called")
    if idempotency not in ("ours", "own"):
        raise ValueError(f"mount(idempotency={idempotency!r}): use 'ours' (this service's layer) or 'own'")
    rule = effect_rule(effects)
    if idempotency == "own" and not rule.tells_replays:
        raise ValueError(
            "mount(idempotency='own') needs effects=: a function of (request, response) that says whether there was "
            "an effect, or one without arguments that gives how many the app has had, else its replays could not "
            "be told from new effects"
        )
    is_number = isinstance(answer_within, int | float) and not isinstance(answer_within, bool)
    if not is_number or not math.isfinite(answer_within) or answer_within <= 0:
        raise ValueError(f"mount(answer_within={answer_within!r}): give real seconds, more than 0")
    own = idempotency == "own"
    if kind == "wsgi":
        return Mounted(WsgiHandler(app), own, rule)
    from pytest_retrychaos.service.asgi import AsgiHandler  # asyncio is not loaded for those who mount none

    handler = AsgiHandler(app, name_of(app), backstage, answer_within)
    return Mounted(handler, own, rule, handler.close)


def _kind(app: Any) -> str:  # Any: whatever the user gave
    """Tell an app's interface by its signature, as servers do."""
    if not callable(app):
        raise _neither(app, "it cannot be called")
    required, allowed = _positional(app)
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        if required <= 3 <= allowed:
            return "asgi"
        raise _neither(app, f"it is async and takes {required} arguments")
    if isinstance(app, type) and required != 2:
        raise _neither(app, "it is a class: make an instance of it, or call the function that makes the app")
    if required == 3:
        return "asgi"
    if required == 2:
        return "wsgi"
    if required == 1 and allowed == 1:
        raise _neither(
            app,
            "it takes one argument, as ASGI 2 apps and handlers do: an ASGI 2 app can be wrapped "
            "(asgiref.compatibility.guarantee_single_callable), a handler is for service.route",
        )
    raise _neither(app, "its signature does not tell: say kind='wsgi' or kind='asgi'")


def _positional(app: Any) -> tuple[int, float]:  # Any: whatever the user gave
    """Count the positional arguments that must, and that can, be given."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return 0, math.inf
    places = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    most = math.inf if any(one.kind is one.VAR_POSITIONAL for one in parameters) else len(places)
    return sum(one.default is one.empty for one in places), most


def _neither(app: object, why: str) -> TypeError:
    shown = name_of(app) if callable(app) else repr(app)
    return TypeError(
        f"mount({shown}): {why}. An app is a WSGI callable that takes (environ, start_response), or an ASGI one "
        "that takes (scope, receive, send)"
    )

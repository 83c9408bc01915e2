"""The routes that a test declared, as the names of what it sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_retrychaos.model import Request

if TYPE_CHECKING:
    from pytest_retrychaos.report.routes import Declared
    from pytest_retrychaos.service.routing import Router
    from pytest_retrychaos.trace import Attempt


def declared_by(router: Router) -> Declared:
    """Name attempts by the routes of a service."""

    def declared(attempt: Attempt) -> str | None:
        if not router or attempt.method is None:
            return None
        taken = router.find(Request(attempt.method, attempt.host, attempt.target or "/"))
        return None if taken is None else str(taken[0])

    return declared

"""The fake service that remembers: routes, a default store, idempotency keys and a ledger of effects.

It knows requests and effects, and nothing of transports or faults.
"""

from pytest_retrychaos.service.answers import Answer, Reservation
from pytest_retrychaos.service.database import StoreError
from pytest_retrychaos.service.idempotency import Idempotency
from pytest_retrychaos.service.limits import Limit
from pytest_retrychaos.service.service import Service

__all__ = ["Answer", "Idempotency", "Limit", "Reservation", "Service", "StoreError"]
